"""The configuration: precedence, environment variables, and every mistake that can be made in it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from recommender.errors import ConfigError
from recommender.run.config import STAGES, config_schema, load_config, own_steps, parse_config
from recommender.settings import redaction
from recommender.settings.step import parameters
from recommender.tracking import Tracking

CONF = Path(__file__).resolve().parents[2] / "conf"


def mistakes(text: str, *overrides: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse_config(text, overrides, environ or {})
    return [str(mistake) for mistake in raised.value.mistakes]


def test_the_defaults_stand_where_nothing_is_given() -> None:
    config = parse_config("", environ={})
    assert config.root == "output"
    assert all(config.stage(name) == {} for name in STAGES)


def test_an_override_beats_the_file() -> None:
    config = parse_config("stage1: {score_filter: {min_score: 2}}", ["stage1.score_filter.min_score=5"], {})
    assert config.stage("stage1")["score_filter"]["min_score"] == 5


def test_the_last_of_two_overrides_counts() -> None:
    assert parse_config("", ["root=a", "root=b"], {}).root == "b"


def test_an_override_reaches_into_a_mapping_and_keeps_the_rest() -> None:
    text = "stage1: {score_events: {score_map: {view: 1, transaction: 10}}}"
    config = parse_config(text, ["stage1.score_events.score_map.view=3"], {})
    assert config.stage("stage1")["score_events"]["score_map"] == {"view": 3, "transaction": 10}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("stage1.score_filter.min_score=5", 5),
        ("stage1.group_scores.key=[visitorid, itemid]", ["visitorid", "itemid"]),
        ("stage1.holdout.share=null", None),
        ("stage1.data_loader.columns={visitorid: user}", {"visitorid": "user"}),
        ("stage1.data_loader.event_filename=a=b.csv", "a=b.csv"),
        ("stage1.data_loader.event_filename=*.csv", "*.csv"),
    ],
)
def test_an_override_is_read_as_yaml(override: str, value: Any) -> None:
    step, parameter = override.partition("=")[0].split(".")[1:]
    assert parse_config("", [override], {}).stage("stage1")[step][parameter] == value


def test_a_number_may_have_an_exponent_without_a_point() -> None:
    assert parse_config("stage2: {als: {reg_param: 1e-3}}", environ={}).stage("stage2")["als"]["reg_param"] == 0.001


def test_a_date_is_text() -> None:
    text = "stage1: {data_loader: {since: 2015-05-03, until: 2015-05-03T03:00:00Z}}"
    loader = parse_config(text, ["stage1.data_loader.as_of=2026-01-31 00:00:00"]).stage("stage1")["data_loader"]
    assert loader == {"since": "2015-05-03", "until": "2015-05-03T03:00:00Z", "as_of": "2026-01-31 00:00:00"}


def test_an_environment_variable_is_put_into_a_value() -> None:
    text = "stage1: {data_loader: {event_filename: '${DATA}/events.csv'}}"
    config = parse_config(text, environ={"DATA": "/srv"})
    assert config.stage("stage1")["data_loader"]["event_filename"] == "/srv/events.csv"


def test_the_text_after_a_missing_variable_is_its_default() -> None:
    assert parse_config("root: ${OUT:-here}", environ={}).root == "here"


def test_a_missing_variable_is_named_with_its_place() -> None:
    text = "stage1: {data_loader: {event_filename: '${EVENTS}'}}"
    assert mistakes(text) == [
        "CFG_ENV stage1.data_loader.event_filename uses ${EVENTS}, but the environment variable EVENTS is not set"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stage1: {scroe_filter: {}}", "CFG_UNKNOWN_KEY stage1.scroe_filter, did you mean score_filter"),
        ("stgae1: {}", "CFG_UNKNOWN_KEY stgae1, did you mean stage1"),
        (
            "stage1: {score_filter: {min_scor: 1}}",
            "CFG_UNKNOWN_KEY stage1.score_filter.min_scor, did you mean min_score",
        ),
        ("stage2: {als: {rank: 0}}", "CFG_RANGE stage2.als.rank must be 1..1000, got 0"),
        ("stage3: {recommend: {k: 0}}", "CFG_RANGE stage3.recommend.k must be 1..1000, got 0"),
        ("stage1: {score_filter: {min_score: .nan}}", "CFG_RANGE stage1.score_filter.min_score must be >= 0, got nan"),
        ("stage2: {recommend: {k: 5}}", "CFG_UNKNOWN_KEY stage2.recommend is set as stage3.recommend"),
        ("stage1: false", "CFG_TYPE stage1 must be a mapping of steps, got False"),
        ("root: ''", "CFG_TYPE root must be a path, got ''"),
        ("root: '${X'", "CFG_ENV root has a ${ that begins no variable; write ${NAME} or ${NAME:-text}"),
        ("? [a, b]\n: 3", "CFG_YAML the configuration is not valid: a key must be a word, line 1"),
        ("stage1: &a {score_filter: *a}", "CFG_YAML the configuration is not valid: it cannot be read to an end"),
        ("stage1: {group_scores: {key: [visitorid]}}", "CFG_FIXED stage1.group_scores.key must stay ['visitorid', 'it"),
        ("stage1: {encode_itemids: {column_name: visitorid}}", "CFG_FIXED stage1.encode_itemids.column_name must stay"),
        ("stage2: {als: {user_col: foo}}", "CFG_FIXED stage2.als.user_col must stay 'visitor_index' in this stage"),
        ("stage2: {fold_in: {}}", "CFG_UNKNOWN_KEY stage2.fold_in is set as stage3.fold_in, for both"),
        ("stage1: {data_loader: {delimiter: ''}}", "CFG_RANGE stage1.data_loader.delimiter must be text that matches"),
        ("stage1: 3", "CFG_TYPE stage1 must be a mapping of steps, got 3"),
        ("stage1: {score_filter: 3}", "CFG_TYPE stage1.score_filter must be a mapping of parameters, got 3"),
        ("root: 3", "CFG_TYPE root must be a path, got 3"),
        (
            "stage1: {data_loader: {columns: {visitorid: no}}}",
            "CFG_TYPE stage1.data_loader.columns.visitorid must be a string or a list, each a string, got False",
        ),
        ("- 1", "CFG_TYPE the configuration must be a mapping of stages"),
        ("a: [", "CFG_YAML the configuration is not valid YAML"),
        ("a: !!python/object/apply:os.system [true]", "CFG_YAML_TAG the configuration uses a tag that is not allowed"),
        ("root: a\nroot: b", "CFG_YAML the configuration is not valid: the key root stands here a second time, line 2"),
    ],
)
def test_a_mistake_is_named(text: str, expected: str) -> None:
    assert [mistake[: len(expected)] for mistake in mistakes(text)] == [expected]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("stage1.score_filter.min_score", "CFG_SET --set needs stage.step.parameter=value"),
        ("=5", "CFG_SET --set needs stage.step.parameter=value"),
        ("root.x=5", "CFG_SET --set root.x: root has a value, not a section"),
        ("root=[", "CFG_YAML the value of --set root is not valid YAML"),
        (
            "stage1.score_filter.min_score=low",
            "CFG_TYPE stage1.score_filter.min_score must be a number >= 0, got 'low'",
        ),
    ],
)
def test_a_wrong_override_is_named(override: str, expected: str) -> None:
    assert mistakes("root: here", override)[0].startswith(expected)


def test_all_mistakes_are_listed_at_once_in_the_order_of_the_stages() -> None:
    found = mistakes("{stage3: {recommend: {k: 0}}, stage1: {score_filter: {min_score: -1}}, zzz: 1}", "broken")
    assert [mistake.split()[0] for mistake in found] == ["CFG_SET", "CFG_UNKNOWN_KEY", "CFG_RANGE", "CFG_RANGE"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"CFG_FILE the configuration .*no\.yaml cannot be read: No such file"):
        load_config(tmp_path / "no.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"CFG_FILE .* it is not UTF-8 text"):
        load_config(tmp_path / "c.yaml")


def test_stage_2_judges_by_the_settings_of_stage_3() -> None:
    config = parse_config("stage3: {recommend: {k: 5}, fold_in: {visitors_per_block: 7}}", environ={})
    assert config.stage("stage2") == {"recommend": {"k": 5}, "fold_in": {"visitors_per_block": 7}}


def test_the_local_configuration_documents_every_key_with_its_default() -> None:
    document = yaml.safe_load((CONF / "local.yaml").read_text())
    expected: dict[str, Any] = {"root": "output", "file_mode": "0640", "tracking": parameters(Tracking())}
    for name in STAGES:
        expected[name] = {}
        for key, step in own_steps(name).items():
            shown = {k: v for k, v in parameters(step()).items() if k not in STAGES[name].FIXED.get(key, ())}
            expected[name][key] = shown
    expected["stage1"]["data_loader"]["event_filename"] = "${EVENTS_PATH:-}"
    assert document == expected


@pytest.mark.parametrize("mode", ["640", 0o640, "0888", "rw-r-----"])
def test_a_mode_is_octal_digits_in_quotes(mode: Any) -> None:
    text = yaml.safe_dump({"file_mode": mode})
    if mode == "640":
        assert parse_config(text).file_mode == 0o640
        return
    with pytest.raises(ConfigError, match=r'CFG_TYPE file_mode must be octal digits in quotes, such as "0640", got'):
        parse_config(text)


def test_every_configuration_in_the_repository_is_valid() -> None:
    for path in CONF.glob("*.yaml"):
        load_config(path, environ={"RECOMMENDER_ROOT": "/srv/out", "EVENTS_PATH": "/srv/events"})


def test_a_root_from_the_command_line_replaces_that_of_the_file() -> None:
    config = parse_config("root: ${RECOMMENDER_ROOT}", environ={}, root="/srv/out")
    assert config.root == "/srv/out"
    assert config.document == {"root": "/srv/out"}  # as if it had been written there


def test_the_stored_json_schema_is_current() -> None:
    stored = json.loads((CONF / "config.schema.json").read_text())
    assert stored == config_schema(), "run: python -m recommender schema > conf/config.schema.json"


def test_the_json_schema_accepts_the_local_configuration_and_refuses_a_wrong_key() -> None:
    schema = config_schema()
    document = yaml.safe_load((CONF / "local.yaml").read_text())
    jsonschema.validate(document, schema)
    document["stage1"]["score_filter"]["min_scor"] = 1
    with pytest.raises(jsonschema.ValidationError, match="min_scor"):
        jsonschema.validate(document, schema)


def test_every_parameter_is_described_in_the_schema() -> None:
    for stage in config_schema()["properties"].values():
        for step in stage.get("properties", {}).values():
            for rule in step.get("properties", {}).values():
                assert rule["description"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("stage1: {data_loader: {password: hunter2}}", "stage1.data_loader.password"),
        ("stage1: {data_loader: {api_key: hunter2}}", "stage1.data_loader.api_key"),
        ("stage1: {data_loader: {event_filename: 's3a://ann:hunter2@b/e'}}", "stage1.data_loader.event_filename"),
        ("root: 's3a://ann:${PW}@b/hunter2'", "root"),
        ("root: 'x://b?token=hunter2'", "root"),
        ("root: '/data/${SHOP_TOKEN:-hunter2}'", "root"),
        ("stage1: {data_loader: {password: {value: hunter2}}}", "stage1.data_loader.password.value"),
        ("stage1: {data_loader: {password: 12345678}}", "stage1.data_loader.password"),
    ],
)
def test_a_secret_in_the_configuration_is_refused_and_not_told(text: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, environ={"PW": "hunter2"})
    assert (caught.value.mistakes[0].id, caught.value.mistakes[0].path) == ("SECRET_INLINE", path)
    assert "hunter2" not in str(caught.value)


def test_a_secret_among_the_overrides_is_refused_and_not_told() -> None:
    with pytest.raises(ConfigError, match=r"SECRET_INLINE stage1\.data_loader\.password holds a secret") as caught:
        parse_config("", ["stage1.data_loader.password=hunter2"])
    assert "hunter2" not in str(caught.value)


def test_a_secret_from_the_environment_is_hidden_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())
    config = parse_config("root: /data/${SHOP_TOKEN}", environ={"SHOP_TOKEN": "hunter2"})
    assert config.root == "/data/hunter2"
    assert redaction.redacted(config.root) == "/data/***"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stage1.data_loader.access-key", "hunter2"),
        ("stage1.data_loader.password", "1234567"),
        ("stage1.data_loader.event_filename", "jdbc:x://db/shop?password=hunter2"),
        ("stage1.data_loader.event_filename", "s3a://ann:hunter2@b/e"),
        ("password", "hunter2"),
    ],
)
def test_a_secret_is_refused_in_a_file_as_in_an_override(key: str, value: str) -> None:
    text = value
    for name in reversed(key.split(".")):
        text = f"{{{name}: {text}}}" if text != value else f"{{{name}: '{value}'}}"
    for found in (mistakes(text), mistakes("", f"{key}={value}")):
        assert found[0].startswith(f"SECRET_INLINE {key} holds a secret; give it a key of its own, as ${{NAME}}")
        assert not any("hunter2" in mistake or "1234567" in mistake for mistake in found)


@pytest.mark.parametrize(
    "override",
    ["root.password=hunter2", "stage1.data_loader.password=[hunter2", "stage1.data_loader=[{token: hunter2}]"],
)
def test_no_mistake_beside_a_secret_tells_it(override: str) -> None:
    assert not any("hunter2" in mistake for mistake in mistakes("root: here", override))


def test_a_secret_key_may_take_its_value_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())
    found = mistakes("stage1: {data_loader: {password: '${PW}'}}", environ={"PW": "hunter2"})
    assert [mistake.split(",")[0] for mistake in found] == ["CFG_UNKNOWN_KEY stage1.data_loader.password"]
    assert redaction.redacted("hunter2") == "***"


def test_an_ordinary_value_from_the_environment_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())
    parse_config("root: /data/${SHOP}", environ={"SHOP": "berlin"})
    assert redaction.redacted("/data/berlin") == "/data/berlin"


def test_a_stage_is_made_of_the_steps_that_were_checked_and_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse_config("stage3: {recommend: {k: 5}}", ["stage2.als.rank=8"], environ={}, root="/srv/out")
    monkeypatch.setattr("recommender.settings.step._built", None)  # nothing is built again
    train, predict = config.build("stage2"), config.build("stage3")
    assert vars(train.steps)["recommend"] is vars(predict.steps)["recommend"]
    assert vars(train.steps)["als"].rank == 8
    assert train.given == {"stage3": {"recommend": {"k": 5}}, "stage2": {"als": {"rank": 8}}, "root": "/srv/out"}
