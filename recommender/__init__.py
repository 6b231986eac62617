"""From a shop's event log to recommendations that can be served: a distributed workflow on Spark.

A *step* is the smallest unit of work, a *stage* runs its steps and stores one result, the *workflow* is the four stages
in order: prepare, train, predict, expose. Each stage is a spark-submit job of its own (``jobs/``).

Example usage:
>>> from recommender import Stage1, run_workflow, step
>>> Stage1.NAME
'prepare'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommender.errors import RecommenderError
    from recommender.run.config import load_config
    from recommender.run.workflow import Result, run_workflow
    from recommender.settings.step import step
    from recommender.stage1.main import Stage1
    from recommender.stage2.main import Stage2
    from recommender.stage3.main import Stage3
    from recommender.stage4.main import Stage4
    from recommender.tables.als_model import load_model

__version__ = "0.1.0"

__all__ = [
    "RecommenderError",
    "Result",
    "Stage1",
    "Stage2",
    "Stage3",
    "Stage4",
    "load_config",
    "load_model",
    "run_workflow",
    "step",
]

_MODULES = {
    "RecommenderError": "errors",
    "Result": "run.workflow",
    "load_config": "run.config",
    "load_model": "tables.als_model",
    "run_workflow": "run.workflow",
    "step": "settings.step",
    **{f"Stage{number}": f"stage{number}.main" for number in range(1, 5)},
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is used, so that the service and the commands start without Spark."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
