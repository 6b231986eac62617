"""Say on stderr what is running, and for how long it has.

On a terminal one line is kept up to date; elsewhere there is one line per piece of work.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from recommender.session import error_stream


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show that a piece of work is running, until it ends."""
    stream = error_stream()
    if not stream.isatty():
        stream.write(f"{text} ...\n")
        stream.flush()
        yield
        return
    done = threading.Event()
    started = time.monotonic()

    def show() -> None:
        while True:
            stream.write(f"\r\x1b[K{text} ... {time.monotonic() - started:.0f} s")
            stream.flush()
            if done.wait(1):
                break
        stream.write("\r\x1b[K")
        stream.flush()

    ticker = threading.Thread(target=show, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
