"""What the stages of a run would cost: rows, time, memory, shuffle, disk; and the settings that follow.

The costs of a stage are a fixed part, which is less for a small log, and a part per event, as they were measured on two
cores. If the stage has run here before, its seconds are those of that run, scaled by the same two parts, so that they
fit this machine. The forecast is a guide: it knows neither what else the machine does nor how the log has changed.

Example usage:
>>> log = Log(events=3_000_000, visitors=1_000_000, items=200_000, pairs=2_500_000, source="a guess")
>>> round(_seconds("stage1", log, None)), round(_seconds("stage1", log, {"seconds": 10.0, "events": 300_000}))
(55, 21)
>>> round(_seconds("stage1", replace(log, events=50_000, is_small=True), None))
12
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import recommender.constants as C
from recommender.errors import RecommenderError
from recommender.inspect import plan_for
from recommender.inspect.rows import rows_of_files
from recommender.run.config import STAGES
from recommender.spark.launch import driver_memory, is_one_machine, spark_defaults, usual_memory
from recommender.spark.session import is_small, shuffle_partitions
from recommender.stage import Stage
from recommender.store import Commit
from recommender.terminal.text import indented, size, table

# Stage -> fixed seconds, and microseconds per event, by docs/benchmarks.md, "The four stages".
_TIMES: Final = {"stage1": (23.2, 10.6), "stage2": (40.8, 46.4), "stage3": (8.6, 43.0), "stage4": (16.3, 13.9)}
# The fixed seconds of logs that are planned once: those of the sample run, less the part of its 50,000 events.
_SMALL_TIMES: Final = {"stage1": 11.5, "stage2": 15.1, "stage3": 2.8, "stage4": 4.4}
_BASE: Final = 2**30  # bytes of a JVM that works on little
_BLOCK: Final = 2**28  # most bytes of factors that a task holds
_CORES: Final = 4  # of the executor that is advised
_ROW: Final = 40  # bytes of an event in a shuffle
_SETTINGS: Final = {  # parameters that the costs depend on -> (stage, step)
    "rank": ("stage2", "als"),
    "max_iter": ("stage2", "als"),
    "k": ("stage3", "recommend"),
    "visitors_per_shard": ("stage3", "shards"),
    "max_per_visitor": ("stage1", "event_cap"),
}
_MOST_NAMED = 3
_LONG_SHARD = 1800.0  # seconds that a killed stage 3 may lose


@dataclass(frozen=True)
class Log:
    """What is known of the log, or expected."""

    # events, visitors, items, pairs: numbers
    events: int
    visitors: int
    items: int
    pairs: int
    source: str  # how they are known
    # the visitors and items with the most events: (visitor or item, id, events)
    heaviest: Sequence[tuple[str, str, int]] = field(default_factory=list)
    # whether its queries are, and those of the last run were, planned once; see `recommender.spark.session.is_small`
    is_small: bool = False
    was_small: bool = False


def outlook(
    stages: Mapping[str, Stage],
    computed: Sequence[str],
    known: Mapping[str, Commit | None],
    *,
    inputs: int | None,
    events: int | None,
    root: str,
) -> dict[str, Any] | None:
    """Return the forecast as plain JSON types; None if nothing is known of the log, or of the stages.

    Args:
        computed: those of them that would be computed.
        known: stage -> its newest commit.
        inputs: bytes of the files that are read, None if a table is read.
        events: number of events that would be generated; None if they are not.
    """
    log = _log(stages.get("stage1"), known.get("stage1"), inputs, events)
    computed = [name for name in computed if name in _TIMES]
    if log is None or not computed:
        return None
    log = _with_sizes(log, known.get("stage1"), inputs if "stage1" in stages else None, events)
    settings = {name: _setting(stages, known, name, place) for name, place in _SETTINGS.items()}
    records = {name: commit.record for name, commit in known.items() if commit}
    sizes = _sizes(log, settings)
    costs: dict[str, dict[str, Any]] = {}
    for name in computed:
        rows, shuffle, _ = sizes[name]
        costs[name] = {
            "seconds": round(_seconds(name, log, records.get(name)), 1),
            "rows": rows,
            "shuffle": shuffle,
            "disk": _disk(name, log, settings, known.get(name)),
            "measured": name in records,
        }
    facts = {
        "log": {**asdict(log), "heaviest": [list(each) for each in log.heaviest]},
        "stages": costs,
        "seconds": round(sum(each["seconds"] for each in costs.values()), 1),
        "memory": _memory(log, settings),
        "partitions": shuffle_partitions(inputs) if _is_local() else None,
    }
    return {**facts, "advice": _advice(facts, log, settings, root)}


def outlook_text(facts: Mapping[str, Any]) -> str:
    """Return the forecast for people."""
    log, memory = facts["log"], facts["memory"]
    numbers = ", ".join(f"{log[name]:,} {name}" for name in ("events", "visitors", "items"))
    lines = [("forecast", "seconds", "rows written", "shuffle", "disk", "")]
    for name, each in facts["stages"].items():
        cells = (f"{each['seconds']:,.0f}", f"{each['rows']:,}", size(each["shuffle"]), size(each["disk"]))
        lines.append((name, *cells, "as the last run" if each["measured"] else "as on two cores"))
    total = [sum(each[key] for each in facts["stages"].values()) for key in ("shuffle", "disk")]
    lines.append(("together", f"{facts['seconds']:,.0f}", "", size(total[0]), size(total[1]), ""))
    heaviest = ", ".join(f"{what} {id_} with {events:,}" for what, id_, events in log["heaviest"])
    cluster = f"on a cluster {size(memory['driver'])} for the driver, {size(memory['executors'])} for all executors"
    parts = [
        f"log: about {numbers} ({log['source']})",
        *([f"most events: {heaviest}"] if heaviest else []),
        table(lines, right=(1, 2, 3, 4)),
        f"memory: {size(memory['one_machine'])} for the driver on one machine; {cluster} together",
        *([f"partitions of a shuffle: {facts['partitions']}"] if facts["partitions"] else []),
        *(f"advice: {sentence}" for sentence in facts["advice"]),
    ]
    return "\n".join(indented(part) for part in parts)


def _setting(stages: Mapping[str, Stage], known: Mapping[str, Commit | None], name: str, place: tuple[str, str]) -> int:
    """Return a parameter of a step: as it is configured, or as the last run had it, or its default; 0 if it is null."""
    stage, step = place
    commit = known.get(stage)
    last = commit.record.get("config", {}) if commit else {}
    given = stages[stage].parameters() if stage in stages else last
    return int({**STAGES[stage]({}).parameters()[step], **given.get(step, {})}[name] or 0)


def _log(stage: Stage | None, last: Commit | None, inputs: int | None, events: int | None) -> Log | None:
    """Return what is expected of the log, None if nothing is known."""
    if events is not None:
        return Log(events, events * 2 // 5, events // 12, events * 9 // 10, "the sample that would be generated")
    profile = last.record.get("profile") if last else None
    if last and profile and profile.get("events"):
        then = sum(facts[0] for facts in last.record["inputs"].values())
        ratio = inputs / then if stage and inputs and then else 1.0
        source = (
            f"run {last.run_id}" if ratio == 1 else f"run {last.run_id}, times {ratio:.2f} by the size of the files"
        )
        heaviest = [
            (what, str(each["id"]), round(each["events"] * ratio))
            for what in ("visitor", "item")
            for each in (profile.get(f"heaviest_{what}s") or ())[:_MOST_NAMED]
        ]
        visitors, items, pairs = (round(profile[key] * ratio) for key in ("visitors", "items", "pairs"))
        return Log(round(profile["events"] * ratio), visitors, items, pairs, source, heaviest)
    return _looked_at(stage) if stage else None


def _with_sizes(log: Log, last: Commit | None, inputs: int | None, events: int | None) -> Log:
    """Return the log with whether it is small, and whether the last one was; without a source it is the last one."""
    if not _is_local():
        return log
    was_small = last is not None and is_small(sum(facts[0] for facts in last.record["inputs"].values()))
    same = inputs is None and events is None
    return replace(log, is_small=was_small if same else events is not None or is_small(inputs), was_small=was_small)


def _looked_at(stage: Stage) -> Log | None:
    """Return what the first rows of the files let expect."""
    loader: Any = vars(stage.steps)["data_loader"]
    if not loader.files:
        return None
    try:
        found = plan_for(loader.files, {ours: name for ours, name in loader.columns.items() if isinstance(name, str)})
    except RecommenderError:
        return None
    rows = found.table.rows
    total = found.rows if found.table.whole else rows_of_files(found.place.files) or found.rows
    if not rows:
        return None
    ids = {what: found.roles.columns[name] for what, name in (("visitor", C.VISITOR), ("item", C.ITEM))}
    counts = {what: Counter(str(row.get(column)) for row in rows) for what, column in ids.items()}
    pairs = len({tuple(str(row.get(column)) for column in ids.values()) for row in rows})
    ratio = max(total / len(rows), 1.0)
    heaviest = [
        (what, each, round(number * ratio)) for what in counts for each, number in counts[what].most_common(_MOST_NAMED)
    ]
    visitors, items = (round(len(counts[what]) * ratio) for what in ("visitor", "item"))
    return Log(
        total, visitors, items, round(pairs * ratio), f"the first {len(rows):,} rows; ids are at most so many", heaviest
    )


def _seconds(stage: str, log: Log, last: Mapping[str, Any] | None) -> float:
    """Return the seconds of a stage, those of its last run scaled if there is one."""
    fixed, each = _TIMES[stage]
    expected = (_SMALL_TIMES[stage] if log.is_small else fixed) + each * log.events / 1e6
    if not last or not last.get("events") or not last.get("seconds"):
        return expected
    then = (_SMALL_TIMES[stage] if log.was_small else fixed) + each * last["events"] / 1e6
    return float(last["seconds"] * expected / then)


def _sizes(log: Log, settings: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """Return, by stage, the rows of its tables, the bytes that go from task to task, and those of its files, about."""
    places = log.visitors * min(settings["k"], log.items)  # of all lists
    factors = 4 * settings["rank"] * (log.visitors + log.items)
    return {
        "stage1": (
            2 * log.pairs + log.visitors + log.items,
            4 * _ROW * log.events,
            30 * log.events + 20 * log.visitors,
        ),
        "stage2": (log.visitors + 3 * log.items, 4 * _ROW * log.pairs + factors * settings["max_iter"], factors),
        "stage3": (places + 10 * log.items, 2 * _ROW * log.pairs + factors + places * _ROW, 7 * places),
        "stage4": (places, 2 * places * _ROW, 7 * places + 30 * log.pairs),
    }


def _disk(stage: str, log: Log, settings: Mapping[str, int], last: Commit | None) -> int:
    """Return the bytes of the files that a stage writes: as the last run did, but for what its settings change."""
    events: int = last.record.get("events") or 0 if last else 0
    if not last or not events:
        return _sizes(log, settings)[stage][2]
    stored: int = sum(facts["bytes"] for facts in last.files().values())
    config = last.record.get("config", {})
    then = {
        name: int(config.get(step, {}).get(name) or settings[name]) if place == stage else settings[name]
        for name, (place, step) in _SETTINGS.items()
    }
    ratio = _sizes(log, settings)[stage][2] / max(_sizes(log, then)[stage][2], 1)
    return int(stored * ratio * log.events / events)


def _memory(log: Log, settings: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes that the fit needs, which needs the most: see docs/training.md, "Memory"."""
    held = 16 * log.pairs + 2 * 4 * settings["rank"] * (log.visitors + log.items)
    block = min(_BLOCK, 4 * settings["rank"] * log.pairs)
    cores = os.cpu_count() or 1
    return {
        "one_machine": _BASE + held + 2 * cores * block,
        "driver": 2 * _BASE,
        "executors": _BASE + held + 2 * _CORES * block,
    }


