"""The progress line: one line a piece of work in a log, one line kept up to date on a terminal."""

import io
import json
import sys
import time

import pytest

from recommender.terminal.events import as_json
from recommender.terminal.progress import Expected, progress, warn


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


LAST = Expected({"fitting ALS": 20.0, "judging": 10.4}, seconds=31.6, events=50_000)


def test_a_log_is_told_the_steps_and_the_time_that_the_last_run_took(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("stage2 train", LAST) as tell:
        tell("fitting ALS")
        tell("judging")
        tell("something new")
    assert capsys.readouterr().err.splitlines() == [
        "stage2 train, 50,000 events, about 32 s left ...",
        "stage2 train, 50,000 events: fitting ALS (1 of 2), about 30 s left ...",
        "stage2 train, 50,000 events: judging (2 of 2), about 10 s left ...",
        "stage2 train, 50,000 events: something new ...",
    ]


def test_a_terminal_line_shows_the_time_that_the_last_run_took(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("stage2 train", LAST):
        pass
    assert "stage2 train, 50,000 events ... 0 s of about 32 s" in terminal.getvalue()
    monkeypatch.setenv("COLUMNS", "40")
    with progress("stage2 train", LAST):
        pass
    assert "\r\x1b[Kstage2 train, 50, ... 0 s of about 32 s\r" in terminal.getvalue()


def test_a_terminal_line_counts_the_tasks_that_spark_is_busy_with(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, found = Terminal(), iter([(3, 1200), None])
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("recommender.terminal.progress.running_tasks", lambda: next(found, None))
    with progress("fitting"):
        time.sleep(1.2)
    assert "\r\x1b[Kfitting, 3 of 1,200 tasks ... 0 s" in terminal.getvalue()
    assert "\r\x1b[Kfitting ... 1 s" in terminal.getvalue()


def test_a_record_without_times_lets_expect_nothing() -> None:
    assert Expected.of(None) == Expected.of({"rows": 3}) == Expected()
    record = {"timings": {"reading": 1.5}, "seconds": 2.5, "events": 7}
    assert Expected.of(record, 9) == Expected({"reading": 1.5}, 2.5, 9)


def test_a_scheduler_reads_events_instead_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with as_json(sys.stdout):
        with progress("stage2 train", LAST) as tell:
            tell("judging")
        warn("odd password=hunter2")
    out, err = capsys.readouterr()
    begun, judging, warning = map(json.loads, out.splitlines())
    assert err == ""
    assert (begun["event"], begun["what"], begun["part"], begun["expected_left"]) == (
        "part_started",
        "stage2 train",
        "",
        31.6,
    )
    assert (judging["part"], judging["step"], judging["of"], judging["expected_left"]) == ("judging", 2, 2, 10.4)
    assert warning["event"] == "warning"
    assert "hunter2" not in out
    warn("odd")
    assert capsys.readouterr().err == "warning: odd\n"
