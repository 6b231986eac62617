"""Fit the matrix model: by MLlib's ALS, or by our own in blocks of numpy arrays.

Example usage:
>>> scores = spark.createDataFrame([(0, 0, 1.0), (1, 1, 2.0)], "visitor_index int, item_index int, score float")
>>> model = AlsFitter(rank=2, max_iter=1).execute(scores)
>>> model.rank, model.itemFactors.columns
(2, ['id', 'features'])
>>> als = AlsFitter(alpha=1.5)
>>> [bin for bin in als.histogram(als.facts(scores).first()["weights"]) if bin["pairs"]]
[{'from': 2.0, 'to': 4.0, 'pairs': 1}, {'from': 4.0, 'to': 8.0, 'pairs': 1}]
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from typing import Any, Final, Literal

import numpy as np
from pyspark import StorageLevel
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.errors import ConfigError, DataQualityError, Mistake
from recommender.ranking import Solver
from recommender.settings.step import Annotated, ColumnName, Field, step
from recommender.spark.aggregates import fetch, single_row
from recommender.spark.cluster import has_checkpoint_folder, partitions_for, room_for_a_block
from recommender.stage2.block_als import BlockAls
from recommender.tables.factor_model import FactorModel
from recommender.tables.persistent import Persistent

StorageLevelName = Literal[
    "MEMORY_AND_DISK", "MEMORY_AND_DISK_SER", "MEMORY_ONLY", "MEMORY_ONLY_SER", "DISK_ONLY", "OFF_HEAP"
]

PAIRS_PER_BLOCK: Final = 1_000_000
LEAST_BLOCKS, MOST_BLOCKS = 2, 512
CG_STEPS: Final = 5
BINS: Final = 16  # of the weights: from 1 to 2, from 2 to 4, ..., from 2 to the power of 15 on
_EDGES: Final = [2.0**power for power in range(BINS)]


def blocks_for(pairs: int) -> int:
    """Return the number of blocks of a fit: a power of two that follows from the data alone.

    >>> [blocks_for(pairs) for pairs in (1, 2_000_000, 2_000_001, 10_000_000, 10**12)]
    [2, 2, 4, 16, 512]
    """
    enough = 1 << (-(-pairs // PAIRS_PER_BLOCK) - 1).bit_length()
    return min(max(enough, LEAST_BLOCKS), MOST_BLOCKS)


@step
class AlsFitter(Persistent):
    """Factorise the scores into factors of visitors and items by alternating least squares.

    With implicit feedback MLlib minimises, over the factors x_u and y_i of all visitors and items,

        Σ_{all u,i} (1 + alpha |r_ui|) (p_ui - x_u·y_i)² + reg_param (Σ_u n_u |x_u|² + Σ_i n_i |y_i|²)

    where r_ui is the score of a pair, 0 for the pairs that have none, p_ui is 1 for r_ui > 0 and else 0, and n counts
    the positive scores of a visitor or an item. So alpha says how much more an observed pair weighs than an unobserved
    one, per unit of score. With explicit feedback it minimises, over the pairs that have a score, and without alpha,

        Σ_{scored u,i} (r_ui - x_u·y_i)² + reg_param (Σ_u n_u |x_u|² + Σ_i n_i |y_i|²)

    where n counts all scores. In both, reg_param is scaled by the counts (ALS-WR): a visitor with ten times the items
    is held back ten times as much, so that the best value depends little on the size of the log. It does depend on
    alpha, which makes the first sum larger: the two are searched together. Sources: Hu, Koren and Volinsky,
    Collaborative Filtering for Implicit Feedback Datasets (2008); Zhou et al., Large-scale Parallel Collaborative
    Filtering for the Netflix Prize (2008).

    An iteration solves for all items, then for all visitors, a system of rank × rank each: about
    (visitors + items) · rank³ / 3 + 2 · pairs · rank² operations, one number at a time. Rank 128 costs four to ten
    times as much as rank 64.

    Init parameters:
        rank: number of factors, 1 to 1000; the time of a fit grows with its square to cube.
        max_iter: number of iterations, 0 to 1000.
        reg_param: regularisation, >= 0.
        num_user_blocks: blocks of visitors; null: a power of two by the number of pairs, one per million, 2 to 512, the
            same on any cluster: the random start depends on it.
        num_item_blocks: blocks of items; null: likewise.
        implicit_prefs: whether scores are confidence in a preference (implicit) or ratings (explicit).
        alpha: confidence per unit of score, >= 0; only implicit.
        nonnegative: whether factors may not be negative; only mllib.
        solver: mllib: Spark's own ALS. blocks: the same objective, minimised by numpy in Spark tasks
            (``recommender.stage2.block_als``), faster; the random start is another one.
        method: how blocks solves: cg: by conjugate gradients. cholesky: exactly, as mllib does. null: cg. Only blocks.
        cg_steps: steps of cg, 1 to 100; null: 5. Only blocks.
        reg_exponent: reg_param is multiplied by n to this power, 0 to 2; mllib has 1. With 0 everybody is held back
            alike. Visitors are folded in by the same one.
        checkpoint_interval: iterations between checkpoints, 1 to 1000, or -1 for none: then the plan of a long fit may
            be too long for Spark (StackOverflowError).
        seed: seed of the random start.
        nonpositive_scores: refuse scores of 0 and below, or keep them. Implicit: a score below 0 is confidence that the
            visitor does not want the item, and 0 says nothing; explicit: both are ratings.
        intermediate_storage_level: storage of the blocks while fitting.
        final_storage_level: storage of the factors of the model.
        cold_start_strategy: what MLlib's own transform does with unknown ids; nan or drop.
        block_size: rows per block in MLlib's own recommend and transform, >= 1.
        user_col: column with the visitor's index.
        item_col: column with the item's index.
        rating_col: column with the score.
        prediction_col: column that MLlib's own transform adds.
    Execution args:
        scores: one row per pair: `user_col` int, `item_col` int, `rating_col` float; more columns are ignored.
        facts: the row of `facts(scores)`; null: it is fetched here.
    Execution returns:
        The ``pyspark.ml.recommendation.ALSModel``, or with solver blocks a ``FactorModel``, which is saved as one; its
        factors are id int, features array<float>. They do not depend on the order or the partitions of the scores, nor
        on the cluster (mllib to 1e-6: Spark adds some sums in the order in which tasks end; blocks to 1e-5: processors
        round differently).
    Raises:
        ConfigError: a parameter is out of range; or there are more iterations than `checkpoint_interval`, and Spark has
        no folder for checkpoints (CHECKPOINT_FOLDER).
        DataQualityError: there are no scores (NO_ROWS), some are null, NaN, infinite or, if refused, not positive
        (BAD_SCORE), or none is positive (NO_POSITIVE), or reg_param is 0 and the equations of a visitor or an item have
        no single solution (SINGULAR_MATRIX), or the fitted factors are not finite or all 0 (BAD_FACTORS).
    Persist strategy: as MLlib saves a model; stage 2 does so. ``recommender.tables.als_model`` loads it, checked.
    """

    rank: Annotated[int, Field(ge=1, le=1000)] = 32
    max_iter: Annotated[int, Field(ge=0, le=1000)] = 10
    reg_param: Annotated[float, Field(ge=0)] = 0.1
    num_user_blocks: Annotated[int, Field(ge=1, le=100_000)] | None = None
    num_item_blocks: Annotated[int, Field(ge=1, le=100_000)] | None = None
    implicit_prefs: bool = True
    alpha: Annotated[float, Field(ge=0)] = 1.0
    nonnegative: bool = False
    solver: Literal["mllib", "blocks"] = "mllib"
    method: Literal["cg", "cholesky"] | None = None
    cg_steps: Annotated[int, Field(ge=1, le=100)] | None = None
    reg_exponent: Annotated[float, Field(ge=0, le=2)] = 1.0
    checkpoint_interval: Annotated[int, Field(ge=-1, le=1000)] = 10
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] = 0
    nonpositive_scores: Literal["refuse", "keep"] = "refuse"
    intermediate_storage_level: StorageLevelName = "MEMORY_AND_DISK"
    final_storage_level: StorageLevelName = "MEMORY_AND_DISK"
    cold_start_strategy: Literal["nan", "drop"] = "drop"
    block_size: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    user_col: ColumnName = C.VISITOR_INDEX
    item_col: ColumnName = C.ITEM_INDEX
    rating_col: ColumnName = C.SCORE
    prediction_col: ColumnName = "prediction"

    def __post_init__(self) -> None:
        if self.checkpoint_interval == 0:
            raise ValueError("checkpoint_interval must be >= 1, or -1 for none, got 0")
        if self.solver == "blocks":
            if self.nonnegative:
                raise ValueError("nonnegative must be false with solver blocks; set solver to mllib")
            if self.method == "cholesky" and self.cg_steps is not None:
                raise ValueError(f"cg_steps must be null with method cholesky, got {self.cg_steps}")
            return
        for name, usual in (("method", None), ("cg_steps", None), ("reg_exponent", 1)):
            if getattr(self, name) != usual:
                must = f"{name} must be {'null' if usual is None else usual} with solver mllib"
                raise ValueError(f"{must}, got {getattr(self, name)}; set solver to blocks")

    @property
    def needs_checkpoints(self) -> bool:
        """Whether a job should give Spark a folder for checkpoints: for a long fit, and for solver blocks."""
        return self.solver == "blocks" or self._is_long

    @property
    def _is_long(self) -> bool:
        return 0 < self.checkpoint_interval < self.max_iter

    def execute(self, scores: DataFrame, facts: Sequence[Any] | None = None) -> ALSModel | FactorModel:
        """Return the fitted model; see the class."""
        if self._is_long and not has_checkpoint_folder(scores.sparkSession):
            raise ConfigError(Mistake("CHECKPOINT_FOLDER", "als.checkpoint_interval", self._no_folder()))
        pairs, bad, positive, _ = single_row(self.facts(scores)) if facts is None else facts
        self._check(pairs, bad, positive)
        model = (self._by_blocks if self.solver == "blocks" else self._by_mllib)(scores, pairs)
        self._check_factors(model)
        return model

    def _by_mllib(self, scores: DataFrame, pairs: int) -> ALSModel:
        """Return the model that MLlib fits."""
        blocks = blocks_for(pairs)
        users, items = self.num_user_blocks or blocks, self.num_item_blocks or blocks
        try:
            return self._als(users, items).fit(self._arranged(scores, users, items))
        except Exception as error:
            if "SingularMatrixException" not in str(error):
                raise
            raise self._singular() from error

    def _by_blocks(self, scores: DataFrame, pairs: int) -> FactorModel:
        """Return the model that `BlockAls` fits."""
        room = room_for_a_block(scores.sparkSession)
        most = min(MOST_BLOCKS, room // (8 * self.rank**2))  # a task holds a matrix of each block
        blocks = min(partitions_for(scores.sparkSession, pairs, room // (4 * self.rank + 8)), most)
        als = BlockAls(
            rank=self.rank,
            max_iter=self.max_iter,
            solver=Solver(self.implicit_prefs, self.alpha, self.reg_param, reg_exponent=self.reg_exponent),
            cg_steps=None if self.method == "cholesky" else self.cg_steps or CG_STEPS,
            seed=self.seed,
            blocks=(self.num_user_blocks or blocks, self.num_item_blocks or blocks),
            level=getattr(StorageLevel, self.intermediate_storage_level.removesuffix("_SER")),
        )
        columns = {self.user_col: "int", self.item_col: "int", self.rating_col: "float"}
        factors = als.fit(scores.select(*(F.col(name).cast(type_) for name, type_ in columns.items())))
        return FactorModel(self.rank, *factors, parameters=self._of_model())

    def _check_factors(self, model: ALSModel | FactorModel) -> None:
        """Refuse factors that are not finite, or all 0."""
        extent = [F.max(F.array_max(C.FEATURES)), F.min(F.array_min(C.FEATURES))]  # NaN is the largest
        found = fetch(users=model.userFactors.agg(*extent), items=model.itemFactors.agg(*extent))
        extremes = [value for rows in found.values() for row in rows for value in row]
        if not np.isfinite(extremes).all():
            if self.reg_param == 0:
                raise self._singular()
            sentence = "als has fitted factors that are not finite; lower als.alpha, or raise als.reg_param"
            raise DataQualityError("BAD_FACTORS", sentence)
        if not all(any(row) for rows in found.values() for row in rows):
            raise DataQualityError("BAD_FACTORS", "als has fitted factors that are all 0; lower als.reg_param")

    def _singular(self) -> DataQualityError:
        sentence = f"als cannot solve its equations with reg_param {self.reg_param:g}; raise als.reg_param above 0"
        return DataQualityError("SINGULAR_MATRIX", sentence)

    def facts(self, scores: DataFrame) -> DataFrame:
        """Return one row with what has to be known of the scores: pairs, bad, positive, weights.

        pairs long, those that are bad, those with a score above 0, and weights array<long>: how many weigh at least 1,
        2, 4, ... where an unobserved pair weighs 1 and an observed one 1 + alpha |score|.
        """
        ids_missing = F.col(self.user_col).isNull() | F.col(self.item_col).isNull()
        score = F.col(self.rating_col).cast("float")  # as MLlib casts it: what no float holds is infinite
        bad = ids_missing | score.isNull() | F.isnan(score) | (F.abs(score) == inf)
        weight = 1 + self.alpha * F.abs(F.col(self.rating_col).cast("double"))
        return scores.agg(
            F.count(F.lit(1)).alias("pairs"),
            F.count_if(bad).alias("bad"),
            F.count_if(~bad & (score > 0)).alias("positive"),
            F.array(*(F.count_if(weight >= edge) for edge in _EDGES)).alias("weights"),
        )

    def histogram(self, weights: Sequence[int]) -> list[dict[str, Any]]:
        """Return how many pairs have which weight, given that of the `facts`.

        Returns:
            A bin each for the weights from 1 to 2, from 2 to 4, ...: from, to (not included; None: no end) and pairs,
            the number of rows. Nothing for explicit feedback, where all pairs weigh the same.
        """
        if not self.implicit_prefs:
            return []
        return [
            {"from": edge, "to": end, "pairs": number - beyond}
            for edge, end, (number, beyond) in zip(_EDGES, [*_EDGES[1:], None], pairwise([*weights, 0]), strict=True)
        ]

    def _check(self, pairs: int, bad: int, positive: int) -> None:
        """Refuse scores that cannot be fitted."""
        if not pairs:
            raise DataQualityError("NO_ROWS", "als has no scores to fit; see score_filter and train_test_split")
        if bad:
            found = f"{bad:,} of the {pairs:,} pairs that als is to fit have a null, NaN or infinite score or id"
            raise DataQualityError("BAD_SCORE", f"{found}; see score_events.score_map")
        is_kept = self.nonpositive_scores == "keep"
        if not positive and (self.implicit_prefs or not is_kept):
            sentence = f"none of the {pairs:,} pairs that als is to fit has a score above 0; see score_events.score_map"
            raise DataQualityError("NO_POSITIVE", sentence)
        if positive < pairs and not is_kept:
            found = f"{pairs - positive:,} of the {pairs:,} pairs that als is to fit have a score of 0 or below"
            hint = "raise score_filter.min_score above 0, or set als.nonpositive_scores to keep"
            raise DataQualityError("BAD_SCORE", f"{found}; {hint}")

    def _arranged(self, scores: DataFrame, users: int, items: int) -> DataFrame:
        """Return the three columns of the scores in an order that follows from their values alone.

        MLlib cuts the ratings into cells, one per block of visitors and block of items (the index modulo the number of
        blocks). In a cell they stay as they arrive: in the order of a partition, and of the partitions as the network
        has them. Sorting by id, which comes next, keeps that order among the items of a visitor, and in that order its
        equations are added, so that other partitions give other last bits. Here each cell comes from one partition,
        sorted. What is left is the order in which cells, and parts of YᵀY, meet: that is the last bits of a sum of
        doubles, of which factors of 32 bits seldom keep anything.

        How many partitions there are does not matter to the result; with two per block, none is large.
        """
        columns = [F.col(name) for name in (self.user_col, self.item_col, self.rating_col)]
        cell = F.pmod(columns[0], F.lit(users)), F.pmod(columns[1], F.lit(items))
        return scores.select(*columns).repartition(2 * max(users, items), *cell).sortWithinPartitions(*columns)

    def _no_folder(self) -> str:
        return (
            f"als has {self.max_iter} iterations, more than als.checkpoint_interval {self.checkpoint_interval}, and "
            "Spark has no folder for checkpoints; set spark.checkpoint.dir (Spark 4), call setCheckpointDir of its "
            "context, or set als.checkpoint_interval to -1 for none"
        )

    def _als(self, users: int, items: int) -> ALS:
        """Return MLlib's ALS with all its parameters."""
        return ALS(
            rank=self.rank,
            maxIter=self.max_iter,
            regParam=self.reg_param,
            numUserBlocks=users,
            numItemBlocks=items,
            implicitPrefs=self.implicit_prefs,
            alpha=self.alpha,
            nonnegative=self.nonnegative,
            checkpointInterval=self.checkpoint_interval,
            seed=self.seed,
            intermediateStorageLevel=self.intermediate_storage_level,
            finalStorageLevel=self.final_storage_level,
            ratingCol=self.rating_col,
            **{name: value for name, value in self._of_model().items() if name != "predictionCol"},
        ).setPredictionCol(self.prediction_col)

    def _of_model(self) -> dict[str, Any]:
        """Return the parameters that MLlib stores with a model."""
        return {
            "coldStartStrategy": self.cold_start_strategy,
            "blockSize": self.block_size,
            "userCol": self.user_col,
            "itemCol": self.item_col,
            "predictionCol": self.prediction_col,
        }
