"""Show on stderr which work is running, and for how long.

On a terminal one line is kept up to date; elsewhere there is one line per piece of work.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recommender.spark.session import error_stream
from recommender.terminal.text import visible

WIPE = "\r\x1b[K"  # the line of a terminal


def warn(sentence: str) -> None:
    """Show a warning at once, above the line that is kept up to date."""
    stream = error_stream()
    stream.write(f"{WIPE if stream.isatty() else ''}warning: {visible(sentence)}\n")
    stream.flush()


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show that a piece of work is running, until it ends; the function that it gives shows the part."""
    stream = error_stream()
    if not stream.isatty():

        def write(part: str) -> None:
            stream.write(f"{text}{part} ...\n")
            stream.flush()

        write("")
        yield lambda part: write(f": {part}")
        return
    running = [text]
    done = threading.Event()
    started = time.monotonic()

    def show() -> None:
        while True:
            stream.write(f"{WIPE}{running[0]} ... {time.monotonic() - started:.0f} s")
            stream.flush()
            if done.wait(1):
                break
        stream.write(WIPE)
        stream.flush()

    def show_part(part: str) -> None:
        running[0] = f"{text}: {part}"

    ticker = threading.Thread(target=show, daemon=True)
    ticker.start()
    try:
        yield show_part
    finally:
        done.set()
        ticker.join()
