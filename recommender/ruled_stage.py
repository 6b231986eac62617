"""The base of the stages that make lists by rules for items."""

from collections.abc import Mapping, Sequence
from typing import Any

import recommender.constants as C
from recommender.settings.step import Steps
from recommender.stage import Stage
from recommender.steps import FoldIn, ItemRules, PopularityBlend, TopKRecommender
from recommender.terminal.kinds import counted, nearest, shown

_MOST_KINDS = 50  # that a profile lists


class RuledSteps(Steps):
    """The steps that lists are made by, wherever they are."""

    fold_in: FoldIn
    item_rules: ItemRules
    blend: PopularityBlend
    recommend: TopKRecommender


class RuledStage(Stage):
    """A stage with the steps item_rules and recommend: it makes lists by rules, some of which may be of no effect.

    It reads lists of items besides its inputs, all of them at one version.

    Attributes:
        warnings: a sentence each.
    """

    steps: RuledSteps

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.warnings: list[str] = []
        self._absent: Sequence[str] = ()

    def sources(self) -> list[str]:
        """Return the files with the lists of items."""
        return self.steps.item_rules.files

    def versions(self, started: bool) -> dict[str, str | None]:
        """Return the tables with the lists of items, and their versions."""
        return self.steps.item_rules.versions(started)

    @property
    def item_versions(self) -> Mapping[str, str | None]:
        """The tables with lists of items, and the versions that are read."""
        return self.context.versions

    def heed(self, profile: Mapping[str, Any] | None) -> None:
        """Warn of kinds in recommend.exclude_events that no event of the log is of.

        Args:
            profile: of the log, as stage 1's record has it; null: unknown.
        """
        found: Mapping[str, int] = (profile or {}).get("events_by_kind", {})
        rules = self.steps.recommend
        self._absent = [] if rules.exclude_events == C.SEEN else absent_kinds(rules.exclude_events, found)
        self.note([self._sentence(kind, found) for kind in self._absent])

    def note(self, sentences: Sequence[str]) -> None:
        """Show warnings, each once: the parts of the visitors find the same, one after the other."""
        for sentence in sentences:
            if sentence not in self.warnings:
                self.warnings.append(sentence)
                self.warn(sentence)

    def left_out(self) -> str:
        """Return for which kinds of events items are left out of the lists."""
        rules = self.steps.recommend
        if rules.exclude_events == C.SEEN:
            return "left out: items with any event"
        kinds = [kind for kind in rules.exclude_events if kind not in self._absent]
        if kinds or not rules.exclude_events:
            return f"left out: items with {', '.join(kinds) or 'nothing'}"
        return f"nothing is left out: no event is {' or '.join(rules.exclude_events)}"

    def _sentence(self, kind: str, found: Mapping[str, int]) -> str:
        is_whole = len(found) < _MOST_KINDS
        among = "" if is_whole else f" among the {_MOST_KINDS} most frequent kinds of the log"
        meant = nearest(kind, [other for other in found if other not in self.steps.recommend.exclude_events])
        never = (
            f"{shown(kind)} of stage3.recommend.exclude_events never occurs{among}, so that no item is left out for it"
        )
        return f"{never}{meant or f'; the log has {counted(found)}'}"


def absent_kinds(kinds: Sequence[str], found: Mapping[str, int]) -> list[str]:
    """Return the kinds that no event is of; none if nothing is known of the events.

    >>> absent_kinds(["order", "cart"], {"view": 3, "cart": 1}), absent_kinds(["order"], {})
    (['order'], [])
    """
    return [kind for kind in kinds if kind not in found] if found else []
