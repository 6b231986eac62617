"""What an evaluated visitor's model may see, and what it must predict; and the holdout that a user brings."""

import random
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError, InputError, SchemaError
from recommender.stage1.steps import HoldoutSplit

SCHEMA = "timestamp long, visitorid long, itemid long, event string"
Event = tuple[int, int, int, str]


def frame(spark: SparkSession, *events: Event) -> DataFrame:
    return spark.createDataFrame(list(events), SCHEMA)


def rows(events: DataFrame) -> list[tuple[int, int]]:
    return sorted((row.visitorid, row.itemid) for row in events.collect())


def test_the_last_events_of_an_unknown_visitor_are_held_out(spark: SparkSession) -> None:
    test = frame(spark, (3, 7, 103, "view"), (1, 7, 101, "view"), (4, 7, 104, "view"), (2, 7, 102, "view"))
    history, holdout = HoldoutSplit(last_events=2).execute(frame(spark), test)
    assert rows(history) == [(7, 101), (7, 102)]
    assert rows(holdout) == [(7, 103), (7, 104)]


def test_one_event_stays_in_the_history(spark: SparkSession) -> None:
    test = frame(spark, (1, 7, 101, "view"), (2, 7, 102, "view"), (1, 8, 101, "view"))
    history, holdout = HoldoutSplit(last_events=5).execute(frame(spark), test)
    assert rows(history) == [(7, 101), (8, 101)]
    assert rows(holdout) == [(7, 102)]


def test_events_of_the_same_time_are_ordered_by_item(spark: SparkSession) -> None:
    events = [(1, 7, item, "view") for item in (105, 101, 103)]
    for order in (events, events[::-1]):
        _, holdout = HoldoutSplit(last_events=1).execute(frame(spark), frame(spark, *order))
        assert rows(holdout) == [(7, 105)]


def test_a_known_visitor_is_judged_by_what_it_did_after_the_cut(spark: SparkSession) -> None:
    train = frame(spark, (1, 7, 101, "view"), (2, 8, 101, "view"))
    test = frame(spark, (5, 7, 102, "view"), (6, 7, 103, "view"))
    history, holdout = HoldoutSplit(last_events=1).execute(train, test)
    assert rows(history) == [(7, 101)]
    assert rows(holdout) == [(7, 102), (7, 103)]


def test_known_and_unknown_visitors_can_meet_in_one_test_part(spark: SparkSession) -> None:
    train = frame(spark, (1, 7, 101, "view"))
    test = frame(spark, (5, 7, 102, "view"), (5, 9, 102, "view"), (6, 9, 103, "view"))
    history, holdout = HoldoutSplit(last_events=1).execute(train, test)
    assert rows(history) == [(7, 101), (9, 102)]
    assert rows(holdout) == [(7, 102), (9, 103)]


def test_a_share_chosen_by_hash_does_not_depend_on_order_or_partitions(spark: SparkSession) -> None:
    test = frame(spark, *((i, i % 50, i % 97, "view") for i in range(1000)))
    step = HoldoutSplit(last_events=None, share=0.3)
    _, once = step.execute(frame(spark), test)
    _, again = step.execute(frame(spark), test.orderBy("itemid").repartition(5))
    assert rows(once) == rows(again)
    assert 200 < len(rows(once)) < 400


def test_a_share_keeps_all_events_of_a_pair_together(spark: SparkSession) -> None:
    test = frame(spark, *((i, 1, i % 20, "view") for i in range(60)))
    history, holdout = HoldoutSplit(last_events=None, share=0.5).execute(frame(spark), test)
    assert not {item for _, item in rows(history)} & {item for _, item in rows(holdout)}
    assert len(rows(history)) + len(rows(holdout)) == 60


def test_another_seed_chooses_others(spark: SparkSession) -> None:
    test = frame(spark, *((i, 1, i, "view") for i in range(200)))
    chosen = [
        rows(HoldoutSplit(last_events=None, share=0.5, seed=seed).execute(frame(spark), test)[1]) for seed in (0, 1)
    ]
    assert chosen[0] != chosen[1]


def test_a_pair_of_the_history_or_without_a_score_above_0_is_no_prediction(spark: SparkSession) -> None:
    history = frame(spark, (1, 7, 101, "view"), (2, 7, 101, "view"))
    pairs = [(7, 101, 10.0), (7, 102, 1.0), (8, 101, 0.5), (8, 102, 0.0), (8, 103, -1.0)]
    holdout = spark.createDataFrame(pairs, "visitorid long, itemid long, score double")
    assert rows(HoldoutSplit.to_predict(holdout, history)) == [(7, 102), (8, 101)]


