"""Steps of a user's own, named by a configuration."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recommender.errors import ConfigError
from recommender.run.config import parse_config
from recommender.settings.own_steps import build_own_steps, code_of

MODULE = '''
from recommender import step

@step
class NightFilter:
    """Leave out events before an hour of the day."""
    wakes_at: int = 6

    def execute(self, events):
        return events.where(f"timestamp div 3600000 % 24 >= {self.wakes_at}")

class NotAStep:
    def execute(self, events):
        return events
'''


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the module of a shop, which can be imported."""
    module = tmp_path / "my_shop.py"
    module.write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield module
    sys.modules.pop("my_shop", None)


def test_a_step_is_built_from_its_class_and_its_parameters(shop: Path) -> None:
    steps = build_own_steps({"night": {"class": "my_shop.NightFilter", "wakes_at": 7}}, "stage1.steps", ["drift"])
    assert steps["night"].wakes_at == 7


def test_without_the_section_there_is_none() -> None:
    assert build_own_steps(None, "stage1.steps", []) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("night", "CFG_TYPE stage1.steps must be a mapping of names to steps, got 'night'"),
        ({"night": "my_shop.NightFilter"}, "CFG_TYPE stage1.steps.night must be a mapping with the key class, such as"),
        ({"night": {"wakes_at": 7}}, "CFG_TYPE stage1.steps.night must be a mapping with the key class"),
        ({"night": {"class": "NightFilter"}}, r"CFG_STEP stage1.steps.night.class must be a module and a class"),
        ({"night": {"class": "my_shop.Day"}}, r"my_shop.Day cannot be imported \(module 'my_shop' has no attribute"),
        ({"night": {"class": "no_shop.Day"}}, r"cannot be imported \(No module named 'no_shop'\); install the package"),
        ({"night": {"class": "my_shop.NotAStep"}}, r"is not a step: a class decorated with recommender.step that has"),
        ({"drift": {"class": "my_shop.NightFilter"}}, r"CFG_STEP stage1.steps.drift has the name of a step of the"),
        (
            {"night": {"class": "my_shop.NightFilter", "wakes": 7}},
            r"CFG_UNKNOWN_KEY stage1.steps.night.wakes, did you mean wakes_at",
        ),
        (
            {"night": {"class": "my_shop.NightFilter", "wakes_at": "late"}},
            r"CFG_TYPE stage1.steps.night.wakes_at must be an integer, got 'late'",
        ),
    ],
)
def test_a_wrong_step_is_one_sentence(shop: Path, given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_own_steps(given, "stage1.steps", ["drift"])


def test_the_configuration_lists_all_mistakes(shop: Path) -> None:
    text = "stage1: {steps: {night: {class: my_shop.NightFilter, wakes: 7}, day: {class: no_shop.Day}}}"
    with pytest.raises(ConfigError) as error:
        parse_config(text, ["stage1.score_filter.min_score=-1"])
    assert [mistake.path for mistake in error.value.mistakes] == [
        *("stage1.steps.day.class", "stage1.steps.night.wakes", "stage1.score_filter.min_score")
    ]


def test_a_parameter_can_be_set_on_the_command_line(shop: Path) -> None:
    config = parse_config("stage1: {steps: {night: {class: my_shop.NightFilter}}}", ["stage1.steps.night.wakes_at=8"])
    assert config.stage("stage1")["steps"]["night"]["wakes_at"] == 8


def test_only_stage_1_has_steps_of_the_user_s_own() -> None:
    with pytest.raises(ConfigError, match=r"CFG_UNKNOWN_KEY stage2.steps"):
        parse_config("stage2: {steps: {night: {class: my_shop.NightFilter}}}")


def test_a_change_of_the_code_is_another_step(shop: Path) -> None:
    before = code_of(build_own_steps({"night": {"class": "my_shop.NightFilter"}}, "steps", [])["night"])
    sys.modules.pop("my_shop")
    shop.write_text(MODULE.replace(">=", ">"))
    after = code_of(build_own_steps({"night": {"class": "my_shop.NightFilter"}}, "steps", [])["night"])
    assert before["class"] == after["class"] == "my_shop.NightFilter"
    assert before["code"] != after["code"]
