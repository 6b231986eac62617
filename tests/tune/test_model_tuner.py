"""The step of the search: what it searches, and what it refuses."""

from typing import Any

import pytest

from recommender.errors import ConfigError
from recommender.settings.step import build_steps
from recommender.tune.draws import Density
from recommender.tune.steps import ModelTuner
from recommender.tune.trial import Judged, Parameters

START = {"rank": 16, "max_iter": 5, "reg_param": 0.1, "alpha": 1.0}


@pytest.mark.parametrize(("pairs", "expected"), [(100_000, 1.0), (1_000_000, 0.25), (10**9, 0.0625)])
def test_the_first_round_fits_a_quarter_of_a_million_pairs_or_a_sixteenth(pairs: int, expected: float) -> None:
    asked: list[float] = []

    def objective(parameters: Parameters, share: float) -> Judged:
        asked.append(share)
        return Judged(0.5)

    ModelTuner(trials=2).execute(objective, START, Density(pairs, pairs // 20, 1.0))
    assert (asked[0], asked[1]) == (1.0, expected)


def test_the_number_of_fits_at_once_follows_the_cores_where_that_is_asked_for() -> None:
    assert ModelTuner().fits_at_once(64) == 1
    assert [ModelTuner(parallel_fits=None).fits_at_once(cores) for cores in (2, 16, 100)] == [1, 2, 12]
    assert ModelTuner(parallel_fits=3).fits_at_once(2) == 3


def test_ratings_are_searched_without_alpha() -> None:
    assert "alpha" in ModelTuner().space()
    assert "alpha" not in ModelTuner().space(implicit=False)


def test_the_exponent_is_searched_with_blocks_alone() -> None:
    assert "reg_exponent" not in ModelTuner().space()
    assert ModelTuner().space(blocks=True)["reg_exponent"].values == (0.5, 0.75, 1.0)  # type: ignore[union-attr]


def test_what_is_not_asked_for_is_not_searched() -> None:
    assert sorted(ModelTuner().space()) == ["alpha", "max_iter", "rank", "reg_param"]
    weights = {"view": {"low": 0, "high": 2}}
    asked = ModelTuner(score_map=weights, half_life_days={"low": 1, "high": 9}, min_score=[1, 2]).space()
    assert sorted(set(asked) - set(ModelTuner().space())) == ["half_life_days", "min_score", "score_map.view"]


def test_the_neighbours_of_items_are_searched_instead_of_als_if_asked_for() -> None:
    walk = ["item_to_item.alpha", "item_to_item.beta", "item_to_item.neighbours"]
    assert sorted(ModelTuner(model="item_to_item").space(blocks=True)) == walk
    assert sorted(ModelTuner(model="item_to_item", min_score=[1, 2]).space()) == [*walk, "min_score"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rank": []}, "CFG_RANGE tune.tuner.rank must not be empty"),
        ({"rank": [0]}, "CFG_RANGE tune.tuner.rank[0] must be 1..1000, got 0"),
        ({"max_iter": []}, "CFG_RANGE tune.tuner.max_iter must not be empty"),
        ({"min_score": []}, "CFG_RANGE tune.tuner.min_score must not be empty"),
        ({"min_score": [-1]}, "CFG_RANGE tune.tuner.min_score[0] must be >= 0, got -1"),
        ({"min_items_per_visitor": [2, 0]}, "CFG_RANGE tune.tuner.min_items_per_visitor[1] must be >= 1, got 0"),
        ({"alpha": {"low": 2, "high": 1}}, "CFG_VALUE tune.tuner: alpha must have low <= high, got low 2 and high 1"),
        ({"alpha": {"low": 2}}, "CFG_VALUE tune.tuner: alpha must have low and high, got low"),
        ({"alpha": {}}, "CFG_VALUE tune.tuner: alpha must have low and high, got neither"),
        ({"reg_param": {"low": -1, "high": 1}}, "CFG_VALUE tune.tuner: reg_param.low must be >= 0, got -1"),
        ({"walk_beta": {"low": 0, "high": 3}}, "CFG_VALUE tune.tuner: walk_beta.high must be <= 2, got 3"),
        ({"neighbours": [0]}, "CFG_RANGE tune.tuner.neighbours[0] must be 1..1000, got 0"),
        ({"model": "best"}, "CFG_RANGE tune.tuner.model must be one of als, item_to_item, got 'best'"),
        ({"half_life_days": {"low": 0, "high": 1}}, "CFG_VALUE tune.tuner: half_life_days.low must be > 0, got 0"),
        ({"half_life_days": {}}, "CFG_VALUE tune.tuner: half_life_days must have low and high, got neither"),
        (
            {"score_map": {"view": {"low": 3, "high": 1}}},
            "CFG_VALUE tune.tuner: score_map.view must have low <= high, got low 3 and high 1",
        ),
        ({"score_map": {"view": {"low": "x"}}}, "CFG_TYPE tune.tuner.score_map.view.low must be a number, got 'x'"),
        ({"trials": 0}, "CFG_RANGE tune.tuner.trials must be 1..10000, got 0"),
        ({"timeout_minutes": 0}, "CFG_RANGE tune.tuner.timeout_minutes must be > 0, got 0"),
        ({"metric": "rmse"}, "CFG_RANGE tune.tuner.metric must be one of ndcg, recall, precision, map, mrr, hit_rate"),
        ({"solver": "mllib"}, "CFG_RANGE tune.tuner.solver must be blocks or null, got 'mllib'"),
        ({"reg_exponent": [3]}, "CFG_RANGE tune.tuner.reg_exponent[0] must be 0..2, got 3"),
        ({"tirals": 3}, "CFG_UNKNOWN_KEY tune.tuner.tirals, did you mean trials"),
    ],
)
def test_a_space_that_is_none_is_refused(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build_steps({"tuner": ModelTuner}, {"tuner": given}, "tune.")
    assert str(raised.value.mistakes[0]).startswith(expected)
    assert len(raised.value.mistakes) == 1
