"""The best configuration is what was given, with the best parameters, and can be run."""

from pathlib import Path
from typing import Any

import pytest

from recommender.run.config import load_config, parse_config
from recommender.tune.best import best_text, with_best
from recommender.tune.trial import COMPLETE, Trial

GIVEN = """
root: ${OUT}/runs
stage1:
  data_loader: {event_filename: "${EVENTS:-}", since: 2026-01-01, partitions: {day: ["2026-01-31", "1e3"]}}
  score_events:
stage2: {als: {seed: 7, rank: 16}}
stage3: null
tune: {tuner: {trials: 5}}
"""
FOUND = {
    "rank": 64,
    "max_iter": 10,
    "reg_param": 1.2345678901234567e-05,
    "alpha": 30.0,
    "score_map.view": 0.25,
    "half_life_days": None,
    "min_score": 2,
    "min_visitors_per_item": 3,
}
ENVIRON = {"OUT": "/srv"}


def written(tmp_path: Path, given: str = GIVEN, **found: Any) -> str:
    config = parse_config(given, ["stage4.publish.channel=candidate"], ENVIRON)
    trial = Trial(3, {**FOUND, **found}, COMPLETE, 0.05)
    text = best_text(config.document, trial, {"view": 1.0, "transaction": 10.0}, "ndcg@10", "Nothing was gained.")
    (tmp_path / "best.yaml").write_text(text)
    return text


def test_it_is_read_as_what_was_given_and_found(tmp_path: Path) -> None:
    written(tmp_path)
    before = parse_config(GIVEN, ["stage4.publish.channel=candidate"], ENVIRON)
    after = load_config(tmp_path / "best.yaml", environ=ENVIRON)
    assert after.root == "/srv/runs"
    assert after.stage("stage1") == {
        "data_loader": before.stage("stage1")["data_loader"],
        "score_events": {"score_map": {"view": 0.25, "transaction": 10.0}, "half_life_days": None},
        "score_filter": {"min_score": 2, "min_visitors_per_item": 3},
    }
    fitted = {name: FOUND[name] for name in ("rank", "max_iter", "reg_param", "alpha")}
    assert after.stage("stage2") == {"als": {"seed": 7, **fitted}}
    for stage in ("stage3", "stage4"):
        assert after.stage(stage) == before.stage(stage)
    assert after.stages["tune"] == {"tuner": {"trials": 5}}


def test_what_is_found_of_the_neighbours_is_theirs() -> None:
    found = {"item_to_item.neighbours": 200, "item_to_item.alpha": 0.5, "min_score": 2}
    assert with_best({"stage2": {"als": {"rank": 8}}}, found, {}) == {
        "stage2": {"als": {"rank": 8}, "item_to_item": {"neighbours": 200, "alpha": 0.5}},
        "stage1": {"score_filter": {"min_score": 2}},
    }


def test_variables_keep_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = written(tmp_path)
    assert "root: ${OUT}/runs" in text
    assert "/srv" not in text
    assert "event_filename: ${EVENTS:-}" in text


def test_it_says_where_it_comes_from(tmp_path: Path) -> None:
    comment = "# Written by tune: trial 3, ndcg@10 0.0500 on the validation part.\n# Nothing was gained.\n"
    assert written(tmp_path).startswith(comment)


def test_what_was_given_stays_as_it_was() -> None:
    given = {"stage2": {"als": {"rank": 16}}}
    assert with_best(given, FOUND, {})["stage2"]["als"]["rank"] == 64
    assert given == {"stage2": {"als": {"rank": 16}}}


def test_an_empty_configuration_gets_the_sections_that_it_needs() -> None:
    assert with_best({}, {"rank": 8}, {}) == {"stage2": {"als": {"rank": 8}}}
