"""What is unusual about a log, beside those before, and what the next one is compared with."""

from typing import Any

import pytest

from recommender.errors import ConfigError, DataQualityError
from recommender.stage1.forecast import base_of, forecast, next_base
from recommender.stage1.steps import DriftCheck

KINDS = {"view": 900, "transaction": 100}


def profile(events: int = 1000, day: str = "2026-05-20", time: str = "20:00:00.000Z", **more: Any) -> dict[str, Any]:
    by_day = {f"2026-05-{number:02d}": 150 for number in range(1, int(day[-2:]))}
    usual = {
        "events": events,
        "rows": events,
        "quarantined": {},
        "visitors": 100,
        "items": 50,
        "events_by_kind": {name: number * events // 1000 for name, number in KINDS.items()},
        "events_by_day": {**by_day, day: 150},
        "newest": f"{day}T{time}",
    }
    return {**usual, **more}


def found(check: DriftCheck, now: dict[str, Any], base: Any, **more: Any) -> str:
    """Return what a check refuses a log for; empty if it does not."""
    try:
        check.execute(now, base, **more)
    except DataQualityError as error:
        return error.sentence if error.id == "DRIFT" else str(error)
    return ""


BASE = base_of(profile(day="2026-05-19"))


def test_a_log_like_the_one_before_is_let_pass() -> None:
    assert found(DriftCheck(), profile(1100), BASE) == ""
    assert found(DriftCheck(), profile(0, events_by_day={}, events_by_kind={}), None) == ""


def test_a_kind_of_events_that_changes_its_share_is_refused() -> None:
    moved = profile(events_by_kind={"page_view": 900, "transaction": 100})
    sentence = found(DriftCheck(), moved, BASE)
    assert sentence.startswith("page_view +90.0 points limit 30.0: 90.0% of the events after 0.0% in the commit before")
    assert "(and 1 more: view -90.0 points limit 30.0" in sentence
    assert found(DriftCheck(max_mix_change=None), moved, BASE) == ""


@pytest.mark.parametrize(
    ("time", "on_newest", "on_before", "says"),
    [
        ("20:00:00.000Z", 60, 150, "2026-05-20 -52% limit 40%: 60 events, and 150 on the same weekday before"),
        ("20:00:00.000Z", 80, 150, ""),
        ("13:00:00.000Z", 60, 150, ""),  # the day is half over
        ("03:00:00.000Z", 5, 150, ""),  # the day before tells more
        ("03:00:00.000Z", 5, 75, "2026-05-19 -50% limit 40%: 75 events, and 150 on the same weekday before"),
    ],
)
def test_the_newest_day_is_compared_with_the_same_weekday_before(
    time: str, on_newest: int, on_before: int, says: str
) -> None:
    now = profile(time=time)
    now["events_by_day"] |= {"2026-05-20": on_newest, "2026-05-19": on_before}
    assert found(DriftCheck(), now, BASE).startswith(says or "")
    assert bool(found(DriftCheck(), now, BASE)) == bool(says)
    assert found(DriftCheck(max_day_drop=None), now, BASE) == ""


def test_a_day_with_few_events_proves_nothing() -> None:
    now = profile()
    now["events_by_day"] |= {"2026-05-20": 1, "2026-05-13": 99}
    assert found(DriftCheck(), now, BASE) == ""


def test_a_quarantine_that_grows_is_refused() -> None:
    now = profile(quarantined={"NULL_ID": 60})
    said = "quarantine +6.0 points limit 5.0: 6.0% of the rows after 0.0% in the commit before"
    assert found(DriftCheck(), now, BASE).startswith(said)
    assert found(DriftCheck(), now, base_of(now | {"newest": None})) == ""


def test_a_feed_without_newer_events_has_stopped() -> None:
    same = profile(day="2026-05-19")
    said = "the feed has stopped: no event is newer than those of before, 2026-05-19T20:00:00.000Z"
    assert found(DriftCheck(), same, BASE).startswith(said)
    assert found(DriftCheck(), same, BASE, repeats=True) == ""  # the same file again, by --force or other settings
    assert found(DriftCheck(must_advance=False), same, BASE) == ""


def test_ids_that_no_log_before_had_are_refused() -> None:
    check = DriftCheck()
    assert check.check_new({"visitors": 80, "items": 25}, profile()) == []
    with pytest.raises(DataQualityError) as error:
        check.check_new({"visitors": 81, "items": 50}, profile())
    assert str(error.value) == (
        "DRIFT visitors 81% new limit 80%: 81 of 100 were in no log before; see drift.max_new_visitors (and 1 more: "
        "items 100% new limit 50%: 50 of 50 were in no log before; see drift.max_new_items); "
        "let it pass once with --set stage1.drift.override=REASON"
    )
    assert (
        DriftCheck(max_new_visitors=None, max_new_items=None).check_new({"visitors": 100, "items": 50}, profile()) == []
    )


def runs(*events: int) -> list[list[Any]]:
    return [[f"2026-05-{number:02d}", each] for number, each in enumerate(events, 1)]


def test_half_a_delivery_in_a_growing_log_is_below_the_forecast() -> None:
    base = {**(BASE or {}), "runs": runs(1000, 1100, 1200)}
    half = profile(650, day="2026-05-04")  # not half of the last run, which had 1,200
    said = "rows -50% limit 20%: 650 events, and the last 3 runs let expect 1,300; see drift.max_below_forecast"
    assert said in found(DriftCheck(max_drop=None), half, base)
    assert found(DriftCheck(max_day_drop=None), profile(1300, day="2026-05-04"), base | {"newest": None}) == ""


def test_a_weekday_is_forecast_by_the_same_weekday() -> None:
    week = [100, 100, 100, 100, 100, 40, 40]
    days = runs(*week, *week[:5])
    assert forecast(days, "2026-05-13") == (40.0, 0.0)
    more = [*days[:-1], ["2026-05-12", 110]]  # ten more than a week before
    assert forecast(more, "2026-05-13") == (50.0, pytest.approx(0.0))
    assert forecast(runs(100, 40, 100), "2026-05-04") is None  # neither weekdays nor growth: nobody knows


def test_a_forecast_that_is_usually_wrong_allows_more() -> None:
    expected, usual = forecast(runs(100, 200, 300, 500, 600), "2026-05-06") or (0.0, 0.0)
    assert (expected, usual) == (700.0, pytest.approx(3 * (0.2 + 0.0) / 2))


def test_a_log_in_doubt_is_no_base_and_two_in_a_row_are() -> None:
    first = next_base(None, profile(1000, day="2026-05-01"), doubtful=False)
    doubtful = next_base(first, profile(300, day="2026-05-02"), doubtful=True)
    assert doubtful is not None
    assert doubtful["runs"] == runs(1000)
    again = next_base(doubtful, profile(1100, day="2026-05-03"), doubtful=False)
    assert again is not None
    assert ([run[1] for run in again["runs"]], "doubted" in again) == ([1000, 1100], False)
    twice = next_base(doubtful, profile(310, day="2026-05-03"), doubtful=True)
    assert twice is not None
    assert [run[1] for run in twice["runs"]] == [300, 310]
    assert "doubted" not in twice


def test_an_empty_log_and_one_of_the_same_day_leave_one_run_each() -> None:
    first = next_base(None, profile(1000, day="2026-05-01"), doubtful=False)
    assert next_base(first, profile(0), doubtful=True) == first
    again = next_base(first, profile(1001, day="2026-05-01"), doubtful=False)
    assert again is not None
    assert [run[1] for run in again["runs"]] == [1001]


def test_an_old_record_has_a_base_too() -> None:
    old = base_of({"events": 154, "events_by_kind": {"transaction": 154}})
    assert found(DriftCheck(), profile(60), old).startswith("rows -61% limit 50%: 60 events after 154")
    assert base_of({"events": 0, "events_by_kind": {}}) is None


def test_an_override_needs_a_reason() -> None:
    check = DriftCheck(override="half the shop was sold")
    assert check.execute(profile(100), BASE)[0].startswith("rows -90% limit 50%")
    with pytest.raises(ConfigError):
        DriftCheck(override=" ")
