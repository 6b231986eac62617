"""What the contenders of benchmarks/evaluate.py have in common: their arguments, and what an evaluation costs.

A contender is a program of its own, `NAME.py FOLDER OUT CUTOFFS [--visitors N]`, with FOLDER as
benchmarks/judged_lists.py makes it and CUTOFFS separated by commas. It judges the lists of all visitors, or of the
first so many, and writes what it found to OUT: JSON of {metric@k: value} with our names of the metrics. The last line
that it prints is JSON with the seconds, and the CPU seconds of the JVM and of Python: the reading of the tables is
included, what comes before it is not.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from measuring import processor_seconds
from pyspark.sql import DataFrame, SparkSession


class Tables(NamedTuple):
    """What is read."""

    lists: DataFrame
    holdout: DataFrame
    scores: DataFrame


def contend(
    prepare: Callable[[], SparkSession], judge: Callable[[Tables, Sequence[int]], Callable[[], dict[str, float]]]
) -> None:
    """Be a contender.

    Args:
        prepare: starts the session, which is not measured.
        judge: evaluates, and returns what tells the values, which is not measured.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("cutoffs", type=lambda text: [int(k) for k in text.split(",")])
    parser.add_argument("--visitors", type=int)
    options = parser.parse_args()
    spark = prepare()
    java, python = processor_seconds()
    started = time.monotonic()
    tables = Tables(*(spark.read.parquet(str(options.folder / name)) for name in Tables._fields))
    if options.visitors:
        first = f"visitor_index < {options.visitors}"
        tables = Tables(tables.lists.where(first), tables.holdout.where(first), tables.scores)
    tell = judge(tables, options.cutoffs)
    seconds = time.monotonic() - started
    java, python = (after - before for after, before in zip(processor_seconds(), (java, python), strict=True))
    options.out.write_text(json.dumps(tell()))
    print("\n" + json.dumps({"seconds": seconds, "java": java, "python": python}))
