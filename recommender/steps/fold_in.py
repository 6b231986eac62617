"""Compute the factors of visitors that were not in training.

Example usage:
>>> interactions = spark.createDataFrame([(7, 0, 2.0)], "visitor_index int, item_index int, score float")
>>> item_factors = spark.createDataFrame([(0, [1.0, 0.0]), (1, [0.0, 1.0])], "id int, features array<float>")
>>> step = FoldIn()
>>> step.execute(interactions, item_factors, implicit_prefs=True, alpha=1.0, reg_param=0.5, visitor_count=1).collect()
[Row(id=7, features=[0.857..., 0.0])]
"""

import pyarrow as pa
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.base import Annotated, Field, step
from recommender.blocks import lists, map_blocks, matrix, pack, positions_of
from recommender.partitions import partitions_for
from recommender.ranking import Solver, fold_in


@step
class FoldIn:
    """Fold visitors into a fitted model: factors from their interactions and the factors of the items.

    The solution is the one that ALS itself would give the visitor in its last half step: the same confidence, the same
    regularisation by the number of its items. Source: Hu, Koren and Volinsky, Collaborative Filtering for Implicit
    Feedback Datasets (2008), equation 4; see ``recommender.ranking.fold_in``.

    Init parameters:
        visitors_per_block: how many visitors are solved for at once; a block and all item factors must fit into one
            worker's memory.
    Execution args:
        interactions: visitor_index int, item_index int, score float, any number of rows per pair; more columns are
            ignored. Items without factors are left out.
        item_factors: id int, features array<float>.
        implicit_prefs, alpha, reg_param, nonnegative: as the item factors were fitted with.
        visitor_count: about how many distinct visitors there are; it sets the number of blocks.
    Execution returns:
        id int, features array<float>, one row per visitor whose factors are not all zero: one with a positive score
        (explicit: another score than 0) on an item that has factors; row order undefined.
    Raises:
        nothing of its own.
    Persist strategy: none; the factors are used at once and never stored.
    """

    visitors_per_block: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000

    def execute(
        self,
        interactions: DataFrame,
        item_factors: DataFrame,
        *,
        implicit_prefs: bool,
        alpha: float,
        reg_param: float,
        nonnegative: bool = False,
        visitor_count: int,
    ) -> DataFrame:
        """Return the visitors' factors; see the class."""
        solver = Solver(implicit_prefs, alpha, reg_param, nonnegative)

        def solved(histories: pa.Table, items: pa.Table) -> pa.Table:
            catalogue = items[C.ID].to_numpy()
            factors, _ = matrix(items[C.FEATURES], len(items[C.FEATURES][0]))
            pairs, offsets = lists(histories["history"])
            values = pairs.field(C.ITEM_INDEX).to_numpy(zero_copy_only=False)
            scores = pairs.field(C.SCORE).to_numpy(zero_copy_only=False)
            positions, offsets, known = positions_of(catalogue, values, offsets)
            folded = fold_in((positions, offsets), scores[known], factors, solver)
            usable = folded.any(axis=1)
            features = pa.FixedSizeListArray.from_arrays(pa.array(folded[usable].ravel()), folded.shape[1])
            ids = histories[C.VISITOR_INDEX].to_numpy()[usable]
            return pa.table({C.ID: ids, C.FEATURES: features.cast(pa.list_(pa.float32()))})

        blocks = pack(self._histories(interactions, visitor_count), "histories").crossJoin(
            F.broadcast(pack(item_factors.select(C.ID, C.FEATURES).repartition(1).sortWithinPartitions(C.ID), "items"))
        )
        return map_blocks(blocks, solved, f"{C.ID} int, {C.FEATURES} array<float>")

    def _histories(self, interactions: DataFrame, visitor_count: int) -> DataFrame:
        """Return a row per visitor: its (item, summed score), sorted so that sums do not depend on the cluster."""
        pairs = interactions.groupBy(C.VISITOR_INDEX, C.ITEM_INDEX).agg(F.sum(C.SCORE).cast("double").alias(C.SCORE))
        history = F.array_sort(F.collect_list(F.struct(C.ITEM_INDEX, C.SCORE))).alias("history")
        partitions = partitions_for(interactions.sparkSession, visitor_count, self.visitors_per_block)
        return pairs.groupBy(C.VISITOR_INDEX).agg(history).repartition(partitions, C.VISITOR_INDEX)
