"""Stage 4, expose: publish the recommendations, and show what came of the run.

Example usage:
>>> recommendations = spark.createDataFrame([(7, 1, 6, 0.7, "als")],
...                                         "visitorid long, rank int, itemid long, score float, source string")
>>> visitors = spark.createDataFrame([(7, 0)], "visitorid long, visitor_index int")
>>> items = spark.createDataFrame([(5, 0), (6, 1)], "itemid long, item_index int")
>>> interactions = spark.createDataFrame([(0, 0, "view", 9)],
...                                      "visitor_index int, item_index int, event string, last_timestamp long")
>>> stage = Stage4({})
>>> stage.execute(recommendations, interactions, visitors, items)["recommendations"].count()
1
>>> stage.examples
[Example(visitorid=7, source='als', history=[('view', 5)], recommended=[(6, 0.7)])]
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pyspark.sql import DataFrame

from recommender.counting import StepRows
from recommender.stage import Stage
from recommender.stage4.steps import Publisher, RunReport
from recommender.stage4.steps.run_report import Example
from recommender.tables import as_stored


class Stage4(Stage):
    """Expose: publish the recommendations of stage 3.

    It consists of the following steps:
    - publish: the recommendations as Parquet, sorted by visitor
    - report: a few visitors to look at

    Init parameters:
        config: step -> parameters; a step that is not named gets its defaults.
    Execution args:
        recommendations: the table of stage 3. interactions, visitors, items: the tables of stage 1.
    Execution returns:
        Dictionary with the DataFrame recommendations; the examples are in the attribute `examples`.
    Raises:
        ConfigError: the config is wrong; all mistakes are listed.
    Persist strategy:
        Parquet, a folder per table, below the given path.
    """

    NAME = "expose"
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "recommendations": ("stage3", "recommendations"),
        "interactions": ("stage1", "interactions"),
        "visitors": ("stage1", "visitors"),
        "items": ("stage1", "items"),
    }
    STEPS: ClassVar[Mapping[str, type]] = {"publish": Publisher, "report": RunReport}
    GATED_BY: ClassVar[str | None] = "stage2"

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.examples: Sequence[Example] = []

    def execute(
        self, recommendations: DataFrame, interactions: DataFrame, visitors: DataFrame, items: DataFrame
    ) -> dict[str, DataFrame]:
        """Return what is published; see the class."""
        self.examples = self.steps["report"].execute(recommendations, interactions, visitors, items)
        published = self.steps["publish"].execute(recommendations)
        return {"recommendations": as_stored("recommendations", published)}

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given what was counted while the data was persisted."""
        return [
            StepRows(
                "publish", rows["recommendations"], rows["recommendations"], f"channel {self.steps['publish'].channel}"
            )
        ]
