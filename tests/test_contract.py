"""What every step keeps: it can be made without arguments, from its own parameters again, and it documents itself."""

import dataclasses
import inspect
import re

import pytest

from recommender.errors import ConfigError
from recommender.run.config import STAGES
from recommender.settings.step import parameters

STEPS = sorted(
    {step for stage in STAGES.values() for step in stage.step_classes().values()}, key=lambda step: step.__name__
)
HEADINGS = ["Init parameters:", "Execution args:", "Execution returns:", "Raises:", "Persist strategy:"]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_has_defaults(step: type) -> None:
    assert step() == step()


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_rebuilt_from_its_parameters(step: type) -> None:
    assert step(**parameters(step())) == step()


@pytest.mark.parametrize("step", STEPS)
def test_a_step_refuses_an_unknown_parameter(step: type) -> None:
    with pytest.raises(ConfigError, match="CFG_UNKNOWN_KEY no_such_parameter"):
        step(no_such_parameter=1)


@pytest.mark.parametrize("step", [step for step in STEPS if step.__name__ != "VisitorEncoder"])
def test_a_step_has_the_headings_of_the_seed_in_order(step: type) -> None:
    places = [(step.__doc__ or "").find(heading) for heading in HEADINGS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("step", STEPS)
def test_every_parameter_is_documented(step: type) -> None:
    for field in dataclasses.fields(step):
        assert re.search(rf"^ {{8}}(\w+, )*{field.name}(, \w+)*: ", step.__doc__ or "", re.MULTILINE), field.name


@pytest.mark.parametrize("step", STEPS)
def test_the_module_of_a_step_has_an_example(step: type) -> None:
    module = inspect.getmodule(step)
    assert module is not None
    assert "Example usage:\n>>> " in (module.__doc__ or "")
    assert f"{step.__name__}(" in (module.__doc__ or "") or step.__name__ == "VisitorEncoder"


@pytest.mark.parametrize("stage", STAGES.values())
def test_a_stage_has_the_headings_of_the_seed_in_order(stage: type) -> None:
    places = [(stage.__doc__ or "").find(heading) for heading in HEADINGS]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("stage", STAGES.values())
def test_the_module_of_a_stage_has_an_example(stage: type) -> None:
    module = inspect.getmodule(stage)
    assert module is not None
    assert "Example usage:\n>>> " in (module.__doc__ or "")
