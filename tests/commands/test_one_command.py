"""The command recommender: its groups, the jobs that it starts, and the completion of the shell."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support.literal_store import open_store, result

from recommender.__main__ import _GROUPS, main
from recommender.run.arguments import parser
from recommender.run.config import DEFAULT_DOCUMENT, STAGES, load_config, parse_config
from recommender.spark.launch import prepare_java
from recommender.store import Channels

ROOT = Path(__file__).resolve().parents[2]
NAMES = [name for names in _GROUPS.values() for name in names]


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Undo what a job sets for Java: the session of the other tests has its own options."""
    with patch.dict(os.environ):
        yield


def called(*words: str) -> int:
    try:
        return main(words)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_without_a_command_all_of_them_are_listed_in_groups(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(*words) == 0
    out = capsys.readouterr().out
    for title, names in _GROUPS.items():
        assert f"\n{title}\n" in out
        assert all(re.search(rf"^  {name} +[A-Z]\w+ .+$", out, re.MULTILINE) for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_shows_what_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(name, "--help") == 0
    assert f"recommender {name} " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["run", "tune", "sample"])
def test_a_job_without_pyspark_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there: Any = importlib.util.find_spec
    monkeypatch.setattr("recommender.run.command.find_spec", lambda name: None if name == "pyspark" else there(name))
    assert called(name) == 10
    sentence = f"{name} needs pyspark, and Java 17 or newer; install pyspark with: pip install 'recommender[spark]'"
    assert capsys.readouterr().err == f"RECOMMENDER_ERROR PACKAGE_MISSING command={name}: {sentence}\n"


def test_a_run_ends_as_its_job_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("recommender.spark.launch.prepare_java", lambda _: None)
    assert called("run", "--from", "stage3", "--until", "stage3", "--root", str(tmp_path)) == 12
    assert "RECOMMENDER_ERROR UPSTREAM_NOT_COMMITTED stage=- run=" in capsys.readouterr().err
    assert called("run", "--set", "stage1.score_filter.min_scor=1") == 10
    assert "did you mean min_score" in capsys.readouterr().err


def test_without_a_file_the_configuration_is_that_of_the_checkout() -> None:
    options = parser(["stage1", "stage2"], None).parse_args([])
    assert options.config is None
    environ = {"EVENTS_PATH": "/data/events.csv"}
    packaged = parse_config(DEFAULT_DOCUMENT, environ=environ)
    checkout = load_config(ROOT / "conf" / "local.yaml", environ=environ)
    assert packaged.root == checkout.root
    for name, stage in STAGES.items():
        assert stage(packaged.stage(name)).parameters() == stage(checkout.stage(name)).parameters()


def test_what_the_user_has_set_for_java_stays() -> None:
    environ = {
        "SPARK_SUBMIT_OPTS": "-XX:+UseG1GC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile=mine",
        "PYSPARK_SUBMIT_ARGS": "--master yarn --conf spark.ui.showConsoleProgress=true pyspark-shell",
        "SPARK_DRIVER_MEMORY": "3g",
    }
    before = dict(environ)
    prepare_java(environ)
    assert {key: environ[key] for key in before} == before
    assert "SPARK_LOCAL_IP" not in environ


def test_options_of_spark_submit_come_from_the_environment() -> None:
    for given in ("--driver-memory 12g", "--driver-memory 12g pyspark-shell"):
        environ = {"PYSPARK_SUBMIT_ARGS": given}
        prepare_java(environ)
        options = "--conf spark.ui.showConsoleProgress=false --driver-memory 12g pyspark-shell"
        assert environ["PYSPARK_SUBMIT_ARGS"] == options


def test_spark_submit_s_own_java_is_left_alone() -> None:
    environ = {"PYSPARK_GATEWAY_PORT": "1"}
    prepare_java(environ)
    assert environ == {"PYSPARK_GATEWAY_PORT": "1"}


def completed(script: str, folder: Path, *words: str) -> set[str]:
    """Return what bash offers for the last of the words."""
    line = " ".join(f"'{word}'" for word in words)
    ask = f'COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _recommender; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_shell_completes_commands_options_and_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "output" / "channels" / "live").mkdir(parents=True)
    (tmp_path / "else where" / "channels" / "candidate").mkdir(parents=True)
    assert called("completion", "bash") == 0
    script = capsys.readouterr().out
    assert completed(script, tmp_path, "recommender", "") == set(NAMES)
    assert completed(script, tmp_path, "recommender", "ru") == {"run", "runs"}
    assert completed(script, tmp_path, "recommender", "run", "--fr") == {"--from"}
    assert completed(script, tmp_path, "recommender", "run", "--from", "") == {f"stage{n}" for n in range(1, 5)}
    assert completed(script, tmp_path, "recommender", "show", "l") == {"latest", "live"}
    root = ("--root", "else where")
    assert completed(script, tmp_path, "recommender", "rollback", *root, "c") == {"candidate"}
    assert called("completion", "zsh") == 0
    assert capsys.readouterr().out.startswith("autoload -U +X bashcompinit")


@pytest.mark.parametrize("name", ["tuesday", "tue", "candidate", "latest"])
def test_a_version_is_compared_by_any_name_of_its_run(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(tmp_path / "out")
    Channels(store).publish("live", result(store, "stage4", "monday", config={}, release_diff=None))
    Channels(store).publish("candidate", result(store, "stage4", "tuesday", config={}, release_diff=None))
    root = ("--root", str(tmp_path / "out"))
    assert called("release", name, "mon", "--json", *root) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["candidate"], found["live"]) == ("tuesday", "monday")
    Channels(store).publish("live", result(store, "stage4", "wednesday"))
    assert called("rollback", "live", "mon", "--dry-run", *root) == 0
    result(store, "stage1", "thursday")
    assert called("release", "thursday", "live", *root) == 10
    assert "run thursday has no commit of stage4, so it has no lists to compare" in capsys.readouterr().err


def test_a_channel_goes_back_to_what_another_channel_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(tmp_path / "out")
    monday, tuesday = result(store, "stage4", "monday"), result(store, "stage4", "tuesday")
    Channels(store).publish("live", monday)
    Channels(store).publish("live", tuesday)
    Channels(store).publish("stable", monday)
    assert called("rollback", "live", "stable", "--dry-run", "--root", str(tmp_path / "out")) == 0
    assert "channel live would name run monday" in capsys.readouterr().out
    assert called("rollback", "live", "latest", "--dry-run", "--root", str(tmp_path / "out")) == 0
    assert "channel live would name run tuesday" in capsys.readouterr().out


def test_without_pyspark_what_needs_it_says_so_and_all_else_works(tmp_path: Path) -> None:
    result(open_store(tmp_path / "out"), "stage1", "monday")
    program = f"""
import importlib.util, sys
there = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "pyspark" else there(name, *more)
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("pyspark", "py4j"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from recommender.doctor import packages
installed = packages.installed
packages.installed = lambda name: None if name == "pyspark" else installed(name)
from recommender.__main__ import main
root = ["--root", {str(tmp_path / "out")!r}]
codes = [main(words) for words in ([], ["runs", *root], ["show", "latest", *root], ["doctor", *root])]
print(codes, [main([name]) for name in ("plan", "run", "schema")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 0, 10, 10] [10, 10, 10]"
    assert "pyspark is not installed" in done.stdout
    told = [line.split(":", 1)[0] for line in done.stderr.splitlines()]
    assert told == [
        "RECOMMENDER_ERROR PACKAGE_MISSING command=show",
        "RECOMMENDER_ERROR NOT_READY command=doctor",
        *(f"RECOMMENDER_ERROR PACKAGE_MISSING command={name}" for name in ("plan", "run", "schema")),
    ]
