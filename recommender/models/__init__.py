"""The models that can be published: each makes lists by the same rules, and finds similar items.

`Factors` and `Neighbours` are alike to who uses them: `lists` and `similar`, and the words that describe them. Their
counterparts in the service are in ``recommender.serving``.
"""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame

from recommender.models.factors import Factors
from recommender.models.list_maker import ListMaker
from recommender.models.neighbours import Neighbours

Model = Factors | Neighbours

__all__ = ["Factors", "ListMaker", "Model", "Neighbours", "model_of"]


def model_of(
    item_factors: DataFrame,
    neighbours: DataFrame | None,
    als: Mapping[str, Any],
    visitor_factors: DataFrame | None = None,
) -> Model:
    """Return the model that was chosen: stage 2 stores neighbours only if they are it.

    Args:
        item_factors, visitor_factors, als: see `Factors`.
        neighbours: see `Neighbours`; None: there are none.
    """
    return Factors(item_factors, als, visitor_factors) if neighbours is None else Neighbours(neighbours)
