"""No row of a log is lost: it is good, or in the quarantine with its reason, or one of several that are the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import DataQualityError
from recommender.spark.row_counts import RowCounter
from recommender.stage import Previous
from recommender.stage1.main import Stage1
from recommender.stage1.scoring import Scoring, ScoringSteps

HEADER = "timestamp,visitorid,event,itemid\n"
GOOD = "".join(f"{n + 1},{n % 5},transaction,{n % 3}\n" for n in range(60))


def stage_of(path: Path, **config: Any) -> Stage1:
    """Return stage 1 of a file."""
    loader = {"event_filename": str(path), **config.pop("data_loader", {})}
    validator = {"earliest": None, **config.pop("event_validator", {})}  # the toy times are in 1970
    return Stage1({"data_loader": loader, "event_validator": validator, **config})


def run(path: Path, out: Path, previous: Previous | None = None, **config: Any) -> tuple[Stage1, dict[str, Any]]:
    """Run stage 1 on a file; return it and its profile."""
    stage = stage_of(path, **config)
    stage.execute_persist(str(out), previous=previous)
    return stage, stage.details()["profile"]


def rows(spark: SparkSession, out: Path) -> DataFrame:
    return spark.read.parquet(str(out / "quarantine"))


@pytest.fixture
def log(tmp_path: Path, spark: SparkSession) -> Path:
    return tmp_path / "events.csv"


CELL = st.one_of(
    st.integers(-2, 9).map(str),
    st.sampled_from(["view", "transaction", "", " ", '"', '""', "x,y", "1e3", "é", "\x00", "٣", "null", "#", "\\"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
LINE = st.lists(CELL, max_size=6).map(",".join) | st.text(max_size=20) | st.sampled_from(GOOD.splitlines())


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, min_size=20, max_size=40))
@example(lines=['1,"2,view,3', '4,"5",view,6', "7,8,view", ""])
@example(lines=["1,2,vi\x00ew,3", "﻿1,2,view,3", "\ufffd"])
def test_rows_in_are_good_or_quarantined_whatever_the_text(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "events.csv"
    text = GOOD + "\n".join(lines) + "\n"
    path.write_text(HEADER + text, encoding="utf-8", errors="replace", newline="")
    # A line ends as Hadoop has it, and one of nothing but blanks is none.
    written = [line for line in re.split("\r\n|\r|\n", text) if line.strip("".join(map(chr, range(33))))]
    check_that_no_row_is_lost(path, len(written))


OBJECT = st.sampled_from(
    [
        '{"timestamp": 61, "visitorid": 1, "event": "transaction", "itemid": 1}',
        '{"timestamp": 62, "visitorid": 2, "event": "view", "itemid": {"a": [1, {"b": "}"}]}}',
        "{'timestamp': '63', 'visitorid': null, \"event\": \"view\"}",
        "{}",
    ]
)
TOKEN = st.sampled_from([*list('{}[],:" '), "null", "1", '"a":', "\t", "//", "\x00", "é", '{"a":1}', "[]"])
JSON_LINE = st.lists(OBJECT | TOKEN, max_size=5).map("".join) | OBJECT | st.text(max_size=10)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(JSON_LINE, min_size=20, max_size=40))
@example(lines=['{"a":1}{"b":2}', "[]", '[{"a":1},{"b":2}]', '{"a":1} x', '{"a":{}}] x', "", '\ufeff{"a":1}', "{"])
def test_lines_of_json_are_good_or_quarantined_whatever_the_text(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "events.json"
    names = HEADER.strip().split(",")
    good = [json.dumps(dict(zip(names, line.split(","), strict=True))) for line in GOOD.splitlines()]
    text = "\n".join([*good, *lines]) + "\n"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    check_that_no_row_is_lost(path, sum(bool(line.strip(" \t\r\n")) for line in re.split("\r\n|\r|\n", text)))


def check_that_no_row_is_lost(path: Path, written: int) -> None:
    config = {"event_validator": {"earliest": None, "max_quarantined": 1.0}}
    stage = Stage1({"data_loader": {"event_filename": str(path)}, **config})
    try:
        good = stage.log.load().count()
        assert stage.log.quarantine is not None
        quarantine = stage.log.quarantine.collect()
    finally:
        stage.release()
    assert stage.log.rows == written
    assert stage.log.rows == stage.log.good + sum(row.rows for row in quarantine)
    assert stage.log.good >= good >= len(set(GOOD.splitlines()))
    assert all(row.reason and row.raw is not None and row.source_file.endswith(f"/{path.name}") for row in quarantine)


@pytest.mark.slow
def test_15_16_malformed_rows_within_and_over_the_limit(spark: SparkSession, log: Path, tmp_path: Path) -> None:
    log.write_text(HEADER + GOOD + "100,1,view\n")
    with pytest.raises(
        DataQualityError, match=r"QUARANTINE_RATE 1\.6% > 1\.0%: 1 of 61 .*what is quarantined is kept in "
    ) as raised:
        run(log, tmp_path / "bad")
    assert str(raised.value).endswith(f"kept in {tmp_path}/bad/quarantine")
    kept = [(*row[:2], row[2].replace("///", "/"), row[3]) for row in rows(spark, tmp_path / "bad").collect()]
    assert kept == [("MALFORMED", "100,1,view", f"file:{log}", 1)]
    stage, profile = run(log, tmp_path / "out", event_validator={"max_quarantined": 0.02})
    assert profile["quarantined"] == {"MALFORMED": 1}
    assert [row.raw for row in rows(spark, tmp_path / "out").collect()] == ["100,1,view"]
    notes = {step.step: step.note for step in stage.report(stage.counter.rows())}
    assert notes["event_validator"] == "quarantined: MALFORMED 1"


@pytest.fixture(scope="module")
def shared(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage1, Path]:
    """Return stage 1 of a log with every event three times, a new column, and a visitor who is in no core."""
    folder = tmp_path_factory.mktemp("shared")
    more = "100,9,transaction,9\n101,9,view,1\n102,0,addtocart,0\n103,0,view,1\n"
    more += "104,99,view,0\n105,99,view,1\n"  # of the one visitor who is not trained with
    text = (GOOD * 3 + more).replace("\n", ",red\n")
    (folder / "events.csv").write_text(HEADER.replace("\n", ",colour\n") + text)
    core = {"min_visitors_per_item": 2, "min_items_per_visitor": 2}
    config = {"score_filter": core, "group_scores": {"max_score": 20}, "train_test_split": {"train_percentile": 100}}
    before = Previous({"columns": {"found": ["timestamp", "visitorid"]}}, {})
    stage, _ = run(folder / "events.csv", folder / "out", before, **config)
    return stage, folder / "out"


def test_27_duplicates_are_removed_and_counted(shared: tuple[Stage1, Path]) -> None:
    stage, _ = shared
    profile = stage.details()["profile"]
    assert (profile["rows"], profile["events"], profile["duplicates"]) == (186, 66, 120)
    counted = {step.step: (step.rows_in, step.rows_out) for step in stage.report(stage.counter.rows())}
    assert counted["event_deduplicator"] == (186, 66)


def test_12_new_columns_are_a_warning(shared: tuple[Stage1, Path]) -> None:
    details = shared[0].details()
    assert details["warnings"][0] == "new in the log, and not loaded: colour"
    assert details["columns"]["unused"] == ["colour"]


def test_the_core_of_the_pairs_is_reported(shared: tuple[Stage1, Path]) -> None:
    lines = [line for line in shared[0].report(shared[0].counter.rows()) if line.step == "score_filter"]
    strong, core = lines
    # Item 9 has one visitor; without it visitor 9 has one item; then nobody leaves.
    assert (strong.rows_in, strong.rows_out, strong.note) == (17, 17, "score >= 1")
    assert (core.rows_in, core.rows_out) == (17, 15)
    assert core.note == "at least 2 items a visitor, 2 visitors an item, in 3 rounds"


def test_a_pair_scores_the_same_wherever_it_is_stored(spark: SparkSession, shared: tuple[Stage1, Path]) -> None:
    interactions, trained = (spark.read.parquet(str(shared[1] / name)) for name in ("interactions", "scores"))
    pairs = interactions.groupBy("visitor_index", "item_index")
    summed = {row[:2]: pytest.approx(row[2]) for row in pairs.sum("score").collect()}
    scores = {row[:2]: row[2] for row in trained.collect()}
    assert scores == {pair: score for pair, score in summed.items() if pair in scores}
    assert (len(summed), len(scores), max(scores.values())) == (19, 15, 20.0)


@pytest.mark.slow
def test_29_seconds_are_told(log: Path, tmp_path: Path) -> None:
    log.write_text(HEADER + "".join(f"{1430622000 + n},{n % 5},transaction,{n % 3}\n" for n in range(60)))
    with pytest.raises(DataQualityError, match=r"TIME_UNIT median 1970-01-17: .*see data_loader\.timestamp_unit"):
        run(log, tmp_path / "out")
    _, profile = run(log, tmp_path / "again", data_loader={"timestamp_unit": "s"})
    assert profile["events_by_day"] == {"2015-05-03": 60}


@pytest.mark.slow
def test_32_a_robot_is_capped_and_named(log: Path, tmp_path: Path) -> None:
    robot = "".join(f"{1000 + n},77,view,{n % 3}\n" for n in range(300))
    log.write_text(HEADER + GOOD + robot)
    stage, profile = run(log, tmp_path / "out", event_cap={"max_per_visitor": 100, "max_per_pair": 50})
    pairs = [{"visitorid": "77", "itemid": str(item), "events": 100} for item in range(3)]
    assert profile["capped"] == {"events": 200, "visitors": [{"id": "77", "events": 300}], "pairs": pairs}
    assert (profile["events"], profile["heaviest_visitors"][0]) == (160, {"id": "77", "events": 100})
    notes = {step.step: step.note for step in stage.report(stage.counter.rows())}
    assert notes["event_cap"] == "too many events of 77 (300 events)"


@pytest.mark.slow
def test_32_a_visitor_that_loses_nothing_is_no_robot(log: Path, tmp_path: Path) -> None:
    collector = "".join(f"{1000 + n},77,view,{n}\n" for n in range(30))
    log.write_text(HEADER + GOOD + collector)
    stage, profile = run(log, tmp_path / "out", event_cap={"max_per_visitor": 100, "max_per_pair": 20})
    assert profile["capped"] == {"events": 0, "visitors": [], "pairs": []}
    notes = {step.step: step.note for step in stage.report(stage.counter.rows())}
    assert notes["event_cap"] == "no visitor has too many"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"score_events": {"score_map": {"transaction": 1, "rare": 1e38}}},
            r"BAD_SCORE 12 events of a visitor may weigh 1e\+38 each, and a score 3\.4e\+38 at most; lower the weights",
        ),
        (
            {"train_test_split": {"train_percentile": 0}},
            r"NO_ROWS_AFTER train_test_split\(column_name=visitorid, train_percentile=0\) in=60: no event .* below 0",
        ),
    ],
)
def test_33_34_scores_that_a_model_cannot_learn_from(
    log: Path, tmp_path: Path, config: dict[str, Any], told: str
) -> None:
    log.write_text(HEADER + GOOD)
    with pytest.raises(DataQualityError, match=told):
        run(log, tmp_path / "out", **config)


def scoring_of(spark: SparkSession, **config: Any) -> tuple[Scoring, DataFrame]:
    """Return the scoring, and the events of four visitors of three items."""
    rows = [(n + 1, n % 4, "transaction", n % 3) for n in range(60)]
    events = spark.createDataFrame(rows, "timestamp long, visitorid long, event string, itemid long")
    return Scoring(ScoringSteps.build(config), lambda rows: rows.cache(), RowCounter()), events


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"score_filter": {"min_score": 1e6}}, r"NO_ROWS_AFTER score_filter\(min_score=1e\+06\) in=12: no pair"),
        (
            {"score_filter": {"min_items_per_visitor": 4}},
            r"NO_ROWS_AFTER score_filter\(min_score=1, min_items_per_visitor=4\) in=12: no pair",
        ),
        (
            {"score_events": {"score_map": {"transaction": 0}}, "score_filter": {"min_score": 0}},
            "NO_POSITIVE none of the 12 pairs of the training part has a score above 0",
        ),
    ],
)
def test_34_35_pairs_that_a_model_cannot_learn_from(spark: SparkSession, config: dict[str, Any], told: str) -> None:
    scoring, events = scoring_of(spark, **config)
    counted = scoring.kept(scoring.pairs(events)).first()
    assert counted is not None
    with pytest.raises(DataQualityError, match=told):
        scoring.check(*counted, lambda: DataQualityError("NO_TRAINING", "there is a training event"))


@pytest.mark.slow
def test_38_a_log_that_has_lost_most_of_its_rows(log: Path, tmp_path: Path) -> None:
    log.write_text(HEADER + GOOD)
    before = Previous({"profile": {"events": 154, "events_by_kind": {"transaction": 154}}}, {})
    with pytest.raises(DataQualityError, match=r"DRIFT rows -61% limit 50%: 60 events after 154 in the commit before"):
        run(log, tmp_path / "out", before)
    run(log, tmp_path / "again", before, drift={"max_drop": 0.62})


@pytest.mark.slow
def test_38_an_empty_log_leaves_the_one_before_it_to_compare_with(log: Path, tmp_path: Path) -> None:
    before = Previous({"profile": {"events": 154, "events_by_kind": {"transaction": 154}}}, {})
    log.write_text(HEADER)
    for number in range(2):
        empty = {"data_loader": {"allow_empty": True}, "drift": {"max_drop": 1}}
        _, profile = run(log, tmp_path / f"empty{number}", before, **empty)
        assert profile["base"]["runs"] == [["1970-01-01", 154]]
        before = Previous({"profile": profile}, {})
    log.write_text(HEADER + GOOD)
    with pytest.raises(DataQualityError, match=r"DRIFT rows -61% limit 50%: 60 events after 154 in the commit before"):
        run(log, tmp_path / "out", before)


def test_31_a_rule_that_fails_on_an_event_is_told(spark: SparkSession, log: Path, tmp_path: Path) -> None:
    log.write_text(HEADER + GOOD)
    rules = {"FINE": "itemid < 9", "MINE": "cast(event as int) > 1"}
    with pytest.raises(DataQualityError) as raised:
        run(log, tmp_path / "out", event_validator={"rules": rules})
    assert str(raised.value) == (
        "RULE_FAILED one of event_validator.rules (FINE, MINE) fails on an event, with CAST_INVALID_INPUT; write it "
        "with try_cast, try_divide, try_add or try_element_at, which give null, and the event is quarantined"
    )
    good = stage_of(log, event_validator={"rules": {"MINE": "try_cast(itemid as int) < 9"}})
    assert good.log.load().count() == 60
    good.release()


def test_09_an_empty_log_may_be_allowed(spark: SparkSession, log: Path, tmp_path: Path) -> None:
    log.write_text(HEADER)
    stage, profile = run(log, tmp_path / "out", data_loader={"allow_empty": True})
    assert (profile["rows"], profile["events"], profile["density"]) == (0, 0, 0.0)
    assert stage.details()["warnings"] == []  # nobody says that a kind never occurs
    assert spark.read.parquet(str(tmp_path / "out" / "scores")).isEmpty()


def test_old_events_fade(spark: SparkSession) -> None:
    times = [1430622000000 + n * 86_400_000 for n in range(3)]
    events = spark.createDataFrame(
        [(times[0], 1, "transaction", 1), (times[1], 1, "transaction", 2)],
        "timestamp long, visitorid long, event string, itemid long",
    )
    scoring, _ = scoring_of(spark, score_events={"half_life_days": 1}, score_filter={"min_score": 0})
    scoring.date(times[2])  # of an event that is not in the training part
    scores = {(row.visitorid, row.itemid): row.score for row in scoring.pairs(events).collect()}
    assert scores == {(1, 1): 2.5, (1, 2): 5.0}


@pytest.mark.slow
def test_negative_weights_are_refused_or_subtracted(spark: SparkSession, log: Path, tmp_path: Path) -> None:
    log.write_text(HEADER + GOOD + "100,0,return,0\n")
    config: dict[str, Any] = {"score_map": {"transaction": 10, "return": -5}, "negative_weights": "subtract"}
    run(log, tmp_path / "out", score_events=config, train_test_split={"train_percentile": 100})
    scores = spark.read.parquet(str(tmp_path / "out" / "scores")).collect()
    assert sorted({row.score for row in scores}) == [35.0, 40.0]
