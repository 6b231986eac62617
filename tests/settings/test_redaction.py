"""Secrets are hidden wherever text is written; nothing else is."""

import re
from typing import Any

import pytest

from recommender.settings import redaction
from recommender.settings.redaction import (
    CANARIES,
    SPARK_PATTERN,
    SPARK_STRING_PATTERN,
    holds_secret,
    redacted,
    remember,
)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3a://ann:hunter2@bucket/x", "s3a://***@bucket/x"),
        ("jdbc:x://db/shop?user=ann&password=hunter2&ssl=true", "jdbc:x://db/shop?user=ann&password=***&ssl=true"),
        ("API_KEY=hunter2; next", "API_KEY=***; next"),
        ("x://ann:p@ss@db/y", "x://***@db/y"),
        ("x://ann:p/ss@db/y", "x://***@db/y"),
        ("fs.s3a.secret.key=hunter2", "fs.s3a.secret.key=***"),
        ("password=a,b", "password=***"),
        ("abfss://container@account.dfs.core.windows.net/x", "abfss://container@account.dfs.core.windows.net/x"),
        ("file:///data/2026-11-24/events.csv", "file:///data/2026-11-24/events.csv"),
        ("http://host:8080/path@2", "http://host:8080/path@2"),
        ("monkey=banana", "monkey=banana"),
        ("jdbc:databricks://db:443;UID=token;PWD=dapi123", "jdbc:databricks://db:443;UID=token;PWD=***"),
        ("PWD=/home/ann", "PWD=/home/ann"),
        ("wasbs://x/y?sv=2024-11-04&sig=aB%2F3Dx%3D&se=2026", "wasbs://x/y?sv=2024-11-04&sig=***&se=2026"),
        ("https://x/y?sig=aB3", "https://x/y?sig=***"),
        ("design=flat sig=none", "design=flat sig=none"),
        ("https://x/y?X-Amz-Signature=0f3e&X-Amz-Date=2026", "https://x/y?X-Amz-Signature=***&X-Amz-Date=2026"),
        ("https://x/y?X-Amz-Credential=AKIA%2F2026", "https://x/y?X-Amz-Credential=***"),
        ("https://x/y?x-goog-signature=0f3e", "https://x/y?x-goog-signature=***"),
        ("jdbc:oracle:thin:scott/tiger@//db:1521/x", "jdbc:oracle:thin:***@//db:1521/x"),
        ("jdbc:oracle:thin:@//db:1521/x", "jdbc:oracle:thin:@//db:1521/x"),
    ],
)
def test_logins_and_parameters_are_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert holds_secret(text) == (text != shown)


def test_a_value_whose_name_is_a_secret_s_is_hidden() -> None:
    tree: dict[str, Any] = {"jdbc": {"user": "ann", "password": "hunter2", "retries": 3}, "list": ["x://a:b@c"]}
    assert redacted(tree) == {"jdbc": {"user": "ann", "password": "***", "retries": 3}, "list": ["x://***@c"]}
    assert "hunter2" in tree["jdbc"].values()


def test_a_remembered_value_is_hidden_everywhere() -> None:
    remember("hunter2")
    assert redacted({"path": "/data/hunter2/x", "n": 1}) == {"path": "/data/***/x", "n": 1}


def test_a_value_too_short_to_be_a_secret_is_not_remembered() -> None:
    remember("abc")
    assert redacted("abc") == "abc"


@pytest.mark.parametrize("canary", CANARIES)
def test_spark_s_pattern_covers_what_it_must(canary: str) -> None:
    assert re.search(SPARK_PATTERN, canary)


def test_spark_s_pattern_leaves_ordinary_settings_alone() -> None:
    assert not re.search(SPARK_PATTERN, "spark.sql.shuffle.partitions")
    assert re.sub(SPARK_STRING_PATTERN, "***", "a://u:p@h password=x y") == "a***h *** y"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [("api-key", True), ("AWS_SECRET_ACCESS_KEY", True), ("monkey", False), ("keyboard", False), ("tokenizer", True)],
)
def test_a_name_is_a_secret_s_if_it_has_such_a_word_in_it(name: str, hidden: bool) -> None:
    assert redacted({name: "hunter2"}) == {name: "***" if hidden else "hunter2"}


def test_a_parameter_needs_such_a_word_at_its_end() -> None:
    assert redacted("tokenizer=basic") == "tokenizer=basic"
    assert redacted("my_token=basic") == "my_token=***"


def test_an_empty_secret_is_shown_as_such() -> None:
    assert redacted({"password": ""}) == {"password": ""}


def test_tuples_become_lists_and_other_types_stay() -> None:
    assert redacted(("x://a:b@c", 1, 0.5, True, None)) == ["x://***@c", 1, 0.5, True, None]


def test_of_two_values_that_overlap_the_longer_is_hidden() -> None:
    remember("hunter")
    remember("hunter2000")
    assert redacted("hunter2000 hunter") == "*** ***"
