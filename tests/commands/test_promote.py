"""From candidate to live and back: what is shown before, what the gate says, and what moves."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.literal_store import open_store, result

from recommender.__main__ import main
from recommender.publishing.folder import FolderTarget
from recommender.publishing.publication import move
from recommender.publishing.target import Version
from recommender.store import Channels, Commit, Store

DIFF = {
    "k": 10,
    "overlap": 0.625,
    "unchanged": 0.25,
    "visitors": {"candidate": 1200, "live": 1000, "gained": 300, "lost": 100},
    "items": {
        "candidate": 40,
        "live": 50,
        "gained": 2,
        "lost": 12,
        "most_gained": [{"itemid": 4, "lists": 700}],
        "most_lost": [{"itemid": "<b>", "lists": -80}],
    },
    "coverage": {"candidate": 0.4, "live": 0.5},
    "most_changed": [{"visitorid": 7, "overlap": 0.0, "gained": [1, 2, 3, 4, 5, 6], "lost": []}],
}
RECORD = {"seconds": 1.0, "version": "1", "inputs": {}, "config": {}, "steps": []}


def metric(value: float) -> dict[str, Any]:
    return {"model": "als", "metric": "ndcg", "k": 10, "value": value, "low": value / 2, "high": value * 2}


def made(store: Store, run: str, value: float, *, blessed: bool = True, **record: Any) -> Commit:
    """Return the commit of stage 4 of a run."""
    reasons = [] if blessed else [{"id": "NOT_BLESSED", "sentence": "ndcg@10 0.01 < 0.02"}]
    judged = result(store, "stage2", run, metrics=[metric(value)], blessed=blessed, gate={"reasons": reasons})
    return result(store, "stage4", run, run, upstream={"stage2": judged.number}, **RECORD, **record)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store where monday is live and tuesday the candidate, and both are in a folder as well."""
    store = open_store(tmp_path / "out")
    monday = made(store, "monday", 0.02)
    name(store, "live", monday)
    tuesday = made(
        store, "tuesday", 0.04, release_diff={**DIFF, "against": {"run": "monday", "attempt": monday.attempt}}
    )
    name(store, "candidate", tuesday)
    return store


@pytest.fixture
def folder(tmp_path: Path) -> FolderTarget:
    return folder_of(open_store(tmp_path / "out"))


def folder_of(store: Store, where: str = "delivered") -> FolderTarget:
    path = str(Path(store.files.root).parent / where)
    return FolderTarget({"path": path, "format": "parquet", "keep_versions": 2})


def name(store: Store, channel: str, commit: Commit, where: str = "delivered") -> None:
    """Deliver a commit to a folder, and let a channel name it."""
    target, version = folder_of(store, where), Version.of(commit)
    path = target.folder(version)
    target.files.create(f"{path}/part-0.parquet", b"rows")
    target.finish(version, path)
    expected = Channels(store).position(channel)
    move(
        store, channel, commit, {"parquet": target}, positions={"parquet": target.position(channel)}, expected=expected
    )


