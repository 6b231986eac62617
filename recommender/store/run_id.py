"""Names of runs.

Example usage:
>>> new_run_id() < new_run_id()
True
>>> run_id_mistake("monday"), run_id_mistake("../x")
(None, 'RUN_ID must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}')
"""

import re
import secrets
from datetime import datetime, timezone

_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


def new_run_id() -> str:
    """Return a name that sorts by time and is given once: UTC to the microsecond and four random digits."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}-{secrets.token_hex(2)}"


def run_id_mistake(run_id: str) -> str | None:
    """Return the mistake in a run id, or nothing."""
    return None if re.fullmatch(_PATTERN, run_id) else f"RUN_ID must match {_PATTERN}"
