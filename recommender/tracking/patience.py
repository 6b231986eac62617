"""Talk to servers that may be slow, dead, or wrong, without waiting for long and without failing.

Example usage:
>>> reason_of_failure(print, seconds=5)
<BLANKLINE>
''
>>> reason_of_failure(lambda: 1 / 0, seconds=5)
'ZeroDivisionError: division by zero'
>>> import threading
>>> reason_of_failure(threading.Event().wait, seconds=0.01)
'no answer within 0.01 s'
"""

import threading
from collections.abc import Callable
from typing import Final

from recommender.settings.redaction import redacted

PATIENCE: Final = 30.0  # seconds for all that is sent at one moment of a run
_LONGEST = 200  # characters of a reason


def reason_of_failure(call: Callable[[], object], seconds: float = PATIENCE) -> str:
    """Call a function in a thread that nobody waits for in the end; return why it failed, "" if it did not.

    Args:
        seconds: after which it has failed.
    """
    failures: list[Exception] = []

    def work() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever happens there must not end a run
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return f"no answer within {seconds:g} s"
    if not failures:
        return ""
    lines = str(failures[0]).strip().splitlines() or [""]
    return str(redacted(f"{type(failures[0]).__name__}: {lines[0][:_LONGEST]}"))
