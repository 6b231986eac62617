"""Read the configuration: one YAML file for all stages, with overrides and environment variables.

Precedence: the steps' defaults < the YAML file < ``--set``. The file has one key ``root`` and a section per stage,
which has a section per step, which has that step's parameters:

>>> config = parse_config("stage1: {score_filter: {min_score: 5}}", ["stage3.recommend.k=20"])
>>> config.root, config.stage("stage1"), config.stage("stage3")
('output', {'score_filter': {'min_score': 5}}, {'recommend': {'k': 20}})

``${NAME}`` in a value is replaced by the environment variable, ``${NAME:-text}`` by the text if there is none:

>>> parse_config("root: ${OUT}/runs", environ={"OUT": "/data"}).root
'/data/runs'
>>> parse_config("root: ${OUT}", environ={})
Traceback (most recent call last):
recommender.errors.ConfigError: CFG_ENV root uses ${OUT}, but the environment variable OUT is not set
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from recommender.errors import ConfigError, Mistake
from recommender.settings.own_steps import CLASS, build_own_steps
from recommender.settings.redaction import holds_secret
from recommender.settings.step import build_steps, json_schema, parameters, unknown_key
from recommender.settings.variables import inline_secrets, substituted
from recommender.settings.yaml_text import parse_yaml
from recommender.stage import Section, Stage
from recommender.stage1.main import OWN_STEPS, Stage1
from recommender.stage2.main import Stage2
from recommender.stage3.main import Stage3
from recommender.stage4.main import Stage4
from recommender.tracking import Tracking
from recommender.tune.main import Tune

STAGES: Mapping[str, type[Stage1 | Stage2 | Stage3 | Stage4 | Tune]] = {
    "stage1": Stage1,
    "stage2": Stage2,
    "stage3": Stage3,
    "stage4": Stage4,
    "tune": Tune,
}
_Step = TypeVar("_Step")
WORKFLOW = ("stage1", "stage2", "stage3", "stage4")
DEFAULT_ROOT = "output"
DEFAULT_MODE = "0640"
TRACKING = "tracking"
DEFAULT_DOCUMENT = 'stage1: { data_loader: { event_filename: "${EVENTS_PATH:-}" } }'  # of who names no file
_MODE = re.compile("0?[0-7]{3}")
_USERS_STEPS: Mapping[str, Any] = {
    "type": ["object", "null"],
    "description": "Steps of your own on the events, in this order, before they are divided: name -> class, such as "
    "my_shop.NightFilter, and parameters.",
    "additionalProperties": {
        "type": "object",
        "required": [CLASS],
        "properties": {CLASS: {"type": "string", "description": "Module and class of the step."}},
    },
}

# Lists are judged that are made by stage 3's steps with stage 3's settings: what is served is what was evaluated.
_SERVING = dict.fromkeys(("fold_in", "item_rules", "blend", "recommend"), "stage3")
# Stage -> step that it has, but that is set elsewhere -> where.
_BORROWED: Mapping[str, Mapping[str, str]] = {
    "stage2": _SERVING,
    "tune": {**dict.fromkeys(("als", "item_to_item", "recent_popularity"), "stage2"), **_SERVING},
}


@dataclass(frozen=True)
class Config:
    """A configuration whose every key and value was checked."""

    root: str  # folder under which the stages store their results
    stages: Mapping[str, Mapping[str, Mapping[str, Any]]]  # stage -> step -> parameters, as far as they were given
    # stage -> step -> the step, as it was built to be checked; without those that the stage borrows
    steps: Mapping[str, Mapping[str, Any]]
    # all of it as it was given, overrides included, with the names of environment variables in place
    document: Mapping[str, Any]
    file_mode: int  # that of the files with rows of visitors below a root that is a path
    tracking: Tracking  # where runs are logged

    def stage(self, name: str) -> dict[str, Mapping[str, Any]]:
        """Return the parameters of a stage: its own section and what it borrows from another."""
        return _with_borrowed(name, self.stages)

    def build(self, name: str, **others: Any) -> Stage:
        """Return a stage, made of the steps that were built when the configuration was checked."""
        return STAGES[name](Section({**_with_borrowed(name, self.steps), **others}, self.document))


def _with_borrowed(name: str, stages: Mapping[str, Mapping[str, _Step]]) -> dict[str, _Step]:
    """Return the section of a stage, with the steps that are set in another one."""
    lent = {step: stages.get(lender, {}).get(step) for step, lender in _BORROWED.get(name, {}).items()}
    return {**stages.get(name, {}), **{step: given for step, given in lent.items() if given is not None}}


def load_config(
    path: str | Path, overrides: Iterable[str] = (), environ: Mapping[str, str] = os.environ, root: str | None = None
) -> Config:
    """Read a YAML file; see `parse_config`. A file that cannot be read is a ConfigError too."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(Mistake("CFG_FILE", "", f"the configuration {path} cannot be read: {reason}")) from None
    return parse_config(text, overrides, environ, root)


