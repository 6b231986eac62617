from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
from chispa import assert_df_equality
from hypothesis import given, settings, strategies as st
from pyspark.sql import DataFrame, SparkSession, functions as F

from recommender.spark.blocks import lists, map_blocks, matrix, pack, positions_of

SCHEMA = """
    number int, long_number long, small float, ratio double, word string, flag boolean, raw binary,
    features array<float>, words array<string>, pairs array<struct<item:int, score:double>>
"""
ROWS = [
    (1, 2**40, 0.5, 0.1, "tea", True, bytearray(b"\x00\xff"), [1.0, 2.0], ["a", None, ""], [(1, 0.5), (2, None)]),
    (2, None, None, None, None, None, None, None, None, None),
    (3, -1, -0.0, float("inf"), "", False, bytearray(), [], [], []),
    (4, 0, 1e-40, -1e300, "日本", True, bytearray(b"x"), [None, 3.0], [None], [None]),
    (None, 5, 2.0, 3.0, "jam", None, None, [4.0], ["b"], [(None, 1.0)]),
]


@contextmanager
def arrow_batches_of(spark: SparkSession, rows: int) -> Iterator[None]:
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(key)
    spark.conf.set(key, str(rows))
    try:
        yield
    finally:
        spark.conf.set(key, str(before))


def there_and_back(rows: DataFrame) -> DataFrame:
    return map_blocks(pack(rows, "rows"), lambda rows: rows, SCHEMA)


def test_rows_of_every_type_survive_a_round_trip(spark: SparkSession) -> None:
    rows = spark.createDataFrame(ROWS, SCHEMA).repartition(3)
    assert_df_equality(there_and_back(rows), rows, ignore_row_order=True)


def test_a_partition_of_many_arrow_batches_is_one_block(spark: SparkSession) -> None:
    with arrow_batches_of(spark, 2):
        rows = spark.createDataFrame(ROWS, SCHEMA).coalesce(1)
        assert pack(rows, "rows").count() == 1
        assert_df_equality(there_and_back(rows), rows, ignore_row_order=True)


def test_a_block_keeps_the_order_of_its_partition(spark: SparkSession) -> None:
    rows = spark.range(7).repartition(1).sortWithinPartitions(F.desc("id"))

    def numbered(rows: pa.Table) -> pa.Table:
        return rows.append_column("place", pa.array(range(len(rows)), pa.int64()))

    found = map_blocks(pack(rows, "rows"), numbered, "id long, place long").collect()
    assert sorted((row.place, row.id) for row in found) == [(place, 6 - place) for place in range(7)]


def test_each_partition_that_is_not_empty_becomes_one_row(spark: SparkSession) -> None:
    rows = spark.range(0, 12, 1, 6).where("id < 4 or id >= 10")
    blocks = pack(rows, "rows")
    assert [field.simpleString() for field in blocks.schema] == ["rows:binary"]
    sizes = map_blocks(blocks, lambda rows: pa.table({"rows": [len(rows)]}), "rows long").collect()
    assert [row.rows for row in sizes] == [2, 2, 2]


def test_no_rows_make_no_block(spark: SparkSession) -> None:
    rows = spark.createDataFrame([], SCHEMA)
    assert pack(rows, "rows").count() == 0
    assert_df_equality(there_and_back(rows), rows)


def test_the_blocks_of_a_row_are_handed_over_in_the_order_of_the_columns(spark: SparkSession) -> None:
    left = pack(spark.range(3).repartition(1), "left")
    right = pack(spark.range(10, 12).repartition(1), "right")

    def sums(left: pa.Table, right: pa.Table) -> pa.Table:
        return pa.table({"rows": [10 * len(left) + len(right)]})

    assert map_blocks(left.crossJoin(right), sums, "rows long").first() == (32,)
    assert map_blocks(right.crossJoin(left), sums, "rows long").first() == (23,)


def test_a_function_may_return_no_rows_or_more_than_it_got(spark: SparkSession) -> None:
    blocks = pack(spark.range(0, 4, 1, 2), "rows")

    def all_or_nothing(rows: pa.Table) -> pa.Table:
        return pa.concat_tables([rows, rows]) if rows["id"][0].as_py() else rows.slice(0, 0)

    found = map_blocks(blocks, all_or_nothing, "id long").collect()
    assert sorted(row.id for row in found) == [2, 2, 3, 3]


def test_a_matrix_has_zeros_where_the_factors_are_null() -> None:
    column = pa.chunked_array([pa.array([[1.0, 2.0], None, [3.0, 4.0], None], pa.list_(pa.float32()))])
    values, present = matrix(column, 2)
    assert values.tolist() == [[1, 2], [0, 0], [3, 4], [0, 0]]
    assert values.dtype == np.float32
    assert present.tolist() == [True, False, True, False]


