"""The edge to a classic Spark process: its session, its settings, its JVM, its end, and its stderr.

What the submitter configured stays, and what was left open gets a sensible value. This module and `effort` are the only
ones that look at a classic Spark context; if there is none (Spark Connect, a session that the platform started) all
else works too.
"""

import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol

from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from recommender.settings.redaction import CANARIES, SPARK_PATTERN, SPARK_STRING_PATTERN
from recommender.spark.java import HAS_JVM, Py4JError, Py4JJavaError, Py4JNetworkError, SparkConf, SparkContext
from recommender.store import Hadoop

# Else Python reports to the JVM where in the code each column was made, by several calls for each.
PYTHON_SAYS_LESS: Final = {"spark.python.sql.dataFrameDebugging.enabled": "false"}
_BEFORE_START = {
    "spark.redaction.regex": SPARK_PATTERN,
    "spark.redaction.string.regex": SPARK_STRING_PATTERN,
    "spark.log.level": "WARN",
    "spark.ui.showConsoleProgress": "false",  # the job has a progress line of its own
    "spark.sql.maxPlanStringLength": "100000",  # characters of a plan's description, which the driver keeps
    **PYTHON_SAYS_LESS,
    "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",  # a task has one core
    # The checkpoints of a fit are deleted when nobody uses them: a search makes many gigabytes of them.
    "spark.cleaner.referenceTracking.cleanCheckpoints": "true",
    "spark.cleaner.periodicGC.interval": "3min",
}
_SETTINGS = {
    "spark.sql.ansi.enabled": "true",  # as Spark 4 has it: a condition that fails on a row is an error, not null
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",  # else what no pattern fits may end the run
}
_LOCAL_PARTITIONS_PER_CORE = 4
# Of inputs up to so many bytes a query is one job: adaptive execution makes one of each exchange, and a broadcast is
# one too, which costs more than it can win where a job takes milliseconds.
_SMALL = 16 * 2**20
_BYTES_PER_PARTITION = 2 * 2**20
OF_SMALL: Final = {"spark.sql.adaptive.enabled": "false", "spark.sql.autoBroadcastJoinThreshold": "-1"}
_GRACE = 8  # seconds that a JVM gives this process before it ends
# On one machine a failed task ends the job, whose error says why; these would add its stack trace several times.
# These show a path that does not exist, and a stack trace, before the job says the same in a sentence.
_LOGGERS_OF_PATHS = (
    "org.apache.spark.sql.execution.streaming.FileStreamSink",
    "org.apache.spark.sql.execution.streaming.sinks.FileStreamSink",
)
# The plan of an evaluation is long; that Spark cuts its description is not worth a warning.
_LOGGERS_OF_PLANS = ("org.apache.spark.sql.catalyst.util.StringUtils",)
_LOGGERS_OF_FAILED_TASKS = ("org.apache.spark.executor.Executor", "org.apache.spark.scheduler.TaskSetManager")


class ErrorStream(Protocol):
    """The methods of a stream that shows something to the user."""

    def write(self, text: str, /) -> object:
        """Write a text."""

    def flush(self) -> object:
        """Show what was written."""

    def isatty(self) -> bool:
        """Return whether somebody is looking."""


