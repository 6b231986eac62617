"""Find the items that are most alike.

Example usage:
>>> item_factors = spark.createDataFrame([(0, [2.0, 0.0]), (1, [3.0, 4.0]), (2, [0.0, 1.0])],
...                                      "id int, features array<float>")
>>> SimilarItems(k=1).execute(item_factors, item_count=3, rank=2).orderBy("item_index").show()
+----------+----+------------------+----------+
|item_index|rank|similar_item_index|similarity|
+----------+----+------------------+----------+
|         0|   1|                 1|       0.6|
|         1|   1|                 2|       0.8|
|         2|   1|                 1|       0.8|
+----------+----+------------------+----------+
<BLANKLINE>
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.ranking import NONE, Keys, found, norms_of
from recommender.settings.step import Annotated, Field, step
from recommender.spark.blocks import matrix
from recommender.spark.search import BlockSearch
from recommender.tables.persistent import Persistent


@step
class SimilarItems(Persistent):
    """Find the k items with the largest cosine between their factors, exactly.

    Every item meets every other one: the time grows with the square of the number of items, and no bound shortens it,
    because all directions have the norm 1.

    Init parameters:
        k: number of similar items of each item, 0 to 1000; 0: none are computed.
        items_per_block: how many items a worker holds at once; null: as many as fit into an eighth of
            spark.executor.memory, 256 MB at most. The result does not depend on it.
    Execution args:
        item_factors: id int, features array<float>, finite.
        item_count: about how many items there are; rank: how many factors each has. They set the number of blocks.
        allowed: item_index int, one row per item that may be shown as similar; null: every item may.
    Execution returns:
        item_index int, rank int from 1, similar_item_index int, similarity float (cosine, -1 to 1). At most k rows per
        item, best first, equal ones by index, never the item itself; none for an item whose factors are all 0. Row
        order undefined.
    Raises:
        ConfigError: `k` is out of range.
    Persist strategy: Parquet; stage 3 stores them with their ids as the table similar_items.
    """

    k: Annotated[int, Field(ge=0, le=1000)] = 10
    items_per_block: Annotated[int, Field(ge=1, le=100_000_000)] | None = None

    def execute(
        self, item_factors: DataFrame, *, item_count: int, rank: int, allowed: DataFrame | None = None
    ) -> DataFrame:
        """Return the similar items; see the class."""
        schema = f"{C.ITEM_INDEX} int, {C.RANK} int, {C.SIMILAR_ITEM_INDEX} int, {C.SIMILARITY} float"
        if not self.k:
            return item_factors.sparkSession.createDataFrame([], schema)
        factors = item_factors.select(C.ID, C.FEATURES)
        directions = factors.mapInArrow(_directions, f"{C.ID} int, {C.FEATURES} array<float>")
        candidates = directions
        if allowed is not None:
            candidates = directions.join(allowed.select(F.col(C.ITEM_INDEX).alias(C.ID)), C.ID, "left_semi")
        itself = directions.select(C.ID, F.col(C.ID).alias(C.ITEM_INDEX))
        search = BlockSearch(self.k, self.items_per_block)
        return search(
            directions,
            itself,
            candidates,
            _listed,
            schema,
            query_count=item_count,
            item_count=item_count,
            rank=rank,
            excluded_count=item_count,
        )


def _directions(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the factors divided by their norm, without those that have no direction."""
    for batch in batches:
        if batch.num_rows:
            rows = pa.Table.from_batches([batch])
            factors, _ = matrix(rows[C.FEATURES], len(rows[C.FEATURES][0]))
            norms = norms_of(factors)
            has_one = norms > 0
            unit = (factors[has_one] / norms[has_one, None]).astype(np.float32)
            features = pa.FixedSizeListArray.from_arrays(pa.array(unit.ravel()), factors.shape[1])
            ids = rows[C.ID].filter(pa.array(has_one)).combine_chunks()
            yield pa.RecordBatch.from_pydict({C.ID: ids, C.FEATURES: features.cast(pa.list_(pa.float32()))})


def _listed(items: pa.Table, best: Keys, _: pa.Table | None) -> pa.Table:
    indexes, cosines = found(best)
    rows, places = np.nonzero(indexes != NONE)
    return pa.table(
        {
            C.ITEM_INDEX: items[C.ID].to_numpy()[rows],
            C.RANK: (places + 1).astype(np.int32),
            C.SIMILAR_ITEM_INDEX: indexes[rows, places],
            C.SIMILARITY: np.clip(cosines[rows, places], -1, 1),  # of rounded factors
        }
    )
