"""The serving snapshot that stage 4 makes, read as the service reads it, against the tables that it was made from."""

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.errors import InputError, SchemaError
from recommender.serving.answers import Request, bought_together, popular
from recommender.serving.version import Version
from recommender.settings.step import parameters
from recommender.snapshot.checks import checked_files, read_manifest
from recommender.stage import Made
from recommender.stage1.steps import ScoreEvents
from recommender.stage2.steps import AlsFitter
from recommender.stage4.main import Stage4
from recommender.steps import ItemRules, PopularityBlend, TopKRecommender

VISITORS, ITEMS, RANK = 57, 23, 3
KINDS = ["view", "addtocart"]
SOURCES = ["als", "fold_in", "popular"]
SCHEMAS = {
    "recommendations": "visitorid {id}, rank int, itemid {id}, score float, source string",
    "similar_items": "itemid {id}, rank int, similar_itemid {id}, similarity float",
    "bought_together": "itemid {id}, rank int, together_itemid {id}, visitors long",
    "interactions": "visitor_index int, item_index int, event string, score float, last_timestamp long",
    "visitors": "visitorid {id}, visitor_index int, events long, score double, trained boolean",
    "items": "itemid {id}, item_index int, events long, score double, last_timestamp long, last_trained long",
    "item_factors": "id int, features array<float>",
    "popularity": "item_index int, score double",
    "recent_popularity": "item_index int, score double",
}


@dataclass
class Shop:
    """Tables by chance, with the ids of the visitors and the items in the order of their indexes."""

    visitors: list[Any]
    items: list[Any]
    rows: Mapping[str, list[tuple[Any, ...]]]

    def frames(self, spark: SparkSession) -> dict[str, DataFrame]:
        kind = "string" if isinstance(self.visitors[0], str) else "long"
        return {
            name: spark.createDataFrame(self.rows[name], schema.format(id=kind)).repartition(3)
            for name, schema in SCHEMAS.items()
        }


def shop(texts: bool = False) -> Shop:
    draw = random.Random(7)  # noqa: S311 - no secret
    visitors: list[Any] = draw.sample(range(-50, 10_000), VISITORS)
    items: list[Any] = draw.sample(range(1000), ITEMS)
    if texts:
        visitors, items = ([f"{'Ä' if n % 5 == 0 else 'x'}{n}" for n in ids] for ids in (visitors, items))
    known = range(VISITORS - 1)  # the last one is of an earlier log
    chosen = {v: draw.sample(range(ITEMS), draw.choice([1, 4])) for v in known if v % 7}
    return Shop(
        visitors,
        items,
        {
            "recommendations": [
                (visitors[v], place + 1, items[i], 1.0 / (place + 1), SOURCES[v % 3])
                for v, listed in chosen.items()
                for place, i in enumerate(listed)
            ],
            "similar_items": [
                (items[i], p + 1, items[(i + p + 1) % ITEMS], 0.9 - p / 10) for i in range(9) for p in (0, 1)
            ],
            "bought_together": [
                (items[i], p + 1, items[(i + 2 * p + 1) % ITEMS], 9 - p) for i in (3, 8) for p in (0, 1)
            ],
            "interactions": [
                (v, i, kind, float(1 + v % 3), 1000 * v + 10 * i + len(kind))
                for v in known
                if v % 4
                for i in draw.sample(range(ITEMS), 3)
                for kind in KINDS[: 1 + i % 2]
            ],
            "visitors": [(visitors[v], v, int(v in known), 1.0, True) for v in range(VISITORS)],
            "items": [(item, n, 1, 1.0, 9, 9) for n, item in enumerate(items)],
            "item_factors": [(n, [draw.uniform(-1, 1) for _ in range(RANK)]) for n in range(ITEMS - 3)],
            "popularity": [(n, float(100 - n)) for n in range(ITEMS - 2)],
            "recent_popularity": [(n, float(n)) for n in range(ITEMS)],
        },
    )


def made(folder: Path, spark: SparkSession, of: Shop, config: Mapping[str, Any], **steps: Any) -> Version:
    """Let stage 4 make a snapshot, and open it as the service does."""
    return made_by(Stage4(config), folder, spark, of, **steps)