def start_session(name: str, verbose: bool = False, size: int | None = None) -> SparkSession:
    """Return the session of this process, or start one.

    A setting that spark-submit, spark-defaults.conf or the platform has made is never changed.

    Args:
        name: name of the application, unless the submitter has given one.
        verbose: whether the stack traces of failed tasks are shown on a local master.
        size: bytes of the inputs, for a session that is started; None if unknown.
    """
    builder = SparkSession.builder
    if not is_connect() and SparkSession.getActiveSession() is None:
        jvm = _jvm()
        _wait_for_this_process()
        submitted = SparkConf()
        if submitted.get("spark.app.name", ".py").endswith(".py"):
            builder = builder.appName(name)  # spark-submit puts the file's name where no --name was given
        for key, value in _settings(submitted, size).items():
            if not submitted.contains(key):
                builder = builder.config(key, value)
        heeded = signal.getsignal(signal.SIGINT)
        spark = builder.getOrCreate()
        if heeded is not signal.default_int_handler and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, heeded)  # Spark takes it; who had it before keeps it
        if not verbose:
            log4j = jvm.org.apache.logging.log4j
            of_tasks = _LOGGERS_OF_FAILED_TASKS if _is_local(submitted) else ()
            for logger in (*_LOGGERS_OF_PATHS, *_LOGGERS_OF_PLANS, *of_tasks):
                log4j.core.config.Configurator.setLevel(logger, log4j.Level.OFF)
        return spark
    spark = builder.getOrCreate()
    made = {row["key"] for row in spark.sql("SET").collect()}
    settings = {
        **_SETTINGS,
        **(_of_one_machine(size) if os.environ.get("SPARK_REMOTE", "").startswith("local") else {}),
    }
    for key, value in settings.items():
        if key not in made:
            spark.conf.set(key, value)
    return spark


def is_connect() -> bool:
    """Return whether Spark is reached over Spark Connect, whether or not there is a session yet."""
    asked = os.environ.get("SPARK_REMOTE") or os.environ.get("SPARK_API_MODE") == "connect"
    return not HAS_JVM or is_remote() or bool(asked)


def unhidden(spark: SparkSession) -> str:
    """Return a warning if Spark would show secrets in its log of events, by the pattern in force; "" if not."""
    pattern = spark.conf.get("spark.redaction.regex", "") or ""
    shown = [] if not pattern else [canary for canary in CANARIES if not re.search(pattern, canary)]
    return f"spark.redaction.regex does not cover {', '.join(shown)}: secrets may show in Spark's logs" if shown else ""


def local_folders(spark: SparkSession) -> str:
    """Return where Spark keeps its own temporary files on this machine."""
    return os.environ.get("SPARK_LOCAL_DIRS") or spark.conf.get("spark.local.dir", None) or tempfile.gettempdir()


@contextmanager
def checkpoints(folder: str) -> Iterator[None]:
    """Let Spark write checkpoints to a folder that all workers reach, unless somebody has named it another one.

    Without a context, as over Spark Connect, nothing is changed: there ``spark.checkpoint.dir`` of the server counts.
    """
    context = None if is_connect() else SparkContext._active_spark_context
    if context is None or context.getCheckpointDir() is not None:
        yield
        return
    context.setCheckpointDir(folder)
    try:
        yield
    finally:
        with suppress(Exception):  # what has ended the work may have ended the context
            context.setCheckpointDir(None)  # type: ignore[arg-type]  # there is no other way to have none again


def hadoop() -> Hadoop | None:
    """Return the way to Hadoop's file systems, with the settings that were submitted for them; None over Spark Connect.

    It needs a JVM, which spark-submit has started or which is started here, but no Spark session.
    """
    if is_connect():
        return None
    jvm = _jvm()
    configuration = jvm.org.apache.hadoop.conf.Configuration()
    for key, value in SparkConf().getAll():
        if key.startswith("spark.hadoop."):
            configuration.set(key.removeprefix("spark.hadoop."), value)
    return Hadoop(jvm, configuration)


def is_ending() -> bool:
    """Return whether the JVM has received a signal to end, such as SIGTERM; it waits some seconds for this process."""
    if is_connect() or SparkContext._jvm is None:
        return False
    try:
        runtime = SparkContext._jvm.java.lang.Runtime.getRuntime()
        runtime.removeShutdownHook(SparkContext._jvm.java.lang.Thread())
    except Py4JJavaError:  # IllegalStateException: shutdown in progress
        return True
    except (Py4JError, OSError):  # it is gone
        pass
    return False


def error_stream() -> ErrorStream:
    """Return the stderr that the user sees.

    spark-submit joins what a Python program writes to its stderr to stdout, so there the JVM's stderr is the real one.
    """
    return _JvmStderr() if "PYSPARK_GATEWAY_PORT" in os.environ else sys.stderr


