"""A process that is told to end does so by an exception, once, and in time."""

import signal
import subprocess
import sys
import threading

import pytest

from recommender.termination import heeding_signals

PROGRAM = """
import sys, time
from recommender.termination import Terminated, heeding_signals
with heeding_signals():
    try:
        try:
            print("ready", flush=True)
            time.sleep(30)
        except Exception:
            print("swallowed")
    except Terminated as error:
        print("cleaning", flush=True)
        time.sleep(0.5)
        print(error.signal, error.exit_code)
        sys.exit(error.exit_code)
"""


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "TERM"), (signal.SIGINT, "INT")])
def test_a_signal_ends_it_in_order_and_a_second_does_not_disturb(number: int, name: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == f"{name} {128 + number}\n"
        assert process.wait(5) == 128 + number


def test_the_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with heeding_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_leaves_the_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def look() -> None:
        with heeding_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
