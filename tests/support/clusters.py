"""Run a function of a test on another kind of cluster, in a process of its own.

Spark is adaptive there, as users have it; the session that the tests share is not, so both are compared.
"""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support.java import QUICK_JAVA

# What differs most from the session that the tests share, which is local[2]: workers that are processes, and no JVM.
MASTERS = ("local-cluster[2,1,1024]", "connect")

# Prints what the function returns, given a session on that cluster and the arguments.
_PROGRAM = """
import importlib, json, sys
master, java, given, root, folder, module, function, *arguments = sys.argv[1:]
sys.path[:0] = [root, root + "/tests", folder]
from pyspark.sql import SparkSession
builder = SparkSession.builder
if master == "connect":
    session = builder.remote("local[2]").getOrCreate()
else:
    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "3", "spark.executor.memory": "1g"}
    settings["spark.executor.extraJavaOptions"] = java
    session = builder.master(master).config(map=settings | json.loads(given)).getOrCreate()
print(json.dumps(getattr(importlib.import_module(module), function)(session, *arguments)))
"""
_KEPT = {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}


def on_cluster(
    master: str, function: Callable[..., Any], *arguments: str, settings: Mapping[str, str] | None = None
) -> Any:
    """Return what a function returns, as JSON keeps it; it takes a session and the arguments.

    Args:
        master: as Spark names it, or connect: a server on local[2].
        function: one of a test's module, by its name.
        arguments: texts.
        settings: of the session; not over Connect.
    """
    file = Path(inspect.getfile(function)).resolve()
    places = [str(Path(__file__).resolve().parents[2]), str(file.parent), file.stem, function.__name__]
    environment = {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_SUBMIT_OPTS": QUICK_JAVA,
        "PATH": "/usr/bin:/bin",
        "HOME": str(Path.home()),
        **_KEPT,
    }
    given = json.dumps(settings or {})
    command = [sys.executable, "-c", _PROGRAM, master, QUICK_JAVA, given, *places, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert done.returncode == 0, f"{master}: {done.stderr[-2000:]}"
    return json.loads(done.stdout.splitlines()[-1])
