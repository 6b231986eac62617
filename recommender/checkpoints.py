"""Whether Spark has a folder for checkpoints, asked of the session alone.

MLlib cuts a long lineage by checkpoints only if there is one, and says nothing if there is none.

Example usage:
>>> has_checkpoint_folder(spark)
False
"""

from pyspark.sql import SparkSession


def has_checkpoint_folder(spark: SparkSession) -> bool:
    """Return whether a checkpoint can be made, whoever has named the folder, and however.

    It is set by ``spark.checkpoint.dir`` from Spark 4 on, or on the context, which a session does not show. But Spark
    refuses a checkpoint without a folder as soon as it is asked for one; the one asked for here is never made.
    """
    try:
        spark.range(0).checkpoint(eager=False)
    except Exception as error:  # whatever the kind of session makes of Spark's
        if "heckpoint directory has not been set" in str(error):
            return False
        raise
    return True
