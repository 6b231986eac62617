"""Load the classes of Spark that a run needs, for the archive that environment.sh makes of them."""

import tempfile

from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
with tempfile.TemporaryDirectory() as folder:
    pairs = spark.range(20).select((F.col("id") % 5).cast("int").alias("a"), F.col("id").cast("int").alias("b"))
    pairs.write.csv(f"{folder}/csv", header=True)
    read = spark.read.csv(f"{folder}/csv", header=True, schema="a int, b int").cache()
    counted = read.join(pairs.groupBy("a").agg(F.count("b").alias("n"), F.max_by("b", "a")), "a").orderBy("n")
    counted.repartition("a").sortWithinPartitions("b").write.parquet(f"{folder}/parquet")
    model = ALS(userCol="a", itemCol="b", ratingCol="n", rank=2, maxIter=1, implicitPrefs=True).fit(
        spark.read.parquet(f"{folder}/parquet")
    )
    model.write().save(f"{folder}/model")
spark.stop()
