from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import ConfigError
from recommender.spark.row_counts import StepRows
from recommender.stage import Context
from recommender.stage3.main import Stage3
from recommender.tables import schemas
from recommender.tables.parquet import read_table

Place = tuple[str, float, str]  # itemid, score, source

ALS: Mapping[str, Any] = {"implicit_prefs": True, "alpha": 2.0, "reg_param": 0.5, "nonnegative": False, "rank": 2}
SCHEMAS: Mapping[str, str] = {
    "visitor_factors": schemas.TABLES["model/userFactors"],
    "item_factors": schemas.TABLES["model/itemFactors"],
    "popularity": schemas.TABLES["popularity"],
    "recent_popularity": schemas.TABLES["recent_popularity"],
    "interactions": schemas.TABLES["interactions"],
    "visitors": schemas.TABLES["visitors"].replace("visitorid id", "visitorid string"),
    "items": schemas.TABLES["items"].replace("itemid id", "itemid string"),
}
ROWS: Mapping[str, list[Any]] = {
    # cat was in training, but has done more since.
    "visitor_factors": [(0, [1.0, 0.0]), (2, [9.0, 9.0])],
    "item_factors": [(0, [1.0, 0.0]), (1, [0.5, 0.5]), (2, [0.25, -1.0])],
    "popularity": [(0, 9.0), (1, 4.0), (2, 6.0)],
    "recent_popularity": [(0, 0.25), (1, 0.0), (2, 4.0)],
    "interactions": [
        (0, 0, "transaction", 10.0, 5),
        (0, 1, "view", 1.0, 6),
        (1, 1, "view", 1.0, 7),
        (1, 1, "addtocart", 5.0, 8),
        (2, 2, "view", 2.0, 9),
        (3, 3, "transaction", 10.0, 10),
    ],
    "visitors": [
        ("ann", 0, 2, 11.0, True),
        ("bob", 1, 2, 6.0, False),
        ("cat", 2, 1, 2.0, False),
        ("dan", 3, 1, 10.0, False),
        ("eve", 4, 1, 0.0, False),
        ("fay", 5, 0, 0.0, False),  # was numbered in an earlier run, and has no events in this one
    ],
    "items": [
        ("tea", 0, 1, 10.0, 5, 5),
        ("jam", 1, 3, 7.0, 8, 8),
        ("oil", 2, 1, 2.0, 9, 9),
        ("salt", 3, 1, 10.0, 10, 10),
    ],
}
BOUGHT: Mapping[str, Any] = {"exclude_events": ["addtocart", "transaction"]}


class Run(NamedTuple):
    stage: Stage3
    path: Path
    data: dict[str, DataFrame]
    tables: dict[str, DataFrame]


def tables(spark: SparkSession, **other_rows: list[Any]) -> dict[str, DataFrame]:
    rows = {**ROWS, **other_rows}
    return {name: spark.createDataFrame(rows[name], schema) for name, schema in SCHEMAS.items()}


