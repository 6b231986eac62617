"""The one Spark session that all tests and doctests share, and what the tests cost."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# The same examples each time: what a search finds by chance is for a search, not for a gate.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Workers run "python3" from PATH unless they are told.
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pyspark
from pyspark.sql import SparkSession
from support.java import QUICK_JAVA

from recommender.spark.session import OF_SMALL, PYTHON_SAYS_LESS

# The modules of the service are imported for their examples; without the extra they cannot be.
_SERVICE = ["recommender/serving/*.py", "tests/support/asking.py", "tests/support/running.py"]
_NEEDED = ("fastapi", "httptools", "httpx", "prometheus_client", "uvicorn")
collect_ignore_glob = [] if all(map(importlib.util.find_spec, _NEEDED)) else _SERVICE

JDBC_DRIVER = Path("/usr/share/java/postgresql.jar")  # of Debian; the tests that need it say so where it is missing
SLOWEST = 10  # tests that are shown
FAULTY_FILES = Path(__file__).parent / "tests" / "store" / "FaultyFiles.java"


# Plans are interpreted instead of compiled to Java: of a few rows that takes two thirds of the CPU time. The clusters
# of tests/support/clusters.py and the workflow that tests/jobs begins with compile them, as they do for users.
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}

_DATA = ("the real events are not there", "the published split is not there")  # they are not ours to distribute


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="a test that is skipped is a failure, unless for real data"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Make a skip a failure, where that is asked for: what it would have tested is not tested."""
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not any(each in reason for each in _DATA):
            report.outcome, report.longrepr = "failed", f"skipped, which --no-skips does not allow: {reason}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Make the skip of a whole file a failure too."""
    if report.skipped and "--no-skips" in os.environ.get("PYTEST_ADDOPTS", ""):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        report.outcome, report.longrepr = "failed", f"skipped, which --no-skips does not allow: {reason}"


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the tests' own file systems, compiled; it is empty where that cannot be done."""
    folder = tmp_path_factory.mktemp("classes")
    if shutil.which("javac"):
        hadoop = ":".join(str(jar) for jar in Path(pyspark.__file__).parent.glob("jars/hadoop-client-api-*.jar"))
        subprocess.run(["javac", "--release", "17", "-cp", hadoop, "-d", folder, FAULTY_FILES], check=False)
    return folder


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory, java_classes: Path) -> Iterator[SparkSession]:
    session = (
        SparkSession.builder.master("local[2]")
        .appName("recommender tests")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.default.parallelism", "2")
        # As a job has it that finds its inputs small. The clusters of tests/support have Spark's own settings.
        .config(map=OF_SMALL | PYTHON_SAYS_LESS)
        # Thousands of small plans, each run once: neither compiled plans nor the second compiler would earn their time.
        # What the first compiler makes needs more room than it has by default for thousands of tests.
        .config(map=INTERPRETED)
        .config("spark.driver.extraJavaOptions", f"{QUICK_JAVA} -Xms2g -Xmn1g -XX:ReservedCodeCacheSize=512m")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.ansi.enabled", "true")
        .config("spark.sql.legacy.timeParserPolicy", "CORRECTED")
        .config("spark.ui.enabled", "false")
        # One driver for thousands of tests: it remembers the last few jobs and plans, not a thousand of each.
        .config("spark.driver.memory", "2g")
        .config("spark.sql.maxPlanStringLength", "100000")
        .config("spark.sql.ui.retainedExecutions", "5")
        .config("spark.ui.retainedJobs", "5")
        .config("spark.ui.retainedStages", "5")
        .config("spark.ui.retainedTasks", "100")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .config("spark.driver.extraClassPath", f"{java_classes}:{JDBC_DRIVER}")
        .config("spark.hadoop.fs.hdfs.impl", "faults.FaultyFiles$Hdfs")
        .config("spark.hadoop.fs.s3a.impl", "faults.FaultyFiles$S3a")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def faulty_files(spark: SparkSession, java_classes: Path) -> Any:
    """Return the Java class that tells hdfs: and s3a: when to fail; see tests/store/FaultyFiles.java."""
    if not shutil.which("javac"):
        pytest.skip("no javac on PATH: tests/store/FaultyFiles.java cannot be compiled")
    assert list(java_classes.iterdir()), "tests/store/FaultyFiles.java was not compiled; javac says why"
    return spark._jvm.faults.FaultyFiles  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def doctest_session(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Give doctests of modules that work on DataFrames their `spark`."""
    if type(request.node).__name__ == "DoctestItem" and "pyspark" in Path(request.node.path).read_text():
        doctest_namespace["spark"] = request.getfixturevalue("spark")


class Weight:
    """The seconds of all tests, with what is prepared for them and taken down again: shown at the end of a run."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if len(self._seconds) < SLOWEST:
            return
        folders: Counter[str] = Counter()
        for test, seconds in self._seconds.items():
            file = test.split("::")[0]
            folders["/".join(file.split("/")[:2]) if file.count("/") > 1 else file.rpartition("/")[0]] += seconds
        terminalreporter.section("seconds of each folder, and of the slowest tests, with what is prepared for them")
        for name, seconds in [*folders.most_common(), *self._seconds.most_common(SLOWEST)]:
            terminalreporter.line(f"{seconds:8.1f}  {name}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Weight())
