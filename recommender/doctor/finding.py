"""What a check has found.

Example usage:
>>> error("java", "no Java was found", "install a Java 17 or 21 runtime")
Finding(check='java', level='error', found='no Java was found', remedy='install a Java 17 or 21 runtime')
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at, in a word.
        level: ok, warning (a run works, but not as well as it could), or error (a run fails).
        found: what was found.
        remedy: what to do; empty if all is well.
    """

    check: str
    level: str
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Return that a run works, but not as well as it could."""
    return Finding(check, "warning", found, remedy)


def error(check: str, found: str, remedy: str) -> Finding:
    """Return that a run fails."""
    return Finding(check, "error", found, remedy)
