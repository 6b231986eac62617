"""Whether names, ports and times fit.

Example usage:
>>> [each.level for zone in ("Europe/Berlin", "Mars/X") for each in times({"TZ": zone})]
['ok', 'warning']
"""

import re
import socket
import time
from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recommender.doctor.finding import Finding, error, ok, warning
from recommender.spark.launch import is_one_machine, spark_defaults

_TRIES = 16  # ports that Spark's page tries, one after the other
_PAGE, _SERVICE = 4040, 8000


def names(environ: Mapping[str, str]) -> list[Finding]:
    """Look whether this machine finds itself by its name, which Spark's driver needs without SPARK_LOCAL_IP."""
    given = f"{environ.get('PYSPARK_SUBMIT_ARGS', '')} {spark_defaults(environ)}"
    if environ.get("SPARK_LOCAL_IP") or is_one_machine(given, environ):
        address = environ.get("SPARK_LOCAL_IP") or "127.0.0.1"
        return [ok("host name", f"not needed: the driver listens on {address}")]
    host = socket.gethostname()
    try:
        address = socket.gethostbyname(host)
    except OSError:
        remedy = "add the name to /etc/hosts, or set SPARK_LOCAL_IP to this machine's address"
        return [error("host name", f"{host} has no address", remedy)]
    return [ok("host name", f"{host} is {address}")]


def ports() -> list[Finding]:
    """Look whether the ports are free that Spark's page and the service listen on."""
    findings = []
    if all(_is_taken(_PAGE + number) for number in range(_TRIES)):
        found = f"ports {_PAGE} to {_PAGE + _TRIES - 1} are taken, so Spark does not start"
        findings.append(error("ports", found, "end other Spark sessions, or set spark.ui.enabled to false"))
    if _is_taken(_SERVICE):
        findings.append(warning("ports", f"port {_SERVICE} is taken", "start the service with serve --port N"))
    return findings or [ok("ports", f"{_PAGE} (Spark's page) and {_SERVICE} (serve) can be used")]


def _is_taken(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def times(environ: Mapping[str, str]) -> list[Finding]:
    """Look at the time zone of the machine, and at that of Spark's sessions."""
    given = f"{environ.get('PYSPARK_SUBMIT_ARGS', '')} {spark_defaults(environ)}"
    found = re.search(r"spark\.sql\.session\.timeZone[\s=]+(\S+)", given)
    if found and found[1] not in {"UTC", "Etc/UTC", "Z", "+00:00"}:
        said = f"spark.sql.session.timeZone is {found[1]}: days and hours of the log follow that zone"
        return [warning("time zone", said, "leave it out, or set it to UTC")]
    zone = environ.get("TZ", "").lstrip(":")
    if zone and not _is_zone(zone):
        said = f"TZ={zone} names no time zone that this machine knows"
        return [warning("time zone", said, "unset TZ, or install the package tzdata")]
    return [ok("time zone", f"UTC for all events; the machine's own is {zone or time.tzname[0]}")]


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
