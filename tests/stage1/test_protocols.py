"""How a log is divided for the evaluation: every protocol through the whole stage, and what is wrong with a config."""

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError, DataQualityError, InputError
from recommender.run.config import parse_config
from recommender.run.preflight import fingerprint, identity
from recommender.stage1.main import Stage1
from recommender.stage1.steps import HoldoutSplit, TrainTestSplit
from recommender.tables import schemas

ROOT = Path(__file__).resolve().parents[2]
GOWALLA = ROOT.parent / "shared" / "data" / "gowalla"
WEIGHTS = {"view": 1.0, "transaction": 10.0}  # another kind has none
START = 1430622000000

Event = tuple[int, str, str, str]  # time, visitor, kind, item
Pair = tuple[Any, Any]


class Run(NamedTuple):
    stage: Stage1
    tables: dict[str, DataFrame]

    def named(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return a row of ids, and of the columns asked for, per row of a table, sorted."""
        rows = self.tables[table].join(self.tables["visitors"].select("visitorid", "visitor_index"), "visitor_index")
        rows = rows.join(self.tables["items"].select("itemid", "item_index"), "item_index")
        return sorted(tuple(row) for row in rows.select("visitorid", "itemid", *columns).collect())

    def note(self, step: str) -> tuple[int | None, int | None, str]:
        """Return what the report says of a step; of several lines the last."""
        lines = [one for one in self.stage.report(self.stage.counter.rows()) if one.step == step]
        return lines[-1].rows_in, lines[-1].rows_out, lines[-1].note


def stage_of(folder: Path, events: list[Event], *overrides: str) -> Stage1:
    """Return stage 1 of events in an arbitrary order, with parameters as --set takes them."""
    shuffled = random.Random(len(events)).sample(events, len(events))  # noqa: S311 - no secret
    lines = [f"{time},{visitor},{kind},{item}\n" for time, visitor, kind, item in shuffled]
    (folder / "events.csv").write_text("timestamp,visitorid,event,itemid\n" + "".join(lines))
    given = [f"stage1.data_loader.event_filename={folder}/events.csv", *(f"stage1.{one}" for one in overrides)]
    config = parse_config("", given, {}).stage("stage1")
    validator = {"earliest": None, **config.get("event_validator", {})}  # some of the toy times are in 1970
    return Stage1({**config, "event_validator": validator})


def run(spark: SparkSession, folder: Path, events: list[Event], *overrides: str) -> Run:
    """Run stage 1; see `stage_of`."""
    stage, out = stage_of(folder, events, *overrides), folder / "out"
    stage.execute_persist(str(out))
    return Run(stage, {name: spark.read.parquet(f"{out}/{name}") for name in schemas.TABLES if (out / name).exists()})


def some_events(visitors: int, items: int, number: int) -> list[Event]:
    """Return events of strings as ids, each at a time of its own, some of a kind without a weight."""
    draw = random.Random(number)  # noqa: S311 - no secret
    kinds = ["view", "transaction", "wave"]
    return [
        (START + n, f"v{draw.randrange(visitors)}", draw.choice(kinds), f"i{draw.randrange(items)}")
        for n in range(number)
    ]


def by_visitor(events: list[Event]) -> dict[str, list[Event]]:
    of_visitor = defaultdict(list)
    for event in sorted(events):
        of_visitor[event[1]].append(event)
    return of_visitor


def scores_of(events: list[Event]) -> list[tuple[str, str, float, int]]:
    """Return visitor, item, summed weight and last time of an event with a weight, of pairs of a score of 1 or more."""
    scores: dict[Pair, float] = defaultdict(float)
    last: dict[Pair, int] = {}
    for time, visitor, kind, item in sorted(events):
        if kind in WEIGHTS:
            scores[visitor, item] += WEIGHTS[kind]
            last[visitor, item] = time
    return sorted((*pair, score, last[pair]) for pair, score in scores.items())


EVENTS = [*some_events(visitors=25, items=15, number=180), (START + 999, "single", "view", "i0")]


@pytest.fixture(scope="module")
def every(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = ["data_loader.id_type=string", "holdout.every_visitor=true", "holdout.last_events=2"]
    return run(spark, tmp_path_factory.mktemp("every"), EVENTS, *settings)


def parts(last_events: int) -> tuple[list[Event], list[Event]]:
    """Return the training events and the held-out ones of the last events of every visitor, one of whom stays."""
    train, held = [], []
    for its in by_visitor(EVENTS).values():
        number = min(last_events, len(its) - 1)
        train += its[: len(its) - number]
        held += its[len(its) - number :]
    return train, held


def test_every_visitor_is_trained_with_all_but_its_last_events(every: Run) -> None:
    train, held = parts(2)
    assert every.named("scores", "score", "last_timestamp") == scores_of(train)
    known = {(visitor, item) for _, visitor, _, item in train}
    expected = sorted({(visitor, item) for visitor, item, _, _ in scores_of(held)} - known)
    assert every.named("holdout") == expected
    pairs = len({(visitor, item) for _, visitor, _, item in held})
    left = f"{pairs - len(expected)} of {pairs} pairs left the holdout: already in the history, or not above 0"
    assert every.note("holdout") == (len(held), len(expected), left)
    first = next(one for one in every.stage.report(every.stage.counter.rows()) if one.step == "holdout")
    told = "train: all but the last 2 events of each visitor"
    assert (first.rows_in, first.rows_out, first.note) == (len(EVENTS), len(train), told)


def test_the_history_of_every_visitor_is_its_training_events(every: Run) -> None:
    train, held = parts(2)
    evaluated = {visitor for _, visitor, _, _ in held}
    expected = sorted({(visitor, item, kind) for _, visitor, kind, item in train if visitor in evaluated})
    assert every.named("history", "event") == expected


def test_what_was_sent_back_is_not_to_be_predicted(spark: SparkSession, tmp_path: Path) -> None:
    assert spark
    log = [(START, "7", "view", "1"), (START + 1, "7", "view", "2"), (START + 2, "7", "return", "3")]
    log += [(START + 3, "8", "view", "1"), (START + 4, "8", "view", "2"), (START + 5, "8", "view", "3")]
    weights = 'score_events={"score_map": {"view": 1, "return": -2}, "negative_weights": "subtract"}'
    stage = stage_of(tmp_path, log, weights, "holdout.every_visitor=true", "holdout.last_events=1")
    assert Run(stage, stage.execute()).named("holdout") == [(8, 3)]
    assert stage.split.held == 2
    stage.release()


def test_a_visitor_with_one_event_is_trained_and_not_judged(every: Run) -> None:
    assert [row[:2] for row in every.named("scores") if row[0] == "single"] == [("single", "i0")]
    assert not {"single"} & {row[0] for row in [*every.named("history"), *every.named("holdout")]}
    trained = {row.visitorid for row in every.tables["visitors"].where("trained").collect()}
    assert trained == {"single"}  # the others have done more since


def test_items_have_the_time_of_their_last_training_event(every: Run) -> None:
    last = {item: time for time, _, _, item in sorted(parts(2)[0])}
    found = {row.itemid: row.last_trained for row in every.tables["items"].collect() if row.last_trained is not None}
    assert found == last


def test_the_record_says_how_the_log_was_divided_and_that_nothing_leaks(every: Run) -> None:
    details = every.stage.details()
    assert (details["protocol"], details["leaks"]) == ("every_visitor", 0)
    assert [one.split(":")[0].split(" of ")[0] for one in details["warnings"]] == [
        "wave",
        "addtocart",
    ]  # kinds of events
    held = every.tables["holdout"].count()
    assert every.note("leak_check") == (held, held, "0 leaks into scores and history")


def test_a_share_of_every_visitor_s_items_is_held_out(spark: SparkSession, tmp_path: Path) -> None:
    settings = ["holdout.every_visitor=true", "holdout.last_events=null", "holdout.share=0.4", "holdout.seed=3"]
    found = run(spark, tmp_path, EVENTS, "data_loader.id_type=string", "score_filter.min_score=0", *settings)
    trained, held = set(found.named("scores")), set(found.named("holdout"))
    assert not trained & held
    pairs = {(visitor, item) for _, visitor, _, item in EVENTS}
    assert {event[:2] for event in scores_of(EVENTS)} <= trained | held <= pairs
    assert {visitor for visitor, _ in trained} == {visitor for _, visitor, _, _ in EVENTS}
    assert 0.25 < len(held) / len(trained | held) < 0.55
    unweighted = pairs - trained - held  # all events of a pair go the same way
    assert found.note("holdout")[2].startswith(f"{len(unweighted)} of ")
    told = "train: all but 0.4 of the items of each visitor"
    assert told in [one.note for one in found.stage.report(found.stage.counter.rows())]


LOG = [(START + n, str(n % 5), "view", str(n % 7)) for n in range(35)]  # every visitor has every item
LOG = [event for event in LOG if (event[1], event[3]) not in {("0", "1"), ("1", "2"), ("1", "3")}]
OWN = "visitorid,itemid,score\n0,1,3\n0,1,2\n1,2,\n1,4,1\n2,77,1\n88,2,1\n88,78,5\n,1,1\n9,-4,1\n"


@pytest.fixture(scope="module")
def own(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("own")
    (folder / "holdout.csv").write_text(OWN)
    return run(
        spark,
        folder,
        LOG,
        f"holdout.holdout_filename={folder}/holdout.csv",
        "event_validator.max_quarantined=0.25",
    )


def test_with_an_own_holdout_every_event_is_trained_with(own: Run) -> None:
    pairs = {(int(visitor), int(item)) for _, visitor, _, item in LOG}
    assert own.named("scores") == sorted(pairs)
    assert {row.visitorid for row in own.tables["visitors"].where("trained").collect()} == set(range(5))


def test_an_own_holdout_keeps_what_is_not_in_the_history(own: Run) -> None:
    # 1 has seen 4; items 77 and 78 are in no list, but relevant; a pair counts once, with its greatest score
    expected = [(0, 1, 3.0), (1, 2, 1.0), (2, 77, 1.0), (88, 2, 1.0), (88, 78, 5.0)]
    assert own.named("holdout", "score") == expected
    assert {row[0] for row in own.named("history")} == {0, 1, 2}
    told = "1 of 6 pairs left the holdout: already in the history, or not above 0; 2 rows are not fit for use; "
    assert own.note("holdout") == (9, 5, f"{told}not in the log: visitors 1, items 2")
    details = own.stage.details()
    assert (details["protocol"], details["leaks"]) == ("own_holdout", 0)
    assert re.search(
        r"2 of 9 rows of .*holdout.csv are left out of the holdout: a wrong number of cells, an id",
        details["warnings"][0],
    )


def test_ids_that_only_the_holdout_has_are_numbered_last_and_have_no_events(own: Run) -> None:
    items = {row.itemid: row for row in own.tables["items"].collect()}
    assert [items[item].item_index for item in (0, 6, 77, 78)] == [0, 6, 7, 8]
    assert (items[77].events, items[77].score, items[77].last_timestamp, items[77].last_trained) == (0, 0.0, None, None)
    visitors = {row.visitorid: row for row in own.tables["visitors"].collect()}
    assert (visitors[88].visitor_index, visitors[88].events, visitors[88].trained) == (5, 0, False)
    assert 9 not in visitors
    assert own.stage.log.profile["visitors"] == 5


def test_the_file_of_an_own_holdout_is_part_of_what_the_result_is_made_of(tmp_path: Path) -> None:
    path = tmp_path / "holdout.csv"
    path.write_text("visitorid,itemid\n1,2\n")
    stage = Stage1({"data_loader": {"event_filename": "/no.csv"}, "holdout": {"holdout_filename": str(path)}})
    assert stage.sources() == ["/no.csv", str(path)]
    before = fingerprint(identity(stage, {}, hadoop=lambda: None))
    path.write_text("visitorid,itemid\n1,2\n1,3\n")
    assert fingerprint(identity(stage, {}, hadoop=lambda: None)) != before


@pytest.fixture
def table(spark: SparkSession) -> Iterator[str]:
    pairs = spark.createDataFrame([("v1", "new"), ("v2", "i1")], "visitorid string, itemid string")
    pairs.write.mode("overwrite").saveAsTable("own_holdout")
    yield "own_holdout"
    spark.sql("DROP TABLE own_holdout")


@pytest.mark.slow
def test_an_own_holdout_may_be_a_table_of_strings(spark: SparkSession, tmp_path: Path, table: str) -> None:
    events = [event for event in EVENTS if (event[1], event[3]) != ("v2", "i1")]
    found = run(spark, tmp_path, events, "data_loader.id_type=string", f"holdout.holdout_table={table}")
    assert found.named("holdout", "score", "last_timestamp") == [("v1", "new", 1.0, None), ("v2", "i1", 1.0, None)]
    assert found.named("scores", "score", "last_timestamp") == scores_of(events)
    assert found.stage.versions(started=True) == {table: None}
    stage = Stage1({"data_loader": {"table": "shop.events", "version": 3}, "holdout": {"holdout_table": table}})
    assert stage.versions(started=False) == {"shop.events": "3", table: None}


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        (
            "visitorid,itemid\n",
            InputError,
            r"INPUT_EMPTY .*h.csv has no rows, and a holdout needs some; see holdout\.ho",
        ),
        (
            "visitorid,itemid\n0,1\nx,1\n",
            DataQualityError,
            (
                "QUARANTINE_RATE 1 of 2 rows of .*h.csv are not fit for use, and 1% may be: a wrong number of cells, "
                "an id that is empty, negative or not bigint, or a score that is not numeric; see holdout"
            ),
        ),
        (
            "visitorid,itemid\n0,900\n1,901\n",
            DataQualityError,
            "NO_ROWS_AFTER none of the 2 items of .*h.csv is in the log, so no list can hold one; the ids must be",
        ),
        (
            "visitorid,itemid\n0,0\n1,1\n",
            DataQualityError,
            r"NO_ROWS_AFTER holdout in=2: each pair of .*h.csv is in the log too, or has a score of 0 or below, so ",
        ),
    ],
)
def test_an_own_holdout_that_nobody_can_be_judged_by_is_told(
    spark: SparkSession, tmp_path: Path, text: str, error: type[Exception], told: str
) -> None:
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(error, match=told):
        run(spark, tmp_path, LOG, f"holdout.holdout_filename={tmp_path}/h.csv")


def test_an_own_holdout_of_which_nothing_is_fit_for_use_is_told(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("visitorid,itemid\nann,1\n")
    settings = [f"holdout.holdout_filename={tmp_path}/h.csv", "event_validator.max_quarantined=1"]
    with pytest.raises(
        InputError, match=r"INPUT_EMPTY .*h.csv has no row that is fit for use: a wrong number of cells, an id"
    ):
        run(spark, tmp_path, LOG, *settings)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {
                "train_test_split": {"column_name": "timestamp", "train_percentile": 80},
                "holdout": {"every_visitor": True},
            },
            (
                r"CFG_VALUE train_test_split \(column_name timestamp, train_percentile 80\.0\) divides nothing "
                r"where holdout.every_visitor is given; leave one of them out, train_test_split with --set stage1.train"
            ),
        ),
        (
            {"train_test_split": {"train_percentile": 95}, "holdout": {"holdout_filename": "h.csv"}},
            r"CFG_VALUE train_test_split \(train_percentile 95\.0\) divides nothing where holdout.holdout_filename is",
        ),
        (
            {"data_loader": {"table": "shop.events"}, "holdout": {"holdout_table": "shop.events"}},
            "CFG_VALUE holdout.holdout_table and data_loader.table are both shop.events; give the holdout a table of",
        ),
    ],
)
def test_what_would_have_no_effect_is_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Stage1(config)


def test_the_split_of_a_file_may_be_taken_back_by_an_override() -> None:
    text = "stage1: {train_test_split: {column_name: timestamp, train_percentile: 95}}"
    config = parse_config(text, ["stage1.train_test_split=null", "stage1.holdout.every_visitor=true"], {})
    assert Stage1(config.stage("stage1")).split.protocol == "every_visitor"


@pytest.mark.parametrize(
    ("config", "protocol"),
    [
        ({}, "unknown_visitors"),
        ({"train_test_split": {"column_name": "timestamp"}}, "time_cut"),
        ({"train_test_split": {"column_name": "itemid"}}, "column_cut"),
        ({"holdout": {"every_visitor": True}}, "every_visitor"),
        ({"holdout": {"holdout_table": "h"}}, "own_holdout"),
    ],
)
def test_a_protocol_has_a_name(config: dict[str, Any], protocol: str) -> None:
    assert Stage1(config).split.protocol == protocol


def test_tables_that_leak_are_not_committed(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    divide = TrainTestSplit.divide

    def late(step: Any, events: DataFrame, value: float) -> tuple[DataFrame, DataFrame]:
        return divide(step, events, value + 2)

    monkeypatch.setattr(TrainTestSplit, "divide", late)
    monkeypatch.setattr(HoldoutSplit, "to_predict", staticmethod(lambda holdout, _: holdout))
    log = [*LOG, (START + 99, "0", "view", "0")]  # seen before
    log += [(START + 8, "1", "wave", "2"), (START + 98, "1", "view", "2")]  # seen too, by what has no weight
    settings = ["train_test_split.column_name=timestamp", "train_test_split.train_percentile=80"]
    told = "LEAK 1 held-out pairs are in scores, 2 in history, and [1-9] pairs are trained with events at or after"
    with pytest.raises(DataQualityError, match=told):
        run(spark, tmp_path, log, *settings)


def convert(train: Path, test: Path, events: Path, holdout: Path) -> None:
    """Do what the guide shows."""
    guide = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    code = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/protocols.md", "exec"), names)  # noqa: S102
    names["convert"](train, events, "timestamp,visitorid,event,itemid", "1262304000000,{visitor},view,{item}")
    names["convert"](test, holdout, "visitorid,itemid", "{visitor},{item}")


def test_a_published_split_is_used_as_the_guide_shows(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 10 11\n1 10 12\n2 13\n")
    (tmp_path / "test.txt").write_text("0 12\n1 11 13\n2\n")
    convert(*(tmp_path / name for name in ("train.txt", "test.txt", "events.csv", "holdout.csv")))
    stage = Stage1(
        {
            "data_loader": {"event_filename": str(tmp_path / "events.csv")},
            "holdout": {"holdout_filename": str(tmp_path / "holdout.csv")},
        }
    )
    assert spark
    found = Run(stage, stage.execute())
    assert found.named("scores", "score") == [(0, 10, 1.0), (0, 11, 1.0), (1, 10, 1.0), (1, 12, 1.0), (2, 13, 1.0)]
    assert found.named("holdout") == [(0, 12), (1, 11), (1, 13)]
    stage.release()


@pytest.mark.slow
def test_the_published_split_of_gowalla_is_used_whole(spark: SparkSession, tmp_path: Path) -> None:
    if not GOWALLA.exists():
        pytest.skip(f"the published split is not there: {GOWALLA}")
    convert(GOWALLA / "train.txt.gz", GOWALLA / "test.txt.gz", tmp_path / "events.csv", tmp_path / "holdout.csv")
    stage = Stage1(
        {
            "data_loader": {"event_filename": str(tmp_path / "events.csv")},
            "holdout": {"holdout_filename": str(tmp_path / "holdout.csv")},
        }
    )
    stage.execute_persist(str(tmp_path / "out"))
    counts = {name: spark.read.parquet(f"{tmp_path}/out/{name}").count() for name in ("scores", "holdout", "items")}
    assert counts == {"scores": 810_128, "holdout": 217_242, "items": 40_981}
