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

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.base import Annotated, Field, field, step
from recommender.blocks import lists, map_blocks, matrix, pack, positions_of
from recommender.partitions import partitions_for
from recommender.persistent import Persistent
from recommender.ranking import NONE, fill_up, top_k


@step
class TopKRecommender(Persistent):
    """Recommend the k items with the largest inner product, exactly, by the rules of the shop.

    Init parameters:
        k: length of a list, 1 to 1000.
        exclude_events: kinds of events; an item that the visitor has such an event with is not recommended to it.
        fill_with_popular: whether popular items, by the same rules, fill a list that is too short.
        visitors_per_block: how many visitors are ranked at once; a block and all item factors must fit into one
            worker's memory.
    Execution args:
        visitors: visitor_index int, source string (where the factors come from), features array<float>, null for a
            visitor without factors. One row per visitor.
        item_factors: id int, features array<float>.
        popularity: item_index int, score double: the items that may fill a list.
        history: visitor_index int, item_index int, event string: what the rules look at; more columns are ignored.
        visitor_count: about how many visitors there are; it sets the number of blocks.
    Execution returns:
        visitor_index int, rank int from 1, item_index int, score float (the inner product; of a popular item its
        popularity), source string (that of the visitor, or popular). At most k rows per visitor, best first, equal
        scores by item_index; row order undefined.
    Raises:
        ConfigError: `k` is out of range.
    Persist strategy: Parquet; stage 3 stores the lists with their ids.
    """

    k: Annotated[int, Field(ge=1, le=1000)] = 10
    exclude_events: list[str] = field(default_factory=lambda: [C.ADD_TO_CART, C.PURCHASE])
    fill_with_popular: bool = True
    visitors_per_block: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000

    def execute(
        self,
        visitors: DataFrame,
        item_factors: DataFrame,
        popularity: DataFrame,
        history: DataFrame,
        *,
        visitor_count: int,
    ) -> DataFrame:
        """Return the lists; see the class."""
        k, fill = self.k, self.fill_with_popular

        def ranked(visitors: pa.Table, items: pa.Table) -> pa.Table:
            return _ranked(visitors, items, k, fill)

        partitions = partitions_for(visitors.sparkSession, visitor_count, self.visitors_per_block)
        excluded = (
            history.where(F.col(C.EVENT).isin(self.exclude_events))
            .groupBy(C.VISITOR_INDEX)
            .agg(F.collect_set(C.ITEM_INDEX).alias("excluded"))
        )
        blocks = pack(
            visitors.select(C.VISITOR_INDEX, C.SOURCE, C.FEATURES)
            .join(excluded, C.VISITOR_INDEX, "left")
            .repartition(partitions, C.VISITOR_INDEX),
            "visitors",
        )
        catalogue = popularity.withColumnRenamed(C.ITEM_INDEX, C.ID).join(item_factors, C.ID, "full_outer")
        items = pack(catalogue.select(C.ID, C.FEATURES, C.SCORE).repartition(1).sortWithinPartitions(C.ID), "items")
        schema = f"{C.VISITOR_INDEX} int, {C.RANK} int, {C.ITEM_INDEX} int, {C.SCORE} float, {C.SOURCE} string"
        return map_blocks(blocks.crossJoin(F.broadcast(items)), ranked, schema)


def _ranked(visitors: pa.Table, items: pa.Table, k: int, fill: bool) -> pa.Table:
    """Return the lists of a block of visitors, given the block of all items, sorted by id."""
    catalogue = items[C.ID].to_numpy()
    rank = next((len(features) for features in items[C.FEATURES].drop_null()), 0)
    item_factors, has_factors = matrix(items[C.FEATURES], rank)
    visitor_factors, known = matrix(visitors[C.FEATURES], rank)

    positions = np.full((len(visitors), k), NONE, dtype=np.int32)
    scores = np.full((len(visitors), k), np.nan, dtype=np.float32)
    if known.any() and has_factors.any():
        candidates, rows = np.flatnonzero(has_factors), np.flatnonzero(known)
        barred = positions_of(catalogue[candidates], *lists(visitors["excluded"].take(rows)))[:2]
        found, scores[rows] = top_k(visitor_factors[rows], item_factors[candidates], k, barred)
        positions[rows] = np.where(found != NONE, candidates[found], NONE)
    filled = np.zeros(positions.shape, dtype=np.bool_)
    if fill:
        popularity = items[C.SCORE].to_numpy()
        order = np.argsort(-popularity, kind="stable")
        order = order[~np.isnan(popularity[order])]
        barred = positions_of(catalogue, *lists(visitors["excluded"]))[:2]
        filled = fill_up(positions, scores, (order, popularity[order]), barred)

    rows, places = np.nonzero(positions != NONE)
    sources = pc.if_else(filled[rows, places], C.POPULAR, visitors[C.SOURCE].take(rows))
    return pa.table(
        {
            C.VISITOR_INDEX: visitors[C.VISITOR_INDEX].to_numpy()[rows],
            C.RANK: (places + 1).astype(np.int32),
            C.ITEM_INDEX: catalogue[positions[rows, places]],
            C.SCORE: scores[rows, places],
            C.SOURCE: sources,
        }
    )
