"""The places that a version is delivered to besides the store, without Spark.

A version is *loaded* where nobody sees it, and then *shown*: one small step, for which the channel's record is written
next. A version is the result of an attempt in the store; a place that has it is not loaded again. The
modules that need psycopg (an extra) are imported by who opens such a place.
"""
