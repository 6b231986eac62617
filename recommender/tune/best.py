"""The best parameters as a configuration that can be run.

Example usage:
>>> given = {"root": "${OUT}", "stage2": {"als": {"seed": 7, "rank": 32}}}
>>> found = {"rank": 64, "alpha": 2.5, "score_map.view": 0.5, "min_score": 2}
>>> print(yaml_text(with_best(given, found, {"view": 1, "transaction": 10})), end="")
root: ${OUT}
stage2:
  als:
    seed: 7
    rank: 64
    alpha: 2.5
stage1:
  score_events:
    score_map:
      view: 0.5
      transaction: 10
  score_filter:
    min_score: 2
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from recommender.settings.yaml_text import yaml_text
from recommender.tune.scoring import HALF_LIFE
from recommender.tune.space import KIND, WALK
from recommender.tune.trial import Parameters, Trial

FILE = "best.yaml"

_PLACES = {
    **dict.fromkeys(("rank", "max_iter", "reg_param", "alpha", "reg_exponent"), ("stage2", "als")),
    HALF_LIFE: ("stage1", "score_events"),
    **dict.fromkeys(("min_score", "min_items_per_visitor", "min_visitors_per_item"), ("stage1", "score_filter")),
}


def with_best(given: Mapping[str, Any], found: Parameters, score_map: Mapping[str, float]) -> dict[str, Any]:
    """Return a configuration with the parameters that were found in their places.

    Args:
        given: the configuration as it was given, with the names of environment variables.
        found: the parameters.
        score_map: the weights of stage 1; those that were not searched stay.
    """
    document = deepcopy(dict(given))
    weights = {name.removeprefix(KIND): weight for name, weight in found.items() if name.startswith(KIND)}
    if weights:
        _step(document, "stage1", "score_events")["score_map"] = {**score_map, **weights}
    for name, value in found.items():
        if name in _PLACES:
            _step(document, *_PLACES[name])[name] = value
        elif name.startswith(WALK):
            _step(document, "stage2", "item_to_item")[name.removeprefix(WALK)] = value
    return document


def best_text(given: Mapping[str, Any], trial: Trial, score_map: Mapping[str, float], metric: str, verdict: str) -> str:
    """Return the configuration with the best trial's parameters as text, and above it where they come from."""
    value = f"{metric} {trial.value:.4f} on the validation part"
    comment = f"# Written by tune: trial {trial.number}, {value}.\n# {verdict}\n"
    return comment + yaml_text(with_best(given, trial.parameters, score_map))


def _step(document: dict[str, Any], stage: str, step: str) -> dict[str, Any]:
    """Return the section of a step, made where it is missing or empty."""
    for key in (stage, step):
        document[key] = document.get(key) or {}
        document = document[key]
    return document
