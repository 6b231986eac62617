"""Metrics of what all lists show together: who gets what everybody gets, and what nobody gets.

They are made of one number per item: c_i, how often item i is among the first k places of the lists of a model. Let n
be the number of lists, N that of the items of the catalogue (those with a training score), and p_i the share of item i
in the summed training scores:

    coverage  the number of items of the catalogue with c_i > 0, divided by N
    novelty   Σ c_i (-log2 p_i)  divided by  Σ c_i, in bits: how surprising a shown item is to one who knows the shop.
              An item without a positive training score counts as the rarest that has one
    gini      Σ_j (2j - N - 1) c_(j)  divided by  (N - 1) Σ_j c_(j), where c_(1) ≤ … ≤ c_(N) are the items of the
              catalogue, never shown ones too: 0 if all are shown equally often, 1 if one has all places
    overlap   Σ c_i (c_i - 1)  divided by  n (n - 1) k: of the first k places, the share that the lists of two
              visitors have in common, the mean over all pairs of them; a missing place has nothing in common
    short_lists  the share of the n lists that have fewer than k places: Σ c_i within k places, less that within k - 1,
              is the number of the others

Sources: Castells, Hurley and Vargas, Novelty and diversity in recommender systems (Recommender Systems Handbook, 2015),
for novelty (mean self-information) and the Gini index; Vargas and Castells, Rank and relevance in novelty and diversity
metrics (2011); Herlocker et al., Evaluating collaborative filtering recommender systems (2004), for coverage.

What would be divided by 0 is null: novelty where no item has a positive score, the Gini index of a catalogue of one
item or that is never shown, the overlap of fewer than two lists. There are no intervals: a replicate of the bootstrap
would need a count of every item, and a list that is drawn twice would overlap with itself.

All items with the same count are alike to the Gini index and the overlap, so the items of several tasks are put
together as a table of how many have which count, which is small: there are at most √(2 Σ c_i) different counts. All
sums are of integers, so that the result does not depend on how the lists are spread.

Example usage:
>>> counts = np.array([[2], [0]])  # of two items, within the first place
>>> found = Exposure.of(counts, scores=np.array([3.0, 1.0]), catalogue=np.array([3.0, 1.0]))
>>> found.values([1], ["coverage", "novelty", "gini", "overlap"])
[[0.5], [0.41...], [1.0], [1.0]]
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

SHORT_LISTS: Final = "short_lists"
ExposureMetric = Literal["coverage", "novelty", "gini", "overlap", "short_lists"]
OF_EXPOSURE: tuple[ExposureMetric, ...] = get_args(ExposureMetric)

# How many items, and how many of these are in the catalogue, have a count at a place (that of the cut-off).
_ALIKE = np.dtype([("place", "<i8"), ("count", "<i8"), ("items", "<i8"), ("known", "<i8")])
_BITS = 2**30  # an item's information is rounded to multiples of 1 / this
_MANTISSA, _HALF = 53, 26  # bits
_SMALLEST = -1126  # the power of 2 of which every double is a multiple, with a whole mantissa

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass
class Exposure:
    """Counts of some items, as one model shows them; those of other items can be added.

    Attributes:
        items: how many are in the catalogue.
        score: their positive training scores, summed exactly: an integer of 2^-1126.
        least: the smallest of these, infinite if there is none.
        information: per place, Σ c log2(score) of the items that have a positive one, an integer of 2^-30.
        unscored: per place, Σ c of the others.
        alike: how many items have which count, per place.
    """

    items: int
    score: int
    least: float
    information: list[int]
    unscored: list[int]
    alike: NDArray[np.void]

    @classmethod
    def of(cls, counts: Counts, scores: Floats, catalogue: Floats) -> "Exposure":
        """Look at some items.

        Args:
            counts: of the items that are shown, within each of the places, shape (items, places).
            scores: their training scores, NaN for an item that is not in the catalogue.
            catalogue: the scores of the items in the catalogue, shown or not.
        """
        positive = catalogue[(catalogue > 0) & np.isfinite(catalogue)]
        is_scored = (scores > 0) & np.isfinite(scores)
        information = np.rint(np.log2(scores[is_scored]) * _BITS).astype(np.int64).astype(object)
        summed = information @ counts[is_scored].astype(object) if is_scored.any() else [0] * counts.shape[1]
        return cls(
            items=len(catalogue),
            score=_exact_sum(positive),
            least=float(positive.min(initial=math.inf)),
            information=[int(total) for total in summed],
            unscored=counts[~is_scored].sum(axis=0).tolist(),
            alike=_alike(counts, ~np.isnan(scores)),
        )

    def merge(self, other: "Exposure") -> None:
        """Add other items."""
        self.items += other.items
        self.score += other.score
        self.least = min(self.least, other.least)
        self.information = [one + more for one, more in zip(self.information, other.information, strict=True)]
        self.unscored = [one + more for one, more in zip(self.unscored, other.unscored, strict=True)]
        self.alike = _summed(np.concatenate([self.alike, other.alike]))

    def to_cells(self) -> tuple[str, bytes]:
        """Return all of it as a text and a cell."""
        facts = [self.items, self.score, self.least, self.information, self.unscored]
        return json.dumps(facts), self.alike.tobytes()

    @classmethod
    def from_cells(cls, facts: str, alike: bytes) -> "Exposure":
        """Return what `to_cells` has made cells of."""
        items, score, least, information, unscored = json.loads(facts)
        return cls(items, score, least, information, unscored, np.frombuffer(alike, _ALIKE))

    @property
    def lists(self) -> int:
        """How many lists there are: each has one first place; the first of the places is 1."""
        return self._shown(0)

    def values(self, places: Sequence[int], metrics: Sequence[str]) -> list[list[float | None]]:
        """Return each metric at each place.

        Args:
            places: the numbers of places within which the items were counted; the first is 1. For short_lists those
                that are one less are there, too.
            metrics: some of `OF_EXPOSURE`.
        """
        each = [self._at(number, k) for number, k in enumerate(places)]
        for number, k in enumerate(places):
            fewer = self._shown(places.index(k - 1)) if k - 1 in places else 0
            each[number][SHORT_LISTS] = _ratio(self.lists - self._shown(number) + fewer, self.lists)
        return [[values[metric] for values in each] for metric in metrics]

    def _shown(self, place: int) -> int:
        """How many places there are within those of a number, in all lists together."""
        alike = self.alike[self.alike["place"] == place]
        return int((alike["count"] * alike["items"]).sum())

    def _at(self, place: int, k: int) -> dict[str, float | None]:
        alike = self.alike[self.alike["place"] == place]
        alike = alike[np.argsort(-alike["count"], kind="stable")]
        count, items, known = (alike[name].astype(object) for name in ("count", "items", "known"))  # Python's integers
        lists, shown, shown_known = self.lists, self._shown(place), int((count * known).sum())
        # Of the items with one count, the mean of 2j - N - 1: the cumulated number is of those shown as often or more.
        balance = self.items - 2 * np.cumsum(known) + known
        return {
            "coverage": _ratio(int(known.sum()), self.items),
            "novelty": self._novelty(place, shown),
            "gini": _ratio(int((count * known * balance).sum()), (self.items - 1) * shown_known),
            "overlap": _ratio(int((count * (count - 1) * items).sum()), lists * (lists - 1) * k),
        }

    def _novelty(self, place: int, shown: int) -> float | None:
        if not self.score or not shown:
            return None
        information = self.information[place] / _BITS + self.unscored[place] * math.log2(self.least)
        return max(math.log2(self.score) + _SMALLEST - information / shown, 0.0)


def _ratio(above: int, below: int) -> float | None:
    return above / below if below > 0 else None


def _exact_sum(scores: Floats) -> int:
    """Return the sum of positive numbers as an integer of 2^-1126."""
    mantissas, exponents = np.frexp(scores)
    whole = (mantissas * 2.0**_MANTISSA).astype(np.int64)
    total = 0
    for exponent in np.unique(exponents):
        own = whole[exponents == exponent]
        high, low = int((own >> _HALF).sum()), int((own & (2**_HALF - 1)).sum())  # in halves, as sums have 64 bits
        total += ((high << _HALF) + low) << (int(exponent) - _MANTISSA - _SMALLEST)
    return total


def _alike(counts: Counts, is_known: NDArray[np.bool_]) -> NDArray[np.void]:
    """Return how many items have which count, but 0."""
    rows, places = np.nonzero(counts)
    found = np.empty(len(rows), _ALIKE)
    found["place"], found["count"], found["items"], found["known"] = places, counts[rows, places], 1, is_known[rows]
    return _summed(found)


def _summed(alike: NDArray[np.void]) -> NDArray[np.void]:
    """Return a row for each place and count."""
    ordered = alike[np.lexsort((alike["count"], alike["place"]))]
    starts = np.ones(len(ordered), dtype=np.bool_)
    starts[1:] = (np.diff(ordered["place"]) != 0) | (np.diff(ordered["count"]) != 0)
    found = ordered[starts]
    for name in ("items", "known"):
        found[name] = np.add.reduceat(ordered[name], np.flatnonzero(starts)) if len(ordered) else 0
    return found
