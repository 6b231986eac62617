"""Show which stages a run would compute and why, what it would use again, and what that costs; nothing is done.

Spark is not started. The decisions are those of a run, made by the same code; the costs are forecast from the last run,
or from a look at the log.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from recommender.errors import InputError, RecommenderError
from recommender.publishing.gate import override_reason
from recommender.run.arguments import chosen_stages, parser
from recommender.run.building import given_config, on_sample, prepared
from recommender.run.config import STAGES, WORKFLOW, Config
from recommender.run.outlook import outlook, outlook_text
from recommender.run.preflight import differences, identity_of, size_of_inputs
from recommender.run.runner import SAMPLE, Found, Progress, Runner
from recommender.run.sample import DEFAULT_EVENTS
from recommender.settings.redaction import redacted
from recommender.spark.session import hadoop, is_connect
from recommender.stage import Stage
from recommender.store import Commit, Store, new_run_id
from recommender.terminal import events
from recommender.terminal.text import size, table, title, visible

_MOST_REASONS = 5
_WORDS = {"run": "would run", "reuse": "is used again", "refuse": "is refused"}


def add_arguments(parser_: argparse.ArgumentParser) -> None:
    """Add what the command takes: the arguments of the workflow."""
    of_run = parser(WORKFLOW, None)
    for action in of_run._actions:
        if action.option_strings and action.option_strings[-1] not in {"--help", "--dry-run", "--json", "--verbose"}:
            parser_._add_action(action)
    parser_.set_defaults(**of_run._defaults)
    parser_.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Return the plan.

    Raises:
        RecommenderError: the configuration is wrong, or a stage that is needed has no result.
    """
    override = override_reason(options.override_gate)
    more = {"run_id": options.run_id, "force": options.force, "override": override}
    return plan(given_config(options), chosen_stages(options), **more)


def text(result: Mapping[str, Any]) -> str:
    """Return the decisions as a table, and the forecast."""
    lines = []
    for each in result["stages"]:
        first, *others = each["why"] or [""]
        lines.append((title(each["stage"], each["verb"]), _WORDS[each["does"]], first))
        lines += [("", "", other) for other in others]
    parts = [table(lines)]
    if result["outlook"]:
        parts.append(outlook_text(result["outlook"]))
    return "\n\n".join(parts)


def failure(result: Mapping[str, Any]) -> RecommenderError | None:
    """Return the error that the run would end with before it computes anything, None if it would not."""
    refused = next((each for each in result["stages"] if each["does"] == "refuse"), None)
    if refused is None:
        return None
    error = RecommenderError(refused["error"]["id"], refused["error"]["sentence"])
    error.exit_code = refused["error"]["exit_code"]  # type: ignore[misc]
    return error


def show_plan(config: Config, stages: Sequence[str], **more: Any) -> None:
    """Print the plan of a job, as an event if somebody reads events; raise the error that the run would end with."""
    result = redacted(plan(config, stages, **more))
    if events.is_wanted():
        events.emit("plan", **result)
    else:
        sys.stdout.write(f"{text(result)}\n")
    error = failure(result)
    if error:
        raise error


def plan(
    config: Config,
    stages: Sequence[str],
    *,
    run_id: str | None = None,
    force: bool = False,
    override: str | None = None,
) -> dict[str, Any]:
    """Return which stages a run would compute, why, and what that costs, as plain JSON types; see `run_stages`."""
    store, made = prepared(config, stages)
    runner = Runner(
        store,
        _not_started,
        Progress(run=run_id or new_run_id()),
        named=run_id is not None,
        force=force,
        failure=lambda _: {},
        override=override,
    )
    runner.pin(made)
    needs_sample = "stage1" in made and not made["stage1"].is_sourced
    sample = store.latest(SAMPLE) if needs_sample else None
    new_sample = needs_sample and sample is None
    folder = store.files.url(f"{SAMPLE}/data/{sample.attempt}/events") if sample else None
    on_sample(config, made, folder, runner.sample_items(made))
    decided = _decided(runner, store, made, named=run_id, force=force, new_sample=new_sample)
    inputs = size_of_inputs(made.values(), [], hadoop)
    computed = [each["stage"] for each in decided if each["does"] == "run"]
    known = {name: store.latest(name) for name in STAGES}
    generated = DEFAULT_EVENTS if new_sample else None
    costs = outlook(made, computed, known, inputs=inputs, events=generated, root=store.files.root) if computed else None
    return {"root": store.files.root, "stages": decided, "outlook": costs}


def _not_started() -> Any:
    raise AssertionError("a plan starts no Spark")