def made_by(stage: Stage4, folder: Path, spark: SparkSession, of: Shop, **steps: Any) -> Version:
    settings = {
        "als": AlsFitter(rank=RANK),
        "score_events": ScoreEvents(score_map={"view": 1.0, "addtocart": 5.0}),
        "item_rules": ItemRules(),
        "blend": PopularityBlend(),
        "recommend": TopKRecommender(k=4),
        **steps,
    }
    given = {name: parameters(step) for name, step in settings.items()}
    stage.execute(**of.frames(spark), **given, metrics=[{"model": "als", "value": 0.5}], gate={"reasons": []})
    for path, content in stage.files(Made("monday", 3, "", "2026-11-25T01:00:00.000+00:00")):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    manifest = read_manifest(folder / "snapshot")
    assert list(checked_files(folder / "snapshot", manifest))
    return Version.open(folder / "snapshot", manifest, 3)


@pytest.fixture(scope="module", params=[False, True], ids=["numbers", "texts"])
def pair(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Shop, Version]:
    """Return a shop and its snapshot, in several files of visitors."""
    of = shop(request.param)
    return of, made(tmp_path_factory.mktemp("snapshot"), spark, of, {"snapshot": {"visitors_per_file": 15}})


def test_everybody_of_the_log_is_there_and_nobody_else(pair: tuple[Shop, Version]) -> None:
    of, version = pair
    visitors = version.snapshot.visitors
    assert [visitors.find(str(visitor)) is not None for visitor in of.visitors] == [True] * (VISITORS - 1) + [False]
    assert version.snapshot.manifest.counts.model_dump() == {
        "visitors": VISITORS - 1,
        "items": ITEMS,
        "lists": len({row[0] for row in of.rows["recommendations"]}),
    }
    assert len(version.snapshot.manifest.parts()) == 4


def test_lists_are_those_of_the_table(pair: tuple[Shop, Version]) -> None:
    of, version = pair
    expected = defaultdict(list)
    for visitor, _, item, score, source in sorted(of.rows["recommendations"], key=lambda row: row[1]):
        expected[visitor].append((of.items.index(item), np.float32(score), SOURCES.index(source)))
    for visitor in of.visitors[:-1]:
        found = version.snapshot.visitors.published(version.snapshot.visitors.find(str(visitor)) or (0, 0))
        assert list(zip(found.item, found.score, found.source, strict=True)) == expected[visitor]


def test_what_is_bought_together_is_that_of_the_table(pair: tuple[Shop, Version]) -> None:
    of, version = pair
    found = bought_together(version, str(of.items[3]), 5)["items"]
    assert [(item["itemid"], item["visitors"]) for item in found] == [(str(of.items[4]), 9), (str(of.items[6]), 8)]
    assert bought_together(version, str(of.items[4]), 5)["items"] == []


def test_popular_items_of_a_window_have_the_visitors_of_its_days(spark: SparkSession, tmp_path: Path) -> None:
    of, day = shop(), 86_400_000
    rows = [(0, 5, "view", 1.0, 0), (0, 6, "view", 1.0, day), (1, 6, "view", 1.0, 3 * day), (1, 6, "addtocart", 5.0, 9)]
    of = replace(of, rows={**of.rows, "interactions": rows})
    version = made(tmp_path, spark, of, {"snapshot": {"popular_days": [1, 3]}})
    for window, expected in (("1d", [(6, 1)]), ("3d", [(6, 2)])):
        items = popular(version, Request(5, window=window))["items"]
        assert [(item["itemid"], item["score"]) for item in items] == [(str(of.items[i]), n) for i, n in expected]


def test_histories_are_those_of_the_log_newest_first(pair: tuple[Shop, Version]) -> None:
    of, version = pair
    events = version.snapshot.manifest.events
    expected = defaultdict(list)
    for visitor, item, kind, score, time in sorted(of.rows["interactions"], key=lambda row: (-row[4], row[1])):
        expected[of.visitors[visitor]].append((item, events.index(kind), score, time))
    for visitor in of.visitors[:-1]:
        did = version.snapshot.visitors.history(version.snapshot.visitors.find(str(visitor)) or (0, 0))
        assert list(zip(did.item, did.event, did.score, did.timestamp, strict=True)) == expected[visitor]