def parse_config(
    text: str, overrides: Iterable[str] = (), environ: Mapping[str, str] = os.environ, root: str | None = None
) -> Config:
    """Check a configuration as a whole.

    Args:
        text: YAML.
        overrides: ``path=value`` each, the value in YAML, for example ``stage1.score_filter.min_score=5``.
        environ: the environment variables that values may use.
        root: replaces the root of the YAML text, as if it had been written there; None: it stays.

    Raises:
        ConfigError: listing all mistakes, each with its path, the rule, the value and the nearest known name.
    """
    document = parse_yaml(text, "the configuration")
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigError(Mistake("CFG_TYPE", "", "the configuration must be a mapping of stages"))
    mistakes: list[Mistake] = []
    for override in overrides:
        _apply(document, override, mistakes)
    mistakes += inline_secrets(document, "")
    given = document if root is None or holds_secret(root) else {**document, "root": root}
    document = substituted(document if root is None else {**document, "root": root}, "", environ, mistakes)
    known = {mistake.path for mistake in mistakes}
    hidden = {mistake.path for mistake in mistakes if mistake.id == "SECRET_INLINE"}
    steps, wrong = _built(document)
    try:
        tracking = build_steps({TRACKING: Tracking}, {TRACKING: document.get(TRACKING)})[TRACKING]
    except ConfigError as error:
        wrong += error.mistakes
    mistakes += [each for each in wrong if each.path not in known and not _is_above(each.path, hidden)]
    if mistakes:
        raise ConfigError(*mistakes)
    return Config(
        root=document.get("root", DEFAULT_ROOT),
        stages={stage: {s: p or {} for s, p in (document.get(stage) or {}).items()} for stage in STAGES},
        steps=steps,
        document=given,
        file_mode=int(document.get("file_mode", DEFAULT_MODE), 8),
        tracking=tracking,
    )


def config_schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration file, made from the steps' own fields and docstrings."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "recommender configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "root": {
                "type": "string",
                "default": DEFAULT_ROOT,
                "description": "Folder under which the stages store their results.",
            },
            "file_mode": {
                "type": "string",
                "pattern": f"^{_MODE.pattern}$",
                "default": DEFAULT_MODE,
                "description": "Mode, in octal digits, of stored files with rows of visitors, on a disk.",
            },
            TRACKING: _step_schema(Tracking, ()),
            **{name: _stage_schema(name, stage) for name, stage in STAGES.items()},
        },
    }


def own_steps(stage: str) -> dict[str, type]:
    """Return the steps that a stage's section may name: config key -> class."""
    return {name: step for name, step in STAGES[stage].step_classes().items() if name not in _BORROWED.get(stage, {})}


def _stage_schema(name: str, stage: type[Stage]) -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "description": _summary(stage),
        "additionalProperties": False,
        "properties": {
            **({OWN_STEPS: _USERS_STEPS} if name == "stage1" else {}),
            **{key: _step_schema(step, stage.FIXED.get(key, ())) for key, step in own_steps(name).items()},
        },
    }


