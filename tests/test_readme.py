"""What the README and the guide to the configuration show works as it is written there."""

import doctest
import re
import sys
import types
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from recommender.errors import ConfigError
from recommender.run.config import parse_config

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 180


def test_the_new_step_works(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("night_filter")
    monkeypatch.setitem(sys.modules, "night_filter", module)
    exec(compile(blocks(README, "python")[0], "README.md", "exec"), module.__dict__)  # noqa: S102
    with pytest.raises(ConfigError, match=r"wakes_at must be 0\.\.23, got 24"):
        module.NightFilter(wakes_at=24)
    result = doctest.testmod(module, extraglobs={"spark": spark})
    assert (result.attempted, result.failed) == (2, 0)


def test_the_example_configuration_is_valid() -> None:
    config = parse_config(blocks(CONFIGURATION, "yaml")[0], environ={"EVENTS_PATH": "events"})
    assert config.stage("stage1")["score_events"]["score_map"]["order"] == 10


@pytest.mark.parametrize("text", blocks(CONFIGURATION, "yaml"))
def test_every_configuration_of_the_guide_is_valid(text: str) -> None:
    assert parse_config(text, environ={"EVENTS_PATH": "events"}).document


def test_the_mistakes_are_reported_as_shown() -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config("", ["stage1.scroe_filter.min_score=5", "stage3.recommend.k=0"], {})
    assert "\n".join(map(str, raised.value.mistakes)) in CONFIGURATION
