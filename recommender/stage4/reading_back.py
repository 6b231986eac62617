"""Read back delivered files and tables, and compare the number of rows with those that were sent.

Example usage:
>>> sent, found = (spark.createDataFrame([(n,) for n in range(rows)], "visitorid long") for rows in (3, 2))
>>> check_rows(sent, sent, "shop.lists")
>>> check_rows(sent, found, "shop.lists")
Traceback (most recent call last):
recommender.errors.StorageError: AUDIT_ROWS of 3 rows that were written to shop.lists, 2 can be read back; ...
"""

from pyspark.sql import DataFrame, functions as F

from recommender.errors import StorageError
from recommender.spark.aggregates import single_row


def check_rows(sent: DataFrame, found: DataFrame, place: str) -> None:
    """Compare the number of rows that can be read with the number that was written.

    Args:
        sent: what was written. found: what is there now.
        place: where, for people.

    Raises:
        StorageError: they differ.
    """
    counts = [int(single_row(rows.agg(F.count(F.lit(1))))[0]) for rows in (sent, found)]
    if counts[0] != counts[1]:
        sentence = f"of {counts[0]:,} rows that were written to {place}, {counts[1]:,} can be read back"
        raise StorageError("AUDIT_ROWS", f"{sentence}; look at it, and start the run again")
