"""Metrics of one visitor's list: how much of what the visitor did afterwards is in it, and how far up.

For one visitor let R be the set of relevant items (the holdout), k the cut-off, h_i = 1 if the item at rank i is in R
and 0 otherwise, and H_i = h_1 + … + h_i. The sources are Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR
techniques (2002), for NDCG; Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), chapter 8, for
the others:

    ndcg       Σ_{i≤k} g_i / log2(i + 1)  divided by the same sum of the best possible order
    recall     H_k / |R|
    precision  H_k / k, also for a list shorter than k
    map        Σ_{i≤k} h_i H_i / i  divided by  min(k, |R|)
    mrr        1 / the least i ≤ k with h_i = 1, else 0
    hit_rate   1 if H_k > 0, else 0

The gain g_i of the item at rank i is h_i where relevance is binary. Where it is graded, it is the holdout's score of
the item, and 0 for an item that is not in R or whose score is not a positive, finite number; the best possible order is
that of falling gains. All other metrics are binary always. Where the relevant items gain nothing, NDCG is 0.

An item that a list has twice counts at its first place.

Example usage:
>>> held = Held(np.array([7, 7]), np.array([100, 101]), np.array([1.0, 1.0]))
>>> hits = Hits(np.array([7]), np.array([0]), np.array([2]), np.array([101]), np.array([1.0]))
>>> judged = judge(held, hits, models=1, cutoffs=[1, 2], metrics=["recall", "mrr"])
>>> judged.visitors.tolist(), judged.with_hits.tolist(), judged.values.tolist()
([7], [0], [[0.0, 0.5, 0.0, 0.5]])
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

VisitorMetric = Literal["ndcg", "recall", "precision", "map", "mrr", "hit_rate"]
PER_VISITOR: tuple[VisitorMetric, ...] = get_args(VisitorMetric)

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]
Rows = NDArray[np.bool_] | NDArray[np.int64]  # those to take: a mask, or their places


class Held(NamedTuple):
    """The relevant items: a row per pair, in any order."""

    visitors: Ints
    items: Ints
    gains: Floats

    def at(self, rows: Rows) -> "Held":
        """Return some rows."""
        return Held(self.visitors[rows], self.items[rows], self.gains[rows])


class Hits(NamedTuple):
    """The relevant items that are in a list: a row per visitor, model and place, in any order.

    Each of these visitors is among the held ones; models are numbered from 0, ranks from 1.
    """

    visitors: Ints
    models: Ints
    ranks: Ints
    items: Ints
    gains: Floats

    def at(self, rows: Rows) -> "Hits":
        """Return some rows."""
        return Hits(self.visitors[rows], self.models[rows], self.ranks[rows], self.items[rows], self.gains[rows])


class Judged(NamedTuple):
    """The metrics of some visitors.

    Attributes:
        visitors: who has relevant items, rising.
        with_hits: the places in `visitors` of those who have a hit in any list, rising; the others have 0 everywhere.
        values: shape (with_hits, models × metrics × cut-offs), from 0 to 1.
    """

    visitors: Ints
    with_hits: NDArray[np.int64]
    values: Floats


def judge(held: Held, hits: Hits, models: int, cutoffs: Sequence[int], metrics: Sequence[str] = PER_VISITOR) -> Judged:
    """Return the metrics of each visitor, model and cut-off.

    Args:
        held: the relevant items; of a pair that is there twice the greater gain counts.
        hits: those that are in a list.
        models: how many models there are.
        cutoffs: numbers of places that are looked at.
        metrics: some of `PER_VISITOR`.
    """
    held = held.at(np.lexsort((-held.gains, held.items, held.visitors)))
    held = held.at(_starts(held.visitors, held.items))
    visitors, relevant = np.unique(held.visitors, return_counts=True)
    hits = _in_order(hits)
    with_hits, rows = np.unique(np.searchsorted(visitors, hits.visitors), return_inverse=True)
    relevant, ideals = relevant[with_hits], _ideals(held, relevant, cutoffs)[with_hits]
    values = np.empty((len(with_hits), models, len(metrics), len(cutoffs)))
    for place, k in enumerate(cutoffs):
        found = _at(k, hits, rows * models + hits.models, relevant, ideals[:, place], models)
        for number, metric in enumerate(metrics):
            values[:, :, number, place] = found[metric]
    return Judged(visitors, with_hits, values.reshape(len(with_hits), models * len(metrics) * len(cutoffs)))


def _in_order(hits: Hits) -> Hits:
    """Return the hits by visitor, model and rank, an item of a list only where it is first."""
    hits = hits.at(np.lexsort((-hits.gains, hits.ranks, hits.items, hits.models, hits.visitors)))
    hits = hits.at(_starts(hits.visitors, hits.models, hits.items))
    return hits.at(np.lexsort((hits.ranks, hits.models, hits.visitors)))


def _starts(*columns: Ints) -> NDArray[np.bool_]:
    """Return which rows differ from the one before them."""
    differs = np.ones(len(columns[0]), dtype=np.bool_)
    differs[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return differs


def _numbered(starts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of each row in its group, from 1."""
    rows = np.arange(len(starts))
    return rows - np.maximum.accumulate(np.where(starts, rows, 0)) + 1


def _discounts(ranks: Ints) -> Floats:
    discounts: Floats = 1 / np.log2(ranks + 1.0)
    return discounts


def _ideals(held: Held, relevant: Ints, cutoffs: Sequence[int]) -> Floats:
    """Return the DCG of the best possible order, shape (visitors, cut-offs)."""
    by_gain = np.lexsort((-held.gains, held.visitors))
    rows = np.repeat(np.arange(len(relevant)), relevant)
    ranks = _numbered(_starts(rows))
    gains = held.gains[by_gain] * _discounts(ranks)
    sums = [np.bincount(rows[ranks <= k], gains[ranks <= k], len(relevant)) for k in cutoffs]
    return np.stack(sums, axis=1)


def _at(
    k: int, hits: Hits, groups: NDArray[np.int64], relevant: Ints, ideals: Floats, models: int
) -> dict[str, NDArray[np.floating]]:
    """Return each metric at one cut-off, shape (visitors, models); the hits are in order, a group is one list."""
    number = _numbered(_starts(groups))
    near = hits.ranks <= k
    size = len(relevant) * models
    places, number, gains, ranks = groups[near], number[near], hits.gains[near], hits.ranks[near]

    def summed(weights: NDArray[np.floating] | None = None) -> NDArray[np.floating]:
        return np.bincount(places, weights, size).reshape(-1, models).astype(np.float64)

    found, reachable = summed(), np.minimum(relevant, k)[:, None]
    dcg = summed(gains * _discounts(ranks))
    return {
        "ndcg": np.divide(dcg, ideals[:, None], out=np.zeros_like(dcg), where=ideals[:, None] > 0),
        "recall": found / relevant[:, None],
        "precision": found / k,
        "map": summed(number / ranks) / reachable,
        "mrr": summed(np.where(number == 1, 1 / ranks, 0.0)),
        "hit_rate": (found > 0).astype(np.float64),
    }
