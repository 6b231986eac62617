"""The arguments of a job.

Example usage:
>>> options = parser(["stage2"], "jobs/stage2.py").parse_args(["--root", "out", "--set", "stage2.als.rank=64"])
>>> options.root, options.set, options.config.name
('out', ['stage2.als.rank=64'], 'local.yaml')
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from recommender.errors import ConfigError, Mistake
from recommender.run.config import STAGES
from recommender.settings.parser import Parser
from recommender.terminal.text import program, title


def parser(stages: Sequence[str], script: str | Path | None) -> argparse.ArgumentParser:
    """Return the parser of a job's arguments.

    Args:
        stages: names of the job's stages.
        script: path of the job's file; None: the job is a command of the package, and has no checkout.
    """
    what = "\n".join(f"  {title(name, STAGES[name].NAME)}: {_first_line(STAGES[name])}" for name in stages)
    command = stages[0] if len(stages) == 1 else "run"
    made = Parser(
        prog=f"spark-submit jobs/{Path(script).name}" if script else f"{program()} {command}",
        description=f"Run, from stored tables to stored tables:\n\n{what}",
        epilog="Exit codes: 0 done, 1 bug, 10 configuration, 12 input, 13 data quality, 14 gate, 15 conflict, "
        "16 damaged artifact, 17 storage, 18 try again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    help_text = "the YAML file, in the working directory or in the job's checkout (default: conf/local.yaml)"
    checkout = Path(script).resolve().parent.parent if script else Path.cwd()
    default = checkout / "conf" / "local.yaml" if script else None
    if script is None:
        help_text = "the YAML file (default: the defaults of all parameters, and events from ${EVENTS_PATH})"
    made.add_argument("--config", metavar="FILE", type=Path, default=default, help=help_text)
    made.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="override one parameter, as often as needed: --set stage1.score_filter.min_score=5",
    )
    made.add_argument("--root", metavar="FOLDER", help="where results are stored (default: root of the YAML file)")
    made.add_argument(
        "--run-id",
        metavar="ID",
        help="name of this run; a stage that it has committed is not run again (default: made from the time)",
    )
    if "stage4" in stages:
        made.add_argument(
            "--override-gate",
            metavar="REASON",
            help="publish the model even if it is not blessed; the reason stays in the record",
        )
    made.add_argument("--force", action="store_true", help="compute even if nothing has changed since the last run")
    made.add_argument("--dry-run", action="store_true", help="show what would be done and why, and do nothing")
    if len(stages) > 1:
        made.add_argument("--from", dest="first", metavar="STAGE", choices=stages, help="begin with this stage")
        made.add_argument("--until", dest="last", metavar="STAGE", choices=stages, help="end after this stage")
    made.set_defaults(checkout=checkout, override_gate=None, stages=tuple(stages), first=stages[0], last=stages[-1])
    made.add_argument("--json", action="store_true", help="print an event per line, as JSON, instead of the summary")
    made.add_argument("--verbose", action="store_true", help="show the stack trace of an error")
    return made


def existing_config(config: Path, checkout: Path) -> Path:
    """Return the path of a configuration: as it was given, or below the checkout that the job is in.

    The working directory of a task on Databricks is the folder of the job's file.
    """
    places = [config.absolute(), checkout / config]  # an absolute path stays what it is
    found = next((place for place in places if os.access(place, os.F_OK)), None)
    if found is None:
        looked = " and ".join(dict.fromkeys(str(place.parent) for place in places))
        sentence = f"the configuration {config} does not exist; looked in {looked}"
        raise ConfigError(Mistake("CFG_FILE", "", sentence))
    return found


def _first_line(documented: type) -> str:
    return (documented.__doc__ or "").split("\n", 1)[0].split(": ", 1)[-1]


def chosen_stages(options: argparse.Namespace) -> list[str]:
    """Return the stages from the first to the last that were asked for."""
    first, last = options.stages.index(options.first), options.stages.index(options.last)
    if first > last:
        sentence = f"--from {options.first} comes after --until {options.last}; there is nothing to run"
        raise ConfigError(Mistake("CFG_ARGUMENT", "--from", sentence))
    return list(options.stages[first : last + 1])
