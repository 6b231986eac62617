"""Factors and histories to rank with, as Parquet: those of a real fit, or generated ones.

    python benchmarks/factors.py OUT --rank 64 --train train.txt.gz
    python benchmarks/factors.py OUT --rank 64 --generated 200000 235000 [--heavy 100000]

OUT/model is an ALSModel as MLlib saves it, with userFactors and itemFactors (id int, features array<float>), and
OUT/history has visitor_index int, item_index int, event string. OUT appears when all of it is there.

The fit is MLlib's, on implicit feedback, with alpha 10, regParam 0.1 and 5 iterations; the file has a line per visitor:
its number, and those of its items.

Generated factors resemble Gowalla's at rank 64 in what matters to a search for the largest inner products. The norms
are log-normal, independent of the direction. A direction is the sum of one of 50 themes, of 0.15 times one that all
share, and of noise, whose variance falls along the axes as 1/sqrt(axis) and whose size is log-normal too: so some lie
close to their theme, and others far from it. Visitors and items have the same themes. At 30,000 x 41,000, 12, 22 and
42 % of the items have a norm that could still reach the 10th, 30th and 100th best score of a visitor, where Gowalla has
6, 14 and 39 %. A visitor has about ten items (Poisson), half of them from its theme, drawn with the square of their
norm as weight.

--heavy adds a visitor with so many items in its history.
"""

import argparse
import gzip
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

FILES = 8  # per table, so that there is something to share among tasks
THEMES = 50
COMMON = 0.15  # of what all directions share, per part of their theme
NOISE, SPREAD_OF_NOISE = 0.7, 0.6  # median per part of the theme, and standard deviation of the logarithm
SPREAD = 0.47  # standard deviation of the logarithm of the norms
ITEMS_PER_VISITOR = 10


def main() -> None:
    """Make what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--train", type=Path, help="a line per visitor: visitor item item ...")
    parser.add_argument("--generated", type=int, nargs=2, metavar=("VISITORS", "ITEMS"))
    parser.add_argument("--heavy", type=int, metavar="ITEMS", help="also a visitor with a history of so many items")
    options = parser.parse_args()
    part = options.out.with_name(options.out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if options.train:
        write_history(part / "history", *read_pairs(options.train))
        fit(part, options.rank)
    else:
        generate(part, options.rank, *options.generated, options.heavy)
    part.rename(options.out)


def read_pairs(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the visitor and the item of each pair."""
    visitors, items = [], []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            visitor, *its_items = map(int, line.split())
            visitors += [visitor] * len(its_items)
            items += its_items
    return np.array(visitors, dtype=np.int32), np.array(items, dtype=np.int32)


def fit(folder: Path, rank: int) -> None:
    """Fit the history and save the model."""
    spark = SparkSession.builder.getOrCreate()
    scores = spark.read.parquet(str(folder / "history")).selectExpr("visitor_index", "item_index", "1F score")
    als = ALS(rank=rank, maxIter=5, regParam=0.1, implicitPrefs=True, alpha=10.0, seed=0, **columns())
    blocks = spark.sparkContext.defaultParallelism
    als.setNumBlocks(blocks).fit(scores).save(str(folder / "model"))


def columns() -> dict[str, str]:
    """Return the columns of the history, as ALS calls them."""
    return {"userCol": "visitor_index", "itemCol": "item_index", "ratingCol": "score"}


def generate(folder: Path, rank: int, visitors: int, items: int, heavy: int | None) -> None:
    """Generate factors and histories; the metadata of the model are those of a tiny one."""
    spark = SparkSession.builder.getOrCreate()
    tiny = spark.createDataFrame([(0, 0, 1.0), (1, 1, 1.0)], "visitor_index int, item_index int, score float")
    ALS(rank=rank, maxIter=1, seed=0, **columns()).fit(tiny).save(str(folder / "model"))
    spark.stop()
    random = np.random.default_rng(0)
    centres = unit(random.standard_normal((THEMES, rank)))
    common = unit(random.standard_normal((1, rank)))
    theme_of_visitor, theme_of_item = random.integers(0, THEMES, visitors), random.integers(0, THEMES, items)
    visitor_factors = factors(random, common, centres[theme_of_visitor])
    item_factors = factors(random, common, centres[theme_of_item])
    rows, columns_ = histories(random, theme_of_visitor, theme_of_item, item_factors)
    if heavy:
        visitor_factors = np.vstack([visitor_factors, visitor_factors[:1]])
        rows = np.concatenate([rows, np.full(heavy, visitors)])
        columns_ = np.concatenate([columns_, random.permutation(items)[:heavy]])
    write_history(folder / "history", rows, columns_)
    write_factors(folder / "model" / "userFactors", visitor_factors)
    write_factors(folder / "model" / "itemFactors", item_factors)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of norm 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def factors(
    random: np.random.Generator, common: NDArray[np.float64], themes: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return factors, each with the theme that is given for it."""
    count, rank = themes.shape
    noise = unit(random.standard_normal((count, rank)) * np.arange(1, rank + 1) ** -0.25)
    noise *= random.lognormal(np.log(NOISE), SPREAD_OF_NOISE, (count, 1))
    directions = unit(COMMON * common + themes + noise)
    return (directions * random.lognormal(0, SPREAD, (count, 1))).astype(np.float32)


def histories(
    random: np.random.Generator,
    theme_of_visitor: NDArray[np.int64],
    theme_of_item: NDArray[np.int64],
    item_factors: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the visitor and the item of each pair of the histories, each pair once."""
    rows = np.repeat(np.arange(len(theme_of_visitor)), random.poisson(ITEMS_PER_VISITOR, len(theme_of_visitor)))
    # All items in the order of their themes: drawing one of a theme is drawing from a range of the summed weights.
    order = np.argsort(theme_of_item, kind="stable")
    weights = np.square(item_factors[order].astype(np.float64)).sum(axis=1)
    sums = np.concatenate([[0], np.cumsum(weights)])
    starts = sums[np.searchsorted(theme_of_item[order], np.arange(THEMES + 1))]
    own = random.random(len(rows)) < 0.5  # noqa: PLR2004 - a half
    low = np.where(own, starts[theme_of_visitor[rows]], 0)
    high = np.where(own, starts[theme_of_visitor[rows] + 1], sums[-1])
    drawn = np.searchsorted(sums, low + (high - low) * random.random(len(rows)), side="right") - 1
    pairs = np.unique(rows * len(order) + order[np.minimum(drawn, len(order) - 1)])
    return pairs // len(order), pairs % len(order)


def write_history(folder: Path, visitors: NDArray[np.integer], items: NDArray[np.integer]) -> None:
    """Write pairs of a visitor and an item; all are purchases."""
    events = pa.DictionaryArray.from_arrays(np.zeros(len(visitors), dtype=np.int32), ["transaction"]).cast(pa.string())
    columns_ = [visitors.astype(np.int32), items.astype(np.int32), events]
    write(folder, pa.table(columns_, ["visitor_index", "item_index", "event"]))


def write_factors(folder: Path, matrix: NDArray[np.float32]) -> None:
    """Write factors in place of what is there; the row is the id."""
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    features = pa.ListArray.from_arrays(offsets, matrix.ravel())
    write(folder, pa.table([np.arange(len(matrix), dtype=np.int32), features], ["id", "features"]))


def write(folder: Path, table: pa.Table) -> None:
    """Write a table as some files in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    size = -(-table.num_rows // FILES)
    for number in range(FILES):
        pq.write_table(table.slice(number * size, size), folder / f"part-{number:05}.parquet")


if __name__ == "__main__":
    main()
