"""The report of a run: its verdict, its numbers against the records, its escaping, and what is left out."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.literal_run import COMPARED, GATE, METRICS, PROFILE, measured, stage, two_stages, whole_run
from support.literal_store import open_store, result
from support.page_text import Page

from recommender.__main__ import main
from recommender.commands.overview import ndcg_at_10
from recommender.commands.paragraphs import judged_text, stage_facts
from recommender.publishing.comparison import release
from recommender.report import facts_of, report_page
from recommender.store import Channels, Commit, Store
from recommender.terminal.summary import release_text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "out")


@pytest.fixture
def page(store: Store) -> Callable[..., Page]:
    """Return a function that makes the report of runs."""

    def made(*runs: str) -> Page:
        return Page(report_page([facts_of(store, run, commits_of(store, run)) for run in runs]))

    return made


def commits_of(store: Store, run: str) -> dict[str, Commit]:
    found = {name: store.of_run(name, run) for name in ("stage1", "stage2", "stage3", "stage4")}
    return {name: commit for name, commit in found.items() if commit}


def numbers_in(tree: Any) -> Iterator[float]:
    """Return all numbers of a tree of plain JSON types."""
    if isinstance(tree, dict | list):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from numbers_in(each)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield float(tree)


def test_the_verdict_is_one_sentence(store: Store, page: Callable[..., Page]) -> None:
    Channels(store).publish("live", whole_run(store, "monday"))
    assert (
        "Published to live: finds 2.6 times as many held-out items as the popular list; "
        "live before: 2.4 times, not proven better."
    ) in page("monday").text


@pytest.mark.parametrize(
    ("interval", "proof"), [((0.001, 0.005), "proven better."), ((-0.005, -0.001), "proven worse.")]
)
def test_the_verdict_says_what_is_proven(
    store: Store, page: Callable[..., Page], interval: tuple[float, float], proof: str
) -> None:
    compared = [{**COMPARED[1], "low": interval[0], "high": interval[1]}]
    whole_run(store, "monday", gate={**GATE, "compared": compared})
    text = page("monday").text
    assert "Committed, and not published: finds 2.6 times as many held-out items as the popular list; live " in text
    assert proof in text


def test_the_model_that_was_chosen_is_the_one_that_is_spoken_of(store: Store, page: Callable[..., Page]) -> None:
    why = "item_to_item is chosen, proven better than als: ndcg@10 0.06 against 0.039 (difference 0.01 to 0.03)"
    better = [measured("item_to_item", "precision", 10, 0.04), measured("item_to_item", "ndcg", 10, 0.06)]
    gate = {**GATE, "model": "item_to_item", "choice": why}
    exposed = whole_run(store, "monday", gate=gate, metrics=[*METRICS, *better])
    text = page("monday").text
    assert "finds 4.0 times as many held-out items as the popular list" in text
    assert why in text
    assert "ALS, not chosen" in text
    assert "item to item" not in text  # it is this model
    assert ndcg_at_10(commits_of(store, "monday").values()) == 0.06
    assert why in judged_text(stage_facts(commits_of(store, "monday")["stage2"]))
    before = whole_run(store, "sunday")
    compared = release(store, exposed, before)
    assert compared["models"] == ["item_to_item", "als"]
    assert [each["value"] for each in compared["metrics"]["ndcg@10"]] == [0.06, pytest.approx(0.039)]
    assert ["model", "item_to_item", "als"] in [line.split() for line in release_text(compared).splitlines()]


def test_a_version_that_was_replaced_is_not_called_live(store: Store, page: Callable[..., Page]) -> None:
    Channels(store).publish("live", whole_run(store, "monday"))
    Channels(store).publish("live", whole_run(store, "tuesday"))
    assert "Published to live, and replaced since: finds" in page("monday").text
    assert "Published to live: finds" in page("tuesday").text


def test_a_refused_run_says_why(store: Store, page: Callable[..., Page]) -> None:
    sentence = "ndcg@10 0.031 < 0.034, that of popular"
    two_stages(store, "monday", blessed=False, gate={**GATE, "reasons": [{"id": "NOT_BLESSED", "sentence": sentence}]})
    found = page("monday")
    assert "Refused by the gate: ndcg@10 0.031 < 0.034, that of popular." in found.text
    assert "Decision refused" in found.sections["What the gate compared"]
    assert sentence in found.sections["What the gate compared"]
    assert "Example visitors" not in found.sections


def test_a_comparison_that_was_lost_is_told_in_plain_words(store: Store, page: Callable[..., Page]) -> None:
    lost = {**COMPARED[1], "low": -0.004, "high": -0.001, "passed": False}
    reasons = [{"id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034, that of live"}]
    two_stages(store, "monday", blessed=False, gate={**GATE, "compared": [COMPARED[0], lost], "reasons": reasons})
    text = page("monday").text
    assert "Refused by the gate: finds 2.6 times as many held-out items as the popular list; live before: " in text
    assert "2.4 times, proven worse." in text
    assert "Why the gate refused it: ndcg@10 0.031 < 0.034, that of live" in text


def test_an_overridden_gate_is_in_the_verdict_and_in_the_warnings(store: Store, page: Callable[..., Page]) -> None:
    over = {"reason": "new market", "id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034"}
    Channels(store).publish("live", whole_run(store, "monday", {"gate_overridden": over}, blessed=False))
    text = page("monday").text
    assert "Published to live although the gate refused it (new market): finds" in text
    assert "The gate was overridden: ndcg@10 0.031 < 0.034. Reason: new market" in text


def test_what_spark_has_lost_is_a_warning(store: Store, page: Callable[..., Page]) -> None:
    stage(store, "stage1", "monday", lost={"executors": 1, "tasks": 12})
    stage(store, "stage1", "tuesday", lost={"executors": 0, "tasks": 0})
    assert "stage1: Spark lost 1 executors, 12 tasks, and computed their part again" in page("monday").text
    assert "lost" not in page("tuesday").text


def test_a_failed_run_says_where_and_why(store: Store) -> None:
    note = {"stage": "stage2", "failed_at": "2026-05-03", "id": "STORAGE_FULL", "sentence": "no space"}
    stage(store, "stage1", "monday", profile=PROFILE)
    text = Page(report_page([facts_of(store, "monday", commits_of(store, "monday"), [note])])).text
    assert "Failed in train (stage2): STORAGE_FULL no space." in text


def test_a_failure_that_was_made_good_is_not_shown(store: Store) -> None:
    note = {"stage": "stage2", "failed_at": "2026-05-03", "id": "STORAGE_FULL", "sentence": "no space"}
    two_stages(store, "monday")
    assert "no space" not in report_page([facts_of(store, "monday", commits_of(store, "monday"), [note])])


def test_every_number_of_the_records_is_on_the_page(store: Store, page: Callable[..., Page]) -> None:
    exposed = whole_run(store, "monday")
    shown = page("monday").values
    measured = [{key: row[key] for key in ("value", "low", "high", "visitors")} for row in METRICS]
    of_gate = [{key: row[key] for key in ("candidate", "other", "difference", "low", "high")} for row in COMPARED]
    not_shown = {"base", "events_by_day", "capped", "long_tail"}
    of_log = {key: value for key, value in PROFILE.items() if key not in {*not_shown, "new"}}
    judged = store.latest("stage2")
    assert judged is not None
    expected = [measured, of_gate, of_log, judged.record["weights"], [780, 5, 1150]]
    expected += [
        exposed.record["seconds"],
        exposed.record["jobs"],
        exposed.record["events_per_second"],
        exposed.record["timings"],
    ]
    expected += [[each["rows_in"], each["rows_out"]] for each in exposed.record["steps"]]
    expected += [score for _, score in exposed.record["examples"][0]["recommended"]]
    assert set(numbers_in(expected)) - shown == set()


def test_every_number_on_the_page_is_shown_as_it_is(store: Store, page: Callable[..., Page]) -> None:
    whole_run(store, "monday")
    for value, text in page("monday").numbers:
        plain = text.replace(",", "")
        shown = float(plain.rstrip("%")) / (100 if plain.endswith("%") else 1)
        digits = len(plain.rstrip("%").partition(".")[2]) + (2 if plain.endswith("%") else 0)
        assert abs(shown - value) <= 0.5 * 10**-digits + 1e-12, (value, text)


def test_the_long_tail_of_log_and_lists_is_drawn_and_listed(store: Store, page: Callable[..., Page]) -> None:
    whole_run(store, "monday")
    found = page("monday")
    # the first 1 %, 10 %, 20 % and 50 % of 97 items are 1, 10, 20 and 49
    events, places = [101, 611, 873, 1103], [700, 1900, 2110, 2110]
    assert {each / 1180 for each in events} | {each / 2110 for each in places} <= found.values
    source = report_page([facts_of(store, "monday", commits_of(store, "monday"))])
    assert f'x2="{100 * 10 / 97:.2f}%" y2="{100 - 100 * 1900 / 2110:.2f}%" class="curve c0"' in source
    assert f'x2="{100 * 10 / 97:.2f}%" y2="{100 - 100 * 611 / 1180:.2f}%" class="curve c1"' in source


def test_a_refused_run_has_the_long_tail_of_its_log(store: Store, page: Callable[..., Page]) -> None:
    two_stages(store, "monday", blessed=False)
    found = page("monday").sections["How much of the catalogue is shown"]
    assert "Share of the events of the log" in found
    assert "places of the lists" not in found


def test_intervals_are_drawn_where_their_numbers_are(store: Store) -> None:
    whole_run(store, "monday")
    source = report_page([facts_of(store, "monday", commits_of(store, "monday"))])
    end = 1.1 * max(row["high"] for row in METRICS if (row["metric"], row["k"]) == ("ndcg", 10))
    for row in METRICS:
        if (row["metric"], row["k"]) == ("ndcg", 10):
            assert f'cx="{100 * row["value"] / end:.2f}%"' in source
            assert f'x1="{100 * row["low"] / end:.2f}%" x2="{100 * row["high"] / end:.2f}%"' in source


def test_days_without_events_are_shown_too(store: Store) -> None:
    whole_run(store, "monday")
    source = report_page([facts_of(store, "monday", commits_of(store, "monday"))])
    titles = [
        f"<title>2026-05-0{day}: {events}</title>" for day, events in ((1, "events 400"), (2, 0), (3, "events 780"))
    ]
    assert [title in source for title in titles] == [True] * 3


def test_what_comes_from_a_shop_is_escaped(store: Store, page: Callable[..., Page]) -> None:
    evil, odd = "<script>alert('1')</script>", 'x"\x1b[31m\u202e&amp;'
    example = {"visitorid": evil, "source": odd, "history": [[evil, odd]], "recommended": [[odd, 0.5]]}
    kinds = {**PROFILE, "events_by_kind": {evil: 1180}, "heaviest_items": [{"id": odd, "events": 9}]}
    exposed = {"examples": [example], "titles": [{"itemid": odd, "title": evil}], "warnings": [evil]}
    whole_run(store, "monday", exposed)
    stage(store, "stage1", "tuesday", profile=kinds)
    for found in (page("monday"), page("tuesday")):
        assert "script" not in found.tags
        assert evil in found.text
        assert "\x1b" not in found.text
        assert "\u202e" not in found.text
        assert 'x"\\x1b[31m\\u202e&amp;' in found.text


def test_the_page_needs_nothing_but_itself(store: Store) -> None:
    whole_run(store, "monday")
    source = report_page([facts_of(store, "monday", commits_of(store, "monday"))])
    assert [word for word in ("<script", "http:", "https:", "src=", "href=", "url(", "@import") if word in source] == []
    assert "default-src &#x27;none&#x27;" in source


def test_sections_without_records_are_left_out(store: Store, page: Callable[..., Page]) -> None:
    result(store, "stage1", "monday")
    assert list(page("monday").sections) == ["", "Where it comes from"]


def test_records_of_an_older_program_are_read(store: Store, page: Callable[..., Page]) -> None:
    commit = whole_run(store, "monday")
    old = {key: value for key, value in commit.record.items() if key not in {"examples", "titles", "changed"}}
    again = {key: value for key, value in old.items() if key not in {"run", "attempt", "parent", "committed_at"}}
    result(store, "stage4", "tuesday", **{**again, "upstream": {}})
    found = page("tuesday")
    assert "Committed, and not published." in found.text
    assert "Example visitors" not in found.sections
    assert "Settings that differ from the defaults" not in found.sections


def test_metrics_of_a_newer_program_are_shown(store: Store, page: Callable[..., Page]) -> None:
    row = {**METRICS[0], "metric": "serendipity", "k": 10, "value": 0.0625}
    two_stages(store, "monday", metrics=[*METRICS, row])
    assert 0.0625 in page("monday").values


def test_a_cutoff_that_was_not_measured_is_not_looked_at(store: Store, page: Callable[..., Page]) -> None:
    two_stages(store, "monday", gate={**GATE, "metric": "ndcg@50", "compared": []})
    assert "ndcg@10" in page("monday").sections["How good the lists are"]


def test_settings_that_differ_are_listed(store: Store, page: Callable[..., Page]) -> None:
    whole_run(store, "monday")
    found = page("monday").sections["Settings that differ from the defaults"]
    assert found.split() == ["Setting", "value", "stage2.als.rank", "16"]


def test_stages_of_an_earlier_run_are_shown_with_its_name(store: Store, page: Callable[..., Page]) -> None:
    upstream = two_stages(store, "monday")
    stage(store, "stage4", "tuesday", upstream=upstream)
    found = page("tuesday")
    assert "made by monday" in found.sections["What it cost"]
    assert "This run 12.5" in " ".join(found.sections["What it cost"].split())
    assert "1,180" in found.sections["The log"]


def test_examples_have_titles_where_there_are_any(store: Store, page: Callable[..., Page]) -> None:
    whole_run(store, "monday")
    found = page("monday").sections["Example visitors"]
    assert "Visitor 7" in found
    assert "Running shoe 6 0.7310" in found
    assert "8 0.4020" in found


def test_what_changes_from_live_is_shown(store: Store, page: Callable[..., Page]) -> None:
    live = whole_run(store, "sunday")
    counts = {"candidate": 200, "live": 190, "gained": 23, "lost": 14}
    items = {**counts, "most_gained": [{"itemid": 6, "lists": 41}], "most_lost": [{"itemid": 9, "lists": -37}]}
    diff = {
        "against": {"run": "sunday", "attempt": live.attempt},
        "k": 10,
        "overlap": 0.6125,
        "unchanged": 0.25,
        "visitors": counts,
        "items": items,
        "coverage": {"candidate": 0.31, "live": 0.28},
        "most_changed": [{"visitorid": 7, "overlap": 0.1, "gained": [6], "lost": [9]}],
    }
    whole_run(store, "monday", {"release_diff": diff})
    found = page("monday")
    assert {0.6125, 0.25, 200, 190, 23, 14, 41, -37, 0.31, 0.28, 0.1} - found.values == set()
    assert "Compared with run sunday, which was live then." in found.sections["What changes from live"]


def test_groups_of_visitors_come_from_the_files_of_stage_2(store: Store, page: Callable[..., Page]) -> None:
    rows = [
        {"segment": "history 1", "model": "als", "metric": "ndcg", "k": 10, "value": 0.0437, "low": 0.04, "high": 0.05}
        | {"visitors": 61}
    ]
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), content)
    attempt = store.begin("stage2", "monday")
    path = f"{attempt.id}/segment_metrics/part-0.parquet"
    store.files.create(f"stage2/data/{path}", content.getvalue())
    store.commit(attempt, {"files": {path: {"bytes": len(content.getvalue())}}, "metrics": METRICS})
    assert {0.0437, 61} <= page("monday").values
    (Path(store.files.root) / "stage2" / "data" / path).unlink()
    assert "Groups of visitors" not in page("monday").sections


def test_two_runs_are_beside_each_other(store: Store, page: Callable[..., Page]) -> None:
    whole_run(store, "monday")
    two_stages(store, "tuesday", blessed=False)
    found = page("monday", "tuesday")
    assert "monday beside tuesday" in found.text
    assert "Refused by the gate" in found.text
    assert "tuesday nothing recorded" in found.sections["Example visitors"]


def test_the_pictures_of_two_runs_share_their_axes(store: Store) -> None:
    whole_run(store, "monday")
    lower = [{**row, **{key: row[key] and row[key] / 2 for key in ("value", "low", "high")}} for row in METRICS]
    whole_run(store, "tuesday", metrics=lower)
    runs = [facts_of(store, run, commits_of(store, run)) for run in ("monday", "tuesday")]
    source = report_page(runs)
    end = 1.1 * max(row["high"] for row in METRICS if (row["metric"], row["k"]) == ("ndcg", 10))
    value = next(row["value"] for row in METRICS if (row["model"], row["metric"], row["k"]) == ("als", "ndcg", 10))
    assert f'cx="{100 * value / end:.2f}%"' in source
    assert f'cx="{50 * value / end:.2f}%"' in source


@pytest.fixture
def call(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def called(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--root", str(tmp_path / "out")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def test_the_command_writes_a_file_that_others_cannot_read(
    store: Store, call: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    Channels(store).publish("live", whole_run(store, "monday"))
    file = tmp_path / "r.html"
    code, out, _ = call("report", "live", "-o", str(file), "--json")
    assert (code, json.loads(out)) == (0, {"runs": ["monday"], "file": str(file), "bytes": file.stat().st_size})
    assert file.stat().st_mode & 0o007 == 0
    assert call("report", "mon", "latest", "-o", str(file))[0] == 0
    assert "monday beside monday" in file.read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out", "r.html"]


def test_a_report_that_cannot_be_written_is_reported(
    store: Store, call: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    whole_run(store, "monday")
    code, _, err = call("report", "monday", "-o", str(tmp_path / "no" / "r.html"))
    assert (code, "RECOMMENDER_ERROR STORAGE command=report: " in err) == (17, True)
    assert "r.html cannot be written: No such file or directory" in err
