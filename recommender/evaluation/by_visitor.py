"""The means of the per-visitor metrics, with their intervals: one pass over what concerns each visitor.

The relevant items, the hits and the segments of a visitor come together as rows of one table. A task makes of them the
metrics of its visitors, block by block (``accuracy``), and their sums in all replicates (``bootstrap``): a row per
segment and model leaves it, and these are added.

Example usage:
>>> lists = spark.createDataFrame([(0, 7, 1, 100)], "model int, visitor_index int, rank int, item_index int")
>>> holdout = spark.createDataFrame([(7, 100), (8, 100)], "visitor_index int, item_index int")
>>> task = Task(models=("als",), cutoffs=(1,), metrics=("recall",), replicates=0)
>>> means(lists, holdout, None, task).select("model", "metric", "k", "value", "visitors").collect()
[Row(model='als', metric='recall', k=1, value=0.5, visitors=2)]
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, functions as F

import recommender.constants as C
from recommender.blocks import whole_groups
from recommender.evaluation.accuracy import Held, Hits, judge
from recommender.evaluation.bootstrap import WeightedSums, bounds, in_units, weights

CELLS = (
    f"{C.SEGMENT} string, {C.MODEL} string, {C.METRIC} string, k int, value double, low double, high double, "
    f"visitors bigint, {C.MEANS} array<double>"
)
_GAIN = "gain"
_HELD, _NAMED = -1, -2  # in the place of the model: a relevant item, a segment
# A worker has some hundred MB: so many values of 8 bytes are worked on together, and so many weights of up to 9.
_VALUES = _WEIGHTS = 2**22
_LEAST_ROWS, _MOST_ROWS = 2**12, 2**17
_PARTIALS = f"{C.SEGMENT} string, {C.MODEL} int, counts binary, sums binary"


@dataclass(frozen=True)
class Task:
    """What is to be computed.

    Attributes:
        models: their names; the lists have the place in here.
        cutoffs: numbers of places that are looked at. metrics: some of `PER_VISITOR`.
        replicates: of the bootstrap; 0: no intervals. seed: of the bootstrap.
    """

    models: Sequence[str]
    cutoffs: Sequence[int]
    metrics: Sequence[str]
    replicates: int
    seed: int = 0

    @property
    def cells(self) -> int:
        """How many values a visitor has by each model."""
        return len(self.metrics) * len(self.cutoffs)

    @property
    def rows(self) -> int:
        """About how many rows are worked on together."""
        return min(max(_VALUES // (self.cells * len(self.models)), _LEAST_ROWS), _MOST_ROWS)

    @property
    def visitors(self) -> int:
        """The weights of how many visitors are drawn together."""
        return _WEIGHTS // (1 + self.replicates)


def means(
    lists: DataFrame, holdout: DataFrame, segments: DataFrame | None, task: Task, gain: Column | None = None
) -> DataFrame:
    """Return the mean of each metric over all visitors with a holdout, and over those in each segment.

    Args:
        lists: model int, the place among the task's, visitor_index int, rank int from 1, item_index int.
        holdout: visitor_index int, item_index int.
        segments: visitor_index int, segments array<string>.
        task: what is to be computed.
        gain: of a row of the holdout; None: 1.

    Returns:
        A row per segment, null for all visitors, model, metric and cut-off, as `CELLS`: means has a value per
        replicate, null where nobody is in it.
    """

    def summed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from _partials(batches, task)

    def merged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from _merged(batches, task)

    rows = _rows(lists, holdout.select(C.VISITOR_INDEX, C.ITEM_INDEX, _usable(gain).alias(_GAIN)), segments)
    partials = rows.repartition(C.VISITOR_INDEX).sortWithinPartitions(C.VISITOR_INDEX).mapInArrow(summed, _PARTIALS)
    return partials.repartition(C.SEGMENT, C.MODEL).mapInArrow(merged, CELLS)


def _usable(gain: Column | None) -> Column:
    """Return a gain, 0 where it is null, not positive or not finite."""
    if gain is None:
        return F.lit(1.0)
    gain = gain.cast("double")
    return F.when((gain > 0) & (gain < float("inf")), gain).otherwise(0.0)


def _rows(lists: DataFrame, holdout: DataFrame, segments: DataFrame | None) -> DataFrame:
    """Return everything that concerns a visitor as rows of one table."""

    def rows(of: DataFrame, kind: Column, rank: Column, item: Column, gain: Column, segment: Column) -> DataFrame:
        named = {C.MODEL: kind, C.RANK: rank, C.ITEM_INDEX: item, _GAIN: gain, C.SEGMENT: segment}
        return of.select(C.VISITOR_INDEX, *(column.alias(name) for name, column in named.items()))

    nothing, no_gain, no_name = F.lit(0), F.lit(0.0), F.lit(None).cast("string")
    item, gain = F.col(C.ITEM_INDEX), F.col(_GAIN)
    hits = lists.join(holdout, [C.VISITOR_INDEX, C.ITEM_INDEX], "inner")
    together = rows(holdout, F.lit(_HELD), nothing, item, gain, no_name).unionByName(
        rows(hits, F.col(C.MODEL), F.col(C.RANK), item, gain, no_name)
    )
    if segments is None:
        return together
    each = F.explode(C.SEGMENTS)
    return together.unionByName(rows(segments, F.lit(_NAMED), nothing, nothing, no_gain, each))


def _partials(batches: Iterator[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    """Return the sums of a partition's visitors, a row per segment and model."""
    found: dict[str | None, WeightedSums] = {}
    for block in whole_groups(batches, C.VISITOR_INDEX, task.rows):
        _add(block, task, found)
    for segment, sums in found.items():
        columns: dict[str, list[object]] = {C.SEGMENT: [], C.MODEL: [], "counts": [], "sums": []}
        for model in range(len(task.models)):
            of_model = sums.sums[:, model * task.cells : (model + 1) * task.cells]
            values = (segment, model, _to_bytes(sums.counts), _to_bytes(of_model))
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
        types = (pa.string(), pa.int32(), pa.binary(), pa.binary())
        arrays = [pa.array(column, type_) for column, type_ in zip(columns.values(), types, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, list(columns))


def _to_bytes(numbers: NDArray[np.int64]) -> bytes:
    return numbers.astype("<i8").tobytes()


def _from_bytes(cell: pa.BinaryScalar, *shape: int) -> NDArray[np.int64]:
    return np.frombuffer(cell.as_buffer(), "<i8").astype(np.int64).reshape(shape)


def _add(block: pa.Table, task: Task, found: dict[str | None, WeightedSums]) -> None:
    """Add the visitors of a block to the sums of the segments that they are in."""
    visitors, kinds, ranks, items, gains = (
        block[name].to_numpy() for name in (C.VISITOR_INDEX, C.MODEL, C.RANK, C.ITEM_INDEX, _GAIN)
    )
    held, hit, named = kinds == _HELD, kinds >= 0, kinds == _NAMED
    judged = judge(
        Held(visitors[held], items[held], gains[held]),
        Hits(visitors[hit], kinds[hit], ranks[hit], items[hit], gains[hit]),
        len(task.models),
        task.cutoffs,
        task.metrics,
    )
    members = _members(judged.visitors, visitors[named], block[C.SEGMENT].filter(pa.array(named)))
    values = in_units(judged.values)
    step = task.visitors
    cuts = np.searchsorted(judged.with_hits, np.arange(0, len(judged.visitors) + step, step))
    for number, start in enumerate(range(0, len(judged.visitors), step)):
        drawn = weights(judged.visitors[start : start + step], task.replicates, task.seed)
        own = slice(*cuts[number : number + 2])
        rows = judged.with_hits[own] - start
        for segment, is_member in members.items():
            if segment not in found:
                found[segment] = WeightedSums(task.replicates, task.cells * len(task.models))
            inside = is_member[start : start + step]
            place = np.cumsum(inside) - 1  # among the members
            counted = inside[rows]
            found[segment].add(drawn[inside], place[rows[counted]], values[own][counted])


def _members(
    visitors: NDArray[np.integer], whose: NDArray[np.integer], names: pa.ChunkedArray
) -> Mapping[str | None, NDArray[np.bool_]]:
    """Return which of the visitors are in each segment: all of them in None."""
    members: dict[str | None, NDArray[np.bool_]] = {None: np.ones(len(visitors), dtype=np.bool_)}
    encoded = names.combine_chunks().dictionary_encode()
    rows = np.minimum(np.searchsorted(visitors, whose), max(len(visitors) - 1, 0))
    is_judged = visitors[rows] == whose if len(visitors) else np.zeros(len(whose), dtype=np.bool_)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    for code, name in enumerate(encoded.dictionary.to_pylist()):
        mine = rows[is_judged & (codes == code)]
        if len(mine):
            members[name] = np.zeros(len(visitors), dtype=np.bool_)
            members[name][mine] = True
    return members


def _merged(batches: Iterator[pa.RecordBatch], task: Task) -> Iterator[pa.RecordBatch]:
    """Add the partial sums of each segment and model, and return their means and intervals."""
    found: dict[tuple[str | None, int], WeightedSums] = {}
    for batch in batches:
        for segment, model, counts, sums in zip(*batch.columns, strict=True):
            its_sums = _from_bytes(sums, 1 + task.replicates, task.cells)
            partial = WeightedSums(task.replicates, task.cells, _from_bytes(counts, 1 + task.replicates), its_sums)
            key = segment.as_py(), model.as_py()
            if key in found:
                found[key].merge(partial)
            else:
                found[key] = partial
    for (segment, model), sums in found.items():
        yield from _cells(segment, task.models[model], sums, task).to_batches()


def _cells(segment: str | None, model: str, sums: WeightedSums, task: Task) -> pa.Table:
    """Return the rows of the result for one segment and model."""
    replicates = sums.means()
    visitors = int(sums.counts[0])
    interval = bounds(replicates[1:]) if visitors > 1 else None
    low, high = (pa.nulls(task.cells, pa.float64()),) * 2 if interval is None else map(pa.array, interval)
    flat = pa.array(replicates[1:].T.ravel(), from_pandas=True)  # NaN is null
    offsets = pa.array(np.arange(task.cells + 1) * task.replicates, pa.int32())
    return pa.table(
        {
            C.SEGMENT: pa.array([segment] * task.cells, pa.string()),
            C.MODEL: [model] * task.cells,
            C.METRIC: np.repeat(task.metrics, len(task.cutoffs)).tolist(),
            "k": pa.array(np.tile(task.cutoffs, len(task.metrics)), pa.int32()),
            "value": replicates[0],
            "low": low,
            "high": high,
            "visitors": pa.array([visitors] * task.cells, pa.int64()),
            C.MEANS: pa.ListArray.from_arrays(offsets, flat),
        }
    )
