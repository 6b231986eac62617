"""The two passes of an evaluation: compute the sums of each bucket of visitors and items, and merge them.

There are two passes. In the first a task has whole buckets of visitors and of items (``packing``), and leaves their
sums (``by_visitor``, ``exposure``): a row per segment and model. In the second these are added, and become the result.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

import recommender.constants as C
from recommender.evaluation.bootstrap import WeightedSums, bounds
from recommender.evaluation.by_visitor import VisitorSums
from recommender.evaluation.exposure import Exposure
from recommender.evaluation.packing import HELD, MEMBERS, PLACES, SCORED, SHOWN, Records, pieces, records
from recommender.evaluation.task import Task

# Of visitors: the counts and the sums of the replicates. Of items: facts, and how many are alike in the place of sums.
SUMS = f"{C.SEGMENT} string, {C.MODEL} int, facts string, counts binary, sums binary"
RESULT = (
    f"{C.SEGMENT} string, {C.MODEL} string, {C.METRIC} string, k int, value double, low double, high double, "
    f"visitors bigint, {C.MEANS} array<double>"
)
_SUMS = pa.schema(
    [
        (C.SEGMENT, pa.string()),
        (C.MODEL, pa.int32()),
        ("facts", pa.string()),
        ("counts", pa.binary()),
        ("sums", pa.binary()),
    ]
)


class _Mergeable(Protocol):
    def merge(self, other: Any, /) -> None: ...


K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=_Mergeable)


def judged(batches: Iterator[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    """Return the sums, `SUMS`, of whole buckets of cells, which are sorted by bucket."""
    visitors = VisitorSums(task)
    exposures: list[Exposure] = []
    for cells in pieces(batches, task.bytes_together):
        if task.of_visitors:
            named = cells.filter(pc.is_valid(cells[C.SEGMENT]))
            segments = {
                name: records(named.filter(pc.equal(named[C.SEGMENT], name)), MEMBERS)["visitor"]
                for name in named[C.SEGMENT].unique().to_pylist()
            }
            visitors.add(records(cells, HELD), records(cells, PLACES), segments)
        if task.of_exposure:
            found = _exposures(records(cells, SHOWN), records(cells, SCORED), task)
            for one, more in zip(exposures, found, strict=False):
                one.merge(more)
            exposures = exposures or found
    for segment, sums in visitors.segments.items():
        for model in range(len(task.models)):
            own = sums.sums[:, model * task.cells : (model + 1) * task.cells]
            yield _row(segment, model, None, _to_bytes(sums.counts), _to_bytes(own))
    for model, exposure in enumerate(exposures):
        facts, alike = exposure.to_cells()
        yield _row(None, model, facts, None, alike)


def _row(segment: str | None, model: int, facts: str | None, counts: bytes | None, sums: bytes) -> pa.RecordBatch:
    values = (segment, model, facts, counts, sums)
    return pa.RecordBatch.from_pylist([dict(zip(_SUMS.names, values, strict=True))], _SUMS)


def _to_bytes(numbers: NDArray[np.int64]) -> bytes:
    return numbers.astype("<i8").tobytes()


def _exposures(shown: Records, scored: Records, task: Task) -> list[Exposure]:
    """Return what each model shows of some items."""
    items, rows = np.unique(shown["item"], return_inverse=True)
    counts = np.zeros((len(items), len(task.models), len(task.places)), dtype=np.int64)
    np.add.at(counts, (rows, shown["model"], shown["place"]), shown["count"])
    counts = np.cumsum(counts, axis=2)
    by_item = scored[np.argsort(scored["item"], kind="stable")]
    scores = np.full(len(items), np.nan)
    if len(by_item):
        found = np.minimum(np.searchsorted(by_item["item"], items), len(by_item) - 1)
        is_known = by_item["item"][found] == items
        scores[is_known] = by_item["score"][found[is_known]]
    each = []
    for model in range(len(task.models)):
        is_shown = counts[:, model].any(axis=1)
        each.append(Exposure.of(counts[is_shown, model], scores[is_shown], scored["score"]))
    return each


def merged(batches: Iterator[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    """Add the sums of each segment and model, and return their metrics, `RESULT`."""
    visitors: dict[tuple[str | None, int], WeightedSums] = {}
    exposures: dict[int, Exposure] = {}
    for row in (row for batch in batches for row in batch.to_pylist()):
        segment, model, facts, counts, sums = row.values()
        if facts is None:
            found = WeightedSums(task.replicates, task.cells, _from_bytes(counts), _from_bytes(sums))
            _add(visitors, (segment, model), found)
        else:
            _add(exposures, model, Exposure.from_cells(facts, sums))
    for (segment, model), summed in visitors.items():
        yield from _of_visitors(segment, model, summed, task).to_batches()
    for model, exposure in exposures.items():
        if exposure.lists:
            yield from _of_exposure(model, exposure, task).to_batches()


def _add(found: dict[K, T], key: K, more: T) -> None:
    if key in found:
        found[key].merge(more)
    else:
        found[key] = more


def _from_bytes(cell: bytes) -> NDArray[np.int64]:
    return np.frombuffer(cell, "<i8").astype(np.int64)


def _of_visitors(segment: str | None, model: int, sums: WeightedSums, task: Task) -> pa.Table:
    """Return the rows of the result for one segment and model."""
    means = sums.means()
    visitors = int(sums.counts[0])
    interval = bounds(means[1:]) if visitors > 1 else None
    offsets = pa.array(np.arange(task.cells + 1) * task.replicates, pa.int32())
    replicates = pa.ListArray.from_arrays(offsets, pa.array(means[1:].T.ravel(), from_pandas=True))  # NaN is null
    low, high = (None, None) if interval is None else interval
    return _table(segment, model, task.of_visitors, visitors, (means[0], low, high), replicates, task)


def _of_exposure(model: int, exposure: Exposure, task: Task) -> pa.Table:
    """Return the rows of the result for what one model shows."""
    wanted = [task.places.index(k) for k in task.cutoffs]
    values = [[each[place] for place in wanted] for each in exposure.values(task.places, task.of_exposure)]
    flat = [value for each in values for value in each]
    return _table(None, model, task.of_exposure, exposure.lists, (flat, None, None), None, task)


def _table(
    segment: str | None,
    model: int,
    metrics: Sequence[str],
    visitors: int,
    columns: Sequence[Any],
    means: pa.Array | None,
    task: Task,
) -> pa.Table:
    """Return the rows of the result for some metrics; columns: value, low, high, null if there is none."""
    size = len(metrics) * len(task.cutoffs)
    value, low, high = (pa.array([None] * size if column is None else column, pa.float64()) for column in columns)
    return pa.table(
        {
            C.SEGMENT: pa.array([segment] * size, pa.string()),
            C.MODEL: [task.models[model]] * size,
            C.METRIC: [metric for metric in metrics for _ in task.cutoffs],
            "k": pa.array([*task.cutoffs] * len(metrics), pa.int32()),
            "value": value,
            "low": low,
            "high": high,
            "visitors": pa.array([visitors] * size, pa.int64()),
            C.MEANS: pa.nulls(size, pa.list_(pa.float64())) if means is None else means,
        }
    )
