"""Every sentence that a wrong configuration gets."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from recommender.errors import ConfigError, InputError
from recommender.settings.step import Annotated, ColumnName, Field, build_steps, field, parameters, step


@step
class Example:
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    weights: Mapping[str, Annotated[float, Field(ge=0)]] = field(default_factory=lambda: {"view": 1.0})
    names: list[str] = field(default_factory=list)
    places: list[Annotated[int, Field(ge=1, le=9)]] = field(default_factory=list)
    mode: Literal["fast", "exact"] = "fast"
    limit: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    scale: float = 1.0
    pair: Annotated[list[str], Field(min_length=1)] = field(default_factory=lambda: ["a"])
    sign: Annotated[str, Field(pattern="^.$")] = ","

    def __post_init__(self) -> None:
        if self.k == self.limit:
            raise ValueError("k and limit must differ")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"k": 0}, "CFG_RANGE k must be 1..1000, got 0"),
        ({"k": 1001}, "CFG_RANGE k must be 1..1000, got 1001"),
        ({"k": "ten"}, "CFG_TYPE k must be an integer 1..1000, got 'ten'"),
        ({"k": True}, "CFG_TYPE k must be an integer 1..1000, got True"),
        ({"k": 1.5}, "CFG_TYPE k must be an integer 1..1000, got 1.5"),
        ({"weights": {"view": -1}}, "CFG_RANGE weights.view must be >= 0, got -1"),
        ({"weights": {"view": "much"}}, "CFG_TYPE weights.view must be a number >= 0, got 'much'"),
        ({"weights": 3}, "CFG_TYPE weights must be a mapping to a number >= 0, got 3"),
        ({"names": "visitorid"}, "CFG_TYPE names must be a list, each a string, got 'visitorid'"),
        ({"names": ["a", 1]}, "CFG_TYPE names[1] must be a string, got 1"),
        ({"places": [5, 0]}, "CFG_RANGE places[1] must be 1..9, got 0"),
        ({"mode": "slow"}, "CFG_RANGE mode must be one of fast, exact, got 'slow'"),
        ({"limit": 0}, "CFG_RANGE limit must be >= 1, got 0"),
        ({"limit": "no"}, "CFG_TYPE limit must be an integer >= 1 or null, got 'no'"),
        ({"share": 1}, "CFG_RANGE share must be > 0 and < 1, got 1"),
        ({"scale": float("nan")}, "CFG_RANGE scale must be finite, got nan"),
        ({"scale": float("inf")}, "CFG_RANGE scale must be finite, got inf"),
        ({"wieghts": {}}, "CFG_UNKNOWN_KEY wieghts, did you mean weights"),
        ({"pair": []}, "CFG_RANGE pair must not be empty"),
        ({"sign": "ab"}, "CFG_RANGE sign must be text that matches ^.$, got 'ab'"),
        ({"zzz": 1}, "CFG_UNKNOWN_KEY zzz, known are k, weights, names, places, mode, limit, share, scale, pair, sign"),
        ({"limit": 10}, "CFG_VALUE k and limit must differ"),
        ({"names": "n" * 99}, f"got '{'n' * 56}..."),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule_and_value(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Example(**given)
    assert text in str(raised.value)


def test_all_mistakes_of_a_step_are_listed_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        Example(k=0, scale="much", ff=1)  # type: ignore[arg-type, call-arg]
    assert [mistake.path for mistake in raised.value.mistakes] == ["k", "scale", "ff"]


def test_all_mistakes_of_a_stage_are_listed_with_their_paths() -> None:
    with pytest.raises(ConfigError) as raised:
        build_steps({"one": Example, "two": Example}, {"one": {"k": 0}, "tow": {}, "two": 3}, "stage9.")
    assert [str(mistake) for mistake in raised.value.mistakes] == [
        "CFG_RANGE stage9.one.k must be 1..1000, got 0",
        "CFG_UNKNOWN_KEY stage9.tow, did you mean two",
        "CFG_TYPE stage9.two must be a mapping of parameters, got 3",
    ]


def test_a_mistake_about_several_parameters_names_the_step() -> None:
    with pytest.raises(ConfigError, match=r"stage9\.one: k and limit must differ"):
        build_steps({"one": Example}, {"one": {"limit": 10}}, "stage9.")


def test_a_required_parameter_is_asked_for() -> None:
    @step
    class Needy:
        path: str

    with pytest.raises(ConfigError, match="CFG_MISSING path is required and was not given"):
        Needy()  # type: ignore[call-arg]


def test_a_step_without_parameters_gets_its_defaults() -> None:
    assert build_steps({"one": Example}, {"one": None})["one"] == Example()


def test_a_step_cannot_be_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        Example().k = 3


def test_parameters_rebuild_the_step() -> None:
    made = Example(k=3, weights={"view": 2}, limit=7)
    assert Example(**parameters(made)) == made


def test_a_parameter_that_the_stage_relies_on_cannot_be_moved() -> None:
    with pytest.raises(ConfigError, match=r"CFG_FIXED stage9\.one\.k must stay 10 in this stage, got 3"):
        build_steps({"one": Example}, {"one": {"k": 3}}, "stage9.", {"one": {"k": 10}})


@pytest.mark.parametrize("config", [None, [], "x"])
def test_a_stage_is_built_from_a_mapping(config: Any) -> None:
    with pytest.raises(ConfigError, match="CFG_TYPE config must be a mapping of steps, got"):
        build_steps({"one": Example}, config)


def test_a_step_without_parameters_says_so() -> None:
    @step
    class Plain:
        pass

    with pytest.raises(ConfigError, match="CFG_UNKNOWN_KEY x, there is nothing to set"):
        Plain(x=1)  # type: ignore[call-arg]


@step
class Named:
    column: ColumnName = "itemid"


@pytest.mark.parametrize("name", ["a`b", "a'b", 'a"b', "a;b", "a--b", "a/*b", "a\\b", "a\nb", "", " ", "x" * 256])
def test_what_may_be_sql_is_no_name_of_a_column(name: str) -> None:
    with pytest.raises(ConfigError, match="BAD_IDENTIFIER column must be a name: no quotes"):
        Named(column=name)


@pytest.mark.parametrize("name", ["item id", "item.id", "größe", "x" * 255, "item-id"])
def test_ordinary_names_of_columns_are_fine(name: str) -> None:
    assert Named(column=name).column == name


@pytest.mark.parametrize("name", ["a\x00b", "a\tb", "a\rb", "a\x1fb", "a\x7fb", "/*", "--"])
def test_control_characters_and_comments_are_in_no_name(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Named(column=name)
    assert [(mistake.id, mistake.path) for mistake in raised.value.mistakes] == [("BAD_IDENTIFIER", "column")]
    assert str(raised.value).isprintable()


def test_an_error_is_worded_from_its_fault_and_its_advice() -> None:
    error = InputError("INPUT_EMPTY", "a.csv has no rows", "", "see data_loader.event_filename", "or stop")
    assert error.sentence == "a.csv has no rows; see data_loader.event_filename; or stop"
    assert str(InputError(error.id, error.fault)) == "INPUT_EMPTY a.csv has no rows"
