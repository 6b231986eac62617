"""Whether the machine fits: Java, Spark, memory, temporary space.

Example usage:
>>> major('openjdk version "17.0.15" 2025-04-15'), major('java version "1.8.0_402"'), major("not found")
(17, 8, 0)
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from recommender.doctor.finding import Finding, error, ok, warning
from recommender.doctor.packages import SPARK, fits, installed
from recommender.spark.launch import driver_memory, memory, spark_defaults, spark_home
from recommender.terminal.text import size

_OLDEST_JAVA, _NEWEST_JAVA = 17, 21  # that Spark is tested with here
_JAVA_REMEDY = "install a Java 17 or 21 runtime, and set JAVA_HOME to it; ./spark-submit.sh fetches one"
_LITTLE_MEMORY, _LEAST_MEMORY = 4 * 2**30, 2 * 2**30
_LITTLE_SPACE, _LEAST_SPACE = 10 * 2**30, 2**29
_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


def java(environ: Mapping[str, str]) -> list[Finding]:
    """Look at the Java that Spark would run on."""
    if environ.get("SPARK_REMOTE"):
        return [ok("java", "not needed: Spark is reached over Spark Connect")]
    home = environ.get("JAVA_HOME")
    program = f"{home}/bin/java" if home else shutil.which("java", path=environ.get("PATH"))
    if program is None:
        return [error("java", "no Java was found: JAVA_HOME is not set, and PATH has none", _JAVA_REMEDY)]
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return [error("java", f"{program} cannot be run{', as JAVA_HOME says' if home else ''}", _JAVA_REMEDY)]
    number = major(done.stderr + done.stdout)
    if number < _OLDEST_JAVA:
        return [error("java", f"{program} is Java {number or 'of an unknown version'}, not 17 or newer", _JAVA_REMEDY)]
    if number > _NEWEST_JAVA:
        found = f"{program} is Java {number}, which Spark may not run on"
        return [warning("java", found, "use Java 17 or 21 if Spark does not start")]
    return [ok("java", f"Java {number}, {program}")]


def major(said: str) -> int:
    """Return the number of a Java, 0 if it does not say."""
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else 0


def spark(environ: Mapping[str, str]) -> list[Finding]:
    """Look at the Spark that is installed, and at the one that SPARK_HOME names."""
    version, home = installed("pyspark"), spark_home(environ)
    if version is None and home is None:
        return [error("spark", "pyspark is not installed", "pip install 'recommender[spark]'")]
    if version is not None and not fits(version, SPARK):
        return [error("spark", f"pyspark {version} does not fit {SPARK}", f"pip install 'pyspark{SPARK}'")]
    if home is None or not environ.get("SPARK_HOME"):
        return [ok("spark", f"pyspark {version}")]
    if not (home / "bin" / "spark-submit").exists():
        return [error("spark", f"SPARK_HOME={home} has no bin/spark-submit", "unset SPARK_HOME, or correct it")]
    other = _version_of(home)
    if version and other and version.split(".")[:2] != other.split(".")[:2]:
        found = f"pyspark is {version}, and Spark in SPARK_HOME={home} is {other}"
        return [error("spark", found, f"unset SPARK_HOME, or pip install 'pyspark=={other}'")]
    return [ok("spark", f"Spark {other or 'of an unknown version'} in {home}")]


def _version_of(home: Path) -> str | None:
    """Return the version of an installation by the name of its jar."""
    names = [path.name for path in home.glob("jars/spark-core_*.jar")]
    found = re.search(r"-(\d[\d.]*\d)", names[0]) if names else None
    return found[1] if found else None


def room(environ: Mapping[str, str]) -> list[Finding]:
    """Look at the memory of the machine, and at what Spark's driver is to get of it."""
    there = min(memory(), _limit() or memory())
    asked = driver_memory(environ)
    if asked and asked > there:
        remedy = "ask for less: SPARK_DRIVER_MEMORY, spark.driver.memory or --driver-memory"
        return [error("memory", f"Spark's driver asks for {size(asked)}, and there are {size(there)}", remedy)]
    if there < _LEAST_MEMORY:
        return [error("memory", f"{size(there)}", "use a machine or a container with 4 GB or more")]
    if there < _LITTLE_MEMORY:
        return [warning("memory", f"{size(there)}", "4 GB or more are better; keep the log small")]
    return [ok("memory", f"{size(there)}{f', of which the driver asks for {size(asked)}' if asked else ''}")]


def _limit() -> int | None:
    try:
        text = _LIMIT.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def temporary(environ: Mapping[str, str]) -> list[Finding]:
    """Look at the folders in which Spark keeps its own files while it works."""
    given = f"{environ.get('PYSPARK_SUBMIT_ARGS', '')} {spark_defaults(environ)}"
    found = re.search(r"spark\.local\.dir[\s=]+(\S+)", given)
    folders = environ.get("SPARK_LOCAL_DIRS") or (found[1] if found else tempfile.gettempdir())
    return [_space(folder) for folder in folders.split(",")]


def _space(folder: str) -> Finding:
    remedy = "set SPARK_LOCAL_DIRS to a folder on a larger disk; shuffles of large logs need several times their size"
    if not os.access(folder, os.W_OK | os.X_OK):
        return error("temporary space", f"{folder} is not there, or cannot be written", remedy)
    free = shutil.disk_usage(folder).free
    found = f"{size(free)} free in {folder}"
    if free < _LEAST_SPACE:
        return error("temporary space", found, remedy)
    return warning("temporary space", found, remedy) if free < _LITTLE_SPACE else ok("temporary space", found)
