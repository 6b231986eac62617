"""A night on one machine, without this project: pandas, the library implicit with conjugate gradients, and numpy.

The program is called as `night.py LOG OUT [--rank R ...]`: LOG is a folder of CSV files, OUT the Parquet file to write.
It does what the workflow does with its defaults: distinct events; the visitors above the 90th percentile of visitorid
are not trained with; their last five events are held out, and NDCG@10 judges their lists; every visitor gets the ten
best items that it has not seen. A visitor without factors gets the ten most popular items.

It translates alpha and regParam as fit_implicit.py does. --some ranks that many visitors, evenly spaced, instead of
all. The last line printed is JSON: what was found, and the seconds, CPU seconds and peak memory (Linux) of each part.
"""

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

BATCH = 10_000  # visitors
HELD, PLACES, PERCENTILE, THREADS = 5, 10, 90, 2
SCORES = {"view": 1, "addtocart": 5, "transaction": 10}
NEWEST_FIRST = {"visitor": True, "timestamp": False, "itemid": False, "event": False}  # column -> ascending


class Parts:
    """Measures the parts of the program; a part that comes several times counts as a sum, and its memory as a peak."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self._name = ""
        self._since = (0.0, 0.0)

    def begin(self, name: str) -> None:
        """End the part that is running and begin another; "" only ends it."""
        now = (time.monotonic(), time.process_time())
        if self._name:
            part = self.found.setdefault(self._name, {"seconds": 0.0, "cpu": 0.0, "peak": 0.0})
            part["seconds"] += now[0] - self._since[0]
            part["cpu"] += now[1] - self._since[1]
            part["peak"] = max(part["peak"], _peak())
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        self._name, self._since = name, now


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


class Log(NamedTuple):
    """The events by number of visitor and item, those of training first; an item without training events is -1."""

    visitors: NDArray[np.int64]  # ids
    items: NDArray[np.int64]
    trained: int  # visitors
    tastes: csr_matrix  # the summed score of every visitor and item
    tested: pd.DataFrame  # the events of the other visitors


def read(folder: Path) -> pd.DataFrame:
    """Return the distinct events."""
    parts = [pd.read_csv(path, engine="pyarrow") for path in sorted(folder.glob("*.csv"))]
    return pd.concat(parts, ignore_index=True).drop_duplicates(ignore_index=True)


def group(events: pd.DataFrame) -> Log:
    """Split, score, number and group the events."""
    cut = np.percentile(events["visitorid"], PERCENTILE)
    events["score"] = events["event"].map(SCORES).astype(np.float32)
    events["visitor"], visitors = pd.factorize(events["visitorid"], sort=True)  # so training visitors come first
    trained = int(np.searchsorted(visitors, cut))
    is_test = events["visitor"] >= trained
    items = np.sort(events.loc[~is_test, "itemid"].unique())
    events["item"] = pd.Index(items).get_indexer(events["itemid"])
    return Log(np.asarray(visitors), items, trained, grouped(events, len(visitors), len(items)), events[is_test])


def grouped(events: pd.DataFrame, visitors: int, items: int) -> csr_matrix:
    """Return the summed score of each visitor and known item."""
    known = events[events["item"] >= 0]
    return csr_matrix((known["score"], (known["visitor"], known["item"])), shape=(visitors, items))  # adds up


def confidence(tastes: csr_matrix, alpha: float) -> csr_matrix:
    """Return what implicit calls the confidence."""
    return csr_matrix((1 + alpha * tastes.data, tastes.indices, tastes.indptr), shape=tastes.shape)


class Ranker:
    """Fits a model and makes lists of unseen items."""

    def __init__(self, log: Log, options: argparse.Namespace) -> None:
        train = log.tastes[: log.trained]
        self._alpha, self._trained = options.alpha, log.trained
        self._popular = np.argsort(-np.asarray(train.sum(axis=0)).ravel(), kind="stable")[:PLACES]
        self._model = AlternatingLeastSquares(
            factors=options.rank,
            iterations=options.iterations,
            regularization=options.reg_param * 2 * train.nnz / sum(train.shape),
            use_cg=True,
            num_threads=THREADS,
            random_state=0,
        )
        self._model.fit(confidence(train, options.alpha), show_progress=False)

    def lists(self, visitors: NDArray[np.int64], seen: csr_matrix) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return items and scores for visitors of one kind: all of them in training, or none of them."""
        new = bool(visitors[0] >= self._trained)
        weights = confidence(seen, self._alpha)
        items, scores = self._model.recommend(visitors, weights, N=PLACES, recalculate_user=new)
        nothing_known = np.diff(seen.indptr) == 0
        items[nothing_known], scores[nothing_known] = self._popular, 0
        return items, scores