def _advice(facts: Mapping[str, Any], log: Log, settings: Mapping[str, int], root: str) -> list[str]:
    memory, advice = facts["memory"], []
    given = driver_memory(os.environ) or usual_memory()
    if _is_local() and memory["one_machine"] > given:
        needed = -(-memory["one_machine"] // 2**30)
        advice.append(f"--driver-memory {needed}g (SPARK_DRIVER_MEMORY): the driver gets {size(given)}")
    if not _is_local():
        each = max(4, -(-(_BASE + 2 * _CORES * min(_BLOCK, 4 * settings["rank"] * log.pairs)) // 2**30))
        number = max(1, -(-memory["executors"] // (each * 2**30)))
        advice.append(f"--executor-memory {each}g --executor-cores {_CORES}, at least {number} executors")
    seconds = facts["stages"].get("stage3", {}).get("seconds", 0.0)
    shards = max(1, -(-log.visitors // settings["visitors_per_shard"]))
    if shards > 1:
        advice.append(f"stage 3 works in {shards} shards; a killed run goes on with the one that it was at")
    if seconds / shards > _LONG_SHARD:
        fewer = max(1, round(settings["visitors_per_shard"] * _LONG_SHARD * shards / seconds))
        fewer = min(fewer, log.visitors)
        advice.append(f"--set stage3.shards.visitors_per_shard={fewer}: a shard would take {seconds / shards:,.0f} s")
    cap = settings["max_per_visitor"]
    capped = [each for each in log.heaviest if cap and each[0] == "visitor" and each[2] > cap]
    if capped:
        most = f"visitor {capped[0][1]} has about {capped[0][2]:,} events"
        advice.append(f"{most}, of which event_cap.max_per_visitor keeps {cap:,}")
    for what, key, place in (("the root", "disk", root), ("temporary files", "shuffle", _temporary())):
        free = _free(place)
        needed = sum(each[key] for each in facts["stages"].values())
        if free is not None and needed > free:
            advice.append(f"{what} in {place}: {size(needed)} are needed, {size(free)} are free")
    return advice


def _is_local() -> bool:
    return is_one_machine(f"{os.environ.get('PYSPARK_SUBMIT_ARGS', '')} {spark_defaults(os.environ)}", os.environ)


def _temporary() -> str:
    return (os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()).split(",")[0]


def _free(place: str) -> int | None:
    path = Path(place).absolute()
    if ":" in place or not path.is_absolute():
        return None
    there = next((folder for folder in (path, *path.parents) if folder.exists()), None)
    return shutil.disk_usage(there).free if there else None