def _step_schema(step: type, fixed: Collection[str]) -> dict[str, Any]:
    """Return the schema of a step's parameters, but those that have one legal value."""
    described = _parameter_texts(step.__doc__ or "")
    schema = json_schema(step)
    properties = {
        name: {key: value for key, value in rule.items() if key != "title"}
        | {"default": parameters(step())[name], "description": described[name]}
        for name, rule in schema.get("properties", {}).items()
        if name not in fixed
    }
    return {
        "type": ["object", "null"],
        "description": _summary(step),
        "additionalProperties": False,
        "properties": properties,
    } | ({"$defs": schema["$defs"]} if "$defs" in schema else {})


def _summary(documented: type) -> str:
    return (documented.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")


def _parameter_texts(docstring: str) -> dict[str, str]:
    """Return the texts under the heading "Init parameters", by the name of the parameter."""
    section = re.search(r"^ *Init parameters:\n(.*?)(?=^ {4}\S|\Z)", docstring, re.MULTILINE | re.DOTALL)
    found = re.findall(
        r"^ {8}(\w+): (.*?)(?=^ {8}\w|\Z)", section.group(1) if section else "", re.MULTILINE | re.DOTALL
    )
    return {name: " ".join(text.split()) for name, text in found}


def _built(document: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[Mistake]]:
    """Return the steps of all stages, and all mistakes of the configuration."""
    built: dict[str, dict[str, Any]] = {}
    known = ["root", "file_mode", TRACKING, *STAGES]
    mistakes = [unknown_key(str(key), known) for key in document if key not in known]
    root = document.get("root", DEFAULT_ROOT)
    if not isinstance(root, str) or not root.strip():
        mistakes.append(Mistake("CFG_TYPE", "root", f"root must be a path, got {root!r}"))
    mode = document.get("file_mode", DEFAULT_MODE)
    if not isinstance(mode, str) or not _MODE.fullmatch(mode):
        sentence = f'file_mode must be octal digits in quotes, such as "{DEFAULT_MODE}", got {mode!r}'
        mistakes.append(Mistake("CFG_TYPE", "file_mode", sentence))
    for name, stage in STAGES.items():
        section = {} if document.get(name) is None else document[name]
        borrowed = _BORROWED.get(name, {})
        if isinstance(section, Mapping):
            elsewhere = [step for step in borrowed if step in section]
            mistakes += [
                Mistake(
                    "CFG_UNKNOWN_KEY",
                    f"{name}.{step}",
                    f"{name}.{step} is set as {borrowed[step]}.{step}, for both stages",
                )
                for step in elsewhere
            ]
            section = {step: given for step, given in section.items() if step not in elsewhere}
        users: dict[str, Any] = {}
        if name == "stage1" and isinstance(section, Mapping) and OWN_STEPS in section:
            try:
                users[OWN_STEPS] = build_own_steps(section[OWN_STEPS], f"stage1.{OWN_STEPS}", known=own_steps("stage1"))
            except ConfigError as error:
                mistakes += error.mistakes
            section = {step: given for step, given in section.items() if step != OWN_STEPS}
        try:
            built[name] = {**build_steps(own_steps(name), section, f"{name}.", stage.FIXED), **users}
        except ConfigError as error:
            mistakes += error.mistakes
    return built, mistakes


def _is_above(path: str, hidden: Iterable[str]) -> bool:
    """Return whether a path is that of a section with something hidden in it, whose value must not be shown."""
    return any(secret.startswith(f"{path}.") for secret in hidden)


def _apply(document: dict[str, Any], override: str, mistakes: list[Mistake]) -> None:
    """Put one ``path=value`` into the document."""
    path, equals, value = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        mistakes.append(
            Mistake("CFG_SET", path, f"--set needs stage.step.parameter=value, got {path.split(None, 1)[:1]}")
        )
        return
    target = document
    for key in keys[:-1]:
        if target.get(key) is None:
            target[key] = {}
        target = target[key]
        if not isinstance(target, dict):
            mistakes.append(Mistake("CFG_SET", path, f"--set {path}: {key} has a value, not a section"))
            return
    try:
        # A glob is not YAML, but what is meant is clear.
        is_glob, owner = value.startswith("*"), f"the value of --set {path}"
        target[keys[-1]] = value if is_glob else parse_yaml(value, owner, keys[-1])
    except ConfigError as error:
        mistakes += error.mistakes
