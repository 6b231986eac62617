"""The jobs as commands of the package: ``recommender run``, ``tune`` and ``sample``, without spark-submit.

They take the arguments of the jobs, but need no checkout: without --config the defaults of all parameters count.
Spark's own options come from spark-defaults.conf, or from the environment variable PYSPARK_SUBMIT_ARGS.
"""

import argparse
import os
from collections.abc import Sequence
from importlib.util import find_spec

from recommender.errors import ConfigError, Mistake
from recommender.terminal.text import program

COMMANDS = {
    "run": "Run the workflow, or some of its stages, on Spark",
    "tune": "Search for better parameters of the model, on Spark",
    "sample": "Generate events like those of a shop, on Spark",
}


def start(name: str, words: Sequence[str]) -> int:
    """Run a job in this process, and return its exit code."""
    need_pyspark(name)
    from recommender.run.job import run_job  # noqa: PLC0415 - needs pyspark
    from recommender.spark.launch import prepare_java  # noqa: PLC0415

    prepare_java(os.environ)
    if name == "sample":
        from recommender.run.sample import main  # noqa: PLC0415

        return main(words, program=f"{program()} sample")
    return run_job(_stages(name), None, words)


def job_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a job's arguments, for the completion of the shell."""
    need_pyspark(name)
    from recommender.run import arguments, sample  # noqa: PLC0415

    return sample.parser(f"{program()} sample") if name == "sample" else arguments.parser(_stages(name), None)


def need_pyspark(name: str) -> None:
    """Raise a ConfigError if pyspark is not installed."""
    if find_spec("pyspark") is None:
        sentence = f"{name} needs pyspark, and Java 17 or newer; install pyspark with: pip install 'recommender[spark]'"
        raise ConfigError(Mistake("PACKAGE_MISSING", "", sentence))


def _stages(name: str) -> Sequence[str]:
    from recommender.run.config import WORKFLOW  # noqa: PLC0415

    return WORKFLOW if name == "run" else [name]
