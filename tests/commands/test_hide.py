"""Items are hidden, listed and shown again by commands."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.literal_store import open_store, result

from recommender.__main__ import main


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs a command: (exit code, stdout, stderr)."""
    result(open_store(tmp_path), "stage4", "monday", "12")

    def called(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--root", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def test_items_are_hidden_listed_and_shown_again(call: Any) -> None:
    assert call("hidden")[1] == "no item is hidden\n"
    assert call("hide", "7", "9", "--reason", "recalled")[1] == "hidden: 7, 9; services follow within seconds\n"
    header, seven, nine = (line.split() for line in call("hidden")[1].splitlines())
    assert header == ["item", "since", "(UTC)", "until", "(UTC)", "reason"]
    assert (seven[0], seven[-1], nine[0]) == ("7", "recalled", "9")
    assert call("unhide", "7", "8")[1] == "shown again: 7; not hidden: 8\n"
    assert [item["itemid"] for item in json.loads(call("hidden", "--json")[1])] == ["9"]


def test_an_item_is_hidden_until_a_time(call: Any) -> None:
    told = json.loads(call("hide", "7", "--reason", "a holiday", "--until", "2099-12-24T18:00:00+01:00", "--json")[1])
    assert told == {"hidden": ["7"], "reason": "a holiday", "until": "2099-12-24T17:00:00.000+00:00"}
    call("hide", "9", "--reason", "over", "--until", "2020-01-01")
    assert [item["itemid"] for item in json.loads(call("hidden", "--json")[1])] == ["7"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["7"], "the following arguments are required: --reason"),
        (["7", "--reason", "x", "--until", "soon"], "'soon' is not a time, such as 2026-12-24T18:00:00Z"),
    ],
)
def test_a_wrong_argument_is_reported(call: Any, arguments: list[str], sentence: str) -> None:
    code, _, err = call("hide", *arguments)
    assert code == 10
    assert sentence in err
