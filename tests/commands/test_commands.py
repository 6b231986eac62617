"""The commands, as people and as machines use them, on a store with two runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.literal_run import whole_run
from support.literal_store import file_of, open_store, record_of, result

from recommender.__main__ import main
from recommender.store import Channels, Log, Store

METRIC = {"model": "als", "metric": "ndcg", "k": 10, "low": None, "high": None, "visitors": 9}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with the runs monday, which is live, and tuesday, of which stage 2 has failed."""
    store = open_store(tmp_path / "out")
    settings = {"seconds": 1.5, "version": "1", "inputs": {}, "config": {"als": {"rank": 8}}, "steps": []}
    result(store, "stage1", "monday", "12345", **settings)
    result(store, "stage2", "monday", "123", **settings, metrics=[{**METRIC, "value": 0.5}])
    stage4 = result(store, "stage4", "monday", "12", **settings)
    Channels(store).publish("live", stage4)
    changed = {**settings, "config": {"als": {"rank": 16}}}
    result(store, "stage1", "tuesday", "123456", **changed)
    store.fail(store.begin("stage2", "tuesday"), {"id": "STORAGE_FULL", "sentence": "no space"})
    return store


@pytest.fixture
def call(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs a command: (exit code, stdout, stderr)."""

    def called(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--root", str(tmp_path / "out")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_runs_are_listed_the_newest_first(call: Any) -> None:
    code, out, err = call("runs")
    assert (code, err) == (0, "")
    header, tuesday, monday = rows(out)
    assert header == ["run", "status", "stages", "size", "ndcg@10", "age", "channels"]
    assert tuesday[:6] == ["tuesday", "failed", "in", "stage2:", "STORAGE_FULL", "1"]
    assert monday[:8] == ["monday", "done", "1", "2", "4", "10", "bytes", "0.5000"]
    assert monday[-1] == "live"


def test_an_attempt_that_is_not_finished_is_listed(call: Any, store: Store) -> None:
    store.begin("stage1", "wednesday")
    assert rows(call("runs")[1])[1][:3] == ["wednesday", "unfinished:", "stage1"]


def test_a_failure_that_was_made_good_is_no_status(call: Any, store: Store) -> None:
    result(store, "stage2", "tuesday")
    assert "tuesday    done" in call("runs")[1]


def test_a_limit_is_kept(call: Any) -> None:
    assert [each["run"] for each in json.loads(call("runs", "--json", "--limit", "1")[1])] == ["tuesday"]


def test_machines_get_the_same(call: Any) -> None:
    found = {each["run"]: each for each in json.loads(call("runs", "--json")[1])}
    assert found["monday"]["stages"] == ["stage1", "stage2", "stage4"]
    assert (found["monday"]["bytes"], found["monday"]["ndcg@10"], found["monday"]["channels"]) == (10, 0.5, ["live"])
    assert found["tuesday"]["status"] == "failed in stage2: STORAGE_FULL"


def test_a_run_is_shown(call: Any) -> None:
    code, out, _ = call("show", "monday", "--all")
    assert code == 0
    for text in ("monday: done, named by live", "stage1: commit 1", "1 rows", "5 bytes", "als.rank    8", "0.5000"):
        assert text in out


def test_a_run_is_shown_on_one_screen(call: Any, store: Store) -> None:
    Channels(store).publish("live", whole_run(store, "friday"))
    out = call("show", "friday")[1]
    assert len(out.splitlines()) <= 25
    assert "friday: done, named by live\nPublished to live: finds 2.6 times as many held-out items" in out
    found = rows(out)
    assert ["model", "ndcg@10", "95", "%", "interval", "precision", "coverage"] in found
    assert ["als", "0.0390", "0.0380–0.0410", "0.0260", "0.2100"] in found
    assert ["popular", "0.0150", "0.0140–0.0170", "0.0100", "-"] in found
    assert "compared with live: 0.0390 against 0.0360, difference +0.0030, -0.0020 to +0.0070" in out
    assert max(map(len, out.splitlines())) <= 130


def test_many_warnings_leave_room_for_the_rest(call: Any, store: Store) -> None:
    result(store, "stage1", "friday", warnings=[f"odd thing {number}" for number in range(9)])
    out = call("show", "friday")[1]
    assert "warning: odd thing 2\nand 6 more warnings" in out
    assert "odd thing 3" not in out


def test_one_stage_is_shown(call: Any) -> None:
    for asked in ("2", "stage2"):
        out = call("show", "monday", "--stage", asked)[1]
        assert out.startswith("stage2: commit 1")
        assert "stage1" not in out
    code, _, err = call("show", "monday", "--stage", "3")
    assert (code, "run monday has no commit of stage3; it has stage1, stage2, stage4" in err) == (10, True)


def test_the_settings_that_differ_are_shown(call: Any, store: Store) -> None:
    whole_run(store, "friday")
    assert rows(call("show", "friday", "--changed")[1]) == [["stage2.als.rank", "16"]]
    assert "do not say which settings differ" in call("show", "monday", "--changed")[1]


@pytest.mark.parametrize(("name", "run"), [("live", "monday"), ("latest", "tuesday"), ("mon", "monday")])
def test_a_run_is_found_by_a_channel_as_the_latest_and_by_its_beginning(call: Any, name: str, run: str) -> None:
    assert call("show", name)[1].startswith(f"{run}: ")
    assert json.loads(call("diff", name, "monday", "--json")[1])["runs"] == [run, "monday"]


def test_an_id_comes_before_a_channel_of_the_same_name(call: Any, store: Store) -> None:
    result(store, "stage1", "live")
    assert call("show", "live")[1].startswith("live: ")


def test_a_beginning_of_several_runs_is_refused(call: Any, store: Store) -> None:
    result(store, "stage1", "monday-2")
    assert call("show", "monday")[0] == 0
    code, _, err = call("show", "mond")
    assert code == 10
    assert "2 runs begin with mond: monday-2, monday; give more of the id" in err


def test_a_channel_whose_run_has_expired_is_reported(call: Any, store: Store, tmp_path: Path) -> None:
    live = result(store, "stage4", "gone")
    Channels(store).publish("live", live)
    record_of(tmp_path / "out", live).unlink()
    shutil.rmtree(tmp_path / "out" / "stage4" / "data" / live.attempt)
    code, _, err = call("show", "live")
    assert (code, "VERSION_EXPIRED command=show: channel live names run gone, whose files have expired" in err) == (
        10,
        True,
    )


def test_a_run_that_failed_is_shown_with_the_reason(call: Any) -> None:
    assert "STORAGE_FULL no space" in call("show", "tuesday")[1]


def test_a_run_that_does_not_exist_is_told(call: Any) -> None:
    code, out, err = call("show", "munday")
    assert (code, out) == (10, "")
    assert err.startswith("RECOMMENDER_ERROR RUN_UNKNOWN command=show: no run munday below ")
    assert err.endswith("did you mean monday\n")


def test_two_runs_are_compared(call: Any) -> None:
    code, out, _ = call("diff", "monday", "tuesday")
    assert code == 0
    assert ["config.als.rank", "8", "16"] in rows(out)
    assert ["committed", "yes", "no"] in rows(out)
    differing = json.loads(call("diff", "monday", "tuesday", "--json")[1])["stages"]["stage1"]
    assert sorted(differing) == ["checksum.scores", "config.als.rank"]


def test_a_run_does_not_differ_from_itself(call: Any) -> None:
    assert call("diff", "monday", "monday")[1] == "no difference between monday and monday\n"


def test_all_files_are_verified(call: Any) -> None:
    code, out, _ = call("verify")
    assert (code, out) == (0, "4 files, 16 bytes, compared by their contents: all are as they were written\n")


def test_damage_is_listed_and_has_an_exit_code(call: Any, store: Store, tmp_path: Path) -> None:
    commit = store.latest("stage1")
    assert commit is not None
    file_of(tmp_path / "out", commit).unlink()
    code, out, err = call("verify")
    assert code == 16
    assert "missing" in out
    assert "1 damaged" in out
    assert err.splitlines()[-1].startswith("RECOMMENDER_ERROR ARTIFACT_CORRUPT command=verify: ")


def test_a_record_that_is_gone_is_damage_if_a_channel_needs_it(call: Any, store: Store, tmp_path: Path) -> None:
    judged = result(store, "stage2", "wednesday")
    live = result(store, "stage4", "wednesday", upstream={"stage2": judged.number})
    Channels(store).publish("live", live)
    record_of(tmp_path / "out", judged).unlink()
    code, out, _ = call("verify", "--quick")
    assert (code, "missing: channel live needs run wednesday" in out) == (16, True)
    record_of(tmp_path / "out", live).unlink()
    code, out, err = call("verify", "--quick")
    assert (code, f"{live.number:020d}.json missing: channel live needs run wednesday" in err) == (16, True)
    assert call("gc", "--older-than", "0s")[0] == 16
    assert file_of(tmp_path / "out", live).exists()


def test_a_record_of_another_attempt_is_damage_if_a_channel_names_it(call: Any, store: Store, tmp_path: Path) -> None:
    live = store.latest("stage4")
    assert live is not None
    record_of(tmp_path / "out", live).unlink()
    result(store, "stage4", "somebody")
    code, out, _ = call("verify", "--quick")
    assert (code, "is of another attempt than the one that channel live names" in out) == (16, True)


def test_a_damaged_record_is_told_by_every_command(call: Any, store: Store, tmp_path: Path) -> None:
    commit = store.latest("stage1")
    assert commit is not None
    record_of(tmp_path / "out", commit).write_text("{")
    for command in (["runs"], ["show", "monday"], ["verify"], ["gc"]):
        code, _, err = call(*command)
        assert code == 16
        assert "RECOMMENDER_ERROR ARTIFACT_CORRUPT" in err


def test_a_clean_up_says_first_what_it_would_do(call: Any, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = call("gc", "--older-than", "0s", "--keep", "1", "--dry-run")
    assert code == 0
    assert out.splitlines()[-1].endswith("would be deleted")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_clean_up_keeps_what_is_live_and_what_it_was_made_from(call: Any, store: Store) -> None:
    result(store, "stage4", "wednesday", upstream={"stage1": 1})
    result(store, "stage4", "thursday")
    code, out, _ = call("gc", "--older-than", "0s", "--keep", "1", "--json")
    assert code == 0
    removed = json.loads(out)["removed"]
    assert [commit.run_id for commit in store.commits("stage4")] == ["thursday", "monday"]
    assert any(each["why"] == "failed" for each in removed)
    assert call("verify")[0] == 0


def test_there_may_be_nothing_to_delete(call: Any) -> None:
    assert call("gc")[1] == "there is nothing to delete\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--older-than", "soon"], "'soon' is not a duration; write 90s, 30m, 12h or 7d"),
        (["--keep", "0"], "'0' is no whole number, 1 or more"),
    ],
)
def test_a_clean_up_with_a_wrong_argument_is_told(call: Any, arguments: list[str], text: str) -> None:
    code, _, err = call("gc", *arguments)
    assert code == 10
    assert "RECOMMENDER_ERROR CFG_ARGUMENT command=" in err
    assert text in err


def test_a_channel_goes_back_and_forth(call: Any, store: Store) -> None:
    Channels(store).publish("live", result(store, "stage4", "tuesday"))
    assert call("rollback", "live")[1] == "channel live now names run monday, no longer run tuesday (record 3)\n"
    found = json.loads(call("rollback", "live", "tuesday", "--json")[1])
    moved = {"channel": "live", "from": "monday", "to": "tuesday", "number": 4, "moved": []}
    assert found == {**moved, "dry_run": False}


def test_a_dry_run_of_a_rollback_moves_nothing(call: Any, store: Store) -> None:
    Channels(store).publish("live", result(store, "stage4", "tuesday"))
    out = call("rollback", "live", "--dry-run")[1]
    assert out == "channel live would name run monday; it names run tuesday\n"
    current = Channels(store).current("live")
    assert current is not None
    assert (current.number, current.run_id) == (2, "tuesday")


def test_a_channel_goes_back_to_a_run_by_the_beginning_of_its_id(call: Any, store: Store) -> None:
    Channels(store).publish("live", result(store, "stage4", "2026-05-03"))
    Channels(store).publish("live", result(store, "stage4", "tuesday"))
    assert "now names run monday" in call("rollback", "live", "mon")[1]
    assert "VERSION_UNKNOWN" in call("rollback", "live", "2026")[2]  # digits alone are the number of a record


def test_the_log_of_a_channel_says_who_moved_it_when_and_why(
    call: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.setattr("socket.gethostname", lambda: "night-1")
    over = {"reason": "new market", "id": "NOT_BLESSED", "sentence": "too low"}
    Channels(store).publish("live", result(store, "stage4", "tuesday", gate_overridden=over))
    call("rollback", "live", "--reason", "complaints of the shop")
    back, published, first = json.loads(call("log", "--json")[1])
    assert {key: back[key] for key in back if key != "at"} == {
        "number": 3,
        "user": "ada",
        "host": "night-1",
        "action": "rollback",
        "from": "tuesday",
        "to": "monday",
        "reason": "complaints of the shop",
    }
    assert (published["from"], published["to"], published["reason"]) == (
        "monday",
        "tuesday",
        "gate overridden: new market",
    )
    assert (first["from"], first["to"], first["reason"]) == (None, "monday", None)
    header, newest, *_ = rows(call("log", "live", "--limit", "1")[1])
    assert header == ["number", "at", "(UTC)", "by", "what", "from", "to", "why"]
    assert newest[2:] == ["ada@night-1", "rollback", "tuesday", "monday", "complaints", "of", "the", "shop"]


def test_an_empty_reason_is_refused(call: Any, store: Store) -> None:
    code, _, err = call("rollback", "live", "--reason", " ")
    assert (code, "CFG_ARGUMENT command=rollback: --reason must not be empty" in err) == (10, True)


def test_records_of_a_channel_without_user_and_reason_are_read(call: Any, store: Store) -> None:
    commit = store.latest("stage4")
    assert commit is not None
    facts = {"stage": "stage4", "commit": commit.number, "attempt": commit.attempt, "run": "monday", "token": "1"}
    old = {**facts, "action": "promote", "at": "2026-05-03T04:00:00.000+00:00"}
    assert Log(store.files, "channels/live").append(2, old, {"token": "1"})
    newest = json.loads(call("log", "--json")[1])[0]
    assert (newest["user"], newest["host"], newest["reason"]) == (None, None, None)
    assert rows(call("log")[1])[1] == ["2", "2026-05-03T04:00:00", "-", "promote", "monday", "monday"]


def test_a_channel_that_does_not_exist_has_no_log(call: Any) -> None:
    assert "CHANNEL_UNKNOWN command=log: no channel candidate; there are live" in call("log", "candidate")[2]


def test_a_channel_without_an_earlier_version_is_told(call: Any) -> None:
    code, _, err = call("rollback", "live")
    assert (code, "VERSION_UNKNOWN command=rollback" in err) == (10, True)


def test_an_empty_root_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--root", str(tmp_path / "nothing")]) == 12
    assert "RECOMMENDER_ERROR STORE_EMPTY command=runs: " in capsys.readouterr().err


def test_the_root_may_come_from_a_configuration(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf.yaml").write_text(f"root: {tmp_path}/out\n")
    assert main(["runs", "--config", str(tmp_path / "conf.yaml")]) == 0
    assert "monday" in capsys.readouterr().out


def test_no_command_needs_a_stage(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    help_text = capsys.readouterr().out
    assert all(command in help_text for command in ("runs", "show", "diff", "verify", "gc", "rollback", "schema"))


def test_values_that_differ_look_different(call: Any, store: Store) -> None:
    record = {"version": "1", "inputs": {"/e.csv": [9, 1.0]}, "config": {"als": {"reg_param": 1e-05, "implicit": True}}}
    other = {"version": "2", "inputs": {"/e.csv": [9, 2.0]}, "config": {"als": {"reg_param": 2e-05, "implicit": False}}}
    result(store, "stage3", "one", **record, metrics=[{**METRIC, "value": 0.5}])
    result(store, "stage3", "other", **other, metrics=[{**METRIC, "value": 0.25}])
    found = rows(call("diff", "one", "other")[1])
    assert ["config.als.reg_param", "1e-05", "2e-05"] in found
    assert ["config.als.implicit", "true", "false"] in found
    assert ["version", "1", "2"] in found
    assert ["metrics.ndcg@10.als", "0.500000", "0.250000", "-0.250000"] in found
    assert [line[0] for line in found if line[0].startswith("inputs")] == ["inputs.sha256"]


def test_the_steps_of_a_run_are_shown(call: Any, store: Store) -> None:
    step = {"step": "score_filter", "rows_in": 4000, "rows_out": 3000, "note": "pairs to learn from"}
    result(store, "stage3", "one", version="0.1+abc", inputs={"/e.csv": [2048, 1.0]}, steps=[step], reused=7)
    out = call("show", "one", "--all")[1]
    assert ["score_filter", "4,000", "3,000", "pairs", "to", "learn", "from"] in rows(out)
    assert "the same as commit 7" in out
    assert "code 0.1+abc\n  read 1 files, 2.0 KiB" in out


def test_what_was_judged_is_shown(call: Any, store: Store) -> None:
    compared = {
        "model": "popular",
        "candidate": 0.031,
        "other": 0.034,
        "difference": -0.003,
        "low": -0.01,
        "high": 0.002,
    }
    gate = {"compared": [compared], "reasons": [{"id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034"}]}
    result(store, "stage1", "odd", protocol="time_cut", leaks=0)
    result(store, "stage2", "odd", blessed=False, gate=gate)
    overridden = {"reason": "a test", "id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034"}
    result(store, "stage4", "odd", gate_overridden=overridden)
    out = call("show", "odd")[1]
    assert "judged by: time_cut; 0 leaks into scores and history" in out
    assert "not blessed: ndcg@10 0.031 < 0.034" in out
    assert "compared with popular: 0.0310 against 0.0340, difference -0.0030, -0.0100 to +0.0020" in out
    assert "published although it is not blessed (ndcg@10 0.031 < 0.034): a test" in out


def test_the_trials_of_a_search_are_shown(call: Any, store: Store) -> None:
    judged = {"state": "complete", "value": 0.05, "low": 0.04, "high": 0.06, "seconds": 9.5, "reason": ""}
    trial = {"number": 3, **judged, "parameters": {"rank": 32}}
    said = {"verdict": "Nothing was gained.", "notes": ["rank 64 was not tried"]}
    result(store, "tune", "odd", metric="ndcg@10", best={"rank": 32}, trials=[trial], **said)
    out = call("show", "odd", "--all")[1]
    assert ["3", "0.0500", "0.0400–0.0600", "9.5", "32"] in rows(out)
    assert "Nothing was gained." in out
    assert "rank 64 was not tried" in out


def test_the_name_of_the_command_is_told_also_where_its_arguments_are_wrong(call: Any) -> None:
    assert call("runs", "--limit", "-1")[2].startswith("RECOMMENDER_ERROR CFG_ARGUMENT command=runs: ")
    assert call("shwo")[2].startswith("RECOMMENDER_ERROR CFG_ARGUMENT command=-: ")


def test_a_bug_has_a_line_and_a_code(call: Any, store: Store) -> None:
    result(store, "stage3", "odd", committed_at="yesterday")
    code, out, err = call("runs")
    assert (code, out) == (1, "")
    assert err.startswith("RECOMMENDER_ERROR INTERNAL command=runs: ValueError: ")


def test_an_interruption_has_a_line_and_a_code(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recommender.commands.verify.verify", interrupted)
    code, _, err = call("verify")
    assert (code, err.split(":")[0]) == (130, "RECOMMENDER_ERROR TERMINATED command=verify")


def test_a_reader_may_leave(store: Store, tmp_path: Path) -> None:
    command = f"{sys.executable} -m recommender show monday --root {tmp_path}/out | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("0\n", "")


@pytest.mark.parametrize("damage", ["deleted", "truncated", "flipped"])
def test_every_damage_to_a_file_is_found(call: Any, store: Store, tmp_path: Path, damage: str) -> None:
    commit = store.latest("stage1")
    assert commit is not None
    file = file_of(tmp_path / "out", commit)
    content = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if damage == "truncated" else bytes([content[0] ^ 1]) + content[1:])
    assert call("verify", "--quick")[0] == (0 if damage == "flipped" else 16)
    code, out, err = call("verify", "--json")
    assert (code, err.count("\n")) == (16, 1)  # nothing but the error line: this is no terminal
    assert [each["path"].endswith(file.name) for each in json.loads(out)["damaged"]] == [True]


def test_a_store_whose_data_is_gone_is_damaged_and_not_empty(call: Any, tmp_path: Path) -> None:
    for stage in ("stage1", "stage2", "stage4"):
        shutil.rmtree(tmp_path / "out" / stage / "data")
    assert "monday     done      1 2 4" in call("runs")[1]
    code, out, _ = call("verify")
    assert (code, "4 damaged" in out) == (16, True)


def test_foreign_files_do_not_matter(call: Any, tmp_path: Path) -> None:
    expected = call("runs")[1]
    (tmp_path / "out" / "README").write_text("mine")
    (tmp_path / "out" / "stage1" / "data" / "README").write_text("mine")
    assert call("runs")[1] == expected
    assert call("gc")[0] == 0


@pytest.mark.parametrize("channel", ["lvie", "../stage1/commits"])
def test_a_channel_that_does_not_exist_is_told(call: Any, tmp_path: Path, channel: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, _, err = call("rollback", channel, "1")
    assert code == 10
    assert f"CHANNEL_UNKNOWN command=rollback: no channel {channel}; there are live" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_the_schema_is_the_one_for_editors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    stored = Path(__file__).resolve().parents[2] / "conf" / "config.schema.json"
    assert capsys.readouterr().out == stored.read_text()
