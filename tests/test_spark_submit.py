"""The script at the top: the arguments and the environment that it starts spark-submit with, wherever the clone is."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recommender.spark.launch import COLLECTOR, COMPILER

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "spark-submit.sh"
WEIRD = Path("sp ace") / "Über"
LOGGING = "-Dlog4j2.configurationFile=file://"
HIDDEN = (
    "SPARK_HOME",
    "SPARK_LOCAL_IP",
    "MASTER",
    "SPARK_SUBMIT_OPTS",
    "JAVA_TOOL_OPTIONS",
    "LC_ALL",
    "LANG",
    "LC_CTYPE",
)


def program(path: Path, text: str) -> Path:
    """Write a program in shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    return {**kept, "VIRTUAL_ENV": sys.prefix, **more}


def quick(folder: Path) -> dict[str, str]:
    """Return variables that name a Python which imports nothing, and a Java which is no more than its version."""
    program(
        folder / "env" / "bin" / "python", f'case "$2" in "import numpy"*) exit ;; esac; exec {sys.executable} -S "$@"'
    )
    program(folder / "java" / "bin" / "java", "echo 'openjdk version \"17.0.1\"' >&2")
    return {"VIRTUAL_ENV": str(folder / "env"), "JAVA_HOME": str(folder / "java")}


def passed_on(folder: Path, *arguments: str, script: Path = SCRIPT, shows: str = "$@", **more: str) -> list[str]:
    """Return the arguments, or variables, that spark-submit is started with, a line each."""
    program(folder / "bin" / "spark-submit", f'printf "%s\\n" "{shows}"')
    environ = environment(SPARK_HOME=str(folder), **quick(folder), **more)
    done = subprocess.run([str(script), *arguments], capture_output=True, text=True, env=environ, check=True)
    return done.stdout.splitlines()


def clone(folder: Path) -> Path:
    """Return a clone's script, with what it reads before it starts spark-submit."""
    for name in ("requirements", "conf"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "recommender" / "spark").mkdir(parents=True)
    shutil.copy(ROOT / "recommender" / "spark" / "launch.py", folder / "recommender" / "spark")
    return Path(shutil.copy(SCRIPT, folder))


@pytest.mark.parametrize(
    ("given", "options", "job"),
    [
        (["--override-gate", "a new market"], [], ["workflow.py", "--override-gate", "a new market"]),
        (["--override-gate=new", "--force"], [], ["workflow.py", "--override-gate=new", "--force"]),
        (["--dry-run"], [], ["workflow.py", "--dry-run"]),
        (["--override-gate", "why", "stage4"], [], ["stage4.py", "--override-gate", "why"]),
        (["--jars", "d.jar", "--set", "a=b"], ["--jars", "d.jar"], ["workflow.py", "--set", "a=b"]),
        (["--jars=d.jar", "stage1", "--force"], ["--jars=d.jar"], ["stage1.py", "--force"]),
    ],
)
def test_options_of_spark_submit_and_of_the_job_are_told_apart(
    tmp_path: Path, given: list[str], options: list[str], job: list[str]
) -> None:
    found = passed_on(tmp_path, *given)
    script = next(place for place, argument in enumerate(found) if argument.endswith(".py"))
    assert found[:script] == options
    assert [Path(found[script]).name, *found[script + 1 :]] == job


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ([], "127.0.0.1"),
        (["--master", "local"], "127.0.0.1"),
        (["--master", "local[2]"], "127.0.0.1"),
        (["--master=local[*]"], "127.0.0.1"),
        (["--conf", "spark.master=local[2]"], "127.0.0.1"),
        (["--name", "yarn"], "127.0.0.1"),
        (["--master", "local-cluster[2,1,1024]"], ""),
        (["--master", "spark://host:7077"], ""),
        (["--master=yarn"], ""),
        (["--conf", "spark.master=yarn"], ""),
        (["--conf=spark.master=k8s://https://host"], ""),
        (["--remote", "sc://host"], ""),
        (["--properties-file", "cluster.conf"], ""),
    ],
)
def test_the_driver_of_one_machine_listens_on_it_only(tmp_path: Path, options: list[str], address: str) -> None:
    assert passed_on(tmp_path, *options, shows="$SPARK_LOCAL_IP") == [address]


def test_the_master_may_be_named_by_spark_s_own_files_and_variables(tmp_path: Path) -> None:
    assert passed_on(tmp_path, shows="$SPARK_LOCAL_IP", MASTER="yarn") == [""]
    defaults = tmp_path / "conf" / "spark-defaults.conf"
    defaults.parent.mkdir()
    defaults.write_text("spark.master    spark://host:7077\n")
    assert passed_on(tmp_path, shows="$SPARK_LOCAL_IP") == [""]
    assert passed_on(tmp_path, "--master", "local[2]", shows="$SPARK_LOCAL_IP") == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ([], [COLLECTOR, *COMPILER.split()]),
        (["--conf", "spark.driver.extraJavaOptions=-XX:+UseG1GC"], COMPILER.split()),
        (["--driver-java-options", "-XX:+UseZGC -XX:TieredStopAtLevel=1"], []),
    ],
)
def test_java_gets_a_collector_and_a_compiler_unless_others_are_named(
    tmp_path: Path, given: list[str], own: list[str]
) -> None:
    [options] = passed_on(tmp_path, *given, shows="$SPARK_SUBMIT_OPTS")
    assert options.split()[1:] == own


