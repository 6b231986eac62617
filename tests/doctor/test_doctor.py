"""The doctor finds each fault that is made here, and says what to do."""

import configparser
import json
import os
import re
import socket
import sys
import tempfile
import threading
import zipfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from support.postgres import PASSWORD, USER, Postgres, missing, running

from recommender.__main__ import main
from recommender.doctor import machine, network, packages, places, tracking
from recommender.doctor.finding import Finding

ROOT = Path(__file__).resolve().parents[2]
Usage = namedtuple("Usage", "total used free")
POSTGRES = "org.postgresql.Driver"


def one(findings: list[Finding], level: str, found: str, remedy: str = "") -> bool:
    """Return whether one finding of a level says something, and what to do."""
    return [each for each in findings if each.level == level and found in each.found and remedy in each.remedy] != []


def versions(monkeypatch: pytest.MonkeyPatch, **found: str | None) -> None:
    there = packages.installed
    for module in (packages, machine):
        monkeypatch.setattr(module, "installed", lambda name: found[name] if name in found else there(name))


def test_the_bounds_are_those_of_the_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = " ".join(config["options.extras_require"].values())
    stated = {**packages.NEEDED, **packages.OPTIONAL, "pyspark": packages.SPARK}
    for name, bounds in stated.items():
        text = config["options"]["install_requires"] if name in packages.NEEDED else extras
        assert re.search(rf"(^|\s){name}(\[binary\])?{re.escape(bounds)}(\s|$)", text), name


def test_packages_that_are_missing_or_do_not_fit_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.level for each in packages.packages()] == ["ok"]
    versions(monkeypatch, numpy=None, pandas="3.0.1", fastapi="0.90")
    found = packages.packages()
    assert one(found, "error", "numpy is not installed", "pip install 'numpy>=1.23.5,<3'")
    assert one(found, "error", "pandas 3.0.1 does not fit >=1.5.3,<3")
    assert one(found, "warning", "fastapi 0.90 does not fit")


def test_a_package_that_is_too_old_for_this_pyspark_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.metadata, "requires", lambda _: ['pyarrow>=18.0.0; extra == "sql"', "py4j==0.10"])
    versions(monkeypatch, pyarrow="15.0.2", pyspark="4.3.0")
    found = packages.packages()
    assert one(found, "error", "pyspark 4.3.0 needs pyarrow 18.0.0 or newer, found 15.0.2", "pip install 'pyarrow>=18")


def test_a_python_that_does_not_fit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.sys, "version_info", (3, 9, 1))
    assert one(packages.python(), "error", "Python 3.9.1", "use Python 3.10 or newer")
    monkeypatch.setattr(packages.sys, "version_info", (3, 13, 0))
    versions(monkeypatch, pyspark="3.5.9")
    assert one(packages.python(), "warning", "which Spark 3.5 is not tested with")


@pytest.mark.parametrize(
    ("said", "level", "found"),
    [
        ('openjdk version "1.8.0_402"', "error", "is Java 8, not 17 or newer"),
        ('openjdk version "11.0.2"', "error", "is Java 11, not 17"),
        ("what?", "error", "is Java of an unknown version"),
        ('openjdk version "25"', "warning", "is Java 25, which Spark may not run on"),
        ('openjdk version "21.0.8"', "ok", "Java 21"),
    ],
)
def test_the_version_of_java_is_found(tmp_path: Path, said: str, level: str, found: str) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(0o755)
    assert one(machine.java({"JAVA_HOME": str(tmp_path)}), level, found)
    assert one(machine.java({"PATH": str(tmp_path / "bin")}), level, found)


def test_a_java_that_is_missing_is_found(tmp_path: Path) -> None:
    assert one(machine.java({"PATH": str(tmp_path)}), "error", "no Java was found", "set JAVA_HOME")
    assert one(machine.java({"JAVA_HOME": str(tmp_path)}), "error", "cannot be run, as JAVA_HOME says")
    assert one(machine.java({"SPARK_REMOTE": "sc://host", "PATH": ""}), "ok", "not needed")


