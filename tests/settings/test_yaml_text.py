"""What is written is read as the same."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from recommender.settings.yaml_text import parse_yaml, yaml_text

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
DOCUMENTS = st.recursive(PLAIN, lambda part: st.lists(part) | st.dictionaries(st.text("abc_", min_size=1), part))


@given(DOCUMENTS)
def test_a_document_is_read_as_it_was_written(document: Any) -> None:
    assert parse_yaml(yaml_text(document), "it") == document


@pytest.mark.parametrize(
    "text", ["1e-3", "1E5", "2026-01-31", "null", "yes", "0x1F", "${NAME:-text}", "*.csv", "", "- a"]
)
def test_text_stays_text(text: str) -> None:
    assert parse_yaml(yaml_text({"value": text}), "it") == {"value": text}


def test_what_stands_in_two_places_is_written_twice() -> None:
    shared = {"rank": 8}
    assert "&" not in yaml_text({"one": shared, "other": shared})
