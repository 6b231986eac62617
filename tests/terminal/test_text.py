"""Numbers are written as people read them."""

import pytest

from recommender.terminal.text import age, indented, seconds, size, table, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jred\x9b31m", r"\x1b[2Jred\x9b31m"),
        ("a\r\nb\tc\x00\x7f", r"a\x0d\x0ab\x09c\x00\x7f"),
        ("\u202egpj.exe \u2066x\u2069", r"\u202egpj.exe \u2066x\u2069"),
        ("Käse ☕ 日本", "Käse ☕ 日本"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert table([(text, "x")]) == f"{shown}    x"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 * 2**20, "5.0 MiB"), (3 * 2**40, "3.0 TiB")],
)
def test_sizes(number: int, shown: str) -> None:
    assert size(number) == shown


@pytest.mark.parametrize(("number", "shown"), [(-1, "0 s"), (59, "59 s"), (3600, "1 h"), (86_400 * 9, "9 d")])
def test_ages(number: float, shown: str) -> None:
    assert age(number) == shown


@pytest.mark.parametrize(("text", "number"), [("90s", 90), ("1.5h", 5400), ("7d", 604_800), ("0s", 0)])
def test_durations(text: str, number: float) -> None:
    assert seconds(text) == number


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7 d", "7w"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 90s, 30m, 12h or 7d"):
        seconds(text)


def test_tables() -> None:
    assert table([("a", "n"), ("bcd", "10")], right=[1]) == "a       n\nbcd    10"
    assert indented("a\nb") == "  a\n  b"


def test_a_table_of_one_column_has_no_blanks_at_the_ends_of_its_lines() -> None:
    assert table([("abc",), ("a",), ("",)]) == "abc\na\n"
    assert table([("a", "bc"), ("abc", "")]) == "a      bc\nabc"


@pytest.mark.parametrize(("number", "shown"), [(60, "1 min"), (3599, "59 min"), (86_399, "23 h"), (86_400, "1 d")])
def test_an_age_is_never_rounded_up(number: float, shown: str) -> None:
    assert age(number) == shown
