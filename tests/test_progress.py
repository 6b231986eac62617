"""The progress line: one line a piece of work in a log, one line kept up to date on a terminal."""

import io
import sys

import pytest

from recommender.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("fitting"):
        pass
    assert capsys.readouterr().err == "fitting ...\n"


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
