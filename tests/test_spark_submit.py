"""What the script at the top passes on: spark-submit's options before the job, and the job's behind it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "spark-submit.sh"


def passed_on(folder: Path, *arguments: str) -> list[str]:
    """Return the arguments that spark-submit is started with."""
    program = folder / "bin" / "spark-submit"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    environ = {
        **os.environ,
        "SPARK_HOME": str(folder),
        "VIRTUAL_ENV": sys.prefix,
        "JAVA_HOME": os.environ.get("JAVA_HOME", ""),
    }
    done = subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, env=environ, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("given", "options", "job"),
    [
        (["--override-gate", "a new market"], [], ["workflow.py", "--override-gate", "a new market"]),
        (["--override-gate=new", "--force"], [], ["workflow.py", "--override-gate=new", "--force"]),
        (["--override-gate", "why", "stage4"], [], ["stage4.py", "--override-gate", "why"]),
        (["--jars", "d.jar", "--set", "a=b"], ["--jars", "d.jar"], ["workflow.py", "--set", "a=b"]),
        (["--jars=d.jar", "stage1", "--force"], ["--jars=d.jar"], ["stage1.py", "--force"]),
    ],
)
def test_options_reach_those_whom_they_are_for(
    tmp_path: Path, given: list[str], options: list[str], job: list[str]
) -> None:
    found = passed_on(tmp_path, *given)
    script = next(place for place, argument in enumerate(found) if argument.endswith(".py"))
    assert found[:script] == options
    assert [Path(found[script]).name, *found[script + 1 :]] == job
