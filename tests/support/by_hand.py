"""The metrics once more, in plain Python: slow, and by other formulas where there are any."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import log2


def per_visitor(listed: Sequence[int], relevant: Mapping[int, float], k: int, graded: bool = False) -> dict[str, float]:
    """One visitor's metrics, written from the definitions; relevant: item -> score."""
    hits = [item in relevant for item in listed[:k]]
    ranks = [rank for rank, hit in enumerate(hits, start=1) if hit]
    gains = {item: score if graded else 1.0 for item, score in relevant.items()}
    ideal = sum(gain / log2(place + 2) for place, gain in enumerate(sorted(gains.values(), reverse=True)[:k]))
    dcg = sum(gains[listed[rank - 1]] / log2(rank + 1) for rank in ranks)
    precisions = sum(sum(hits[:rank]) / rank for rank in ranks)
    return {
        "ndcg": dcg / ideal if ideal else 0.0,
        "recall": len(ranks) / len(relevant),
        "precision": len(ranks) / k,
        "map": precisions / min(k, len(relevant)),
        "mrr": 1 / ranks[0] if ranks else 0.0,
        "hit_rate": 1.0 if ranks else 0.0,
    }


def of_exposure(lists: Sequence[Sequence[int]], catalogue: Mapping[int, float], k: int) -> dict[str, float | None]:
    """The metrics of what all lists show together; catalogue: item -> training score."""
    shown = [item for listed in lists for item in listed[:k]]
    total = sum(catalogue.values())
    rarest = min((score for score in catalogue.values() if score > 0), default=0)
    counts = [shown.count(item) for item in catalogue]
    differences = sum(abs(one - other) for one in counts for other in counts)
    pairs = [len(set(one[:k]) & set(other[:k])) / k for one, other in combinations(lists, 2)]
    number = len(catalogue)
    return {
        "coverage": len(set(shown) & set(catalogue)) / number,
        "novelty": sum(-log2((catalogue.get(item, 0) or rarest) / total) for item in shown) / len(shown),
        # The mean difference of two different items, divided by twice the mean.
        "gini": differences / (number * (number - 1)) / (2 * sum(counts) / number) if number > 1 else None,
        "overlap": sum(pairs) / len(pairs) if pairs else None,
        "short_lists": sum(len(listed) < k for listed in lists) / len(lists),
    }
