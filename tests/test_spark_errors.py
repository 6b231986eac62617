"""What Spark raises becomes a sentence for the user, or stays a bug."""

import pytest

from recommender.errors import RecommenderError
from recommender.spark_errors import explained


@pytest.mark.parametrize(
    ("text", "expected", "code"),
    [
        (
            "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///data/e.csv.gz. SQLSTATE: KD001",
            "INPUT_CORRUPT file:///data/e.csv.gz cannot be read to its end; replace the file",
            12,
        ),
        ("java.io.EOFException: Unexpected end of input stream", "INPUT_CORRUPT a file cannot be read to its end", 12),
        ("java.io.IOException: No space left on device", "STORAGE_FULL a disk is full: see --root", 17),
        ("java.lang.OutOfMemoryError: Java heap space", "OUT_OF_MEMORY Spark ran out of memory; give it more", 1),
    ],
)
def test_a_known_fault_is_explained(text: str, expected: str, code: int) -> None:
    error = explained(RuntimeError(text))
    assert isinstance(error, RecommenderError)
    assert str(error).startswith(expected)
    assert error.exit_code == code


def test_an_unknown_fault_is_a_bug() -> None:
    assert explained(ValueError("what?")) is None
