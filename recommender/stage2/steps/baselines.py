"""Choose the baselines that the model is judged beside.

Example usage:
>>> Baselines(models=["popular"]).models
['popular']
"""

from typing import Literal

import recommender.constants as C
from recommender.base import Annotated, Field, field, step


@step
class Baselines:
    """Name the baselines that are computed: each costs time, the one of item to item the most.

    Init parameters:
        models: some of popular, recent_popular and item_to_item.
    Raises:
        ConfigError: there is no baseline of that name.
    Persist strategy: none of its own; the models are judged by the evaluator.
    """

    models: Annotated[list[Literal["popular", "recent_popular", "item_to_item"]], Field(max_length=3)] = field(
        default_factory=lambda: [C.POPULAR, C.RECENT, C.ITEM_TO_ITEM]
    )
