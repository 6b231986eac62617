"""Hidden items: one record has all of them, and the newest counts."""

from pathlib import Path

import pytest

from recommender.errors import ArtifactError, ConflictError
from recommender.store import Hidden, Log, Store, open_files


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(open_files(str(tmp_path), lambda: None))


def hidden(store: Store, at: str | None = None) -> list[str]:
    return [item.itemid for item in Hidden(store).items(at)]


def test_items_are_hidden_until_they_are_shown_again(store: Store) -> None:
    assert hidden(store) == []
    Hidden(store).hide(["9", "7"], "recalled")
    Hidden(store).hide(["8"], "sold out")
    assert hidden(store) == ["7", "8", "9"]
    assert Hidden(store).unhide(["7", "none"]) == ["7"]
    assert hidden(store) == ["8", "9"]


def test_an_item_is_shown_again_at_its_time(store: Store) -> None:
    Hidden(store).hide(["7"], "a holiday", until="2026-12-24T00:00:00.000+00:00")
    assert hidden(store, "2026-12-23T23:59:59.999+00:00") == ["7"]
    assert hidden(store, "2026-12-24T00:00:00.000+00:00") == []


def test_a_later_reason_replaces_the_earlier_one(store: Store) -> None:
    Hidden(store).hide(["7"], "sold out", until="2099-01-01T00:00:00.000+00:00")
    Hidden(store).hide(["7"], "recalled")
    (item,) = Hidden(store).items()
    assert (item.reason, item.until) == ("recalled", None)


def test_two_who_hide_at_the_same_time_lose_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    newest, others = Log.newest_number, ["8"]

    def meanwhile(log: Log) -> int:
        number = newest(log)
        if others:
            Hidden(store).hide([others.pop()], "somebody else")
        return number

    monkeypatch.setattr(Log, "newest_number", meanwhile)
    Hidden(store).hide(["7"], "recalled")
    assert hidden(store) == ["7", "8"]


def test_one_who_never_comes_first_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Log, "append", lambda *_, **__: False)
    with pytest.raises(ConflictError, match="HIDDEN_CONFLICT others change the hidden items at the same time"):
        Hidden(store).hide(["7"], "recalled")


def test_a_damaged_record_is_not_taken_for_an_empty_one(store: Store, tmp_path: Path) -> None:
    Hidden(store).hide(["7"], "recalled")
    (record,) = (tmp_path / "hidden").iterdir()
    record.write_bytes(record.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match="is damaged"):
        hidden(store)
