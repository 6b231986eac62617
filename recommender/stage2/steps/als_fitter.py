"""Fit the matrix model: MLlib's ALS.

Example usage:
>>> scores = spark.createDataFrame([(0, 0, 1.0), (1, 1, 2.0)], "visitor_index int, item_index int, score float")
>>> model = AlsFitter(rank=2, max_iter=1).execute(scores)
>>> model.rank, model.itemFactors.columns
(2, ['id', 'features'])
"""

from typing import Literal

from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame

import recommender.constants as C
from recommender.base import Annotated, ColumnName, Field, step
from recommender.errors import DataQualityError
from recommender.partitions import cores
from recommender.persistent import Persistent

StorageLevelName = Literal[
    "MEMORY_AND_DISK", "MEMORY_AND_DISK_SER", "MEMORY_ONLY", "MEMORY_ONLY_SER", "DISK_ONLY", "OFF_HEAP"
]


@step
class AlsFitter(Persistent):
    """Factorise the scores into factors of visitors and items by alternating least squares.

    With implicit feedback MLlib minimises, over the factors x_u and y_i of all visitors and items,

        Σ_{u,i} (1 + alpha |r_ui|) (p_ui - x_u·y_i)² + reg_param (Σ_u n_u |x_u|² + Σ_i n_i |y_i|²)

    where p_ui is 1 for r_ui > 0 and else 0, and n counts the positive scores of a visitor or an item. So alpha says how
    much more an observed pair weighs than an unobserved one, per unit of score, and reg_param acts on each factor in
    proportion to its data: the two are searched together. Source: Hu, Koren and Volinsky 2008; Zhou et al. 2008.

    Init parameters:
        rank: number of factors, 1 to 1000; the time of a fit grows with its square to cube.
        max_iter: number of iterations, 0 to 1000.
        reg_param: regularisation, >= 0.
        num_user_blocks: blocks of visitors; null: as many as there are cores.
        num_item_blocks: blocks of items; null: as many as there are cores.
        implicit_prefs: whether scores are confidence in a preference (implicit) or ratings (explicit).
        alpha: confidence per unit of score, >= 0; only implicit.
        nonnegative: whether factors may not be negative.
        checkpoint_interval: iterations between checkpoints, 1 to 1000, or -1 for none.
        seed: seed of the random start.
        intermediate_storage_level: storage of the blocks while fitting.
        final_storage_level: storage of the factors of the model.
        cold_start_strategy: what MLlib's own transform does with unknown ids; nan or drop.
        block_size: rows per block in MLlib's own recommend and transform, >= 1.
        user_col: column with the visitor's index.
        item_col: column with the item's index.
        rating_col: column with the score.
        prediction_col: column that MLlib's own transform adds.
    Execution args:
        scores: one row per pair: `user_col` int, `item_col` int, `rating_col` float.
    Execution returns:
        The ``pyspark.ml.recommendation.ALSModel``; its factors are id int, features array<float>.
    Raises:
        ConfigError: a parameter is out of range. DataQualityError: there are no scores.
    Persist strategy: as MLlib saves a model; stage 2 does so.
    """

    rank: Annotated[int, Field(ge=1, le=1000)] = 32
    max_iter: Annotated[int, Field(ge=0, le=1000)] = 10
    reg_param: Annotated[float, Field(ge=0)] = 0.1
    num_user_blocks: Annotated[int, Field(ge=1, le=100_000)] | None = None
    num_item_blocks: Annotated[int, Field(ge=1, le=100_000)] | None = None
    implicit_prefs: bool = True
    alpha: Annotated[float, Field(ge=0)] = 1.0
    nonnegative: bool = False
    checkpoint_interval: Annotated[int, Field(ge=-1, le=1000)] = 10
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] = 0
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

    def execute(self, scores: DataFrame) -> ALSModel:
        """Return the fitted model; see the class."""
        if scores.isEmpty():
            raise DataQualityError("NO_ROWS", "als has no scores to fit; see score_filter and train_test_split")
        blocks = cores(scores.sparkSession)
        als = ALS(
            rank=self.rank,
            maxIter=self.max_iter,
            regParam=self.reg_param,
            numUserBlocks=self.num_user_blocks or blocks,
            numItemBlocks=self.num_item_blocks or blocks,
            implicitPrefs=self.implicit_prefs,
            alpha=self.alpha,
            nonnegative=self.nonnegative,
            checkpointInterval=self.checkpoint_interval,
            seed=self.seed,
            intermediateStorageLevel=self.intermediate_storage_level,
            finalStorageLevel=self.final_storage_level,
            coldStartStrategy=self.cold_start_strategy,
            blockSize=self.block_size,
            userCol=self.user_col,
            itemCol=self.item_col,
            ratingCol=self.rating_col,
        ).setPredictionCol(self.prediction_col)
        return als.fit(scores.select(self.user_col, self.item_col, self.rating_col))