def test_a_spark_that_does_not_fit_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(machine.spark({"SPARK_HOME": str(tmp_path)}), "error", "has no bin/spark-submit", "unset SPARK_HOME")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "spark-submit").touch()
    (tmp_path / "jars").mkdir()
    (tmp_path / "jars" / "spark-core_2.12-3.4.1.jar").touch()
    assert one(machine.spark({"SPARK_HOME": str(tmp_path)}), "error", "is 3.4.1", "pip install 'pyspark==3.4.1'")
    versions(monkeypatch, pyspark="3.2.0")
    assert one(machine.spark({}), "error", "pyspark 3.2.0 does not fit")
    versions(monkeypatch, pyspark=None)
    monkeypatch.setattr(machine, "spark_home", lambda _: None)
    assert one(machine.spark({}), "error", "pyspark is not installed", "recommender[spark]")


def test_too_little_memory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_LIMIT", tmp_path / "memory.max")
    monkeypatch.setattr(machine, "memory", lambda: 16 * 2**30)
    assert one(machine.room({}), "ok", "16.0 GiB")
    asked = {"PYSPARK_SUBMIT_ARGS": "--driver-memory 64g pyspark-shell"}
    assert one(machine.room(asked), "error", "asks for 64.0 GiB, and there are 16.0 GiB", "ask for less")
    (tmp_path / "memory.max").write_text("3221225472\n")
    assert one(machine.room({}), "warning", "3.0 GiB")
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert one(machine.room({}), "error", "1.0 GiB")


def test_too_little_temporary_space_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"SPARK_LOCAL_DIRS": f"{tmp_path},{tmp_path}/none"}
    found = machine.temporary(environ)
    assert one(found, "error", f"{tmp_path}/none is not there", "SPARK_LOCAL_DIRS")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(10, 10, 2**28))
    assert one(machine.temporary(environ), "error", "256.0 MiB free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(10, 10, 2**31))
    assert one(machine.temporary(environ), "warning", "2.0 GiB free")


def test_ports_that_are_taken_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(network, "_SERVICE", taken.getsockname()[1])
        assert one(network.ports(), "warning", "is taken", "serve --port N")
    monkeypatch.setattr(network, "_is_taken", lambda _: True)
    assert one(network.ports(), "error", "ports 4040 to 4055 are taken")


def test_a_host_without_an_address_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: str) -> str:
        raise socket.gaierror

    cluster = {"MASTER": "yarn"}
    assert one(network.names({}), "ok", "not needed")
    monkeypatch.setattr(network.socket, "gethostbyname", unknown)
    assert one(network.names(cluster), "error", "has no address", "SPARK_LOCAL_IP")
    assert one(network.names({**cluster, "SPARK_LOCAL_IP": "10.0.0.1"}), "ok", "10.0.0.1")


def test_a_time_zone_that_moves_the_days_is_found(tmp_path: Path) -> None:
    (tmp_path / "spark-defaults.conf").write_text("spark.sql.session.timeZone Europe/Berlin\n# spark.x y\n")
    found = network.times({"SPARK_CONF_DIR": str(tmp_path)})
    assert one(found, "warning", "spark.sql.session.timeZone is Europe/Berlin", "set it to UTC")


def test_a_root_that_cannot_be_written_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(places.tempfile, "mkdtemp", denied)
    found = places.root(str(tmp_path / "out" / "deep"), lambda: None)
    assert one(found, "error", f"{tmp_path} cannot be written: Permission denied", "--root")


def test_a_root_without_links_or_space_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _: Usage(10, 10, 1000))
    found = places.root(str(tmp_path), lambda: None)
    assert one(found, "warning", "without links", "one job per stage")
    assert one(found, "warning", "1000 bytes free", "gc")
    assert list(tmp_path.iterdir()) == []


