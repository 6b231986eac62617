"""Look whether this machine and the places of the configuration are ready for a run, with a remedy for what is not.

Spark is not started, unless --spark asks for it: then its workers, the catalog and roots that need Hadoop are looked at
too. The exit code is 10 if there is an error.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from recommender.doctor.finding import Finding, error, ok, warning
from recommender.doctor.machine import java, room, spark, temporary
from recommender.doctor.network import names, ports, times
from recommender.doctor.packages import installed, packages, python
from recommender.doctor.places import driver, log, login, postgres, root
from recommender.doctor.tracking import mlflow, openlineage
from recommender.errors import ConfigError, Mistake, RecommenderError
from recommender.store import Hadoop
from recommender.terminal.text import table

if TYPE_CHECKING:
    from recommender.run.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--config", metavar="FILE", help="look at the places that this YAML file names")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override one parameter")
    parser.add_argument("--root", metavar="FOLDER", help="where the stages store their results (default: output)")
    parser.add_argument("--spark", action="store_true", help="start Spark, and look at it too")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the findings."""
    environ = os.environ
    findings = [*python(), *packages(), *java(environ), *spark(environ), *room(environ), *temporary(environ)]
    findings += [*names(environ), *ports(), *times(environ)]
    config, mistakes = _config(options)
    findings += [*mistakes, *_places(options, config)]
    if options.spark:
        findings += _session(config)
    return [asdict(finding) for finding in findings]


def text(result: Sequence[dict[str, Any]]) -> str:
    """Return a line per finding, with its remedy below."""
    lines = []
    for each in result:
        lines.append((each["level"], each["check"], each["found"]))
        lines += [("", "", f"-> {each['remedy']}")] if each["remedy"] else []
    counts = {level: sum(each["level"] == level for each in result) for level in ("ok", "warning", "error")}
    return f"{table(lines)}\n\n{', '.join(f'{number} {level}' for level, number in counts.items())}"


def failure(result: Sequence[dict[str, Any]]) -> RecommenderError | None:
    """Return the error that the command ends with, None if a run can begin."""
    failed = list(dict.fromkeys(each["check"] for each in result if each["level"] == "error"))
    if not failed:
        return None
    sentence = f"a run would fail here: {', '.join(failed)}; the remedies are above"
    return ConfigError(Mistake("NOT_READY", "", sentence))


def _config(options: argparse.Namespace) -> tuple["Config | None", list[Finding]]:
    """Return the configuration, None if it cannot be read, and what was found."""
    if installed("pyspark") is None:
        return None, [warning("configuration", "not looked at: that needs pyspark", "install pyspark first")]
    from recommender.run.config import DEFAULT_DOCUMENT, load_config, parse_config  # noqa: PLC0415 - needs pyspark

    try:
        if options.config:
            config = load_config(options.config, options.set, root=options.root)
        else:
            config = parse_config(DEFAULT_DOCUMENT, options.set, root=options.root)
    except ConfigError as reason:
        return None, [error("configuration", reason.sentence, "correct it; see docs/configuration.md")]
    return config, [ok("configuration", options.config or "the defaults of all parameters")]


def _places(options: argparse.Namespace, config: "Config | None") -> list[Finding]:
    place = config.root if config else options.root or "output"
    findings = root(place, _hadoop, asked=options.spark)
    if config is None:
        return findings
    loader = config.stage("stage1").get("data_loader", {})
    if loader.get("event_filename"):
        findings += log(str(loader["event_filename"]), _hadoop, asked=options.spark)
    if loader.get("jdbc_url"):
        from recommender.sources.jdbc import driver_class  # noqa: PLC0415 - needs pyspark

        url = str(loader["jdbc_url"])
        findings += driver(url, loader.get("jdbc_driver") or driver_class(url), os.environ)
        findings += login("jdbc login", str(loader.get("jdbc_login", "JDBC")), os.environ)
    settings = config.stage("stage4").get("postgres", {})
    if settings.get("url"):
        findings += postgres({"login": "POSTGRES", "schema": "public", **settings}, os.environ)
    tracking = config.tracking
    findings += mlflow(tracking.mlflow) if tracking.mlflow else []
    findings += openlineage(tracking.openlineage, os.environ) if tracking.openlineage else []
    tables = _tables(config)
    if tables and not options.spark:
        found = f"{', '.join(tables)} not looked at: that needs Spark"
        findings.append(warning("catalog", found, "doctor --spark looks at it"))
    return findings


def _tables(config: "Config") -> list[str]:
    """Return the tables of the catalog that the log is read from."""
    loader = config.stage("stage1").get("data_loader", {})
    return [str(loader["table"])] if loader.get("table") and not loader.get("jdbc_url") else []


def _session(config: "Config | None") -> list[Finding]:
    """Start Spark, and look at it."""
    try:
        started = _started()
    except Exception as reason:  # noqa: BLE001 - whatever Spark raises
        from recommender.spark.errors import explained, reason_of  # noqa: PLC0415 - needs pyspark

        ours = explained(reason)
        return [error("session", f"Spark does not start: {ours.sentence if ours else reason_of(reason)}", "see above")]
    session, stop = started
    from recommender.doctor.session import catalog, workers  # noqa: PLC0415 - needs pyspark

    try:
        return [ok("session", f"Spark {session.version} starts"), *workers(session), *catalog(session, _asked(config))]
    finally:
        stop()


def _asked(config: "Config | None") -> list[str]:
    return _tables(config) if config else []


def _started() -> tuple[Any, Callable[[], None]]:
    """Return a session, and what ends it: nothing, if it was there before."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - may be missing

    from recommender.spark.launch import prepare_java  # noqa: PLC0415 - for this only
    from recommender.spark.session import start_session  # noqa: PLC0415 - needs pyspark

    before = SparkSession.getActiveSession()
    if before is not None:
        return before, lambda: None
    prepare_java(os.environ)
    session = start_session("recommender doctor")
    return session, session.stop


def _hadoop() -> Hadoop | None:
    from recommender.spark.session import hadoop  # noqa: PLC0415 - starts a JVM

    return hadoop()
