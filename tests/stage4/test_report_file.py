"""The report that a run leaves beside its result."""

from pathlib import Path

import pytest
from support.literal_run import whole_run
from support.literal_store import open_store
from support.page_text import Page

from recommender.stage4.report_file import write_report
from recommender.store import Channels, Commit, Store, open_files, verify


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(open_files(str(tmp_path), hadoop=lambda: None, mode=0o640))


@pytest.fixture
def commit(store: Store) -> Commit:
    made = whole_run(store, "monday")
    Channels(store).publish("live", made)
    return made


def file_of(store: Store, commit: Commit) -> Path:
    return Path(store.files.root) / "stage4" / "data" / commit.attempt / "report.html"


def test_the_report_lies_beside_the_result_and_only_the_group_can_read_it(store: Store, commit: Commit) -> None:
    assert write_report(store, commit) == ""
    file = file_of(store, commit)
    assert "Published to live: finds 2.6 times as many held-out items" in Page(file.read_text()).text
    assert file.stat().st_mode & 0o777 == 0o640


def test_the_report_is_not_part_of_the_commit(store: Store, commit: Commit) -> None:
    before = store.latest("stage4")
    write_report(store, commit)
    assert store.latest("stage4") == before
    store.check(commit)
    assert verify(store)[2] == []


def test_a_report_that_is_there_stays(store: Store, commit: Commit) -> None:
    file_of(store, commit).write_text("mine")
    assert write_report(store, commit) == ""
    assert file_of(store, commit).read_text() == "mine"


def test_a_report_that_cannot_be_made_is_a_sentence_and_no_error(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    commit = whole_run(store, "monday", {"examples": [{"visitorid": 7}]})
    assert write_report(store, commit) == "the report was not written: KeyError: 'history'"
    assert not file_of(store, commit).exists()
