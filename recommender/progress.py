"""Say on stderr what is running, and for how long it has.

On a terminal one line is kept up to date; elsewhere there is one line per piece of work.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show that a piece of work is running, until it ends."""
    if not sys.stderr.isatty():
        print(f"{text} ...", file=sys.stderr, flush=True)
        yield
        return
    done = threading.Event()
    started = time.monotonic()

    def show() -> None:
        while True:
            print(f"\r\x1b[K{text} ... {time.monotonic() - started:.0f} s", end="", file=sys.stderr, flush=True)
            if done.wait(1):
                break
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    ticker = threading.Thread(target=show, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
