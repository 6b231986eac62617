"""The settings of a JVM that this process starts itself: the same as ./spark-submit.sh gives to its JVM.

What the user has set stays: environment variables, PYSPARK_SUBMIT_ARGS, and spark-defaults.conf.

Example usage:
>>> environ = {"SPARK_DRIVER_MEMORY": "6g"}
>>> prepare_java(environ)
>>> environ["SPARK_DRIVER_MEMORY"], environ["SPARK_LOCAL_IP"], "-XX:+UseParallelGC" in environ["SPARK_SUBMIT_OPTS"]
('6g', '127.0.0.1', True)
"""

import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

COLLECTOR: Final = "-XX:+UseParallelGC"  # see docs/decisions/0013
# The second compiler takes more time than a small job: it waits four times as long as by default (docs/decisions/0017).
# What the first one makes needs a larger stack.
COMPILER: Final = (
    "-Xss4m -XX:Tier4InvocationThreshold=20000 -XX:Tier4MinInvocationThreshold=2400 "
    "-XX:Tier4CompileThreshold=60000 -XX:Tier4BackEdgeThreshold=160000"
)
_SHELL = "pyspark-shell"  # what Spark's launcher wants at the end
_CONSOLE = "spark.ui.showConsoleProgress"
_LOGGING = Path(__file__).with_name("log4j2.properties")
_MASTER = re.compile(r"(?:--master[ =]|spark\.master[\s=]+)(\S+)")
_MOST_MEMORY = 8  # GB
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def prepare_java(environ: MutableMapping[str, str]) -> None:
    """Set the environment variables that Spark's launcher reads, unless spark-submit has started the JVM already."""
    if "PYSPARK_GATEWAY_PORT" in environ:
        return
    given = f"{environ.get('PYSPARK_SUBMIT_ARGS', '')} {spark_defaults(environ)}"
    options = environ.get("SPARK_SUBMIT_OPTS", "")
    java = f"{given} {options} {environ.get('JAVA_TOOL_OPTIONS', '')}"
    ours = [f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}"] if "log4j" not in java else []
    ours += [] if re.search(r"-XX:\+Use\w*GC", java) else [COLLECTOR]
    ours += [] if re.search(r"-XX:\S*Tier", java) else [COMPILER]
    environ["SPARK_SUBMIT_OPTS"] = " ".join([*ours, *([options] if options else [])])
    submitted = environ.get("PYSPARK_SUBMIT_ARGS", "").removesuffix(_SHELL).strip()
    # Spark takes this process for a shell, which shows bars of its own.
    console = "" if _CONSOLE in given else f"--conf {_CONSOLE}=false"
    environ["PYSPARK_SUBMIT_ARGS"] = " ".join(filter(None, [console, submitted, _SHELL]))
    environ.setdefault("SPARK_DRIVER_MEMORY", f"{usual_memory() // 2**30}g")
    environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else the "python3" in PATH, which may lack the packages
    environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the cores are busy with tasks already
    if is_one_machine(given, environ):
        environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # the driver needs no outer address


def driver_memory(environ: Mapping[str, str]) -> int | None:
    """Return the bytes that the user gives Spark's driver, None if nothing is said.

    >>> driver_memory({"SPARK_DRIVER_MEMORY": "6g"}) == 6 * 2**30
    True
    """
    given = f"{environ.get('PYSPARK_SUBMIT_ARGS', '')} {spark_defaults(environ)}"
    found = re.search(r"(?:--driver-memory[ =]|spark\.driver\.memory[\s=]+)(\S+)", given)
    text = (found[1] if found else environ.get("SPARK_DRIVER_MEMORY", "")).strip().lower()
    number = re.fullmatch(r"(\d+)([kmgt]?)b?", text)
    return int(number[1]) * _UNITS[number[2] or "m"] if number else None


def usual_memory() -> int:
    """Return the bytes that Spark's driver gets otherwise: half of the machine's memory, 1 to 8 GB."""
    return min(max(memory() // 2**31, 1), _MOST_MEMORY) * 2**30


def memory() -> int:
    """Return the bytes of this machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def spark_home(environ: Mapping[str, str]) -> Path | None:
    """Return the folder of the Spark that is used, None if there is none."""
    found = find_spec("pyspark")
    given = environ.get("SPARK_HOME") or (found and found.origin and str(Path(found.origin).parent))
    return Path(given) if given else None


def spark_defaults(environ: Mapping[str, str]) -> str:
    """Return the text of spark-defaults.conf without its comments; empty if the file does not exist."""
    home = spark_home(environ)
    folder = environ.get("SPARK_CONF_DIR") or (home and home / "conf")
    try:
        text = (Path(folder) / "spark-defaults.conf").read_text(encoding="utf-8") if folder else ""
    except (OSError, UnicodeDecodeError):
        return ""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def is_one_machine(given: str, environ: Mapping[str, str]) -> bool:
    """Return whether the driver does all of Spark's work.

    Args:
        given: the arguments for spark-submit, and the text of spark-defaults.conf.
        environ: the environment variables.

    >>> [is_one_machine(given, {}) for given in ("", "--master local[2]", "spark.master yarn", "--remote sc://host")]
    [True, True, False, False]
    """
    found = _MASTER.search(given)
    master = found[1] if found else environ.get("MASTER", "local")
    is_remote = "--remote" in given or "--properties-file" in given or "SPARK_REMOTE" in environ
    return not is_remote and (master == "local" or master.startswith("local["))