def test_nothing_gives_nothing(spark: SparkSession) -> None:
    history, holdout = HoldoutSplit().execute(frame(spark), frame(spark))
    assert (rows(history), rows(holdout)) == ([], [])


@pytest.mark.parametrize("given", [{"last_events": None}, {"last_events": 3, "share": 0.1}])
def test_exactly_one_rule_is_given(given: dict[str, float | None]) -> None:
    with pytest.raises(ConfigError, match="give either last_events or share, and set the other to null"):
        HoldoutSplit(**given)  # type: ignore[arg-type]


def test_a_share_of_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="share must be > 0 and < 1, got 1"):
        HoldoutSplit(last_events=None, share=1)


def held(step: HoldoutSplit, events: DataFrame) -> list[tuple[int, int]]:
    marked = step.mark(events)
    assert marked.columns == [*events.columns, "held"]
    return rows(marked.where("held"))


def test_the_last_events_of_every_visitor_are_held_out_but_one_stays(spark: SparkSession) -> None:
    events = [(t, 7, 100 + t, "view") for t in range(5)] + [(1, 8, 101, "view"), (2, 8, 102, "view")]
    events += [(3, 9, 101, "view")]
    random.Random(3).shuffle(events)  # noqa: S311 - no secret
    expected = [(7, 102), (7, 103), (7, 104), (8, 102)]
    for partitions in (1, 3):
        assert held(HoldoutSplit(every_visitor=True, last_events=3), frame(spark, *events).repartition(partitions)) == (
            expected
        )


def test_a_share_of_every_visitor_s_items_is_held_out_but_one_stays(spark: SparkSession) -> None:
    events = [(i, i % 40, i % 7, "view") for i in range(400)] + [(i, 99, 5, "view") for i in range(3)]
    step = HoldoutSplit(every_visitor=True, last_events=None, share=0.99, seed=1)
    marked = {(row.visitorid, row.itemid, row.held) for row in step.mark(frame(spark, *events)).collect()}
    pairs = {(visitor, item) for visitor, item, _ in marked}
    assert len(marked) == len(pairs)  # all events of a pair together
    kept = [visitor for visitor, _, is_held in marked if not is_held]
    assert sorted(kept) == [*range(40), 99]  # with such a share nothing but the item that stays is kept
    again = held(step, frame(spark, *events[::-1]).repartition(4))
    assert again == sorted((visitor, item) for _, visitor, item, _ in events if (visitor, item, True) in marked)


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def loaded(path: str, id_type: str = "bigint") -> list[tuple[Any, ...]]:
    found, _ = HoldoutSplit(holdout_filename=path).load(id_type)
    assert found.dtypes == [
        ("visitorid", id_type),
        ("itemid", id_type),
        ("score", "double"),
        ("timestamp", "bigint"),
        ("usable", "boolean"),
    ]
    return sorted((tuple(row) for row in found.collect()), key=str)


def test_a_holdout_is_read_by_name_from_lines_of_text_and_json(spark: SparkSession, tmp_path: Path) -> None:
    csv = write(
        tmp_path / "h.csv", "itemid,colour,score,visitorid,timestamp\n3,red,2.5, 7 ,1430622000000\n4,,,8,soon\n"
    )
    expected = [(7, 3, 2.5, 1430622000000, True), (8, 4, 1.0, None, True)]
    assert loaded(csv) == expected
    lines = [
        '{"visitorid": 7, "itemid": "3", "score": 2.5, "timestamp": 1430622000000}',
        '{"itemid": 4, "visitorid": "8"}',
    ]
    assert loaded(write(tmp_path / "h.json", "\n".join(lines))) == expected
    named = [(str(visitor), str(item), *rest) for visitor, item, *rest in expected]
    assert loaded(csv, "string") == named


def test_a_holdout_of_other_types_is_read(spark: SparkSession, tmp_path: Path) -> None:
    values = spark.sql(
        "SELECT cast(7 AS decimal(20, 0)) visitorid, cast(3 AS int) itemid, cast(2 AS smallint) score,"
        " timestamp '2015-05-03 03:00:00Z' timestamp"
    )
    values.write.parquet(f"{tmp_path}/holdout")
    assert loaded(f"{tmp_path}/holdout") == [(7, 3, 2.0, 1430622000000, True)]
    assert loaded(f"{tmp_path}/holdout", "string") == [("7", "3", 2.0, 1430622000000, True)]


