"""What is served is what was evaluated: stages 2 and 3 make the same lists, by the same rules."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from recommender.evaluation import Evaluation
from recommender.run.config import parse_config
from recommender.serving import answers
from recommender.serving.version import Version
from recommender.settings.step import parameters
from recommender.snapshot.checks import read_manifest
from recommender.stage import Made
from recommender.stage1.steps import ScoreEvents
from recommender.stage2.main import Stage2
from recommender.stage3.main import Stage3
from recommender.stage4.main import Stage4
from recommender.steps import solver_of
from recommender.tables import schemas

DAY = 86_400_000
SCORES = [(v, i, float(1 + (3 * v + i) % 5), 9) for v in range(12) for i in range(9) if (v * i + v) % 3]
# The evaluated visitors, and their whole history.
HISTORY = [
    (20, 1, "view", 2.0, 1),
    (20, 2, "transaction", 10.0, 2),
    (21, 4, "addtocart", 5.0, 3),
    (22, 77, "view", 1.0, 4),  # an item that no model knows
    (23, 3, "view", 1.0, 5),
    (23, 5, "view", 4.0, 6),
]
HOLDOUT = [(visitor, 8, 1.0, 9) for visitor in (20, 21, 22, 23)]
ITEMS = [(500 + n, n, 5, 5.0, (10 + n) * DAY, (10 + n) * DAY) for n in range(9)]
VISITORS = [(f"v{n}", n, 2, 2.0, False) for n in (20, 21, 22, 23)]

Lists = dict[tuple[int, int], tuple[int, float, str]]


class Listening:
    """The evaluator, and the lists that it was given."""

    def __init__(self, evaluator: Any) -> None:
        self.evaluator, self.cutoffs = evaluator, evaluator.cutoffs
        self.lists: DataFrame | None = None

    def execute(self, lists: DataFrame, *rest: Any, **options: Any) -> Evaluation:
        self.lists = lists
        judged: Evaluation = self.evaluator.execute(lists, *rest, **options)
        return judged


def frame(spark: SparkSession, name: str, rows: list[Any]) -> DataFrame:
    types = schemas.TABLES[name].replace("itemid id", "itemid long").replace("visitorid id", "visitorid string")
    return spark.createDataFrame(rows, types)


def both(spark: SparkSession, rules: str, model: str = "als") -> tuple[Lists, Lists]:
    """Return the lists of a model that stage 2 judges, and the table of stage 3."""
    judged, result = made_by_both(spark, rules, model)
    found = {
        (int(row["visitorid"][1:]), row["rank"]): (row["itemid"] - 500, row["score"], row["source"])
        for row in result["recommendations"].collect()
    }
    return judged, found


def made_by_both(spark: SparkSession, rules: str, model: str) -> tuple[Lists, dict[str, Any]]:
    """Return the lists of a model that stage 2 judges, and all tables and settings that stage 4 is given."""
    choice = "" if model == "als" else ", publish_model: best"
    settings = f"stage2: {{als: {{rank: 3, max_iter: 2}}, evaluator: {{cutoffs: [3]}}, gate: {{k: 3{choice}}}}}"
    config = parse_config(f"{settings}\nstage3: {rules}", environ={})
    second, third = Stage2(config.stage("stage2")), Stage3(config.stage("stage3"))
    listening = second.steps.evaluator = Listening(second.steps.evaluator)
    scores, history, items = (
        frame(spark, "scores", SCORES),
        frame(spark, "history", HISTORY),
        frame(spark, "items", ITEMS),
    )
    made = second.execute(scores, history, frame(spark, "holdout", HOLDOUT), items)
    assert listening.lists is not None
    judged = {
        (row["visitor_index"], row["rank"]): (row["item_index"], row["score"], row["source"])
        for row in listening.lists.where(f"model = '{model}'").collect()
    }
    als, visitors = solver_of(vars(second.steps.als)), frame(spark, "visitors", VISITORS)
    of_model = {name: made[name] for name in ("popularity", "recent_popularity")}
    of_model |= {"item_factors": made["model"].itemFactors, "neighbours": made.get("neighbours")}
    of_log = {"visitors": visitors, "items": items}
    served = third.execute(
        visitor_factors=made["model"].userFactors, interactions=history, als=als, **of_model, **of_log
    )
    steps = {name: parameters(vars(third.steps)[name]) for name in ("item_rules", "blend", "recommend")}
    known = history.where("item_index < 9")
    return judged, {**served, **of_model, **of_log, **steps, "interactions": known, "als": parameters(second.steps.als)}


def test_a_rule_changes_what_is_judged_and_what_is_served_alike(spark: SparkSession, tmp_path: Path) -> None:
    denied = tmp_path / "denied.csv"
    usual = "recommend: {k: 3, exclude_events: [addtocart, transaction]}"
    judged, served = both(spark, f"{{{usual}}}")
    assert judged == served
    assert len(judged) == 12
    assert {source for _, _, source in judged.values()} == {"fold_in", "popular"}
    first = judged[23, 1][0]
    denied.write_text(f"itemid\n{500 + first}\n")
    for rule, gone in (
        (f"item_rules: {{deny_filename: {denied}}}", {first}),
        ("item_rules: {max_days_unseen: 3}", {0, 1, 2, 3, 4}),
    ):
        judged_by_rule, served_by_rule = both(spark, f"{{{usual}, {rule}}}")
        assert judged_by_rule == served_by_rule != judged
        assert not gone & {item for item, _, _ in served_by_rule.values()}
    judged_by_rule, served_by_rule = both(spark, f"{{{usual}, blend: {{weight: 0.5}}}}")
    assert judged_by_rule == served_by_rule != judged
    judged_by_rule, served_by_rule = both(spark, "{recommend: {k: 3}}")
    assert judged_by_rule == served_by_rule != judged
    assert not {(v, i) for v, i, *_ in HISTORY} & {(v, item) for (v, _), (item, _, _) in served_by_rule.items()}


def test_neighbours_are_judged_published_and_computed_alike(spark: SparkSession, tmp_path: Path) -> None:
    denied = tmp_path / "denied.csv"
    denied.write_text("itemid\n507\n")
    rules = f"{{recommend: {{k: 3, exclude_events: [transaction]}}, item_rules: {{deny_filename: {denied}}}}}"
    judged, given = made_by_both(spark, rules, "item_to_item")
    stage = Stage4({"report": {"examples": 4}})
    weights = parameters(ScoreEvents())
    stage.execute(**given, score_events=weights, metrics=[], gate={"model": "item_to_item"})
    for path, content in stage.files(Made("monday", 3, "", "2026-11-25T01:00:00.000+00:00")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    version = Version.open(tmp_path / "snapshot", read_manifest(tmp_path / "snapshot"), 1)
    for make in (answers.published, answers.computed):
        found = {}
        for visitor in (20, 21, 22, 23):
            answer = make(version, answers.Request(3, f"v{visitor}"))
            assert answer is not None
            for item in answer["items"]:
                place = int(item["itemid"]) - 500, pytest.approx(item["score"], rel=1e-6), item["source"]
                found[visitor, item["rank"]] = place
        assert found == judged
    assert {source for _, _, source in judged.values()} == {"item_to_item", "popular"}
    alike = answers.similar(version, "501", 3)["items"]
    ranked = [(item["similarity"], item["itemid"]) for item in alike]
    near = [row for row in given["neighbours"].collect() if row["item_index"] == 1 and row["neighbour_index"] != 7]
    best = sorted(near, key=lambda row: (-row["similarity"], row["neighbour_index"]))[:3]
    assert ranked == [(pytest.approx(row["similarity"], rel=1e-6), str(500 + row["neighbour_index"])) for row in best]


def test_when_an_item_was_last_seen_is_counted_in_the_training_part_where_lists_are_judged(spark: SparkSession) -> None:
    config = parse_config("stage3: {item_rules: {max_days_unseen: 1}}", environ={})
    own = {"als": {"rank": 2, "max_iter": 1}, "evaluator": {"cutoffs": [9]}, "gate": {"k": 9}}
    stage = Stage2({**config.stage("stage2"), **own})
    listening = stage.steps.evaluator = Listening(stage.steps.evaluator)
    # Item 0 was last seen after the cut, and long ago in the training part; the others are the other way round.
    items = [(500 + n, n, 5, 5.0, 90 * DAY if not n else 1, 5 * DAY if not n else 50 * DAY) for n in range(9)]
    stage.execute(
        frame(spark, "scores", SCORES),
        frame(spark, "history", HISTORY),
        frame(spark, "holdout", HOLDOUT),
        frame(spark, "items", items),
    )
    assert listening.lists is not None
    shown = {row["item_index"] for row in listening.lists.collect()}
    assert shown == {item for _, item, *_ in SCORES} - {0}


@pytest.mark.parametrize("step", ["fold_in", "item_rules", "blend", "recommend"])
def test_a_rule_can_be_set_for_both_stages_only(step: str) -> None:
    config = parse_config(f"stage3: {{{step}: {{}}}}", environ={})
    assert step in config.stage("stage2")
