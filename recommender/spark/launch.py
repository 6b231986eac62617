"""The settings of Spark's JVM, whether ./spark-submit.sh starts it, which runs this file, or a command of the package.

What the user has set stays: environment variables, arguments for spark-submit, and spark-defaults.conf. Nothing but the
standard library is imported: the file is run before there is a session, or a package.

Example usage:
>>> environ = {"SPARK_DRIVER_MEMORY": "6g"}
>>> prepare_java(environ)
>>> environ["SPARK_DRIVER_MEMORY"], environ["SPARK_LOCAL_IP"], "-XX:+UseParallelGC" in environ["SPARK_SUBMIT_OPTS"]
('6g', '127.0.0.1', True)
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

# Cached blocks are chunks of 4 MB, which Java's default collector (G1) stores so badly in a heap of a few GB that it
# runs out of memory (docs/decisions/0013). Two collectors would keep Java from starting.
COLLECTOR: Final = "-XX:+UseParallelGC"
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
    submitted = environ.get("PYSPARK_SUBMIT_ARGS", "").removesuffix(_SHELL).strip()
    environ.update(java_settings(submitted, environ))
    # Spark takes this process for a shell, which shows bars of its own.
    console = "" if _CONSOLE in f"{submitted} {spark_defaults(environ)}" else f"--conf {_CONSOLE}=false"
    environ["PYSPARK_SUBMIT_ARGS"] = " ".join(filter(None, [console, submitted, _SHELL]))
    environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else the "python3" in PATH, which may lack the packages


def java_settings(submitted: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for Java that are left open; Java's options have the user's and ours."""
    given = f"{submitted} {spark_defaults(environ)}"
    options = environ.get("SPARK_SUBMIT_OPTS", "")
    java = f"{given} {options} {environ.get('JAVA_TOOL_OPTIONS', '')}"
    # As a URI, since the options are split at blanks.
    ours = [f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}"] if "log4j" not in java else []
    ours += [] if re.search(r"-XX:\+Use\w*GC", java) else [COLLECTOR]
    ours += [] if re.search(r"-XX:\S*Tier", java) else [COMPILER]
    usual = {
        "SPARK_DRIVER_MEMORY": f"{usual_memory() // 2**30}g",  # on one machine the driver does all of Spark's work
        "OPENBLAS_NUM_THREADS": "1",  # the cores are busy with tasks already
        **({"SPARK_LOCAL_IP": "127.0.0.1"} if is_one_machine(given, environ) else {}),  # it needs no outer address
    }
    missing = {name: value for name, value in usual.items() if not environ.get(name)}
    return {"SPARK_SUBMIT_OPTS": " ".join(filter(None, [*ours, options])), **missing}


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


if __name__ == "__main__":  # for spark-submit.sh, which evaluates what is printed
    home = spark_home(os.environ)
    settings = {"SPARK_HOME": str(home or ""), **java_settings(" ".join(sys.argv[1:]), os.environ)}
    print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.items()))
