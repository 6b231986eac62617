"""Generated lists to judge, as Parquet: what a model recommends, what the visitors did, and the training part.

    python benchmarks/judged_lists.py OUT --visitors 100000 [--items 50000]

OUT/lists has model string, visitor_index int, rank int, item_index int: 100 places for every visitor. OUT/holdout and
OUT/scores have visitor_index int, item_index int, score float. OUT appears when all of it is there.

The items are cut into 100 layers of 20 items, and more from layer to layer. A list has an item of each layer, in an
order that is drawn for each visitor: so its items are different, and those of the first layers are in many lists. A
visitor has 1 item held out and a Poisson number of mean 4 besides: three of ten are from its list, the more likely the
further up, the others from all items. It has ten training pairs, of drawn layers.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

FILES = 16  # per table
LENGTH = 100
SMALLEST_LAYER = 20
HELD, FROM_LIST = 4, 0.3
TRAINED = 10


def layers(items: int) -> NDArray[np.int64]:
    """Return the first item of each layer, and the number of all."""
    sizes = np.geomspace(1, 100, LENGTH)
    cuts = np.round(np.cumsum(sizes) / sizes.sum() * (items - SMALLEST_LAYER * LENGTH)).astype(np.int64)
    return np.concatenate([[0], cuts + SMALLEST_LAYER * np.arange(1, LENGTH + 1)])


def drawn(random: np.random.Generator, starts: NDArray[np.int64], layer: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return an item of each given layer."""
    sizes = np.diff(starts)
    return (starts[layer] + random.random(layer.shape) * sizes[layer]).astype(np.int32)


def write(folder: Path, number: int, **columns: NDArray[np.generic]) -> None:
    """Write a file of a table."""
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"part-{number:05}.parquet")


def pairs(folder: Path, number: int, visitors: NDArray[np.int32], items: NDArray[np.int32]) -> None:
    """Write a file of pairs, each once."""
    found = np.unique(visitors.astype(np.int64) << 32 | items)
    score = np.ones(len(found), dtype=np.float32)
    write(
        folder,
        number,
        visitor_index=(found >> 32).astype(np.int32),
        item_index=(found & 0xFFFFFFFF).astype(np.int32),
        score=score,
    )


def main() -> None:
    """Make what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--visitors", type=int, required=True)
    parser.add_argument("--items", type=int, default=50_000)
    options = parser.parse_args()
    part = options.out.with_name(options.out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    random, starts = np.random.default_rng(0), layers(options.items)
    for number, visitors in enumerate(np.array_split(np.arange(options.visitors, dtype=np.int32), FILES)):
        order = np.argsort(random.random((len(visitors), LENGTH), dtype=np.float32), axis=1)
        lists = drawn(random, starts, order)
        write(
            part / "lists",
            number,
            model=pa.DictionaryArray.from_arrays(np.zeros(lists.size, dtype=np.int8), ["model"]).cast(pa.string()),
            visitor_index=np.repeat(visitors, LENGTH),
            rank=np.tile(np.arange(1, LENGTH + 1, dtype=np.int32), len(visitors)),
            item_index=lists.ravel(),
        )
        whose = np.repeat(np.arange(len(visitors)), 1 + random.poisson(HELD, len(visitors)))
        place = (LENGTH * np.square(random.random(len(whose)))).astype(np.int64)
        others = random.integers(0, options.items, len(whose), dtype=np.int32)
        held = np.where(random.random(len(whose)) < FROM_LIST, lists[whose, place], others)
        pairs(part / "holdout", number, visitors[whose], held)
        layer = random.integers(0, LENGTH, len(visitors) * TRAINED)
        pairs(part / "scores", number, np.repeat(visitors, TRAINED), drawn(random, starts, layer))
    part.rename(options.out)


if __name__ == "__main__":
    main()
