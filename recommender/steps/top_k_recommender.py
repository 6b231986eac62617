"""Find the best items for every visitor.

Example usage:
>>> visitors = spark.createDataFrame([(7, "als", [1.0, 0.0]), (8, None, None)],
...                                  "visitor_index int, source string, features array<float>")
>>> item_factors = spark.createDataFrame([(0, [1.0, 0.0]), (1, [0.5, 0.0])], "id int, features array<float>")
>>> popularity = spark.createDataFrame([(0, 5.0), (1, 3.0)], "item_index int, score double")
>>> history = spark.createDataFrame([(7, 0, "transaction")], "visitor_index int, item_index int, event string")
>>> lists = TopKRecommender(k=2).execute(visitors, item_factors, popularity, history, visitor_count=2)
>>> lists.orderBy("visitor_index", "rank").show()
+-------------+----+----------+-----+-------+
|visitor_index|rank|item_index|score| source|
+-------------+----+----------+-----+-------+
|            7|   1|         1|  0.5|    als|
|            8|   1|         0|  5.0|popular|
|            8|   2|         1|  3.0|popular|
+-------------+----+----------+-----+-------+
<BLANKLINE>
"""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.ranking import NONE, Keys, fill_up, found
from recommender.settings.step import Annotated, Field, step
from recommender.spark.aggregates import fetch
from recommender.spark.blocks import lists, size_of
from recommender.spark.search import EXCLUDED, BlockSearch
from recommender.tables.persistent import Persistent


@step
class TopKRecommender(Persistent):
    """Recommend the k items with the largest inner product, exactly, by the rules of the shop.

    The rules are applied before the k best are chosen: a visitor gets fewer than k items only if no more are left.

    Init parameters:
        k: length of a list, 1 to 1000.
        exclude_events: seen: an item that the visitor has any event with is not recommended to it; or a list of kinds
            of events: an item that the visitor has such an event with is not.
        fill_with_popular: whether popular items, by the same rules, fill a list that is too short.
        visitors_per_block: how many visitors are ranked at once; null: as many as fit into a sixteenth of
            spark.executor.memory, and 50,000 at most.
        items_per_block: how many items a worker holds at once; null: as many as fit into an eighth of
            spark.executor.memory, 256 MB at most. The result does not depend on it.
    Execution args:
        visitors: visitor_index int, source string (where the factors come from), features array<float>, null for a
            visitor without factors. One row per visitor.
        item_factors: id int, features array<float>, finite; null: all lists are of popular items.
        popularity: item_index int, score double: the items that may fill a list.
        history: visitor_index int, item_index int, event string: what the rules look at; more columns are ignored.
        visitor_count: about how many visitors there are; it sets the number of blocks.
        allowed: item_index int, one row per item that may be recommended; null: every item may.
    Execution returns:
        visitor_index int, rank int from 1, item_index int, score float (the inner product; of a popular item its
        popularity), source string (that of the visitor, or popular). At most k rows per visitor, best first, equal
        scores by item_index; row order undefined.
    Raises:
        ConfigError: `k` is out of range.
    Persist strategy: Parquet; stage 3 stores the lists with their ids.
    """

    k: Annotated[int, Field(ge=1, le=1000)] = 10
    exclude_events: Literal["seen"] | list[str] = C.SEEN
    fill_with_popular: bool = True
    visitors_per_block: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    items_per_block: Annotated[int, Field(ge=1, le=100_000_000)] | None = None

    def execute(
        self,
        visitors: DataFrame,
        item_factors: DataFrame | None,
        popularity: DataFrame,
        history: DataFrame,
        *,
        visitor_count: int,
        allowed: DataFrame | None = None,
    ) -> DataFrame:
        if allowed is not None:
            ids = allowed.select(F.col(C.ITEM_INDEX).alias(C.ID))
            item_factors = item_factors and item_factors.join(ids, C.ID, "left_semi")
            popularity = popularity.join(allowed.select(C.ITEM_INDEX), C.ITEM_INDEX, "left_semi")
        visitor = F.col(C.VISITOR_INDEX).alias(C.ID)
        queries = visitors.select(visitor, C.SOURCE, C.FEATURES)
        excluded = self.excluded(history).select(visitor, C.ITEM_INDEX)
        popular = popularity.select(C.ITEM_INDEX, C.SCORE) if self.fill_with_popular else None
        schema = f"{C.VISITOR_INDEX} int, {C.RANK} int, {C.ITEM_INDEX} int, {C.SCORE} float, {C.SOURCE} string"
        sizes = {} if item_factors is None else {"items": size_of(item_factors)}
        found = fetch(**sizes, excluded=excluded.agg(F.count(F.lit(1))))
        item_count, rank = found.get("items", [(0, 0)])[0]
        search = BlockSearch(self.k, self.items_per_block, self.visitors_per_block)
        return search(
            queries,
            excluded,
            item_factors,
            _listed,
            schema,
            query_count=visitor_count,
            item_count=item_count,
            rank=rank,
            excluded_count=found["excluded"][0][0],
            other=popular,
        )

    def excluded(self, history: DataFrame) -> DataFrame:
        """Return the rows of a history whose items the visitor's list leaves out."""
        kinds = self.exclude_events
        return history if isinstance(kinds, str) else history.where(F.col(C.EVENT).isin(kinds))


def _listed(visitors: pa.Table, best: Keys, popular: pa.Table | None) -> pa.Table:
    """Return the lists of a block of visitors, filled up with popular items if there are any."""
    indexes, scores = found(best)
    filled = np.zeros(indexes.shape, dtype=np.bool_)
    if popular is not None and (indexes == NONE).any():
        items, popularity = popular[C.ITEM_INDEX].to_numpy(), popular[C.SCORE].to_numpy()
        order = np.lexsort((items, -popularity))
        values, offsets = lists(visitors[EXCLUDED])
        filled = fill_up(indexes, scores, (items[order], popularity[order]), (np.asarray(values), offsets))
    rows, places = np.nonzero(indexes != NONE)
    return pa.table(
        {
            C.VISITOR_INDEX: visitors[C.ID].to_numpy()[rows],
            C.RANK: (places + 1).astype(np.int32),
            C.ITEM_INDEX: indexes[rows, places],
            C.SCORE: scores[rows, places],
            C.SOURCE: pc.if_else(filled[rows, places], C.POPULAR, visitors[C.SOURCE].take(rows)),
        }
    )