def test_items_have_their_ids_factors_and_neighbours(pair: tuple[Shop, Version]) -> None:
    of, version = pair
    catalogue, model = version.snapshot.items, version.snapshot.model
    assert [catalogue.ids.text(n) for n in range(ITEMS)] == list(map(str, of.items))
    assert [catalogue.find(str(item)) for item in of.items] == list(range(ITEMS))
    factors = np.array([row[1] for row in of.rows["item_factors"]], dtype=np.float32)
    assert np.array_equal(model.factors[: len(factors)], factors)
    assert model.known.tolist() == [True] * len(factors) + [False] * 3
    assert sorted(model.ranked.indexes.tolist()) == list(range(len(factors)))
    assert np.allclose(model.gram, factors.astype(np.float64).T @ factors)
    assert catalogue.similar.values[0][catalogue.similar.place(4)].tolist() == [5, 6]
    assert catalogue.popular[0].tolist() == list(range(ITEMS - 2))


def test_the_manifest_says_what_the_service_needs(pair: tuple[Shop, Version]) -> None:
    _, version = pair
    manifest = version.snapshot.manifest
    assert (manifest.run, manifest.number, manifest.rank, manifest.k) == ("monday", 3, RANK, 4)
    assert manifest.score_map == {"view": 1.0, "addtocart": 5.0}
    assert set(manifest.events) == set(KINDS)
    assert manifest.exclude_events == "seen"
    assert manifest.metrics == [{"model": "als", "value": 0.5}]
    assert manifest.blend is None
    assert len(manifest.golden) == 3  # Version.open has asked them


def test_titles_and_pictures_come_from_a_table_of_the_shop(spark: SparkSession, tmp_path: Path) -> None:
    of = shop()
    lines = ["itemid,title,picture", f"{of.items[0]},<script>,https://shop/0.jpg", f" {of.items[1]} ,Tea,", "999999,X,"]
    (tmp_path / "items.csv").write_text("\n".join(lines) + "\n")
    version = made(tmp_path, spark, of, {"snapshot": {"items_filename": str(tmp_path / "items.csv")}})
    shown = [version.snapshot.items.shown(n) for n in range(3)]
    assert [each["title"] for each in shown] == ["<script>", "Tea", None]
    assert [each["picture"] for each in shown] == ["https://shop/0.jpg", None, None]


@pytest.mark.parametrize("texts", [False, True])
def test_the_record_has_the_examples_and_the_titles_of_their_items(
    spark: SparkSession, tmp_path: Path, texts: bool
) -> None:
    of = shop(texts)
    titles = {item: f"Tea no. {place}" for place, item in enumerate(of.items) if place % 2}
    lines = ["itemid,title", *(f"{item},{title}" for item, title in titles.items())]
    (tmp_path / "items.csv").write_text("\n".join(lines) + "\n")
    stage = Stage4({"snapshot": {"items_filename": str(tmp_path / "items.csv")}, "report": {"examples": 6}})
    made_by(stage, tmp_path, spark, of)
    details = json.loads(json.dumps(stage.details()))
    assert [each["visitorid"] for each in details["examples"]] == [each.visitorid for each in stage.examples]
    shown = {item for each in details["examples"] for item, _ in each["recommended"]}
    shown |= {item for each in details["examples"] for _, item in each["history"]}
    assert {each["itemid"]: each["title"] for each in details["titles"]} == {
        item: title for item, title in titles.items() if item in shown
    }


def test_attributes_come_from_the_same_table(spark: SparkSession, tmp_path: Path) -> None:
    of = shop()
    lines = ["itemid,title,price,in_stock,my brand", f"{of.items[0]},Tea,9.5,true,x", f"{of.items[2]},,20,false,7"]
    (tmp_path / "items.csv").write_text("\n".join(lines) + "\n")
    settings = {"items_filename": str(tmp_path / "items.csv"), "attributes": ["price", "in_stock", "my brand"]}
    version = made(tmp_path, spark, of, {"snapshot": settings})
    found = version.snapshot.items.attributes
    assert {name: column.to_pylist()[:3] for name, column in found.items()} == {
        "price": [9.5, None, 20.0],
        "in_stock": [True, None, False],
        "my brand": ["x", None, "7"],
    }
    assert version.snapshot.items.shown(0)["title"] == "Tea"
    assert np.flatnonzero(version.filters.choice("price<10").of_items(np.arange(3))[0]).tolist() == [0]
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING colour; found .* see stage4.snapshot"):
        made(tmp_path / "again", spark, of, {"snapshot": {**settings, "attributes": ["colour"]}})


