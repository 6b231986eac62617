"""Every event that is not fit for use gets the reason for that, and too many of them end the run."""

import re
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.errors import ConfigError, DataQualityError
from recommender.stage1.steps import EventValidator

SCHEMA = "timestamp long, visitorid long, event string, itemid long, transactionid string, problem string"
GOOD = (5, 7, "view", 3, None, None)
FUTURE = 4 * 10**12  # in the year 2096


def reason(spark: SparkSession, row: tuple[Any, ...], schema: str = SCHEMA, **parameters: Any) -> str | None:
    validator = EventValidator(**{"earliest": None, **parameters})  # the toy times are in 1970
    found = validator.execute(spark.createDataFrame([row], schema)).collect()
    assert [tuple(one)[:5] for one in found] == [row[:5]]
    return found[0].reason  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (0, 5, None),
        (0, None, "NULL_TIMESTAMP"),
        (0, 0, "ZERO_TIMESTAMP"),
        (0, -1, "ZERO_TIMESTAMP"),
        (0, FUTURE, "FUTURE_TIMESTAMP"),
        (1, None, "NULL_ID"),
        (1, -1, "NEGATIVE_ID"),
        (1, 2**62, None),
        (2, None, "NULL_EVENT"),
        (2, "wave", None),
        (3, None, "NULL_ID"),
        (3, -7, "NEGATIVE_ID"),
        (5, "MALFORMED", "MALFORMED"),
        (5, "ENCODING", "ENCODING"),
    ],
)
def test_23_24_30_the_reason_of_an_event(spark: SparkSession, place: int, value: Any, expected: str | None) -> None:
    row = tuple(value if position == place else cell for position, cell in enumerate(GOOD))
    assert reason(spark, row) == expected


@pytest.mark.parametrize(
    ("parameters", "row", "expected"),
    [
        ({"negative_ids": "keep"}, (5, -7, "view", 3, None, None), None),
        ({"future_after": "2200-01-01"}, (FUTURE, 7, "view", 3, None, None), None),
        ({"future_after": "1970-01-01"}, GOOD, "FUTURE_TIMESTAMP"),
        ({"late_before": "1970-01-01T00:00:00.006Z"}, GOOD, "LATE"),
        ({"late_before": "1970-01-01T00:00:00.005Z"}, GOOD, None),
        ({"known_events": ["view"]}, GOOD, None),
        ({"known_events": ["addtocart"]}, GOOD, "UNKNOWN_EVENT"),
        ({"rules": {"NO_TESTS": "visitorid > 1000"}}, GOOD, "NO_TESTS"),
        ({"rules": {"NO_TESTS": "visitorid < 1000"}}, GOOD, None),
        ({"rules": {"BOUGHT": "transactionid <> 'x'"}}, GOOD, "BOUGHT"),  # null: it cannot be said
    ],
)
def test_28_31_policies_and_own_rules(
    spark: SparkSession, parameters: dict[str, Any], row: tuple[Any, ...], expected: str | None
) -> None:
    assert reason(spark, row, **parameters) == expected


def test_ids_that_are_text_have_no_sign(spark: SparkSession) -> None:
    row, schema = (5, "-7", "view", "-3", None, None), SCHEMA.replace("id long", "id string")
    assert reason(spark, row, schema) is None


@pytest.mark.parametrize(
    "rule", ["visitorid >", "colour = 'red'", "visitorid + 1", "count(*) > 1", "rand() > 0.5", "uuid() > event"]
)
def test_a_rule_that_is_no_condition_is_refused(spark: SparkSession, rule: str) -> None:
    with pytest.raises(ConfigError, match=r"CFG_SQL event_validator\.rules\.MINE (is not an SQL|must be true)"):
        reason(spark, GOOD, rules={"MINE": rule})


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"rules": {"NULL_ID": "true"}}, "rules may not be named NULL_ID"),
        ({"rules": {"no tests": "true"}}, "rules"),
        ({"max_quarantined_by_reason": {"NUL_ID": 0.1}}, "max_quarantined_by_reason names NUL_ID; there are MALFORMED"),
        ({"late_before": "soon"}, "late_before must be a time"),
        ({"max_quarantined": 1.1}, r"max_quarantined must be 0\.0\.\.1\.0|max_quarantined must be 0\.\.1"),
    ],
)
def test_mistakes_are_told(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        EventValidator(**parameters)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("[CAST_INVALID_INPUT] The value 'view' of the type", "CAST_INVALID_INPUT"),
        ("[DIVIDE_BY_ZERO] Division by zero.", "DIVIDE_BY_ZERO"),
        ("[ARITHMETIC_OVERFLOW.WITH_TRY_SUGGESTION] long overflow.", "ARITHMETIC_OVERFLOW"),
        ("[INVALID_ARRAY_INDEX_IN_ELEMENT_AT] The index 7", "INVALID_ARRAY_INDEX_IN_ELEMENT_AT"),
    ],
)
def test_31_a_rule_that_fails_is_told_without_values(raised: str, told: str) -> None:
    sentence = (
        rf"^RULE_FAILED one of event_validator\.rules \(ODD, MINE\) fails on an event, with {told}; write it with try_"
    )
    with (
        pytest.raises(DataQualityError, match=sentence),
        EventValidator(rules={"ODD": "true", "MINE": "true"}).translating_rules(),
    ):
        raise RuntimeError(raised)


@pytest.mark.parametrize(("rules", "raised"), [({}, "[DIVIDE_BY_ZERO]"), ({"MINE": "true"}, "a bug")])
def test_what_is_no_rule_s_fault_stays_what_it_is(rules: dict[str, str], raised: str) -> None:
    with pytest.raises(RuntimeError, match=re.escape(raised)), EventValidator(rules=rules).translating_rules():
        raise RuntimeError(raised)


def test_16_too_many_rows_are_told_with_their_reasons() -> None:
    with pytest.raises(DataQualityError) as raised:
        EventValidator().check(10_000, {"NULL_ID": 300, "MALFORMED": 20, "LATE": 0}, 10**12)
    assert str(raised.value).startswith(
        "QUARANTINE_RATE 3.2% > 1.0%: 320 of 10,000 rows are quarantined (NULL_ID 300, MALFORMED 20); see event_valid"
    )


def test_16_the_way_out_is_that_of_the_most_frequent_reason() -> None:
    with pytest.raises(DataQualityError, match=r"; see data_loader\.id_type or event_validator\.max_quarantined$"):
        EventValidator().check(10, {"NULL_ID": 1, "BAD_ID": 5}, 10**12)


def test_16_a_reason_has_a_limit_of_its_own() -> None:
    validator = EventValidator(max_quarantined_by_reason={"NULL_ID": 0.001})
    validator.check(10_000, {"NULL_ID": 10, "MALFORMED": 90}, 10**12)
    with pytest.raises(DataQualityError, match=r"QUARANTINE_RATE NULL_ID 0\.11% > 0\.1%: 11 of 10,000"):
        validator.check(10_000, {"NULL_ID": 11}, 10**12)


@pytest.mark.parametrize(
    ("median", "told"),
    [
        (1430622000, "median 1970-01-17: the timestamps look like seconds"),
        (1430622000123456, "median year 47304: the timestamps look like micro- or nanoseconds"),
    ],
)
def test_29_another_unit_is_told(median: int, told: str) -> None:
    with pytest.raises(DataQualityError, match=f"TIME_UNIT {told}; see data_loader"):
        EventValidator().check(10, {}, median)


@pytest.mark.parametrize("median", [None, 5, 1430622000123])
def test_29_milliseconds_are_fine(median: int | None) -> None:
    EventValidator().check(10, {}, median)
