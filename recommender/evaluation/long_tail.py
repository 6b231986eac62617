"""How unevenly events, or the places of lists, are spread over the items: how much the most frequent items have.

Example usage:
>>> counts = spark.createDataFrame([(6,), (2,), (1,), (1,)], "events long")
>>> curve = long_tail(alike(counts, "events").collect(), items=10)
>>> curve[:4], curve[-1]
([[1, 6], [2, 8], [3, 9], [4, 10]], [10, 10])
>>> share(curve, 100), share(curve, 500)
(0.6, 1.0)
"""

from collections.abc import Iterable, Sequence
from typing import Final

from pyspark.sql import DataFrame, functions as F

# Thousandths of the items, the most frequent ones first.
_POINTS: Final = (
    *(1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 900, 1000),
)


def alike(counts: DataFrame, name: str) -> DataFrame:
    """Return how many rows have which count: few rows, as the counts 1 to n together need at least n² / 2 events.

    Args:
        counts: one row per item; name: the column with its count.
    """
    return counts.groupBy(F.col(name).alias("each")).agg(F.count(F.lit(1)).alias("items"))


def long_tail(rows: Iterable[tuple[int, int]], items: int) -> list[list[int]]:
    """Return how much the most frequent items have.

    Args:
        rows: (count, number of items that have it), in any order.
        items: number of all items; those that are not in the rows have nothing.

    Returns:
        [number of items, sum of their counts] for 24 shares of the items, from 0.1 % to all.
    """
    wanted = sorted({_number(items, share) for share in _POINTS}, reverse=True) if items else []
    points: list[list[int]] = []
    taken = total = 0
    for each, number in sorted(rows, reverse=True):
        while wanted and wanted[-1] <= taken + number:
            place = wanted.pop()
            points.append([place, total + (place - taken) * each])
        taken, total = taken + number, total + number * each
    return points + [[place, total] for place in reversed(wanted)]


def share(curve: Sequence[Sequence[int]], thousandths: int) -> float | None:
    """Return the share (0 to 1) of all that a number of thousandths of the items has; None if it is not known."""
    if not curve or not curve[-1][1]:
        return None
    all_items, all_counts = curve[-1]
    wanted = _number(all_items, thousandths)
    found = next((count for items, count in curve if items == wanted), None)
    return None if found is None else found / all_counts


def _number(items: int, thousandths: int) -> int:
    return -(-items * thousandths // 1000)
