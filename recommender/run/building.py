"""From the arguments of a job to stages that can be run, or planned."""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from recommender.run.arguments import existing_config
from recommender.run.config import DEFAULT_DOCUMENT, STAGES, Config, load_config, parse_config
from recommender.run.preflight import check_overlap
from recommender.run.runner import SAMPLE
from recommender.run.sample import SAMPLE_ATTRIBUTES
from recommender.spark.session import hadoop
from recommender.stage import Stage
from recommender.store import Store, open_files


def given_config(options: argparse.Namespace) -> Config:
    """Return the configuration that the arguments of a job name; without --config, a command has the defaults."""
    root = options.root or None
    if options.config is None:
        return parse_config(DEFAULT_DOCUMENT, options.set, root=root)
    return load_config(existing_config(options.config, options.checkout), options.set, root=root)


def prepared(config: Config, stages: Sequence[str]) -> tuple[Store, dict[str, Stage]]:
    """Return the store, and the stages as configured; raise a ConfigError if an input and the root overlap."""
    store = Store(open_files(config.root, hadoop, config.file_mode))
    built = {name: config.build(name) for name in stages}
    sources = [source for stage in built.values() for source in stage.sources()]
    check_overlap(sources, store.files.root, [*STAGES, "channels", SAMPLE])
    return store, built


def on_sample(config: Config, stages: dict[str, Stage], events: str | None, items: str | None) -> None:
    """Replace the stages that read the sample by stages that do so.

    Args:
        events: folder with the sample's events; None: stage 1 keeps its source.
        items: folder with the sample's items; None: stage 4 keeps its source. So it does if it names one.
    """
    if events is not None:
        loader = replace(config.steps["stage1"]["data_loader"], event_filename=events)
        stages["stage1"] = config.build("stage1", data_loader=loader)
    snapshot = config.steps["stage4"]["snapshot"]
    if "stage4" in stages and items is not None and not (snapshot.items_filename or snapshot.items_table):
        snapshot = replace(snapshot, items_filename=items, attributes=list(SAMPLE_ATTRIBUTES))
        stages["stage4"] = config.build("stage4", snapshot=snapshot)
