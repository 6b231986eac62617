"""A column finds what a dictionary finds."""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings, strategies as st

from recommender.snapshot.columns import ListsOf, Texts, ids_of, matrix_of, rising

STRINGS = st.lists(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=5), unique=True)
LONGS = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True)


@given(STRINGS | LONGS, st.lists(st.text() | st.integers().map(str)))
@settings(max_examples=200, deadline=None)
def test_an_id_is_found_as_in_a_dictionary(ids: list[Any], others: list[str]) -> None:
    """Also one that is no id at all: half of a character, a number with a sign or a space, one that is too large."""
    column = pa.array(ids, pa.string() if ids and isinstance(ids[0], str) else pa.int64())
    order = pc.sort_indices(column).cast(pa.int32()).to_numpy()
    rows = {str(each): row for row, each in enumerate(ids)}
    found, lying = ids_of(column), ids_of(column.take(pa.array(order)))
    for text in [*rows, *others, "", "+1", " 1", "01", "1_0", "1.0", "-0", "٣", str(2**63), "\ud800"]:
        assert found.find(text, order) == rows.get(text)
        place = lying.find(text)
        assert (None if place is None else int(order[place])) == rows.get(text)
    assert [found.text(row) for row in range(len(ids))] == list(rows)


@given(
    st.lists(st.text(alphabet="ab1ü", min_size=1, max_size=4), unique=True)
    | st.lists(st.integers(-150, 150) | st.sampled_from([2**63 - 1, -(2**63), 15 * 10**17]), unique=True),
    st.text(alphabet="ab1ü", max_size=2) | st.integers(-15, 15).map(str),
)
@settings(max_examples=200, deadline=None)
def test_ids_are_found_by_their_beginning(ids: list[Any], text: str) -> None:
    column = pa.array(ids, pa.string() if ids and isinstance(ids[0], str) else pa.int64())
    order = pc.sort_indices(column).cast(pa.int32()).to_numpy()
    found = ids_of(column).beginning(text, 1000, order)
    lying = [int(order[row]) for row in ids_of(column.take(pa.array(order))).beginning(text, 1000)]
    is_number = column.type == pa.int64() and text != ""
    expected = [
        row for row, each in enumerate(ids) if str(each).startswith(text) and (is_number or column.type != pa.int64())
    ]
    assert sorted(found) == sorted(lying) == expected
    assert found == lying
    assert ids_of(column).beginning(text, 2, order) == found[:2]


@given(st.lists(st.none() | st.text(alphabet=st.characters(exclude_categories=("Cs",)))), st.integers(0, 3))
@settings(deadline=None)
def test_texts_are_those_of_the_column(texts: list[str | None], cut: int) -> None:
    column = pa.array(texts, pa.string()).slice(cut)
    read = Texts(column)
    assert [read[row] for row in range(len(read))] == texts[cut:]


@given(STRINGS | LONGS)
@settings(deadline=None)
def test_ids_rise_if_each_is_larger_than_the_one_before(ids: list[Any]) -> None:
    keys = [each.encode() if isinstance(each, str) else each for each in ids]
    column = pa.array(ids, pa.string() if ids and isinstance(ids[0], str) else pa.int64())
    assert rising(column) == all(one < other for one, other in pairwise(keys))


def test_lists_of_other_lengths_do_not_belong_together() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        ListsOf(pa.array([[1], [2, 3]]), pa.array([[1, 2], [3]]))


def test_a_matrix_holds_something_where_a_row_is_null() -> None:
    column = pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32(), 2))
    assert matrix_of(column)[[0, 2]].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert matrix_of(column.slice(2)).tolist() == [[3.0, 4.0]]
    assert matrix_of(column).shape == (3, 2)
    assert matrix_of(column).dtype == np.float32