def test_a_root_whose_names_can_be_taken_twice_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender.store.local_files.LocalFiles.create", lambda *_: True)
    monkeypatch.setattr("recommender.store.local_files.LocalFiles.modified", lambda *_: 0.0)
    assert one(places.root(str(tmp_path), lambda: None), "error", "a name can be taken twice", "another file system")


def test_a_root_with_another_clock_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recommender.store.local_files.LocalFiles.modified", lambda *_: 0.0)
    assert one(places.root(str(tmp_path), lambda: None), "warning", "the clock of", "NTP")


def test_a_root_elsewhere_is_looked_at_if_asked() -> None:
    assert one(places.root("s3a://bucket/x", lambda: None), "warning", "that needs a JVM", "doctor --spark")
    assert one(places.root("s3a://bucket/x", lambda: None, asked=True), "error", "s3a: needs a JVM")
    assert one(places.root("ftp://host/x", lambda: None, asked=True), "error", "ftp: is not supported")


def test_a_log_that_is_missing_or_closed_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.csv").write_text("yz")
    assert one(places.log(f"{tmp_path}/*.csv", lambda: None), "ok", "2 files, 3 bytes")
    typo = f"{tmp_path}/c.csv"
    assert one(
        places.log(typo, lambda: None), "warning", f"{typo} does not exist", "correct data_loader.event_filename"
    )
    assert one(places.log(typo, lambda: None, asked=True), "error", f"{typo} does not exist")
    assert one(places.log("s3a://shop/events", lambda: None), "warning", "that needs a JVM", "doctor --spark")
    monkeypatch.setattr(places.os, "access", lambda *_: False)
    assert one(places.log(f"{tmp_path}/a.csv", lambda: None), "error", "a.csv cannot be read", "the right to read it")


def test_a_jdbc_driver_that_is_missing_is_found(tmp_path: Path) -> None:
    url, home = "jdbc:postgresql://db/shop", {"SPARK_HOME": str(tmp_path)}
    assert one(places.driver(url, POSTGRES, home), "error", f"{POSTGRES} is in none of the 0 jars", "--jars")
    with zipfile.ZipFile(tmp_path / "driver.jar", "w") as jar:
        jar.writestr("org/postgresql/Driver.class", b"")
    (tmp_path / "broken.jar").write_text("no archive")
    given = {**home, "PYSPARK_SUBMIT_ARGS": f"--jars {tmp_path}/broken.jar,{tmp_path}/driver.jar pyspark-shell"}
    assert one(places.driver(url, POSTGRES, given), "ok", "is there")
    assert one(places.driver("jdbc:odd://db", None, home), "warning", "is not known", "jdbc_driver")
    fetched = {**home, "PYSPARK_SUBMIT_ARGS": "--packages org.postgresql:postgresql:42 pyspark-shell"}
    assert one(places.driver(url, POSTGRES, fetched), "ok", "Spark fetches packages")


def settings(port: int, schema: str = "public") -> dict[str, str]:
    return {"url": f"postgresql://127.0.0.1:{port}/postgres", "login": "POSTGRES", "schema": schema}


def test_a_postgresql_that_does_not_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    found = places.postgres(settings(1), {})
    assert one(found, "error", "cannot be reached")
    assert one(found, "warning", "POSTGRES_USER and POSTGRES_PASSWORD not set")
    monkeypatch.setattr(places, "find_spec", lambda _: None)
    assert one(places.postgres(settings(1), {}), "error", "psycopg is not installed", "recommender[postgres]")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if missing():
        pytest.skip(missing())
    folder = Path(tempfile.mkdtemp(prefix="recommender-postgres-"))
    folder.chmod(0o755)  # another user runs it, which may not look into pytest's folders
    with running(folder / "server") as started:
        started.sql("CREATE SCHEMA lists; CREATE USER guest PASSWORD 'g'; GRANT USAGE ON SCHEMA lists TO guest")
        yield started


