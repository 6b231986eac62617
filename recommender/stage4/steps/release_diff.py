"""Compare the lists that are to be published with those that are live.

Example usage:
>>> columns = "visitorid long, rank int, itemid long, score float, source string"
>>> live = spark.createDataFrame([(7, 1, 5, 0.9, "als"), (7, 2, 6, 0.8, "als"), (8, 1, 5, 0.7, "als")], columns)
>>> new = spark.createDataFrame([(7, 1, 5, 0.9, "als"), (7, 2, 4, 0.8, "als"), (9, 1, 4, 0.7, "als")], columns)
>>> found = ReleaseDiff(k=2).execute(new, live, item_count=10)
>>> found["overlap"], found["visitors"]
(0.5, {'candidate': 2, 'live': 2, 'gained': 1, 'lost': 1})
>>> found["items"]["most_gained"], found["coverage"]
([{'itemid': 4, 'lists': 2}], {'candidate': 0.2, 'live': 0.2})
>>> found["most_changed"]
[{'visitorid': 7, 'overlap': 0.5, 'gained': [4], 'lost': [6]}]
"""

from typing import Any

from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import single_row
from recommender.spark.cache import Cache

_NEW, _OLD = "_new", "_old"


@step
class ReleaseDiff:
    """Measure how much the lists differ from the live ones, for those who decide about publishing.

    The overlap of a visitor's two lists is the number of items that both have, of those of the longer one.

    Init parameters:
        enabled: whether the lists are compared; without that, nothing of the live version is read.
        k: places of a list that are compared, 1 to 1000.
        examples: how many items and visitors are named that change most, 0 to 50.
        min_visitors_kept: least share (0 to 1) of the visitors with a live list that must have a new one; null: any.
        min_items_kept: least share (0 to 1) of the items in live lists that must be in a new one; null: any.
    Execution args:
        candidate, live: the table recommendations of both; their ids have the same types.
        item_count: number of items that there are, of which coverage is a share.
    Execution returns:
        Dictionary of plain JSON types: k; overlap (mean of the visitors that are in both, 0 to 1, null if nobody is)
        and unchanged (the share of them whose lists have the same items); visitors and items, each with the numbers
        candidate, live, gained and lost; items also with most_gained and most_lost: the items that the largest number
        of lists has gained and lost; coverage of both, 0 to 1; most_changed: visitors with the least overlap, by a hash
        of the id where it is equal.
    Raises:
        ConfigError: a parameter is out of range.
    Persist strategy: none; stage 4 puts it into its commit's record.
    """

    enabled: bool = True
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    examples: Annotated[int, Field(ge=0, le=50)] = 5
    min_visitors_kept: Annotated[float, Field(ge=0, le=1)] | None = 0.5
    min_items_kept: Annotated[float, Field(ge=0, le=1)] | None = 0.3

    def execute(self, candidate: DataFrame, live: DataFrame, *, item_count: int) -> dict[str, Any]:
        cache = Cache()
        try:
            pairs = self._pairs(candidate, live)
            visitors = cache(_by_visitor(pairs))
            items = cache(pairs.groupBy(C.ITEM).agg(_count(_NEW), _count(_OLD)))
            return self._found(visitors, items, item_count)
        finally:
            cache.release()

    def _pairs(self, candidate: DataFrame, live: DataFrame) -> DataFrame:
        """Return visitorid and itemid of all places, and in which of the two versions they are."""
        return (
            self._marked(candidate, _NEW)
            .join(self._marked(live, _OLD), [C.VISITOR, C.ITEM], "full_outer")
            .withColumns({name: F.coalesce(name, F.lit(False)) for name in (_NEW, _OLD)})
        )

    def _marked(self, rows: DataFrame, name: str) -> DataFrame:
        return rows.where(F.col(C.RANK) <= self.k).select(C.VISITOR, C.ITEM, F.lit(True).alias(name))

    def _found(self, visitors: DataFrame, items: DataFrame, item_count: int) -> dict[str, Any]:
        in_both = (F.col(_NEW) > 0) & (F.col(_OLD) > 0)
        overlap, unchanged, *counts = single_row(
            visitors.agg(
                F.avg(F.when(in_both, F.col("overlap").cast("decimal(20,15)"))).cast("double"),
                F.avg(F.when(in_both, (F.col("overlap") == 1).cast("int"))),
                *_counts(),
            )
        )
        of_items = dict(zip(("candidate", "live", "gained", "lost"), single_row(items.agg(*_counts())), strict=True))
        return {
            "k": self.k,
            "overlap": overlap,
            "unchanged": unchanged,
            "visitors": dict(zip(("candidate", "live", "gained", "lost"), counts, strict=True)),
            "items": {**of_items, "most_gained": self._most(items, 1), "most_lost": self._most(items, -1)},
            "coverage": {name: of_items[name] / max(item_count, 1) for name in ("candidate", "live")},
            "most_changed": self._most_changed(visitors.where(in_both)),
        }

    def _most(self, items: DataFrame, sign: int) -> list[dict[str, Any]]:
        """Return the items that the largest number of lists has gained, or lost."""
        change = F.col(_NEW) - F.col(_OLD)
        changed = items.select(C.ITEM, change.alias("lists")).where(change * sign > 0)
        rows = changed.orderBy(F.col("lists") * -sign, C.ITEM).limit(self.examples).toLocalIterator()
        return [{"itemid": row[C.ITEM], "lists": row["lists"]} for row in rows]

    def _most_changed(self, visitors: DataFrame) -> list[dict[str, Any]]:
        changed = visitors.where(F.col("overlap") < 1)
        chosen = changed.orderBy("overlap", F.xxhash64(C.VISITOR), C.VISITOR).limit(self.examples)
        return [
            {name: row[name] for name in (C.VISITOR, "overlap", "gained", "lost")} for row in chosen.toLocalIterator()
        ]


def _by_visitor(pairs: DataFrame) -> DataFrame:
    """Return, for each visitor, the lengths of both lists, their overlap, and the items gained and lost."""
    is_new, is_old = F.col(_NEW), F.col(_OLD)
    counted = pairs.groupBy(C.VISITOR).agg(
        _count(_NEW),
        _count(_OLD),
        F.count_if(is_new & is_old).alias("shared"),
        F.sort_array(F.collect_list(F.when(is_new & ~is_old, F.col(C.ITEM)))).alias("gained"),
        F.sort_array(F.collect_list(F.when(is_old & ~is_new, F.col(C.ITEM)))).alias("lost"),
    )
    return counted.withColumn("overlap", F.col("shared") / F.greatest(_NEW, _OLD))


def _count(name: str) -> Column:
    return F.count_if(F.col(name)).alias(name)


def _counts() -> list[Column]:
    """Return how many there are in the candidate, in the live version, in the first only, and in the second only."""
    new, old = F.col(_NEW) > 0, F.col(_OLD) > 0
    return [F.count_if(new), F.count_if(old), F.count_if(new & ~old), F.count_if(old & ~new)]
