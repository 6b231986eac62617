"""Kinds of events that nobody has given a weight, and kinds of the configuration that never occur."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.errors import DataQualityError, SchemaError
from recommender.stage import Context
from recommender.stage1.main import Stage1


def stage_of(tmp_path: Path, kinds: dict[str, int], **config: Any) -> Stage1:
    """Return a stage 1 of a log with so many events of each kind."""
    every = [kind for kind, number in kinds.items() for _ in range(number)]
    rows = (f"{10**12 + n},{n % 9},{kind},{n % 7}" for n, kind in enumerate(every))
    (tmp_path / "events.csv").write_text("\n".join(["timestamp,visitorid,event,itemid", *rows]) + "\n")
    loader = {"event_filename": str(tmp_path / "events.csv"), "options": {"ignoreTrailingWhiteSpace": "false"}}
    return Stage1({"data_loader": loader, **config})


def warnings_of(tmp_path: Path, kinds: dict[str, int], **config: Any) -> list[str]:
    """Return the warnings of a log, as soon as it is loaded."""
    stage = stage_of(tmp_path, kinds, **config)
    stage.log.load()
    stage.release()
    return stage.log.warnings


SEE = "see score_events.score_map and data_loader.event_map"


@pytest.mark.usefixtures("spark")
def test_other_kinds_than_those_with_a_weight_are_told(tmp_path: Path) -> None:
    stage, shown = stage_of(tmp_path, {"view": 200, "cart": 95, "purchase": 42}), list[str]()
    stage.execute_persist(str(tmp_path / "out"), context=Context(warn=shown.append))
    assert shown == stage.details()["warnings"]  # at once, and in the record
    assert shown == [
        f"cart: 95 of 337 events have no weight and count for nothing; the nearest kind is addtocart; {SEE}",
        f"purchase: 42 of 337 events have no weight and count for nothing; {SEE}",
        "addtocart of score_events.score_map never occurs; the nearest kind is cart",
        "transaction of score_events.score_map never occurs; the log has view 200, cart 95, purchase 42",
    ]


@pytest.mark.usefixtures("spark")
def test_a_kind_that_is_written_otherwise_is_told_as_such(tmp_path: Path) -> None:
    kinds = {"view": 50, "View": 9, "add_to_cart": 1}
    assert warnings_of(tmp_path, kinds, score_events={"score_map": {"view": 1.0, "addtocart": 5.0}}) == [
        f"View: 9 of 60 events have no weight and count for nothing; it is view, written otherwise; {SEE}",
        f"add_to_cart: 1 of 60 events has no weight and counts for nothing; it is addtocart, written otherwise; {SEE}",
        "addtocart of score_events.score_map never occurs; it is add_to_cart, written otherwise",
    ]


@pytest.mark.usefixtures("spark")
def test_a_known_kind_that_never_occurs_is_told(tmp_path: Path) -> None:
    config = {"score_events": {"score_map": {"view": 1.0}}, "event_validator": {"known_events": ["view", "order"]}}
    assert warnings_of(tmp_path, {"view": 50}, **config) == [
        "order of event_validator.known_events never occurs; the log has view 50"
    ]


@pytest.mark.usefixtures("spark")
def test_a_kind_that_weighs_0_on_purpose_is_no_fault(tmp_path: Path) -> None:
    scoring = {"score_events": {"score_map": {"view": 0.0, "order": 3.0}}}
    assert warnings_of(tmp_path, {"view": 50, "order": 9}, **scoring) == []


@pytest.mark.usefixtures("spark")
def test_many_kinds_are_told_by_the_most_frequent(tmp_path: Path) -> None:
    kinds = {"view": 200} | {f"click on {letter}": 3 for letter in "abcdefghijkl"}
    told = warnings_of(tmp_path, kinds, score_events={"score_map": {"view": 1.0}})
    assert told[0] == f"'click on a': 3 of 236 events have no weight and count for nothing; {SEE}"
    assert told[10:] == ["6 of 236 events of further kinds have no weight and count for nothing"]


@pytest.mark.usefixtures("spark")
def test_a_log_most_of_which_has_no_weight_is_refused(tmp_path: Path) -> None:
    kinds = {"view": 9, "cart": 7, "it's": 4}
    told = (
        r"^NO_WEIGHT 11 of 20 events \(55\.0%\) have no weight, 50\.0% may: cart 7, \"it's\" 4; "
        r"score_map has view, addtocart, transaction; write score_events\.score_map: {\"cart\": 1, \"it's\": 1} with "
        r"your weights, or map them by data_loader\.event_map, or raise score_events\.max_unweighted$"
    )
    with pytest.raises(DataQualityError, match=told) as raised:
        stage_of(tmp_path, kinds).execute()
    assert raised.value.exit_code == 13
    assert warnings_of(tmp_path, kinds, score_events={"max_unweighted": 0.55})[0].startswith("cart: 7 of 20 events")


@pytest.mark.usefixtures("spark")
def test_all_of_a_log_may_be_without_weight_only_where_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataQualityError, match=r"^NO_WEIGHT 5 of 5 events .*; score_map has no kind; "):
        stage_of(tmp_path, {"view": 5}, score_events={"score_map": {}}).execute()
    with pytest.raises(DataQualityError, match=r"^NO_ROWS_AFTER"):
        stage_of(tmp_path, {"view": 5}, score_events={"score_map": {}, "max_unweighted": 1.0}).execute()


def test_a_column_of_kinds_that_is_missing_is_named(spark: SparkSession, tmp_path: Path) -> None:
    assert spark
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING kind; found \[timestamp, .*see score_events\.input_column"):
        stage_of(tmp_path, {"view": 5}, score_events={"input_column_name": "kind"}).execute()
