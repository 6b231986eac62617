"""Whether Python and its packages fit.

Example usage:
>>> fits("2.2.3", ">=1.26,<3"), fits("3.0", ">=1.26,<3"), fits("4.1.0rc1", ">=4.1")
(True, False, True)
"""

import re
import sys
from importlib import metadata
from typing import Final

from recommender.doctor.finding import Finding, error, ok, warning

# As in setup.cfg, which an installed package does not have; a test compares them.
NEEDED: Final = {
    "numpy": ">=1.23.5,<3",
    "pandas": ">=1.5.3,<3",
    "pyarrow": ">=14,<27",
    "pydantic": ">=2.8,<3",
    "PyYAML": ">=6,<7",
}
OPTIONAL: Final = {
    "fastapi": ">=0.160,<1",
    "httptools": ">=0.6,<1",
    "prometheus-client": ">=0.20,<1",
    "starlette": ">=1.7,<2",
    "uvicorn": ">=0.52,<1",
    "psycopg": ">=3.2,<4",
    "mlflow-skinny": ">=3.8,<4",
}
SPARK: Final = ">=3.5.2,<5"
_OLDEST_PYTHON = (3, 10)
_SPARK_3_PYTHON = (3, 11)  # the newest that Spark 3.5 is tested with here
_MINIMUM = re.compile(r"^([\w.-]+)\s*\(?>=\s*([\d.]+)\)?\s*;.*extra == ['\"]sql['\"]")


def python() -> list[Finding]:
    """Look at the version of Python."""
    found = f"Python {'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return [error("python", found, "use Python 3.10 or newer")]
    if (installed("pyspark") or "4").startswith("3.") and sys.version_info[:2] > _SPARK_3_PYTHON:
        return [
            warning("python", f"{found}, which Spark 3.5 is not tested with", "use Python 3.10 or 3.11, or Spark 4")
        ]
    return [ok("python", found)]


def packages() -> list[Finding]:
    """Look at the versions of the packages."""
    findings = []
    for name, bounds in NEEDED.items():
        found = installed(name)
        remedy = f"pip install '{name}{bounds}'"
        if found is None:
            findings.append(error("packages", f"{name} is not installed", remedy))
        elif not fits(found, bounds):
            findings.append(error("packages", f"{name} {found} does not fit {bounds}", remedy))
    for name, bounds in OPTIONAL.items():
        found = installed(name)
        if found is not None and not fits(found, bounds):
            findings.append(
                warning("packages", f"{name} {found} does not fit {bounds}", f"pip install '{name}{bounds}'")
            )
    spark = installed("pyspark")
    for name, lowest in minimums().items() if spark else ():
        found = installed(name)
        if found is not None and not fits(found, f">={lowest}"):
            said = f"pyspark {spark} needs {name} {lowest} or newer, found {found}"
            findings.append(error("packages", said, f"pip install '{name}>={lowest}'"))
    return findings or [ok("packages", ", ".join(f"{name} {installed(name)}" for name in NEEDED))]


def minimums() -> dict[str, str]:
    """Return what pyspark itself asks for: package -> lowest version."""
    stated = metadata.requires("pyspark") or []
    return {match[1]: match[2] for text in stated if (match := _MINIMUM.match(text))}


def installed(name: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        # The thin client of Spark Connect brings the same module.
        return installed("pyspark-client") if name == "pyspark" else None


def fits(version: str, bounds: str) -> bool:
    """Return whether a version is within bounds such as >=1.26,<3."""
    for bound in bounds.split(","):
        sign, limit = re.findall(r"^(>=|<)(.+)$", bound)[0]
        if (_numbers(version) >= _numbers(limit)) != (sign == ">="):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = [int(number) for number in re.findall(r"\d+", re.split(r"[a-z+]", version)[0])]
    return tuple([*found, 0, 0, 0][:3])
