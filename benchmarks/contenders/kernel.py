"""The kernel of recommender.ranking on one thread, beside the plain matrix product, and that with chunk selection.

    OPENBLAS_NUM_THREADS=1 python kernel.py FOLDER K [--visitors 4000] [--runs 3] [--equal-norms]

The last line that it prints is JSON: CPU seconds per 1,000 visitors of each, the median of the runs, which alternate;
and `scored`, the share of the scores that the kernel computed, null where it does not tell. The items are arranged
before, once, where the kernel wants it so. --equal-norms divides the items by their norms.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import history, matrix
from numpy.typing import NDArray

from recommender import ranking

VISITORS = 256  # are worked on together by the two that it is compared with
CHUNK = 128  # items

Factors = NDArray[np.float32]
Excluded = tuple[NDArray[np.integer], NDArray[np.int64]]  # values and offsets, as `top_k` wants them


def product(visitors: Factors, items: Factors, _: int, __: Excluded, scores: Factors) -> None:
    """Compute all scores, and look at none."""
    for start in range(0, len(visitors), VISITORS):
        block = visitors[start : start + VISITORS]
        np.matmul(block, items.T, out=scores[: len(block), : len(items)])


def chunk_selection(
    visitors: Factors, items: Factors, k: int, excluded: Excluded, scores: Factors
) -> tuple[NDArray[np.int64], Factors]:
    """Compute all scores, the maxima of chunks of items, and look into the k chunks with the largest."""
    values, offsets = excluded
    found = np.empty((len(visitors), k), dtype=np.int64), np.empty((len(visitors), k), dtype=np.float32)
    chunks = scores.shape[1] // CHUNK
    for start in range(0, len(visitors), VISITORS):
        block = visitors[start : start + VISITORS]
        rows = np.arange(len(block))[:, None]
        part = scores[: len(block)]
        np.matmul(block, items.T, out=part[:, : len(items)])
        part[:, len(items) :] = -np.inf
        bounds = offsets[start : start + len(block) + 1]
        part[np.repeat(rows[:, 0], np.diff(bounds)), values[bounds[0] : bounds[-1]]] = -np.inf
        pieces = part.reshape(len(block), chunks, CHUNK)
        maxima = pieces.max(axis=2)
        best = np.argpartition(maxima, chunks - min(k, chunks), axis=1)[:, -k:]
        candidates = pieces[rows, best].reshape(len(block), -1)
        chosen = np.argpartition(candidates, candidates.shape[1] - k, axis=1)[:, -k:]
        chosen = chosen[rows, np.argsort(-candidates[rows, chosen], axis=1)]
        own = slice(start, start + len(block))
        found[0][own] = best[rows, chosen // CHUNK] * CHUNK + chosen % CHUNK
        found[1][own] = candidates[rows, chosen]
    return found


def ours(items: Factors, k: int) -> Callable[[Factors, Excluded], tuple[Factors, int | None]]:
    """Return the kernel for some items: it returns the scores of the lists, and how many scores it computed."""
    arranged = ranking.arranged(np.arange(len(items), dtype=np.int32), items)

    def search(visitors: Factors, excluded: Excluded) -> tuple[Factors, int | None]:
        best = ranking.nothing_found(len(visitors), k)
        computed = ranking.improve(best, visitors, arranged, excluded)
        return ranking.found(best)[1], computed

    return search


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return the CPU seconds of a call, and its result."""
    started = time.process_time()
    result = function(*arguments)
    return time.process_time() - started, result


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("k", type=int)
    parser.add_argument("--visitors", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--equal-norms", action="store_true")
    options = parser.parse_args()
    visitors, items = (matrix(options.folder / "model" / name) for name in ("userFactors", "itemFactors"))
    if options.equal_norms:
        items /= np.maximum(np.linalg.norm(items, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    values, offsets = history(options.folder, len(visitors))
    chosen = np.arange(0, len(visitors), -(-len(visitors) // options.visitors))
    starts, stops = offsets[chosen], offsets[chosen + 1]
    own = np.concatenate([values[start:stop] for start, stop in zip(starts, stops, strict=True)])
    excluded = own, np.concatenate([[0], np.cumsum(stops - starts)])
    visitors = visitors[chosen]
    scores = np.ones((VISITORS, -(-len(items) // CHUNK) * CHUNK), dtype=np.float32)
    search = ours(items, options.k)
    seconds: dict[str, list[float]] = {"product": [], "chunk_selection": [], "ours": []}
    for _ in range(options.runs):
        arguments = visitors, items, options.k, excluded, scores
        seconds["product"].append(timed(product, *arguments)[0])
        took, (_, expected) = timed(chunk_selection, *arguments)
        seconds["chunk_selection"].append(took)
        took, (best, computed) = timed(search, visitors, excluded)
        seconds["ours"].append(took)
        assert np.allclose(best, expected, rtol=1e-3, atol=1e-5, equal_nan=True), "the two disagree"
    figures: dict[str, float | None] = {
        name: 1000 * statistics.median(each) / len(visitors) for name, each in seconds.items()
    }
    figures["scored"] = None if computed is None else computed / len(visitors) / len(items)
    print("\n" + json.dumps(figures))


if __name__ == "__main__":
    main()