@pytest.fixture
def call(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs a command: (exit code, stdout, stderr)."""

    def called(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--root", str(tmp_path / "out")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def live(store: Store) -> str | None:
    current = Channels(store).current("live")
    return current.run_id if current else None


def test_a_release_is_shown(call: Any) -> None:
    code, out, _ = call("release")
    assert code == 0
    cells = [line.split() for line in out.splitlines()]
    assert cells[0] == ["from", "monday", "to", "tuesday"]
    assert ["visitors", "1,200", "1,000", "300", "100"] in cells
    assert ["overlap@10", "0.6250"] in cells
    assert ["same", "lists", "25.0%"] in cells
    assert "  most gained by lists: 4 (+700)" in out
    assert "  most lost by lists: <b> (-80)" in out
    assert "  visitor 7: overlap 0.00, gained 1, 2, 3, 4, 5, ..., lost nothing" in out
    assert ["ndcg@10", "0.0400", "(0.0200–0.0800)", "0.0200", "(0.0100–0.0400)"] in cells


def test_machines_get_the_same(call: Any) -> None:
    found = json.loads(call("release", "candidate", "live", "--json")[1])
    assert (found["candidate"], found["live"], found["lists"]["overlap"]) == ("tuesday", "monday", 0.625)
    assert [each["value"] for each in found["metrics"]["ndcg@10"]] == [0.04, 0.02]


def test_a_candidate_is_promoted_in_the_store_and_where_it_was_delivered(
    call: Any, store: Store, folder: FolderTarget
) -> None:
    code, out, _ = call("promote", "candidate", "live")
    assert code == 0
    assert out.startswith("from monday to tuesday")
    said = "channel live now names run tuesday, no longer run monday (record 2), and so do parquet"
    assert out.splitlines()[-1] == said
    assert live(store) == "tuesday"
    assert str(folder.current("live")).startswith("recommendations/version=2_")
    current = Channels(store).current("live")
    assert current is not None
    assert (current.record["action"], current.record["promoted_from"]) == ("promote", "candidate")


def test_the_reason_of_a_promotion_stays_in_the_record(call: Any, store: Store) -> None:
    assert call("promote", "--reason", " the shop has looked at it ")[0] == 0
    newest = json.loads(call("log", "live", "--json")[1])[0]
    assert (newest["action"], newest["from"], newest["to"]) == ("promote", "monday", "tuesday")
    assert newest["reason"] == "the shop has looked at it"


def test_a_dry_run_of_a_rollback_moves_no_place(call: Any, store: Store, folder: FolderTarget) -> None:
    call("promote")
    before = folder.current("live")
    out = call("rollback", "live", "--dry-run")[1]
    assert out == "channel live would name run monday, and so would parquet; it names run tuesday\n"
    assert (live(store), folder.current("live")) == ("tuesday", before)


def test_it_goes_back_everywhere(call: Any, store: Store, folder: FolderTarget) -> None:
    call("promote")
    out = call("rollback", "live")[1]
    assert out == "channel live now names run monday, no longer run tuesday (record 3), and so do parquet\n"
    assert str(folder.current("live")).startswith("recommendations/version=1_")


def test_a_place_that_has_moved_since_must_have_the_version_to_go_back_to(
    call: Any, store: Store, folder: FolderTarget
) -> None:
    name(store, "live", made(store, "wednesday", 0.05), where="elsewhere")  # the configuration names another folder
    code, _, err = call("rollback", "live")
    assert code == 12
    assert "VERSION_NOT_DELIVERED command=rollback: run monday is not in parquet any more, and nothing was moved" in err
    assert live(store) == "wednesday"
    name(store, "candidate", Channels(store).earlier("live")[1], where="elsewhere")
    assert call("rollback", "live")[0] == 0
    assert str(folder_of(store, "elsewhere").current("live")).startswith("recommendations/version=1_")


def test_a_dry_run_moves_nothing(call: Any, store: Store, folder: FolderTarget) -> None:
    out = call("promote", "--dry-run")[1]
    assert out.splitlines()[-1] == "channel live would name run tuesday; it names run monday"
    assert live(store) == "monday"
    assert str(folder.current("live")).startswith("recommendations/version=1_")


def test_what_is_live_already_is_not_moved_again(call: Any, store: Store) -> None:
    call("promote")
    assert call("promote")[1].splitlines()[-1] == "channel live names run tuesday already"
    assert Channels(store).position("live") == 2


def test_what_is_not_blessed_is_not_promoted_unless_somebody_has_a_reason(call: Any, store: Store) -> None:
    name(store, "candidate", made(store, "wednesday", 0.01, blessed=False))
    code, out, err = call("promote")
    assert (code, out) == (14, "")
    assert "RECOMMENDER_ERROR NOT_BLESSED command=promote: ndcg@10 0.01 < 0.02; the model is kept" in err
    assert live(store) == "monday"
    assert call("promote", "--override-gate", " ")[0] == 10
    assert call("promote", "--override-gate", "a new market")[0] == 0
    current = Channels(store).current("live")
    assert current is not None
    assert current.record["gate_overridden"]["reason"] == "a new market"


@pytest.mark.parametrize("channel", ["lvie", "../evil", "../stage4/commits"])
def test_a_channel_that_is_none_is_told_and_not_made(call: Any, store: Store, channel: str) -> None:
    code, out, err = call("promote", "candidate", channel)
    assert (code, out) == (10, "")
    assert f"CHANNEL_UNKNOWN command=promote: no channel {channel}; there are candidate, live" in err
    assert Channels(store).names() == ["candidate", "live"]


def test_lists_that_are_not_made_as_judged_are_not_promoted(call: Any, store: Store) -> None:
    judged = result(
        store, "stage2", "friday", metrics=[metric(0.05)], blessed=True, config={"recommend": {"fill": True}}
    )
    lists = result(store, "stage3", "friday", config={"recommend": {"fill": False}})
    upstream = {"stage2": judged.number, "stage3": lists.number}
    name(store, "candidate", result(store, "stage4", "friday", "friday", upstream=upstream, **RECORD))
    code, _, err = call("promote")
    assert code == 14
    assert "these lists are not made as those that were judged: recommend.fill is False, judged was True" in err
    assert live(store) == "monday"


def test_a_place_that_the_candidate_was_not_delivered_to_is_told(call: Any, store: Store, folder: FolderTarget) -> None:
    wednesday = made(store, "wednesday", 0.05)
    Channels(store).publish("candidate", wednesday)
    said = "channel live now names run wednesday, no longer run monday (record 2); parquet has no version of it, and"
    assert call("promote")[1].splitlines()[-1].startswith(said)
    assert str(folder.current("live")).startswith("recommendations/version=1_")


def test_lists_that_were_compared_with_another_version_are_not_passed_off(call: Any, store: Store) -> None:
    name(store, "live", made(store, "wednesday", 0.03))
    out = call("release")[1]
    assert "their lists were not compared: something else was live when stage 4 made the candidate's" in out
    assert "0.0300" in out


def test_a_version_is_not_compared_with_itself(call: Any) -> None:
    assert call("release", "live", "live")[1] == "both are monday: nothing would change\n"


def test_a_first_version_has_nothing_to_be_compared_with(call: Any, store: Store, tmp_path: Path) -> None:
    for path in (tmp_path / "out/channels/live").iterdir():
        path.unlink()
    (tmp_path / "out/channels/live").rmdir()
    out = call("promote")[1]
    assert "tuesday is the first version of the channel" in out
    assert live(store) == "tuesday"


def test_an_unknown_channel_is_told(call: Any) -> None:
    code, _, err = call("promote", "beta")
    assert (code, "CHANNEL_UNKNOWN command=promote: no channel beta; there are candidate, live" in err) == (10, True)
    code, _, err = call("release", "candidate", "beta")
    assert (code, "RUN_UNKNOWN command=release: no run beta below " in err) == (10, True)


def test_a_place_that_has_lost_the_version_stops_the_promotion(call: Any, store: Store, tmp_path: Path) -> None:
    for path in (tmp_path / "delivered/recommendations").glob("version=2_*/*.parquet"):
        path.unlink()
    code, _, err = call("promote")
    assert code == 12
    assert "VERSION_NOT_DELIVERED command=promote: run tuesday is not in parquet any more, and nothing was moved" in err
    assert live(store) == "monday"


def test_lists_that_lack_too_much_of_what_is_live_are_not_promoted(call: Any, store: Store) -> None:
    live_now = Channels(store).current("live")
    assert live_now is not None
    diff = {**DIFF, "against": {"run": "monday", "attempt": live_now.record["attempt"]}}
    diff["visitors"] = {"candidate": 900, "live": 1000, "gained": 500, "lost": 600}
    record = {**RECORD, "config": {"release_diff": {"min_visitors_kept": 0.5, "min_items_kept": 0.3}}}
    judged = result(store, "stage2", "friday", metrics=[metric(0.05)], blessed=True)
    commit = result(
        store, "stage4", "friday", "friday", upstream={"stage2": judged.number}, release_diff=diff, **record
    )
    name(store, "candidate", commit)
    code, _, err = call("promote")
    assert code == 14
    assert "LISTS_LOST command=promote: 40% of the 1,000 visitors with a live list have a new one, limit 50%" in err
    assert live(store) == "monday"
    assert call("promote", "--override-gate", "the others have left")[0] == 0
    assert live(store) == "friday"


def test_a_rollback_to_a_version_without_a_snapshot_warns(call: Any, store: Store) -> None:
    attempt = store.begin("stage4", "wednesday")
    path = f"{attempt.id}/snapshot/manifest.json"
    store.files.create(f"stage4/data/{path}", b"{}")
    Channels(store).publish("live", store.commit(attempt, {"files": {path: {"bytes": 2}}, "upstream": {}}))
    code, out, _ = call("rollback", "live")
    assert code == 0
    warning = "warning: run monday has no serving snapshot: a service that follows live stays with its own"
    assert out.splitlines()[-1] == warning
