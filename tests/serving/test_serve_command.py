"""What the command says before it serves."""

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.literal_snapshot import Shop
from support.published import publish

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from recommender.__main__ import main
from recommender.commands import serve


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (
            ["--port", "x"],
            10,
            "CFG_ARGUMENT command=serve: argument --port: 'x' is not a whole number from 0 to",
        ),
        (
            ["--workers", "0"],
            10,
            "CFG_ARGUMENT command=serve: argument --workers: '0' is not a whole number from 1 to",
        ),
        (
            ["--poll", "nan"],
            10,
            "CFG_ARGUMENT command=serve: argument --poll: 'nan' is not a number of seconds from",
        ),
        (
            ["--drain", "99"],
            10,
            "CFG_ARGUMENT command=serve: argument --drain: '99' is not a number of seconds from",
        ),
        (["--chanel", "live"], 10, "CFG_ARGUMENT command=serve: unrecognized arguments: --chanel live; see --help"),
        (["--root", "hdfs://host/x"], 17, "STORAGE_SCHEME command=serve: root hdfs://host/x: snapshots are mapped"),
        (["--root", "a*"], 10, "CFG_VALUE command=serve: root must not contain any of"),
        (["--snapshot", "/nowhere"], 16, "SNAPSHOT_MISSING command=serve: /nowhere has no manifest.json; give"),
        (["--token-file", "/nowhere"], 10, "TOKEN_FILE command=serve: /nowhere cannot be read: No such file"),
        (
            ["--root", "/nowhere", "--port", "0"],
            10,
            "ROOT_UNKNOWN command=serve: the folder /nowhere does not exist; give",
        ),
        (["--host", "999.0.0.1"], 10, "CANNOT_LISTEN command=serve: cannot listen on 999.0.0.1 port 8000: "),
    ],
)
def test_a_mistake_is_told_before_anything_is_served(
    arguments: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == code
    assert f"RECOMMENDER_ERROR {line}" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--root", str(tmp_path), "--port", port]) == 10
    assert f"CANNOT_LISTEN command=serve: cannot listen on 127.0.0.1 port {port}: Address" in capsys.readouterr().err


@pytest.mark.parametrize("token", ["", "two words", "tökén", "a\tb", "a recommend,everything"])
def test_a_token_is_one_word(tmp_path: Path, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text(token)
    assert main(["serve", "--root", str(tmp_path), "--token-file", str(tmp_path / "token")]) == 10
    told = capsys.readouterr().err
    assert (
        "TOKEN_FILE command=serve: a token must be one word of ASCII characters, and behind it some of the scopes"
        in told
    )


def test_a_secret_that_is_empty_leaves_no_door_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECOMMENDER_TOKEN", "")
    assert main(["serve", "--root", str(tmp_path)]) == 10
    assert "a token must be one word of ASCII characters" in capsys.readouterr().err


def test_a_channel_with_another_name_than_there_are_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path, "monday")
    assert main(["serve", "--root", str(tmp_path), "--channel", "lve", "--port", "0"]) == 10
    told = capsys.readouterr().err
    assert f"CHANNEL_UNKNOWN command=serve: {tmp_path} has no channel lve; it has live" in told


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    there: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else there(name))
    assert main(["serve"]) == 10
    told = capsys.readouterr().err
    assert "PACKAGE_MISSING command=serve: serve needs uvicorn; install the extra: pip install 'reco" in told


def test_the_service_loads_nothing_of_spark(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyspark'] = sys.modules['py4j'] = sys.modules['pandas'] = None\n"
        "import recommender.__main__, recommender.serving.server, recommender.snapshot.write"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(serve.__file__).parents[2])


@pytest.mark.parametrize("damage", ["ARTIFACT_CORRUPT", "GOLDEN_QUESTION"])
def test_a_snapshot_that_is_damaged_is_told_when_it_is_checked(tmp_path: Path, damage: str) -> None:
    golden = [{"visitorid": 0, "item": []}] if damage == "GOLDEN_QUESTION" else []
    Shop(golden=golden).write(tmp_path)
    if damage == "ARTIFACT_CORRUPT":
        (tmp_path / "items.arrow").write_bytes(b"")
    command = [sys.executable, "-m", "recommender", "serve", "--snapshot", str(tmp_path), "--port", "0", "--drain", "0"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(serve.__file__).parents[2])
    assert done.returncode == 16
    assert done.stderr.splitlines()[-1].startswith(f"RECOMMENDER_ERROR {damage} command=serve: ")