def test_the_rights_in_a_postgresql_are_looked_at(server: Postgres) -> None:
    owner = {"POSTGRES_USER": USER, "POSTGRES_PASSWORD": PASSWORD}
    assert one(places.postgres(settings(server.port, "lists"), owner), "ok", f"{USER} may create tables in lists")
    found = places.postgres(settings(server.port, "nothing"), owner)
    assert one(found, "error", "has no schema nothing", f'CREATE SCHEMA "nothing" AUTHORIZATION "{USER}"')
    guest = {"POSTGRES_USER": "guest", "POSTGRES_PASSWORD": "g"}
    found = places.postgres(settings(server.port, "lists"), guest)
    assert one(found, "error", "guest may not create tables", 'GRANT USAGE, CREATE ON SCHEMA "lists" TO "guest"')
    wrong = {"POSTGRES_USER": USER, "POSTGRES_PASSWORD": "wrong"}
    found = places.postgres(settings(server.port), wrong)
    assert one(found, "error", "refuses the login")
    assert "wrong" not in str(found)


@contextmanager
def answering(code: int, text: str = "{}") -> Iterator[tuple[str, list[str]]]:
    """Start a server that answers all requests alike; give its URL, and what it is asked for: method, path and key."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '-')}")
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 - the name is given

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_openlineage_server_is_asked_without_sending_an_event() -> None:
    with answering(405) as (url, asked):  # as servers answer that take nothing but events
        assert one(tracking.openlineage(url, {"OPENLINEAGE_API_KEY": "k3y"}), "ok", f"{url} answers")
    assert asked == ["GET /api/v1/lineage Bearer k3y"]
    found = tracking.openlineage(url, {})
    assert one(found, "warning", f"{url} does not answer: URLError", "start it, or correct tracking.openlineage")


@pytest.mark.parametrize(
    ("code", "found", "remedy"),
    [
        (401, "refuses the key: 401", "set OPENLINEAGE_API_KEY to a key of the server"),
        (404, "has nothing at /other: 404", "correct the path in tracking.openlineage"),
    ],
)
def test_an_openlineage_server_that_refuses_is_found(code: int, found: str, remedy: str) -> None:
    with answering(code) as (url, _):
        assert one(tracking.openlineage(f"{url}/other", {}), "warning", found, remedy)


def test_a_file_for_events_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    assert one(tracking.openlineage(f"{tmp_path}/x.jsonl", {}), "ok", "x.jsonl can be written")
    assert list(tmp_path.iterdir()) == []
    found = tracking.openlineage(f"{tmp_path}/none/x.jsonl", {})
    assert one(found, "warning", f"{tmp_path}/none is not there", "make the folder, or correct tracking.openlineage")
    assert one(tracking.openlineage(str(tmp_path), {}), "warning", "is not a file that this user may write")


def test_an_mlflow_that_does_not_answer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with answering(200) as (url, _):
        assert one(tracking.mlflow(url), "ok", f"{url} answers")
    assert one(tracking.mlflow(url), "warning", f"{url} does not answer as MLflow does", "start the server")
    with answering(401) as (url, _):
        assert one(tracking.mlflow(url), "warning", "does not answer as MLflow does", "MLFLOW_TRACKING_USERNAME")
    assert one(tracking.mlflow("odd://host"), "warning", "odd://host cannot be used", "correct tracking.mlflow")
    assert one(tracking.mlflow(f"sqlite:///{tmp_path}/mlflow.db"), "ok", "mlflow.db can be written")
    assert list(tmp_path.iterdir()) == []
    assert one(tracking.mlflow(f"sqlite:///{tmp_path}/none/x.db"), "warning", "is not there, or cannot be written")


def test_an_mlflow_that_is_not_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    found = tracking.mlflow("http://127.0.0.1:1")
    assert one(found, "warning", "needs the package mlflow-skinny", "until it is installed")


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(network, "_is_taken", lambda _: False)

    def called(*arguments: str) -> tuple[int, str, str]:
        code = main(["doctor", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def test_a_machine_that_is_ready_ends_with_0_and_leaves_nothing(call: Any, tmp_path: Path) -> None:
    code, out, err = call("--root", str(tmp_path / "out"))
    assert (code, err) == (0, "")
    assert re.search(r"^ok +root +.*a name is taken only once$", out, re.MULTILINE)
    assert out.splitlines()[-1].endswith(" 0 error")
    assert list(tmp_path.iterdir()) == []


def test_an_error_has_an_exit_code_and_its_remedy(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    code, out, err = call("--root", str(tmp_path))
    assert code == 10
    assert re.search(r"^error +java .*\n +-> install a Java 17 or 21 runtime", out, re.MULTILINE)
    line = "RECOMMENDER_ERROR NOT_READY command=doctor: a run would fail here: java; the remedies are above\n"
    assert err == line
    found = json.loads(call("--root", str(tmp_path), "--json")[1])
    assert [each["check"] for each in found if each["level"] == "error"] == ["java"]


def test_a_wrong_configuration_is_an_error(call: Any, tmp_path: Path) -> None:
    code, out, _ = call("--root", str(tmp_path), "--set", "stage1.score_filter.min_scor=1")
    assert (code, "did you mean min_score" in out) == (10, True)


def test_the_places_of_a_configuration_are_looked_at(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JDBC_USER", raising=False)
    (tmp_path / "c.yaml").write_text(
        f"root: {tmp_path}/out\n"
        "stage1: {data_loader: {table: shop.events, jdbc_url: 'jdbc:h2:mem'}}\n"
        "stage4: {postgres: {url: 'postgresql://127.0.0.1:1/shop'}}\n"
        f"tracking: {{mlflow: 'sqlite:///{tmp_path}/none/m.db', openlineage: 'http://127.0.0.1:1'}}\n"
    )
    out = call("--config", str(tmp_path / "c.yaml"))[1]
    assert "org.h2.Driver is in none of the" in out
    assert "JDBC_USER and JDBC_PASSWORD not set" in out
    assert "the database at 127.0.0.1:1 cannot be reached" in out
    assert re.search(r"^warning +mlflow +.*/none is not there", out, re.MULTILINE)
    assert re.search(r"^warning +openlineage +http://127.0.0.1:1 does not answer", out, re.MULTILINE)
    out = call("--root", str(tmp_path), "--set", "stage1.data_loader.table=shop.events")[1]
    assert "shop.events not looked at: that needs Spark" in out


def test_spark_is_looked_at_if_asked(call: Any, spark: SparkSession, tmp_path: Path) -> None:
    spark.range(1).write.mode("overwrite").saveAsTable("doctor_events")
    code, out, _ = call("--root", str(tmp_path), "--spark", "--set", "stage1.data_loader.table=doctor_events")
    assert code == 0, out
    assert re.search(r"^ok +workers +4 tasks ran", out, re.MULTILINE)
    assert re.search(r"^ok +catalog +doctor_events has 1 columns", out, re.MULTILINE)
    code, out, _ = call("--root", str(tmp_path), "--spark", "--set", "stage1.data_loader.table=no_such_table")
    assert (code, "no_such_table cannot be read: [TABLE_OR_VIEW_NOT_FOUND]" in out) == (10, True)


def test_without_pyspark_all_else_is_looked_at(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, pyspark=None)
    monkeypatch.setattr("recommender.doctor.command.installed", lambda _: None)
    monkeypatch.setattr(machine, "spark_home", lambda _: None)
    out = call("--root", str(tmp_path))[1]
    assert "pyspark is not installed" in out
    assert re.search("configuration +not looked at: that needs pyspark", out)