def test_a_matrix_without_nulls_is_the_values() -> None:
    values, present = matrix(pa.chunked_array([pa.array([[1.0], [2.0]], pa.list_(pa.float32()))]), 1)
    assert values.tolist() == [[1], [2]]
    assert present.all()


def test_a_matrix_of_nulls_is_all_zeros() -> None:
    values, present = matrix(pa.chunked_array([pa.array([None, None], pa.list_(pa.float32()))]), 3)
    assert values.tolist() == [[0, 0, 0]] * 2
    assert not present.any()


def test_a_matrix_of_nulls_may_be_of_rank_0() -> None:
    values, present = matrix(pa.chunked_array([pa.array([None, None], pa.list_(pa.float32()))]), 0)
    assert values.shape == (2, 0)
    assert not present.any()


def test_a_matrix_may_come_in_chunks_and_from_the_middle_of_an_array() -> None:
    whole = pa.array([[9.0, 9.0], [1.0, 2.0], None, [3.0, 4.0], [9.0, 9.0]], pa.list_(pa.float32()))
    expected = [[1, 2], [0, 0], [3, 4]]
    assert matrix(pa.chunked_array([whole.slice(1, 3)]), 2)[0].tolist() == expected
    assert matrix(pa.chunked_array([whole.slice(1, 1), whole.slice(2, 2)]), 2)[0].tolist() == expected


def test_a_list_that_is_null_is_empty() -> None:
    values, offsets = lists(pa.chunked_array([pa.array([[5, 6], None, [], [7]], pa.list_(pa.int32()))]))
    assert values.to_pylist() == [5, 6, 7]
    assert offsets.tolist() == [0, 2, 2, 2, 3]
    assert offsets.dtype == np.int64


def test_lists_that_are_all_null_have_no_values() -> None:
    values, offsets = lists(pa.chunked_array([pa.array([None, None], pa.list_(pa.int32()))]))
    assert len(values) == 0
    assert offsets.tolist() == [0, 0, 0]


def test_lists_may_come_in_chunks_and_from_the_middle_of_an_array() -> None:
    whole = pa.array([[1], [5, 6], None, [7], [2]], pa.list_(pa.int32()))
    for chunks in ([whole.slice(1, 3)], [whole.slice(1, 2), whole.slice(3, 1)]):
        values, offsets = lists(pa.chunked_array(chunks))
        assert values.to_pylist() == [5, 6, 7]
        assert offsets.tolist() == [0, 2, 2, 3]


def test_lists_of_structs_give_their_fields() -> None:
    type_ = pa.list_(pa.struct([("item", pa.int32()), ("score", pa.float64())]))
    column = pa.chunked_array([pa.array([[{"item": 1, "score": 0.5}], None, [{"item": 2, "score": 1.5}]], type_)])
    values, offsets = lists(column)
    assert values.field("score").to_pylist() == [0.5, 1.5]
    assert offsets.tolist() == [0, 1, 1, 2]


def test_indexes_that_the_catalogue_lacks_are_left_out() -> None:
    catalogue = np.array([2, 5, 9], dtype=np.int32)
    values = np.array([9, 1, 5, 10, 3, 2], dtype=np.int32)
    positions, offsets, known = positions_of(catalogue, values, np.array([0, 2, 2, 5, 6]))
    assert positions.tolist() == [2, 1, 0]
    assert offsets.tolist() == [0, 1, 1, 2, 3]
    assert known.tolist() == [True, False, True, False, False, True]


def test_an_empty_catalogue_knows_no_index() -> None:
    values = np.array([0, 7], dtype=np.int32)
    positions, offsets, known = positions_of(np.array([], dtype=np.int32), values, np.array([0, 1, 2]))
    assert positions.tolist() == []
    assert offsets.tolist() == [0, 0, 0]
    assert known.tolist() == [False, False]


def test_empty_lists_have_no_positions() -> None:
    nothing = np.array([], dtype=np.int32)
    positions, offsets, known = positions_of(np.array([1], dtype=np.int32), nothing, np.array([0, 0, 0]))
    assert (len(positions), offsets.tolist(), len(known)) == (0, [0, 0, 0], 0)


indexes = st.integers(-(2**31), 2**31 - 1) | st.integers(0, 9)


@given(st.sets(indexes), st.lists(st.lists(indexes)))
@settings(max_examples=200, deadline=None)
def test_positions_are_those_of_a_search_by_hand(catalogue: set[int], given_lists: list[list[int]]) -> None:
    ordered = sorted(catalogue)
    values = np.array([index for own in given_lists for index in own], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, given_lists)], dtype=np.int64)
    positions, left, _ = positions_of(np.array(ordered, dtype=np.int32), values, offsets)
    found = [positions[left[n] : left[n + 1]].tolist() for n in range(len(given_lists))]
    assert found == [[ordered.index(index) for index in own if index in catalogue] for own in given_lists]
