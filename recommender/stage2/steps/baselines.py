"""Make the lists of the baselines that the model is judged beside.

Example usage:
>>> made = Baselines(models=["popular"]).execute({"popular": lambda: "a list", "recent_popular": lambda: "another"})
>>> made
{'popular': 'a list'}
"""

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import recommender.constants as C
from recommender.settings.step import Annotated, Field, field, step

Baseline = Literal["popular", "recent_popular", "item_to_item"]
T = TypeVar("T")


@step
class Baselines:
    """Make the lists of the baselines that are asked for: each costs time, those of item_to_item the most.

    Init parameters:
        models: the baselines to judge: some of popular, recent_popular and item_to_item.
    Execution args:
        makers: name of a baseline -> what makes its lists.
    Execution returns:
        name -> its lists, of the baselines in `models`; the others are not made.
    Raises:
        ConfigError: there is no baseline of that name.
    Persist strategy: none; stage 2 judges the lists, and stores the judgement.
    """

    models: Annotated[list[Baseline], Field(max_length=3)] = field(
        default_factory=lambda: [C.POPULAR, C.RECENT, C.ITEM_TO_ITEM]
    )

    def execute(self, makers: Mapping[str, Callable[[], T]]) -> dict[str, T]:
        """Return the lists; see the class."""
        return {name: make() for name, make in makers.items() if name in self.models}
