"""A process that is told to end does so by an exception, once, and in time."""

import signal
import subprocess
import sys
import threading

import pytest

from recommender.run.termination import heeding_signals

PROGRAM = """
import sys, time
from recommender.run.termination import Terminated, heeding_signals
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


def test_neither_signal_disturbs_a_clean_up() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "TERM 143\n"


def test_a_clean_up_that_takes_too_long_is_cut_off() -> None:
    program = f"from recommender.run import termination\ntermination._LONGEST = 0.2\n{PROGRAM.replace('0.5', '30')}"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        assert process.wait(10) == 143
        assert process.stdout.read() == ""


def test_a_program_that_has_left_in_time_is_not_cut_off() -> None:
    begun = PROGRAM.replace("sys.exit", "# sys.exit")
    program = f"from recommender.run import termination\ntermination._LONGEST = 1\n{begun}"
    with subprocess.Popen(
        [sys.executable, "-c", f"{program}time.sleep(1)\nprint('still here')"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "cleaning\nTERM 143\nstill here\n"
        assert process.wait(5) == 0
