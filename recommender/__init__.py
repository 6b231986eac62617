"""From a shop's event log to recommendations that can be served: a distributed workflow on Spark.

A *step* is the smallest unit of work, a *stage* runs its steps and stores one result, the *workflow* is the four stages
in order: prepare, train, predict, expose. Each stage is a spark-submit job of its own (``jobs/``).
"""

__version__ = "0.1.0"