def judge(log: Log, ranker: Ranker) -> tuple[float, int]:
    """Return the NDCG@10 of the visitors that were not trained with, and their number."""
    events = log.tested.sort_values(list(NEWEST_FIRST), ascending=list(NEWEST_FIRST.values()))
    by_visitor = events.groupby("visitor")
    held = by_visitor.cumcount() < np.minimum(by_visitor["item"].transform("size") - 1, HELD)
    pair = ["visitor", "itemid"]
    pairs = events[held][["item", *pair]].drop_duplicates(pair)
    pairs = pairs[~pd.MultiIndex.from_frame(pairs[pair]).isin(pd.MultiIndex.from_frame(events[~held][pair]))]
    visitors, relevant = np.unique(pairs["visitor"], return_counts=True)
    wanted = pairs["visitor"].to_numpy() * len(log.items) + pairs["item"].to_numpy()
    wanted = wanted[pairs["item"] >= 0]  # an item that the model does not know is missed
    history = grouped(events[~held], len(log.visitors), len(log.items))
    discounts = 1 / np.log2(np.arange(2, PLACES + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant, PLACES) - 1]
    total = 0.0
    for start in range(0, len(visitors), BATCH):
        ids = visitors[start : start + BATCH]
        items, _ = ranker.lists(ids, history[ids])
        hits = np.isin(ids[:, None] * len(log.items) + items, wanted)
        total += float((hits @ discounts / ideal[start : start + BATCH]).sum())
    return total / len(visitors), len(visitors)


def serve(log: Log, ranker: Ranker, out: Path, some: int, parts: Parts) -> int:
    """Write the lists of all visitors, or of some; return the number of visitors ranked."""
    chosen = np.linspace(0, len(log.visitors) - 1, min(some, len(log.visitors))).astype(np.int64)
    schema = pa.schema({"visitorid": pa.int64(), "rank": pa.int32(), "itemid": pa.int64(), "score": pa.float32()})
    with pq.ParquetWriter(out, schema) as writer:
        for kind in (chosen[chosen < log.trained], chosen[chosen >= log.trained]):
            for start in range(0, len(kind), BATCH):
                parts.begin("lists")
                ids = kind[start : start + BATCH]
                items, scores = ranker.lists(ids, log.tastes[ids])
                parts.begin("Parquet")
                ranks = np.tile(np.arange(1, PLACES + 1, dtype=np.int32), len(ids))
                columns = [np.repeat(log.visitors[ids], PLACES), ranks, log.items[items].ravel(), scores.ravel()]
                writer.write_table(pa.table(columns, schema=schema))
    return len(chosen)


def main() -> None:
    """Do a night's work and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--reg-param", type=float, default=0.1)
    parser.add_argument("--some", type=int, default=2**62)
    options = parser.parse_args()
    parts = Parts()
    parts.begin("read")
    events = read(options.log)
    parts.begin("group")
    log = group(events)
    del events
    parts.begin("fit")
    ranker = Ranker(log, options)
    parts.begin("judge")
    ndcg, judged = judge(log, ranker)
    ranked = serve(log, ranker, options.out, options.some, parts)
    parts.begin("")
    found = {"visitors": len(log.visitors), "items": len(log.items), "ranked": ranked, "ndcg": ndcg, "judged": judged}
    print("\n" + json.dumps({**found, "parts": parts.found}))


if __name__ == "__main__":
    main()
