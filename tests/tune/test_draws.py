"""The first settings suit the log; the later ones lie around the best of them."""

import numpy as np
import pytest

from recommender.tune.draws import Density, Draws
from recommender.tune.space import Choices, Range, Space

SPACE: Space = {
    "rank": Choices((32, 64)),
    "max_iter": Choices((5,)),
    "reg_exponent": Choices((0.5, 1.0)),
    "reg_param": Range(0.001, 100),
    "alpha": Range(0.1, 200),
}


def draws(
    space: Space = SPACE, pairs_per_visitor: int = 27, score: float = 1.0, seed: int = 0, implicit: bool = True
) -> Draws:
    return Draws(space, Density(100 * pairs_per_visitor, 100, score), implicit=implicit, seed=seed)


@pytest.mark.parametrize(
    ("log", "pairs_per_visitor", "published"),
    [("Pinterest", 26, 143), ("Gowalla", 27, 27), ("MSD", 59, 50), ("MovieLens-20M", 73, 10), ("MovieLens-1M", 165, 2)],
)
def test_the_first_settings_hold_the_alpha_that_is_known_to_be_best(
    log: str, pairs_per_visitor: int, published: float
) -> None:
    prior = draws(pairs_per_visitor=pairs_per_visitor).prior_alpha
    assert prior / 4 < published < prior * 4, log


def test_the_first_settings_fill_a_box_of_two_decades_evenly() -> None:
    made = [draws(pairs_per_visitor=60).draw(number) for number in range(24)]
    centre = draws(pairs_per_visitor=60).prior_alpha
    places = np.array([np.log(each["alpha"] / centre) / np.log(8) for each in made])
    assert np.abs(places).max() <= 1
    assert np.histogram(places, bins=4, range=(-1, 1))[0].tolist() == pytest.approx([6] * 4, abs=1)
    ratios = [each["reg_param"] / each["alpha"] for each in made if each["reg_exponent"] == 1]
    assert 9 <= len(ratios) <= 15
    assert 1 / 129 < min(ratios) < 1 / 40 < 1 / 6 < max(ratios) < 1 / 1.9


def test_scores_above_1_make_alpha_smaller_and_leave_reg_param() -> None:
    ones, tens = (draws(pairs_per_visitor=60, score=score).draw(3) for score in (1, 10))
    assert tens["alpha"] == pytest.approx((ones["alpha"] or 0) / 10, rel=0.01)
    assert tens["reg_param"] == pytest.approx(ones["reg_param"], rel=0.01)


def test_a_smaller_exponent_gets_a_larger_reg_param() -> None:
    one, half = (
        draws({**SPACE, "reg_exponent": Choices((exponent,))}, pairs_per_visitor=64).draw(3) for exponent in (1.0, 0.5)
    )
    assert half["reg_param"] == pytest.approx(8 * (one["reg_param"] or 0), rel=0.01)


def test_later_settings_lie_around_the_best() -> None:
    best = {"alpha": 20.0, "reg_param": 2.0, "reg_exponent": 0.5, "half_life_days": None, "score_map.view": 1.0}
    space = {**SPACE, "half_life_days": Range(1, 9), "score_map.view": Range(0.125, 8)}
    made = [draws(space).draw(number, near=best) for number in range(20)]
    assert {near["reg_exponent"] for near in made} == {0.5, 1.0}  # choices are free
    for near in made:
        assert 10 <= (near["alpha"] or 0) <= 40
        alike = (near["reg_param"] or 0) * 27 ** ((near["reg_exponent"] or 0) - 0.5)  # held back alike
        assert 0.05 <= alike / (near["alpha"] or 0) <= 0.2
        assert near["half_life_days"] is None
        assert 0.25 <= (near["score_map.view"] or 0) <= 4  # a third of the range, which is 64-fold


def test_all_settings_lie_in_the_space_and_a_range_may_be_one_value() -> None:
    space = {
        "alpha": Range(3, 3),
        "reg_param": Range(0, 0.5),
        "score_map.view": Range(0, 2),
        "min_score": Choices((1, 2)),
    }
    for number in range(30):
        for near in (None, {"alpha": 3, "reg_param": 0.5, "score_map.view": 2.0, "min_score": 2}):
            made = draws(space).draw(number, near)
            assert made["alpha"] == 3
            assert 0 <= (made["reg_param"] or 0) <= 0.5
            assert 0 <= (made["score_map.view"] or 0) <= 2
            assert made["min_score"] in {1, 2}


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    one, same, other = ([draws(seed=seed).draw(number) for number in range(5)] for seed in (3, 3, 4))
    assert one == same
    assert all(a != b for a, b in zip(one, other, strict=True))


def test_ratings_have_a_reg_param_of_their_own() -> None:
    space: Space = {"reg_param": Range(0.001, 100)}
    found = [draws(space, implicit=False).draw(number)["reg_param"] for number in range(9)]
    assert all(0.1 / 8.1 < (each or 0) < 0.1 * 8.1 for each in found)
