"""What the stages have in common that recommend by rules for items."""

from collections.abc import Mapping
from typing import Any

from recommender.stage import Stage
from recommender.steps import ItemRules


class RuledStage(Stage):
    """A stage with the step item_rules: it reads lists of items besides its inputs, all of them at one version.

    Attributes:
        item_versions: the tables with lists of items, and the versions that are read.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.item_versions: dict[str, str | None] = {}

    def sources(self) -> list[str]:
        """Return the files with the lists of items."""
        rules: ItemRules = self.steps["item_rules"]
        return rules.files

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the tables with the lists of items, and their versions."""
        rules: ItemRules = self.steps["item_rules"]
        self.item_versions = rules.versions(started)
        return self.item_versions
