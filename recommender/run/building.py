"""From the arguments of a job to stages that can be run, or planned.

Example usage:
>>> import tempfile
>>> store, stages = prepared(parse_config(f"root: {tempfile.mkdtemp()}"), ["stage2"])
>>> stages["stage2"].NAME
'train'
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from recommender.run.arguments import existing_config
from recommender.run.config import DEFAULT_DOCUMENT, STAGES, Config, load_config, parse_config
from recommender.run.preflight import check_overlap
from recommender.run.runner import SAMPLE
from recommender.settings.redaction import holds_secret
from recommender.spark.session import hadoop
from recommender.stage import Stage
from recommender.store import Store, open_files
from recommender.terminal.progress import warn


def given_config(options: argparse.Namespace) -> Config:
    """Return the configuration that the arguments of a job name; without --config, a command has the defaults."""
    root = options.root or None
    if options.config is None:
        return _with_root(parse_config(DEFAULT_DOCUMENT, options.set, root=root), root)
    return _with_root(load_config(existing_config(options.config, options.checkout), options.set, root=root), root)


def prepared(config: Config, stages: Sequence[str]) -> tuple[Store, dict[str, Stage]]:
    """Return the store, and the stages as they are configured.

    Raises:
        ConfigError: an input and the root overlap.
    """
    store = Store(open_files(config.root, hadoop, config.file_mode))
    made = {name: built(config, name, config.stage(name)) for name in stages}
    sources = [source for stage in made.values() for source in stage.sources()]
    check_overlap(sources, store.files.root, [*STAGES, "channels", SAMPLE])
    return store, made


def built(config: Config, name: str, section: Mapping[str, Any]) -> Stage:
    """Return a stage that shows its warnings, and knows the whole configuration as it was written."""
    stage: Stage = STAGES[name](section)
    stage.given, stage.warn = config.document, warn
    return stage


def on_events(config: Config, path: str) -> Stage:
    """Return stage 1 as it is configured, but on the events in a folder."""
    section: dict[str, Any] = config.stage("stage1")
    loader = {**section.get("data_loader", {}), "event_filename": path}
    return built(config, "stage1", {**section, "data_loader": loader})


def _with_root(config: Config, root: str | None) -> Config:
    """Return a configuration whose document has the root of the command line, as if it had been written there."""
    own = {"root": root} if root and not holds_secret(root) else {}
    return replace(config, document={**config.document, **own})
