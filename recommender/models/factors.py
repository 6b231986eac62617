"""Lists by the factors of a matrix model.

Example usage:
>>> visitors = spark.createDataFrame([(7,)], "visitor_index int")
>>> history = spark.createDataFrame([(7, 0, "view", 1.0, 5)], schemas.TABLES["history"])
>>> popularity = spark.createDataFrame([(0, 1.0)], "item_index int, score double")
>>> item_factors = spark.createDataFrame([(0, [1.0, 0.0]), (1, [0.5, 0.5])], "id int, features array<float>")
>>> maker = ListMaker(RuledSteps.build({}), k=1, visitors=visitors, number=1, history=history, allowed=None,
...                   popularity=popularity)
>>> als = {"implicit_prefs": True, "alpha": 1.0, "reg_param": 0.1, "nonnegative": False}
>>> Factors(item_factors, als).lists(maker).select("visitor_index", "rank", "item_index", "source").show()
+-------------+----+----------+-------+
|visitor_index|rank|item_index| source|
+-------------+----+----------+-------+
|            7|   1|         1|fold_in|
+-------------+----+----------+-------+
<BLANKLINE>
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.models.list_maker import ListMaker
from recommender.ruled_stage import RuledSteps  # noqa: F401 - for the example
from recommender.spark.aggregates import single_row
from recommender.spark.blocks import size_of
from recommender.steps import solver_of
from recommender.tables import schemas  # noqa: F401 - for the example


@dataclass(frozen=True)
class Factors:
    """The matrix model: a visitor's score of an item is the inner product of their factors.

    Init parameters:
        item_factors: id int, features array<float>.
        als: the parameters that these were fitted with.
        visitor_factors: the same of the visitors that were trained with all of their events; None: all visitors are
            folded in.
    """

    item_factors: DataFrame
    als: Mapping[str, Any]
    visitor_factors: DataFrame | None = None

    SOURCES: ClassVar = (C.ALS, C.FOLD_IN, C.POPULAR)
    LIKENESS: ClassVar = "by the cosine of their factors"
    IS_BLENDED: ClassVar = True  # with recent popularity, if the step blend has a weight

    def lists(self, maker: ListMaker) -> DataFrame:
        """Return a list for every visitor, see `TopKRecommender`; the source is als, fold_in or popular."""
        visitors, item_factors = self._of_visitors(maker), self.item_factors
        if maker.recent is not None:
            visitors, item_factors = maker.steps.blend.execute(visitors, item_factors, maker.recent)
        return maker.by_factors(visitors, item_factors)

    def similar(self, step: Any, allowed: DataFrame | None) -> tuple[DataFrame, int | None]:
        """Return what the step similar_items finds, and how many items there are."""
        count, rank = single_row(size_of(self.item_factors))
        return step.execute(self.item_factors, item_count=count, rank=rank, allowed=allowed), count

    def _of_visitors(self, maker: ListMaker) -> DataFrame:
        """Return visitor_index, source and features of every visitor, null where it has no factors."""
        history = maker.history
        if self.visitor_factors is not None:
            others = maker.visitors.where(~F.col(C.TRAINED)).select(C.VISITOR_INDEX)
            history = history.join(others, C.VISITOR_INDEX, "left_semi")
        solver = solver_of(self.als)
        folded = maker.steps.fold_in.execute(history, self.item_factors, **solver, visitor_count=maker.number)
        factors = folded.withColumn(C.SOURCE, F.lit(C.FOLD_IN))
        if self.visitor_factors is not None:
            # Who has no positive score gets zeros from MLlib: no item is better than another then.
            usable = self.visitor_factors.where(F.exists(C.FEATURES, lambda factor: factor != 0))
            trained = maker.visitors.where(C.TRAINED).select(F.col(C.VISITOR_INDEX).alias(C.ID))
            known = usable.join(trained, C.ID, "left_semi").withColumn(C.SOURCE, F.lit(C.ALS))
            factors = known.unionByName(factors)
        every = maker.visitors.select(F.col(C.VISITOR_INDEX).alias(C.ID))
        return every.join(factors, C.ID, "left").withColumnRenamed(C.ID, C.VISITOR_INDEX)