class _JvmStderr:
    """The stderr of the process that spark-submit is; spark-submit.sh passes on whether it is a terminal."""

    def write(self, text: str, /) -> object:
        try:
            return getattr(_jvm().java.lang.System, "err").print(text)  # noqa: B009 - typed as a package by py4j
        except (Py4JError, Py4JNetworkError, OSError):  # the JVM is gone
            return sys.stderr.write(text)

    def flush(self) -> None:
        """Do nothing: the JVM's stderr is not buffered."""

    def isatty(self) -> bool:
        return os.environ.get("RECOMMENDER_TERMINAL") == "1"


def is_small(size: int | None) -> bool:
    """Return whether inputs are so small that their queries are planned once, on one machine.

    Args:
        size: bytes of the inputs; None if unknown.
    """
    return size is not None and size <= _SMALL


def shuffle_partitions(size: int | None) -> int:
    """Return into how many partitions a shuffle is cut on one machine, unless the submitter says otherwise.

    Args:
        size: bytes of the inputs; None if unknown.

    >>> shuffle_partitions(10_000)
    1
    """
    return int(_of_one_machine(size)["spark.sql.shuffle.partitions"])


def _jvm() -> Any:
    """Return the JVM that spark-submit has started, or start one; it has no Spark session yet."""
    SparkContext._ensure_initialized()
    return SparkContext._jvm


def _wait_for_this_process() -> None:
    """Let the JVM of spark-submit wait, before it ends on a signal, until this process has cleaned up.

    A shutdown hook must be Java; a method handle makes one of ``onExit().get(seconds)`` of this process.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return  # this process has started the JVM, and gets the signal itself
    gateway, jvm = SparkContext._gateway, _jvm()
    invoke, find = jvm.java.lang.invoke, jvm.java.lang.Class.forName
    end = jvm.java.lang.ProcessHandle.of(os.getpid()).get().onExit()
    more_types = gateway.new_array(jvm.java.lang.Class, 1)  # type: ignore[union-attr]
    more_types[0] = find("java.util.concurrent.TimeUnit")
    takes_time = invoke.MethodType.methodType(find("java.lang.Object"), jvm.java.lang.Long.TYPE, more_types)
    time = gateway.new_array(jvm.java.lang.Object, 2)  # type: ignore[union-attr]
    time[0], time[1] = _GRACE, jvm.java.util.concurrent.TimeUnit.SECONDS
    wait = invoke.MethodHandles.insertArguments(
        invoke.MethodHandles.publicLookup().bind(end, "get", takes_time), 0, time
    )
    hook = invoke.MethodHandleProxies.asInterfaceInstance(find("java.lang.Runnable"), wait)
    jvm.java.lang.Runtime.getRuntime().addShutdownHook(jvm.java.lang.Thread(hook))


def _is_local(submitted: SparkConf) -> bool:
    return (submitted.get("spark.master") or "local[*]").startswith("local")


def _settings(submitted: SparkConf, size: int | None) -> dict[str, str]:
    settings = {**_BEFORE_START, **_SETTINGS}
    if _is_local(submitted):
        # Without this, workers run "python3" from PATH, which may lack numpy and pyarrow.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        settings |= _of_one_machine(size)
    return settings


def _of_one_machine(size: int | None) -> dict[str, str]:
    """Return the settings of SQL for a single machine: Spark's 200 partitions would be 200 small tasks."""
    partitions = _LOCAL_PARTITIONS_PER_CORE * (os.cpu_count() or 1)
    small: dict[str, str] = {}
    if size is not None and is_small(size):
        partitions = min(partitions, -(-size // _BYTES_PER_PARTITION) or 1)
        small = OF_SMALL
    # Three pieces of a file on two cores are done when the third is.
    counts = dict.fromkeys(("spark.sql.shuffle.partitions", "spark.sql.files.minPartitionNum"), str(partitions))
    return {**counts, **small}