def test_a_table_without_itemid_is_told(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,title\n1,Tea\n")
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING itemid; found .* see stage4.snapshot"):
        made(tmp_path, spark, shop(), {"snapshot": {"items_filename": str(tmp_path / "items.csv")}})


def test_rows_that_name_nothing_are_reported_and_ids_are_made_as_those_of_the_log(
    spark: SparkSession, tmp_path: Path
) -> None:
    of = shop()
    lines = ["itemid,title", f"00{of.items[4]},Tea", "1,Mug,7", "SKU-1,Jug", *(f"{id_},x" for id_ in of.items[:4])]
    (tmp_path / "items.csv").write_text("\n".join(lines) + "\n")
    stage = Stage4({"snapshot": {"items_filename": str(tmp_path / "items.csv")}})
    version = made_by(stage, tmp_path, spark, of)
    assert version.snapshot.items.shown(4)["title"] == "Tea"
    bad, few = stage.details()["warnings"]
    assert bad.startswith(f"2 of 7 rows of {tmp_path}/items.csv have too many or too few cells, or an itemid that the")
    assert few.startswith(f"{ITEMS - 5} of {ITEMS} items have no row in {tmp_path}/items.csv, and so no title and no")


def test_a_table_that_is_not_there_is_told(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="INPUT_NOT_FOUND"):
        made(tmp_path, spark, shop(), {"snapshot": {"items_filename": str(tmp_path / "nowhere.csv")}})


def test_what_is_denied_is_not_ranked(spark: SparkSession, tmp_path: Path) -> None:
    of = shop()
    (tmp_path / "recalled.csv").write_text(f"itemid\n{of.items[2]}\n")
    version = made(tmp_path, spark, of, {}, item_rules=ItemRules(deny_filename=str(tmp_path / "recalled.csv")))
    assert 2 not in version.snapshot.model.ranked.indexes
    assert 2 not in version.snapshot.items.popular[0]


def test_popularity_is_blended_in_as_stage_3_does_it(spark: SparkSession, tmp_path: Path) -> None:
    of, blend = shop(), PopularityBlend(weight=0.5)
    version = made(tmp_path, spark, of, {}, blend=blend)
    frames = of.frames(spark)
    nobody = spark.createDataFrame([([],)], "features array<float>")
    visitor, items = blend.execute(nobody, frames["item_factors"], frames["recent_popularity"])
    assert version.snapshot.manifest.blend is not None
    assert np.float32(version.snapshot.manifest.blend.c) == np.float32(visitor.collect()[0]["features"][0])
    ranked = version.snapshot.model.ranked
    found = dict(zip(ranked.indexes.tolist(), np.asarray(ranked.factors), strict=True))
    for row in items.collect():
        assert np.array_equal(found[row["id"]], np.array(row["features"], dtype=np.float32))


@pytest.mark.parametrize("exclude", ["seen", ["kind 199"]])
def test_an_event_of_a_rare_kind_counts_where_there_are_more_kinds_than_numbers(
    spark: SparkSession, tmp_path: Path, exclude: Any
) -> None:
    of = shop()
    rows = [(0, n % 20, f"kind {n:03}", 1.0, 1000 - n) for n in range(200)]
    of = replace(of, rows={**of.rows, "interactions": rows})
    rules = TopKRecommender(k=4, exclude_events=exclude)
    version = made(tmp_path, spark, of, {"report": {"examples": 1}}, recommend=rules)
    kinds = version.snapshot.manifest.events
    assert (len(kinds), kinds[-1]) == (127, "(other kinds)")
    did = version.snapshot.visitors.history(version.snapshot.visitors.find(str(of.visitors[0])) or (0, 0))
    assert len(did.item) == 200
    feedback = version.feedback(did)
    assert feedback.excluded.tolist() == ([*range(20)] if exclude == "seen" else [19])
    assert set(feedback.score.tolist()) == {10.0}


def test_without_a_snapshot_the_model_is_not_read() -> None:
    stages = Stage4({"snapshot": {"enabled": False}}).needs().stages
    assert stages == {"stage1", "stage3"}
    assert Stage4({}).needs().stages == {"stage1", "stage2", "stage3"}