def _decided(
    runner: Runner, store: Store, made: Mapping[str, Stage], *, named: str | None, force: bool, new_sample: bool
) -> list[dict[str, Any]]:
    """Return what would become of each stage, up to the first that is refused."""
    decided: list[dict[str, Any]] = []
    computed: list[str] = []
    for name, stage in made.items():
        entry: dict[str, Any] = {"stage": name, "verb": stage.NAME}
        decided.append(entry)
        try:
            if name == "stage1" and new_sample:
                found, made_of = None, None
                why = [f"{DEFAULT_EVENTS:,} sample events would be generated: no source of events is configured"]
            else:
                found, made_of = runner.foresee(name, stage)
                first = [each for each in computed if each == stage.GATED_BY or each in stage.needs().stages]
                why = _why(store, name, found, made_of, first, named=named, force=force)
                if not found and made_of is not None:
                    _check_files(stage, made_of)
            entry |= {"does": "reuse" if found else "run", "why": why, "commit": found and found.commit.number}
            if not found:
                computed.append(name)
        except RecommenderError as error:
            entry |= _refused(error)
            break
        try:
            if found:
                runner.check_gate(name)
        except RecommenderError as error:  # the run ends here, before the stage that makes the lists visible
            gated = next(each for each, other in made.items() if name == other.GATED_BY)
            decided.append({"stage": gated, "verb": made[gated].NAME, **_refused(error)})
            break
    return decided


def _check_files(stage: Stage, made_of: Mapping[str, Any]) -> None:
    """Refuse to go on if a stage reads files, and there are none; a server of Spark Connect may see others.

    Raises:
        InputError: there are none.
    """
    if stage.sources() and not made_of["inputs"] and not is_connect():
        sentence = f"{', '.join(map(redacted, stage.sources()))} does not exist, or has no files"
        raise InputError("INPUT_NOT_FOUND", sentence)


def _refused(error: RecommenderError) -> dict[str, Any]:
    facts = {"id": error.id, "sentence": error.sentence, "exit_code": error.exit_code}
    return {"does": "refuse", "why": [f"{error.id} {visible(error.sentence)}"], "commit": None, "error": facts}


def _why(
    store: Store,
    name: str,
    found: Found | None,
    made_of: Mapping[str, Any] | None,
    computed: Sequence[str],
    *,
    named: str | None,
    force: bool,
) -> list[str]:
    if found:
        again = " and would be made the newest again" if found.parent is not None else ""
        return [f"{found.sentence.removesuffix('; --force runs it')}{again}"]
    if made_of is None:
        return [f"{', '.join(computed)} would run"]
    newest = store.latest(name)
    unknown = [source for source, version in made_of["versions"].items() if version is None]
    general = {
        f"run {named} has no result of it yet": named is not None,
        f"there is no result of it below {store.files.root} yet": newest is None,
        "--force computes it anew": force,
        f"whether {', '.join(unknown)} has changed is only known with Spark": bool(unknown),
    }
    reason = next((sentence for sentence, holds in general.items() if holds), None)
    if reason or newest is None:
        return [reason or ""]
    return changes(newest, made_of) or ["a later result has come since the one that it equals"]


def changes(newest: Commit, made_of: Mapping[str, Any]) -> list[str]:
    """Return what differs from what the newest commit was made of, in sentences."""
    then = identity_of(newest)
    found = [
        f"{newest.stage}.{path} is {_value(made_of['config'], path)}, was {_value(then['config'], path)}"
        for path in differences(then["config"], made_of["config"])
    ]
    found += (
        [] if then["version"] == made_of["version"] else [f"the code is {made_of['version']}, was {then['version']}"]
    )
    found += [
        f"{stage} has another result than the one that was read"
        for stage, attempt in made_of["upstream"].items()
        if then["upstream"].get(stage) != attempt
    ]
    found += _files(then["inputs"], made_of["inputs"])
    found += [
        f"{source} has version {version}, was {then['versions'].get(source)}"
        for source, version in made_of["versions"].items()
        if then["versions"].get(source) != version
    ]
    more = len(found) - _MOST_REASONS
    return [*found[:_MOST_REASONS], *([f"and {more:,} more differences"] if more > 0 else [])]


def _files(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return which files have come, gone and changed.

    >>> _files({"a": [9, 1.0], "b": [9, 1.0]}, {"b": [10, 2.0], "c": [2048, 1.0]})
    ['file c is new, 2.0 KiB', 'file a is gone', 'file b has changed: 10 bytes, was 9 bytes']
    """
    return [
        *(f"file {path} is new, {size(now[path][0])}" for path in now if path not in then),
        *(f"file {path} is gone" for path in then if path not in now),
        *(
            f"file {path} has changed: {size(now[path][0])}, was {size(then[path][0])}"
            for path in now
            if path in then and now[path] != then[path]
        ),
    ]


def _value(config: Mapping[str, Any], path: str) -> str:
    """Return the value of a key of the configuration.

    >>> _value({"als": {"rank": 8}}, "als.rank"), _value({"als": {"rank": 8}}, "steps.mine")
    ('8', 'not set')
    """
    value: Any = config
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return "not set"
        value = value[key]
    return str(value)
