"""Cut the visitors into shards.

Example usage:
>>> visitors = spark.range(1000).selectExpr("cast(id as int) as visitor_index")
>>> shards = VisitorShards(visitors_per_shard=400)
>>> shards.number_of(1000)
3
>>> [shards.execute(visitors, shard, 3).count() for shard in range(3)]
[333, 326, 341]
"""

from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender.settings.step import Annotated, Field, step


@step
class VisitorShards:
    """Take one of several parts of the visitors, by a hash of the index, so that parts are about equally large.

    Stage 3 stores each part when it is done: a run that was killed goes on with the first part that is missing.

    Init parameters:
        visitors_per_shard: about how many visitors are in a shard, 1 to 2 billion. A shard costs some seconds of
            its own.
    Execution args:
        rows: visitor_index int, any other columns. shard: number of the part, from 0. of: how many parts there are.
    Execution returns:
        the rows of the visitors of that part, same columns; row order undefined.
    Raises:
        ConfigError: the parameter is out of range.
    Persist strategy: none of its own; stage 3 stores what is made of a shard.
    """

    visitors_per_shard: Annotated[int, Field(ge=1, le=2_000_000_000)] = 2_000_000

    def number_of(self, visitors: int) -> int:
        """Return the number of shards for a number of visitors, at least 1."""
        return max(1, -(-visitors // self.visitors_per_shard))

    def execute(self, rows: DataFrame, shard: int, of: int) -> DataFrame:
        """Return the rows of one part; see the class."""
        return rows if of == 1 else rows.where(F.pmod(F.xxhash64(C.VISITOR_INDEX), F.lit(of)) == shard)
