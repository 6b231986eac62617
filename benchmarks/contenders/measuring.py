"""What the contenders have in common: their arguments, the way to the factors, and what a ranking costs.

A contender is a program of its own, `NAME.py FOLDER K [--warm] [--lists FILE]`, with FOLDER as benchmarks/factors.py
makes it. It ranks all visitors, and the last line that it prints is JSON with the seconds of that, and the CPU seconds
of the JVM and of Python: the reading of the factors is included, what comes before it is not. --warm ranks everybody
once before that. --lists stores the lists of some visitors, for a comparison with a full sort.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from memory import family
from numpy.typing import NDArray

SAMPLE = 200  # visitors whose lists are compared

Lists = tuple[NDArray[np.integer], NDArray[np.floating]]  # items and scores, shape (visitors, k)


def contend(
    prepare: Callable[[], Any],
    rank: Callable[[Any, Path, int], object],
    lists: Callable[[Any, Path, int, NDArray[np.int32]], Lists] | None = None,
) -> None:
    """Be a contender.

    Args:
        prepare: what is not measured; its result is passed on to the others.
        rank: ranks everybody, and consumes all results.
        lists: returns the lists of the visitors with the given indexes.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("k", type=int)
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--lists", type=Path)
    options = parser.parse_args()
    prepared = prepare()
    if options.warm:
        rank(prepared, options.folder, options.k)
    java, python = processor_seconds()
    started = time.monotonic()
    rank(prepared, options.folder, options.k)
    seconds = time.monotonic() - started
    java, python = (after - before for after, before in zip(processor_seconds(), (java, python), strict=True))
    if options.lists and lists:
        items, scores = lists(prepared, options.folder, options.k, sample(options.folder))
        np.savez(options.lists, items=items, scores=scores)
    print("\n" + json.dumps({"seconds": seconds, "java": java, "python": python}))


def processor_seconds(root: int | None = None) -> tuple[float, float]:
    """Return the CPU seconds so far of the JVM that a process has started, and of Python, with what has ended.

    Args:
        root: id of the process; None: this one.
    """
    java = python = 0
    for process in family(root or os.getpid()):
        try:
            name, fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        own, ended = (sum(map(int, fields.split()[place : place + 2])) for place in (11, 13))
        if name.endswith("(java"):
            java, python = java + own, python + ended
        else:
            python += own + ended
    ticks = os.sysconf("SC_CLK_TCK")
    return java / ticks, python / ticks


def sample(folder: Path) -> NDArray[np.int32]:
    """Return the indexes of some visitors."""
    ids = np.sort(pq.read_table(folder / "model" / "userFactors", columns=["id"])["id"].to_numpy())
    return ids[:: -(-len(ids) // SAMPLE)]


def count(folder: Path) -> int:
    """Return the number of rows of a table."""
    return sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))


def matrix(folder: Path) -> NDArray[np.float32]:
    """Return factors with the id as row, zeros for an id that has none."""
    table = pq.read_table(folder)
    ids = table["id"].to_numpy()
    values = pa.concat_arrays([chunk.flatten() for chunk in table["features"].chunks]).to_numpy()
    found = np.zeros((ids.max() + 1, len(values) // len(ids)), dtype=np.float32)
    found[ids] = values.reshape(len(ids), -1)
    return found


def history(folder: Path, visitors: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return all items of the histories, visitor by visitor, and the offsets of each visitor's."""
    table = pq.read_table(folder / "history", columns=["visitor_index", "item_index"])
    rows, items = (table[name].to_numpy() for name in ("visitor_index", "item_index"))
    by_visitor = np.argsort(rows, kind="stable")
    return items[by_visitor], np.searchsorted(rows[by_visitor], np.arange(visitors + 1))