def test_rows_of_a_holdout_without_ids_or_with_a_score_that_is_none_are_marked(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = ["7,3,1", "7,,1", ",3,1", "ann,3,1", "7,3.5,1", "7,4,much", "7,5,NaN", "7,6,1e39", "7,8,1,9", "7,9,-2"]
    path = write(tmp_path / "h.csv", "visitorid,itemid,score\n" + "\n".join(lines) + "\n")
    found, _ = HoldoutSplit(holdout_filename=path).load("bigint")
    assert sorted(row.itemid for row in found.where("usable").collect()) == [3, 9]
    assert found.count() == len(lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "visitorid,product\n7,3\n",
            (
                r"SCHEMA_MISSING itemid; found \[visitorid, product\] in .*h.csv; a holdout has the columns visitorid, "
                r"itemid, see holdout.holdout_filename"
            ),
        ),
        ("a,b\n1,2\n", r"SCHEMA_MISSING visitorid, itemid; found \[a, b\] in "),
        ("", "INPUT_EMPTY .*h.csv has no rows: every file of it is empty"),
        ("visitorid,itemid,itemid\n1,2,3\n", "SCHEMA_AMBIGUOUS itemid, itemid stand in .*h.csv"),
    ],
)
def test_a_holdout_that_lacks_something_is_told(spark: SparkSession, tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        HoldoutSplit(holdout_filename=write(tmp_path / "h.csv", text)).load("bigint")


def test_a_holdout_that_is_not_there_is_told_by_its_own_parameter(spark: SparkSession) -> None:
    told = "INPUT_NOT_FOUND /no/such.csv does not exist; see holdout.holdout_filename"
    with pytest.raises(InputError, match=told):
        HoldoutSplit(holdout_filename="/no/such.csv").load("bigint")
    told = "INPUT_NOT_FOUND no_such_table does not exist: .*; see holdout.holdout_table"
    with pytest.raises(InputError, match=told):
        HoldoutSplit(holdout_table="no_such_table").load("bigint")


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("cast(7.5 AS double) visitorid, 3L itemid", "SCHEMA_TYPE visitorid expected bigint found double in .*parquet"),
        ("7L visitorid, cast(3 AS decimal(9, 2)) itemid", r"SCHEMA_TYPE itemid expected bigint found decimal\(9,2\)"),
        (
            "7L visitorid, 3L itemid, true score",
            "SCHEMA_TYPE score expected double found boolean in .*; write it again",
        ),
        ("7L visitorid, 3L itemid, 1.5D timestamp", "SCHEMA_TYPE timestamp expected bigint found double in .*; write"),
    ],
)
def test_a_column_of_a_wrong_type_is_told(spark: SparkSession, tmp_path: Path, column: str, told: str) -> None:
    spark.sql(f"SELECT {column}").write.parquet(f"{tmp_path}/h.parquet")
    with pytest.raises(SchemaError, match=told):
        HoldoutSplit(holdout_filename=f"{tmp_path}/h.parquet").load("bigint")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"every_visitor": True, "holdout_filename": "h.csv"},
            "give one way to hold out: every_visitor and holdout_filename are given",
        ),
        (
            {"holdout_table": "shop.h", "holdout_filename": "h.csv"},
            "give one way to hold out: holdout_filename and holdout_table are given",
        ),
        (
            {"holdout_filename": "h.csv", "last_events": 3, "seed": 1},
            "holdout_filename is given, so nothing is held out of the log by last_events and seed: leave one of",
        ),
        (
            {"holdout_table": "h", "last_events": None, "share": 0.2},
            "holdout_table is given, so nothing is held out of the log by share: leave one of them out",
        ),
        ({"every_visitor": True, "share": 0.2}, "give either last_events or share, and set the other to null"),
        ({"holdout_table": "a;b"}, "BAD_IDENTIFIER holdout_table must be a name"),
    ],
)
def test_parameters_that_contradict_each_other_are_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        HoldoutSplit(**given)


def test_what_the_user_s_holdout_depends_on_is_told() -> None:
    assert HoldoutSplit(holdout_filename="h.csv").files == ["h.csv"]
    assert HoldoutSplit(holdout_filename="h.csv").versions(started=False) == {}
    assert HoldoutSplit(holdout_table="shop.h").versions(started=False) == {"shop.h": None}
    assert HoldoutSplit(holdout_filename="").place is None  # as of an environment variable that is not set
    assert HoldoutSplit(holdout_filename="h.csv", last_events=None).place == "h.csv"