@pytest.fixture(scope="module")
def run(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Run:
    stage, path, inputs = Stage3({"recommend": {"k": 2, **BOUGHT}}), tmp_path_factory.mktemp("stage3"), tables(spark)
    return Run(stage, path, stage.execute_persist(str(path), **inputs, als=ALS), inputs)


@pytest.fixture(scope="module")
def lists(run: Run) -> dict[str, list[Place]]:
    rows = read_table(f"{run.path}/recommendations", run.data["recommendations"].schema).collect()
    found: dict[str, list[Place]] = {}
    for row in sorted(rows, key=lambda row: (row["visitorid"], row["rank"])):
        found.setdefault(row["visitorid"], []).append((row["itemid"], row["score"], row["source"]))
        assert row["rank"] == len(found[row["visitorid"]])
    return found


def folded_in_scores(item: int, score: float) -> list[float]:
    """Scores of all items for a visitor with one item, by the paper's equation 4."""
    y = np.array([features for _, features in ROWS["item_factors"]])
    confidence = np.ones(3)
    confidence[item] += 2.0 * score
    factors = np.linalg.solve((y.T * confidence) @ y + 0.5 * np.eye(2), y[item] * confidence[item])
    scores: list[float] = (y @ factors).tolist()
    return scores


def test_every_visitor_gets_a_list(lists: dict[str, list[Place]]) -> None:
    assert {visitor: len(places) for visitor, places in lists.items()} == dict.fromkeys(
        ["ann", "bob", "cat", "dan", "eve"], 2
    )


def test_a_trained_visitor_gets_its_list_from_the_model_without_what_it_bought(lists: dict[str, list[Place]]) -> None:
    assert lists["ann"] == [("jam", 0.5, "als"), ("oil", 0.25, "als")]


def test_an_untrained_visitor_is_folded_in_from_all_its_events(lists: dict[str, list[Place]]) -> None:
    tea, _, oil = folded_in_scores(item=1, score=6.0)
    assert [(item, source) for item, _, source in lists["bob"]] == [("tea", "fold_in"), ("oil", "fold_in")]
    assert [score for _, score, _ in lists["bob"]] == pytest.approx([tea, oil], rel=1e-6)


def test_a_visitor_with_events_since_training_is_folded_in_too(lists: dict[str, list[Place]]) -> None:
    tea, _, oil = folded_in_scores(item=2, score=2.0)
    assert [(item, source) for item, _, source in lists["cat"]] == [("oil", "fold_in"), ("tea", "fold_in")]
    assert [score for _, score, _ in lists["cat"]] == pytest.approx([oil, tea], rel=1e-6)


@pytest.mark.parametrize("visitor", ["dan", "eve"])
def test_a_visitor_that_the_model_knows_nothing_about_gets_popular_items(
    lists: dict[str, list[Place]], visitor: str
) -> None:
    assert lists[visitor] == [("tea", 9.0, "popular"), ("oil", 6.0, "popular")]


def test_excluded_items_are_gone(lists: dict[str, list[Place]]) -> None:
    excluded = {"ann": "tea", "bob": "jam", "dan": "salt"}
    assert not {(v, item) for v in excluded for item, _, _ in lists[v]} & set(excluded.items())


def test_the_result_has_the_columns_of_its_contract(run: Run) -> None:
    assert list(run.data) == ["recommendations", "similar_items", "bought_together"]
    assert [schemas.mismatch(name, rows.dtypes) for name, rows in run.data.items()] == [""] * 3
    assert dict(run.data["recommendations"].dtypes)["visitorid"] == "string"


def test_the_report_says_what_is_blended(run: Run) -> None:
    stage = Stage3({"blend": {"weight": 0.25}})
    note = stage.report({**run.stage.counter.rows()})[0].note
    assert note.endswith("left out: items with any event; blended with recent popularity, weight 0.25")


def test_kinds_that_never_occur_are_told_and_nothing_is_claimed_for_them(spark: SparkSession, tmp_path: Path) -> None:
    told: list[str] = []
    stage = Stage3({"recommend": BOUGHT})
    kinds = {"events_by_kind": {"view": 9, "transaction": 2, "cart": 1}}
    context = Context(warn=told.append)
    stage.execute_persist(str(tmp_path / "some"), context=context, **tables(spark), als=ALS, profile=kinds)
    sentence = (
        "addtocart of stage3.recommend.exclude_events never occurs, so that no item is left out for it; "
        "the nearest kind is cart"
    )
    assert stage.details() == {"warnings": [sentence]}
    assert told == [sentence]
    assert stage.report(stage.counter.rows())[0].note.endswith("; left out: items with transaction")
    stage = Stage3({"recommend": BOUGHT})
    stage.execute_persist(str(tmp_path / "none"), **tables(spark), als=ALS, profile={"events_by_kind": {"view": 9}})
    assert [one.split("; ")[1] for one in stage.warnings] == ["the log has view 9"] * 2
    note = stage.report(stage.counter.rows())[0].note
    assert note.endswith("; nothing is left out: no event is addtocart or transaction")


def test_by_default_a_list_has_nothing_that_its_visitor_has_seen(spark: SparkSession) -> None:
    rows = Stage3({}).execute(**tables(spark), als=ALS)["recommendations"].collect()
    places = {(row["visitorid"], row["itemid"]) for row in rows}
    found = {visitor: {item for who, item in places if who == visitor} for visitor in ("ann", "bob", "cat")}
    assert found == {"ann": {"oil"}, "bob": {"tea", "oil"}, "cat": {"tea", "jam"}}


def test_all_kinds_of_the_rules_occur_as_far_as_is_known(run: Run) -> None:
    assert run.stage.details() == {}


def test_no_kind_has_to_occur_where_all_seen_items_are_left_out() -> None:
    stage = Stage3({})
    stage.heed({"events_by_kind": {"play": 9}})
    assert stage.details() == {}
    assert stage.left_out() == "left out: items with any event"


def test_of_very_many_kinds_the_most_frequent_are_known() -> None:
    stage = Stage3({"recommend": {"exclude_events": ["order"]}})
    stage.heed({"events_by_kind": {f"kind {n}": 100 - n for n in range(50)}})
    assert "order of stage3.recommend.exclude_events never occurs among the 50 most" in stage.details()["warnings"][0]


def test_the_report_counts_the_visitors_and_the_places_of_each_source(run: Run) -> None:
    note = "als 2, fold_in 4, popular 4; left out: items with addtocart, transaction"
    assert run.stage.report(run.stage.counter.rows()) == [
        StepRows("recommend", 5, 10, note),
        StepRows("similar_items", 3, 6, "by the cosine of their factors"),
        StepRows("bought_together", None, 0, "by the visitors that bought both"),
    ]


def test_the_input_is_left_as_it_was(run: Run) -> None:
    assert {name: [tuple(row) for row in rows.collect()] for name, rows in run.tables.items()} == ROWS
    assert ALS == {"implicit_prefs": True, "alpha": 2.0, "reg_param": 0.5, "nonnegative": False, "rank": 2}


def test_shuffled_tables_and_other_rules_give_the_lists_of_those_rules(spark: SparkSession) -> None:
    stage = Stage3({"recommend": {"k": 1, "exclude_events": []}})
    turned = tables(spark, **{name: rows[::-1] for name, rows in ROWS.items()})
    rows = stage.execute(**turned, als=ALS)["recommendations"].collect()
    assert {row["visitorid"]: (row["itemid"], row["source"]) for row in rows} == {
        "ann": ("tea", "als"),
        "bob": (["tea", "jam", "oil"][int(np.argmax(folded_in_scores(item=1, score=6.0)))], "fold_in"),
        "cat": ("oil", "fold_in"),
        "dan": ("tea", "popular"),
        "eve": ("tea", "popular"),
    }


def test_hidden_items_are_in_no_list(spark: SparkSession, tmp_path: Path) -> None:
    stage = Stage3({"recommend": {"exclude_events": []}})
    context = Context(hidden=["tea", "none"])
    found = stage.execute_persist(str(tmp_path), context=context, **tables(spark), als=ALS)
    assert {row["itemid"] for row in found["recommendations"].collect()} == {"jam", "oil"}
    assert {row["similar_itemid"] for row in found["similar_items"].collect()} == {"jam", "oil"}
    assert stage.report(stage.counter.rows())[0].note.endswith("; left out: items with nothing, 2 hidden ones")


def test_nobody_is_folded_in_where_all_visitors_are_trained(spark: SparkSession, tmp_path: Path) -> None:
    stage = Stage3({"recommend": {"exclude_events": []}})
    stage.execute_persist(str(tmp_path), **tables(spark, visitors=ROWS["visitors"][:1]), als=ALS)
    note = "als 3, fold_in 0, popular 0; left out: items with nothing"
    assert stage.report(stage.counter.rows())[0] == StepRows("recommend", 1, 3, note)


def test_a_visitor_whose_factors_are_all_zero_gets_popular_items(spark: SparkSession) -> None:
    stage = Stage3({"recommend": {"k": 1, "exclude_events": []}})
    zeros = tables(spark, visitor_factors=[(0, [0.0, 0.0]), (2, [9.0, 9.0])])
    rows = stage.execute(**zeros, als=ALS)["recommendations"].where("visitorid = 'ann'").collect()
    assert [(row["itemid"], row["source"]) for row in rows] == [("tea", "popular")]


def test_recent_popularity_is_blended_into_the_lists_and_into_nothing_else(spark: SparkSession, run: Run) -> None:
    blend = {"weight": 0.5, "power": 0.5}
    stage = Stage3({"recommend": {"k": 2, **BOUGHT}, "blend": blend})
    found = stage.execute(**tables(spark), als=ALS)
    rows = {(row["visitorid"], row["itemid"]): row for row in found["recommendations"].collect()}
    square_of_typical_norm = (1 + 0.5 + 1.0625) / 3
    gain = 0.5 * square_of_typical_norm * np.sqrt(np.array([0.25, 0.0, 4.0]) / 4.0)
    assert rows["ann", "oil"]["score"] == pytest.approx(0.25 + gain[2])
    assert rows["ann", "jam"]["score"] == pytest.approx(0.5 + gain[1])
    assert [rows["ann", item]["rank"] for item in ("oil", "jam")] == [1, 2]
    # bob is folded in with the factors of the model, as without a blend.
    assert rows["bob", "oil"]["score"] == pytest.approx(folded_in_scores(item=1, score=6.0)[2] + gain[2])
    assert {row["source"] for (visitor, _), row in rows.items() if visitor in {"dan", "eve"}} == {"popular"}
    assert sorted(found["similar_items"].collect()) == sorted(run.data["similar_items"].collect())


def test_all_mistakes_of_a_config_are_listed() -> None:
    with pytest.raises(ConfigError) as error:
        Stage3({"recommend": {"k": 0}, "foldin": {}})
    assert error.value.sentence == "recommend.k must be 1..1000, got 0; foldin, did you mean fold_in"
