"""The progress line: one line a piece of work in a log, one line kept up to date on a terminal."""

import io
import sys
import time

import pytest

from recommender.terminal.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("stage2 train"):
        pass
    assert capsys.readouterr().err == "stage2 train ...\n"


def test_a_log_gets_a_line_for_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("stage2 train") as tell:
        tell("fitting ALS")
    assert capsys.readouterr().err == "stage2 train ...\nstage2 train: fitting ALS ...\n"


def test_a_terminal_line_shows_the_part_that_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("stage2 train") as tell:
        tell("fitting ALS")
        time.sleep(1.2)
    assert "\r\x1b[Kstage2 train: fitting ALS ... 1 s" in terminal.getvalue()


def test_a_terminal_line_is_wiped_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("fitting"):
        pass
    assert terminal.getvalue().startswith("\r\x1b[Kfitting ... 0 s")
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_terminal_line_is_wiped_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(KeyError), progress("fitting"):
        raise KeyError
    assert terminal.getvalue().endswith("\r\x1b[K")