def test_memory_that_the_user_has_given_stays(tmp_path: Path) -> None:
    assert passed_on(tmp_path, shows="$SPARK_DRIVER_MEMORY", SPARK_DRIVER_MEMORY="3g") == ["3g"]


def test_a_clone_may_be_below_a_folder_with_a_blank_and_an_umlaut(tmp_path: Path) -> None:
    script = clone(tmp_path / WEIRD)
    found = passed_on(tmp_path / "spark", "stage1", "--run-id", "a b", script=script)
    assert found == [f"{tmp_path / WEIRD}/jobs/stage1.py", "--run-id", "a b"]
    [options] = passed_on(tmp_path / "spark", script=script, shows="$SPARK_SUBMIT_OPTS")
    assert options.split(" ")[0] == f"{LOGGING}{tmp_path}/sp%20ace/%C3%9Cber/recommender/spark/log4j2.properties"


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LANG": "POSIX"}])
def test_java_gets_a_locale_that_can_read_every_path(tmp_path: Path, locale: dict[str, str]) -> None:
    [charmap] = passed_on(tmp_path, shows="$(locale charmap)", **locale)
    assert charmap == "UTF-8"


def test_a_locale_of_the_user_s_stays(tmp_path: Path) -> None:
    assert passed_on(tmp_path, shows="$LC_ALL", LANG="C.UTF-8") == [""]


def test_the_environment_s_own_spark_is_the_default(tmp_path: Path) -> None:
    """The script that pip puts beside Python looks for Spark with a command that is split at blanks."""
    environ = environment() | {"SPARK_HOME": ""}
    text = SCRIPT.read_text().replace('exec "$program"', 'printf "%s\\n" "$program" "$SPARK_HOME"; exit #')
    script = clone(tmp_path / WEIRD)
    script.write_text(text)
    done = subprocess.run([str(script)], capture_output=True, text=True, env=environ, check=True)
    import pyspark

    home = str(Path(pyspark.__file__).parent)
    assert done.stdout.splitlines() == [f"{home}/bin/spark-submit", home]


def base_python(folder: Path) -> dict[str, str]:
    """Return an environment whose python3 makes environments of stubs: slowly, and it says when."""
    stub = folder / "stub"
    program(
        folder / "bin" / "python3",
        f"""[ "$1 $2" = "-m venv" ] || exec {sys.executable} "$@"
echo made >>"{folder}/log"; sleep 1
mkdir -p "$3/bin"; cp "{stub}" "$3/bin/python" """,
    )
    program(stub, f'[ "$1 $2" = "-m pip" ] || exec {sys.executable} -S "$@"')
    hidden = {"VIRTUAL_ENV": "", "CONDA_PREFIX": "", "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    program(folder / "spark" / "bin" / "spark-submit", 'printf "%s\\n" "$@"')
    return environment(SPARK_HOME=str(folder / "spark")) | quick(folder) | hidden


def test_two_first_starts_at_once_make_one_environment(tmp_path: Path) -> None:
    environ, script = base_python(tmp_path), clone(tmp_path / WEIRD)

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen([str(script)], text=True, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    first = start()
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    second = start()
    told = [process.communicate(timeout=60) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), told
    assert (tmp_path / "log").read_text() == "made\n"
    assert "Setting up " in told[0][1]
    assert told[1][1] == f"Waiting for another start, which is setting up {script.parent}/.venv ...\n"


def test_a_clone_that_cannot_be_written_gets_advice_on_that(tmp_path: Path) -> None:
    environ, script = base_python(tmp_path), clone(tmp_path / WEIRD)
    (script.parent / ".venv").write_text("not a folder")  # root may write everywhere else
    done = subprocess.run([str(script)], capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 17
    assert done.stderr == (
        f"{script.parent}/.venv cannot be written. Clone into a folder of your own, "
        f"or activate an environment with the packages: {tmp_path}/bin/python3 -m venv FOLDER "
        "&& . FOLDER/bin/activate && "
        f"pip install -r '{script.parent}/requirements/spark4.txt'\n"
    )


def test_a_wrong_spark_home_is_reported(tmp_path: Path) -> None:
    environ = environment(SPARK_HOME=str(tmp_path), **quick(tmp_path))
    done = subprocess.run([str(SCRIPT)], capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 17
    assert done.stderr.endswith("set SPARK_HOME to a Spark 3.5 or 4 installation, or unset it.\n")
