"""Events are found by the names of their columns, and what is wrong with a file is said in one sentence."""

import datetime
import gzip
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.reading import read

import recommender.constants as C
from recommender.errors import ConfigError, InputError, SchemaError
from recommender.sources import columnar
from recommender.spark.errors import explained
from recommender.stage1.steps import DataLoader

HEADER = "timestamp,visitorid,event,itemid,transactionid\n"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def load(path: Path, **parameters: Any) -> list[tuple[Any, ...]]:
    events = DataLoader(event_filename=str(path), **parameters).execute().select(*C.EVENT_COLUMNS)
    return sorted((tuple(row) for row in events.collect()), key=str)


@pytest.fixture
def csv(tmp_path: Path, spark: SparkSession) -> Path:
    return tmp_path / "events.csv"


def test_a_csv_file_is_loaded(csv: Path) -> None:
    csv.write_text(HEADER + "5,7,transaction,3,99\n6,8,view,4,\n")
    assert load(csv) == [(5, 7, "transaction", 3, "99"), (6, 8, "view", 4, None)]


def test_columns_are_found_by_name_and_others_are_dropped(csv: Path) -> None:
    csv.write_text(",itemid,event,visitorid,colour,timestamp\n0,3,view,7,red,5\n")
    assert load(csv) == [(5, 7, "view", 3, None)]


def test_other_names_are_mapped(csv: Path) -> None:
    csv.write_text("at;user;what;thing\n5;7;view;3\n")
    columns = {"timestamp": "at", "visitorid": "user", "event": "what", "itemid": "thing"}
    assert load(csv, columns=columns, delimiter=";") == [(5, 7, "view", 3, None)]


def test_a_compressed_file_and_a_glob_are_loaded(tmp_path: Path, spark: SparkSession) -> None:
    for day in (1, 2):
        with gzip.open(tmp_path / f"day{day}.csv.gz", "wt") as file:
            file.write(HEADER + f"{day},7,view,3,\n")
    assert load(tmp_path / "day1.csv.gz") == [(1, 7, "view", 3, None)]
    assert load(tmp_path / "day*.csv.gz") == [(1, 7, "view", 3, None), (2, 7, "view", 3, None)]


@pytest.mark.parametrize("lacking", ["", ",transactionid"])
def test_signs_of_a_glob_in_the_name_of_a_file_mean_themselves(
    tmp_path: Path, spark: SparkSession, lacking: str
) -> None:
    names = ["day [1].csv", "day{2,3}.csv", "day%203.csv", "day?.csv", "day*.csv"]
    for number, name in enumerate(names):
        header = HEADER.replace(lacking, "") if number == 0 and lacking else HEADER
        (tmp_path / name).write_text(header + f"{number},7,view,3\n")
    assert [event[0] for event in load(tmp_path, file_format="csv")] == list(range(5))


def test_parquet_is_loaded(tmp_path: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame([(5, 7, "view", 3)], "timestamp long, visitorid int, event string, itemid int")
    rows.write.parquet(str(tmp_path / "events"))
    assert load(tmp_path / "events") == [(5, 7, "view", 3, None)]


def test_a_timestamp_of_parquet_becomes_milliseconds(tmp_path: Path, spark: SparkSession) -> None:
    rows = spark.sql("SELECT timestamp_millis(1430622000123) AS timestamp, 7L visitorid, 'view' event, 3L itemid")
    rows.write.parquet(str(tmp_path / "events"))
    assert load(tmp_path / "events")[0][0] == 1430622000123


def test_a_cell_that_cannot_be_read_is_null(csv: Path) -> None:
    csv.write_text(HEADER + "5,seven,view,3,\n6,,view,4,\n7,99999999999999999999,view, 5 ,\n")
    events = DataLoader(event_filename=str(csv)).execute().collect()
    assert [(row.visitorid, row.itemid) for row in events] == [(None, 3), (None, 4), (None, 5)]


def test_ids_may_be_strings(csv: Path) -> None:
    csv.write_text(HEADER + "5,ann,view,tea,\n")
    assert load(csv, id_type="string") == [(5, "ann", "view", "tea", None)]


def test_an_id_of_blanks_alone_is_none_and_others_lose_those_at_their_ends(csv: Path) -> None:
    csv.write_text(HEADER + "5,\u00a0a b\t,view,\u2003x,\n6,\u00a0,view,\t,\n", encoding="utf-8")
    assert load(csv, id_type="string") == [(5, "a b", "view", "x", None), (6, None, "view", None, None)]


def test_ids_beyond_int32_are_kept(csv: Path) -> None:
    csv.write_text(HEADER + f"5,{2**62},view,{2**40},\n")
    assert load(csv) == [(5, 2**62, "view", 2**40, None)]


def test_08_a_missing_file_is_named(csv: Path) -> None:
    with pytest.raises(InputError, match=r"INPUT_NOT_FOUND .*events\.csv does not exist; see data_loader"):
        load(csv)


@pytest.mark.parametrize("text", ["", HEADER])
def test_a_file_without_events_is_named(csv: Path, text: str) -> None:
    csv.write_text(text)
    with pytest.raises(InputError, match=r"INPUT_EMPTY .*events\.csv has no (rows|events)"):
        load(csv)


def test_an_empty_folder_is_named(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "events").mkdir()
    with pytest.raises(InputError, match=r"INPUT_EMPTY .*events has no rows"):
        load(tmp_path / "events")


def test_11_a_missing_column_is_named_with_those_that_are_there(csv: Path) -> None:
    csv.write_text("timestamp,visitorid,event\n5,7,view\n")
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING itemid; found \[timestamp, visitorid, event\] in .*events"):
        load(csv)


def test_a_mapped_column_that_is_missing_is_named(csv: Path) -> None:
    csv.write_text(HEADER + "5,7,view,3,\n")
    with pytest.raises(SchemaError, match="SCHEMA_MISSING order; found"):
        load(csv, columns={"transactionid": "order"})


def test_a_wrong_type_of_parquet_is_named(tmp_path: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame([(5, 7.5, "view", 3)], "timestamp long, visitorid double, event string, itemid long")
    rows.write.parquet(str(tmp_path / "events"))
    with pytest.raises(SchemaError, match=r"SCHEMA_TYPE visitorid expected bigint found double, file .*events"):
        load(tmp_path / "events")


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "events.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match=r"INPUT_CORRUPT .*events\.parquet cannot be read .* if it is not parquet,"):
        load(tmp_path / "events.parquet")


def test_no_file_name_is_an_error(spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match="CFG_MISSING event_filename names no events to load"):
        DataLoader().execute()


def test_a_mapping_of_an_unknown_column_is_refused() -> None:
    with pytest.raises(ConfigError, match="columns names colour, but an event has timestamp, visitorid, event"):
        DataLoader(columns={"colour": "color"})


def test_the_seed_s_own_file_is_loaded(spark: SparkSession) -> None:
    path = DATA / "retailrocket" / "sample_10k.csv"
    if not path.exists():
        pytest.skip(f"the real events are not there: {path}")
    events = DataLoader(event_filename=str(path)).execute()
    assert events.dropna(subset=["timestamp", "visitorid", "event", "itemid"]).count() == 10_000


def test_a_file_system_that_spark_does_not_know_is_named(spark: SparkSession) -> None:
    with pytest.raises(InputError, match=r"INPUT_NOT_FOUND foo://b/k\.csv: this Spark has no library for its file"):
        DataLoader(event_filename="foo://b/k.csv").execute()


def problems(path: Path, **parameters: Any) -> list[tuple[str | None, str, str]]:
    """Return problem, raw text and name of the file of each row."""
    rows = DataLoader(event_filename=str(path), **parameters).execute().collect()
    return sorted(((row.problem, row.raw, Path(row.source_file).name) for row in rows), key=str)


def test_09_empty_sources_may_be_allowed(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "zero.csv").write_text("")
    (tmp_path / "header.csv").write_text(HEADER)
    for name in ("none", "zero.csv", "header.csv"):
        with pytest.raises(InputError, match="INPUT_EMPTY"):
            load(tmp_path / name)
        assert load(tmp_path / name, allow_empty=True) == []


def test_10_reordered_columns_are_mapped_by_name(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "one.csv").write_text("timestamp,visitorid,event,itemid\n5,7,view,3\n")
    (tmp_path / "two.csv").write_text("itemid,event,visitorid,timestamp\n4,view,8,6\n")
    assert load(tmp_path, file_format="csv") == [(5, 7, "view", 3, None), (6, 8, "view", 4, None)]
    loaded = DataLoader(event_filename=str(tmp_path), file_format="csv").load()
    assert loaded.warnings == [f"the files of {tmp_path} have 2 different headers; cells are found by name"]


def test_11_a_column_that_only_one_file_lacks_is_told(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "one.csv").write_text("timestamp,visitorid,event,itemid\n5,7,view,3\n")
    (tmp_path / "two.csv").write_text("timestamp,visitorid,event\n6,8,view\n")
    loader = DataLoader(event_filename=str(tmp_path), file_format="csv")
    assert any("one is" in w and "two.csv, have no column itemid" in w for w in loader.load().warnings)
    assert load(tmp_path, file_format="csv") == [(5, 7, "view", 3, None), (6, 8, "view", None, None)]


def test_12_new_columns_are_named(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "events.csv").write_text("timestamp,visitorid,event,itemid,colour\n5,7,view,3,red\n")
    loader = DataLoader(event_filename=str(tmp_path / "events.csv"))
    assert loader.unused(loader.load()) == ["colour"]


def write(folder: Path, file_format: str, *files: tuple[str, tuple[Any, ...]]) -> None:
    """Write a file of one row for each schema, in this order: part-0, part-1, ..."""
    spark = SparkSession.active()
    folder.mkdir(exist_ok=True)
    for number, (schema, row) in enumerate(files):
        path = folder.parent / f"{folder.name}-{number}"
        spark.createDataFrame([row], schema).coalesce(1).write.format(file_format).save(str(path))
        next(path.glob(f"part-*.{file_format}")).rename(folder / f"part-{number}.{file_format}")


EVENT = "timestamp long, visitorid long, event string"
COLUMNAR = pytest.mark.parametrize("file_format", ["parquet", "orc"])


@COLUMNAR
def test_13_a_file_of_another_type_is_named(tmp_path: Path, spark: SparkSession, file_format: str) -> None:
    files = ((f"{EVENT}, itemid long", (5, 7, "view", 3)), (f"{EVENT}, itemid string", (5, 7, "view", "x")))
    write(tmp_path / "log", file_format, *files)
    told = rf"SCHEMA_TYPE itemid expected bigint found string, file .*part-1\.{file_format}; write it again"
    with pytest.raises(SchemaError, match=told):
        load(tmp_path / "log", file_format=file_format)


@COLUMNAR
def test_13_a_file_of_a_narrower_type_is_read(tmp_path: Path, spark: SparkSession, file_format: str) -> None:
    files = ((f"{EVENT}, itemid int", (5, 7, "view", 3)), (f"{EVENT}, itemid long", (6, 7, "view", 2**40)))
    write(tmp_path / "log", file_format, *files)
    events = [(5, 7, "view", 3, None), (6, 7, "view", 2**40, None)]
    assert load(tmp_path / "log", file_format=file_format) == events


@COLUMNAR
def test_11_a_column_that_only_later_files_have_is_read(tmp_path: Path, spark: SparkSession, file_format: str) -> None:
    more = f"{EVENT}, itemid long, transactionid string"
    write(tmp_path / "log", file_format, (EVENT, (5, 7, "view")), (more, (6, 8, "transaction", 4, "9")))
    loader = DataLoader(event_filename=str(tmp_path / "log"), file_format=file_format)  # type: ignore[arg-type]
    assert load(tmp_path / "log", file_format=file_format) == [
        (5, 7, "view", None, None),
        (6, 8, "transaction", 4, "9"),
    ]
    told = f"part-0.{file_format}, have no column itemid, transactionid"
    assert [warning[-len(told) :] for warning in loader.load().warnings] == [told]


def test_13_the_schemas_of_very_many_files_are_merged(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "_COMPARED_FILES", 1)
    itemid = f"{EVENT}, itemid long"
    write(tmp_path / "log", "parquet", (EVENT, (5, 7, "view")), (itemid, (6, 8, "view", 4)))
    assert load(tmp_path / "log") == [(5, 7, "view", None, None), (6, 8, "view", 4, None)]
    write(tmp_path / "bad", "parquet", (itemid, (5, 7, "view", 3)), (f"{EVENT}, itemid string", (5, 7, "view", "x")))
    with pytest.raises(SchemaError, match=r"SCHEMA_TYPE a column has types in two files of .*bad that do not go"):
        load(tmp_path / "bad")


def test_files_in_partition_folders_may_have_other_columns(tmp_path: Path, spark: SparkSession) -> None:
    itemid = f"{EVENT}, itemid long"
    for day, schema, row in ((1, EVENT, (5, 7, "view")), (2, itemid, (6, 8, "view", 4))):
        frame = spark.createDataFrame([row], schema).coalesce(1)  # type: ignore[arg-type, type-var]
        frame.write.parquet(str(tmp_path / "log" / f"day={day}"))
    assert load(tmp_path / "log", partitions={"day": [2]}) == [(6, 8, "view", 4, None)]
    assert len(load(tmp_path / "log")) == 2


@pytest.mark.parametrize("file_format", ["csv", "json"])
def test_14_columns_that_differ_in_case_only(tmp_path: Path, spark: SparkSession, file_format: str) -> None:
    texts = {
        "csv": "timestamp,visitorid,event,itemid,ItemID\n5,7,view,3,4\n",
        "json": '{"timestamp": 5, "visitorid": 7, "event": "view", "itemid": 3, "ItemID": 4}\n',
    }
    (tmp_path / f"events.{file_format}").write_text(texts[file_format])
    with pytest.raises(SchemaError, match=r"SCHEMA_AMBIGUOUS .*(itemid, ItemID|ItemID, itemid) stand in"):
        load(tmp_path / f"events.{file_format}")


def test_14_columns_of_parquet_that_differ_in_case_only(tmp_path: Path, spark: SparkSession) -> None:
    table = pa.table({"timestamp": [5], "visitorid": [7], "event": ["view"], "itemid": [3], "ITEMID": [4]})
    pq.write_table(table, tmp_path / "events.parquet")
    with pytest.raises(SchemaError, match=r"SCHEMA_AMBIGUOUS two columns of .* differ in case only"):
        load(tmp_path / "events.parquet")


def test_15_a_malformed_row_has_its_text_and_its_file(csv: Path) -> None:
    csv.write_text(HEADER + '5,7,view,3,\n6,8\n7,9,view,4,,more\n8,9,"view,4,\n')
    malformed = ["6,8", "7,9,view,4,,more", '8,9,"view,4,']
    good = '{"timestamp":"5","visitorid":"7","event":"view","itemid":"3"}'
    assert problems(csv) == sorted(
        [*(("MALFORMED", raw, "events.csv") for raw in malformed), (None, good, "events.csv")], key=str
    )


def test_15_a_malformed_line_of_json_has_its_text(tmp_path: Path, spark: SparkSession) -> None:
    path = tmp_path / "events.json"
    path.write_text('{"timestamp": 5, "visitorid": "7", "event": "view", "itemid": 3, "x": [1]}\n{"timestamp": 6, \n')
    assert [(problem, raw) for problem, raw, _ in problems(path) if problem] == [("MALFORMED", '{"timestamp": 6, ')]
    assert load(path)[0] == (5, 7, "view", 3, None)


def test_15_a_line_of_json_is_one_object_or_malformed(tmp_path: Path, spark: SparkSession) -> None:
    path = tmp_path / "events.json"
    one = '{"timestamp": 5, "visitorid": 7, "event": "view", "itemid": 3}'
    nested = one.replace("}", ', "more": {"a": [{"b": "}"}]}}')
    bad = [one + one, "[]", f"{one} trailing", f"[{one}]", f"[{one},{one}]", f"{one},{one}", "null", "5", '"x"']
    bad += [nested + nested, f"{nested} x", f"{nested}] x", f"{nested}}} x}}", f'{nested}],"a":[{nested}', "}", "]"]
    path.write_text("\n".join([one, "", " \t", f" {nested} ", *bad]) + "\n")
    told = problems(path)
    assert sorted(raw for problem, raw, _ in told if problem == "MALFORMED") == sorted(bad)
    assert len(told) == len(bad) + 2
    good = DataLoader(event_filename=str(path)).execute().where("problem IS NULL").select(*C.EVENT_COLUMNS).collect()
    assert [tuple(row) for row in good] == [(5, 7, "view", 3, None)] * 2


def test_a_key_that_comes_late_is_read(tmp_path: Path, spark: SparkSession) -> None:
    path = tmp_path / "events.json"
    early = '{"timestamp": 5, "visitorid": 7, "event": "view"}\n' * 1001
    path.write_text(early + '{"timestamp": 6, "visitorid": 7, "event": "view", "itemid": 3, "transactionid": 9}\n')
    assert load(path)[-1] == (6, 7, "view", 3, "9")
    path.write_text(early)
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING itemid; found \[event, timestamp, visitorid"):
        load(path)


def test_json_of_another_encoding_is_read(tmp_path: Path, spark: SparkSession) -> None:
    path = tmp_path / "events.json"
    path.write_bytes('{"timestamp": 5, "visitorid": "é", "event": "view", "itemid": "ü"}\n'.encode("latin-1"))
    read = {"id_type": "string", "options": {"encoding": "ISO-8859-1"}}
    assert load(path, **read) == [(5, "é", "view", "ü", None)]
    with pytest.raises(ConfigError, match=r"CFG_OPTION data_loader\.options\.multiLine is for CSV; JSON is read with"):
        load(path, options={"multiLine": "true"})


def test_17_a_truncated_gzip_is_named(tmp_path: Path, spark: SparkSession) -> None:
    path = tmp_path / "events.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(HEADER + "".join(f"{n},{n * 7919},view,{n},\n" for n in range(20_000)))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(Exception) as raised:  # noqa: PT011 - Spark's own, or ours if Spark does not name the file
        read(path)
    told = raised.value if isinstance(raised.value, InputError) else explained(raised.value)
    assert re.match(r"INPUT_CORRUPT .*events\.csv\.gz cannot be read to its end", str(told))


@pytest.mark.skipif(int(pa.__version__.split(".")[0]) < 15, reason="pyarrow 14 writes no checksums of pages")
@pytest.mark.parametrize("harm", ["truncated", "flipped"])
def test_18_a_damaged_parquet_file_is_named(tmp_path: Path, spark: SparkSession, harm: str) -> None:
    path = tmp_path / "events.parquet"
    ids = list(range(5000))
    table = pa.table({"timestamp": ids, "visitorid": ids, "event": ["view"] * 5000, "itemid": ids})
    pq.write_table(table, path, write_page_checksum=True, use_dictionary=False, compression="NONE")
    content = bytearray(path.read_bytes())
    content[20_000] ^= 0xFF
    path.write_bytes(content if harm == "flipped" else path.read_bytes()[:-100])
    with pytest.raises(Exception) as raised:  # noqa: PT011 - Spark's own, or ours where the footer is gone
        load(path)
    told = raised.value if isinstance(raised.value, InputError) else explained(raised.value)
    assert re.match(r"INPUT_CORRUPT .*events\.parquet cannot be read", str(told))


@pytest.mark.parametrize("option", ["ignoreCorruptFiles", "ignoremissingfiles", "mode", "dbtable", "user"])
def test_18_options_that_would_hide_faults_are_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=rf"options\.{option} is refused: "):
        DataLoader(options={option: "true"})


def test_19_utf_16_is_told_and_can_be_read(csv: Path) -> None:
    csv.write_bytes((HEADER + "5,7,view,3,\n").encode("utf-16"))
    with pytest.raises(
        InputError, match=r"ENCODING .*events\.csv is not UTF-8 text: .*; or see data_loader\.options \(enc"
    ):
        load(csv)
    assert load(csv, options={"encoding": "UTF-16", "multiLine": "true"}) == [(5, 7, "view", 3, None)]


def test_19_characters_that_are_none_are_marked(csv: Path) -> None:
    csv.write_bytes(HEADER.encode() + b"5,7,vi\x00ew,3,\n6,7,vi\xffew,3,\n7,7,view,3,\n")
    assert [problem for problem, _, _ in problems(csv)] == ["ENCODING", "ENCODING", None]


def test_19_a_byte_order_mark_is_accepted(csv: Path) -> None:
    csv.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"5,7,view,3,\n")
    assert load(csv) == [(5, 7, "view", 3, None)]


@pytest.mark.parametrize("name", ["b.csv.tmp", "b.inprogress", "more/b.csv"])
def test_20_a_file_that_looks_unfinished_or_is_nested(tmp_path: Path, spark: SparkSession, name: str) -> None:
    for file in ("a.csv", name):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(HEADER + "5,7,view,3,\n")
    with pytest.raises(InputError, match=rf"UNEXPECTED_FILE .*{re.escape(name)}"):
        load(tmp_path, file_format="csv")
    assert load(tmp_path / "*.csv", file_format="csv") == [(5, 7, "view", 3, None)]


def test_partition_folders_are_columns_and_can_be_chosen(tmp_path: Path, spark: SparkSession) -> None:
    header = "timestamp,visitorid,event,itemid"
    for day in (1, 2):
        (tmp_path / f"day=2015-05-0{day}").mkdir()
        names = header if day == 1 else "itemid,timestamp,visitorid,event"
        row = f"{day},7,view,3" if day == 1 else f"3,{day},7,view"
        (tmp_path / f"day=2015-05-0{day}" / "a.csv").write_text(f"{names}\n{row}\n")
    parameters: dict[str, Any] = {"file_format": "csv", "partitions": {"day": ["2015-05-02"]}}
    assert load(tmp_path, **parameters) == [(2, 7, "view", 3, None)]
    with pytest.raises(SchemaError, match=r"SCHEMA_MISSING month; found \[.*day"):
        load(tmp_path, file_format="csv", partitions={"month": [5]})


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet", "orc"])
def test_every_format_gives_the_same_and_can_be_cut_by_time(
    tmp_path: Path, spark: SparkSession, file_format: str
) -> None:
    rows = [(1430622000000 + n, n, "view", n * 2**33, None) for n in range(4)]
    frame = spark.createDataFrame(
        rows, "timestamp long, visitorid long, event string, itemid long, transactionid string"
    )
    writer = frame.write.option("header", True) if file_format == "csv" else frame.write
    writer.format(file_format).save(str(tmp_path / "events"))
    assert load(tmp_path / "events", file_format=file_format) == rows
    cut = {"since": "2015-05-03T03:00:00.001Z", "until": "2015-05-03T03:00:00.003"}
    assert load(tmp_path / "events", file_format=file_format, **cut) == rows[1:3]


def test_a_partition_that_is_no_number_is_told(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "day=1").mkdir()
    (tmp_path / "day=1" / "a.csv").write_text(HEADER + "5,7,view,3,\n")
    assert load(tmp_path, file_format="csv", partitions={"day": ["1", 2]}) == [(5, 7, "view", 3, None)]
    with pytest.raises(SchemaError, match="SCHEMA_TYPE day expected int, got 'x'; see data_loader"):
        load(tmp_path, file_format="csv", partitions={"day": ["x"]})


def test_filters_are_pushed_down(tmp_path: Path, spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [(5, 7, "view", 3, "a")], "timestamp long, visitorid long, event string, itemid long, d string"
    )
    rows.write.partitionBy("d").parquet(str(tmp_path / "events"))
    loader = DataLoader(event_filename=str(tmp_path / "events"), since="1970-01-01", partitions={"d": ["a"]})
    plan = loader.execute()._jdf.queryExecution().executedPlan().toString()
    assert re.search(r"PushedFilters: \[Or\(GreaterThanOrEqual\(timestamp,0\),IsNull\(timestamp\)\)", plan)
    assert re.search(r"PartitionFilters: \[.*d#", plan)
    assert re.search(r"ReadSchema: struct<timestamp:bigint,visitorid:bigint,event:string,itemid:bigint>", plan)


@pytest.mark.parametrize(
    ("unit", "cell", "expected"),
    [
        ("s", "1430622000", 1430622000000),
        ("us", "1430622000123456", 1430622000123),
        ("us", "-1", -1),
        ("iso", "2015-05-03T03:00:00Z", 1430622000000),
        ("iso", "soon", None),
        ("s", str(2**62), None),
        ("s", str(-(2**63)), None),
    ],
)
def test_units_of_time(csv: Path, unit: Any, cell: str, expected: int | None) -> None:
    csv.write_text(HEADER + f"{cell},7,view,3,\n")
    assert load(csv, timestamp_unit=unit)[0][0] == expected


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"event_filename": "a.csv", "table": "t"}, "give one source: event_filename and table are given"),
        ({"table": "t", "version": 1, "as_of": "2026-01-01"}, "give either version or as_of"),
        ({"event_filename": "a.csv", "version": 1}, "version and as_of are for a table"),
        ({"event_filename": "a.csv", "jdbc_url": "jdbc:postgresql://db/x"}, "jdbc_url is given with event_filename"),
        ({"jdbc_url": "jdbc:postgresql://db/x"}, "jdbc_url is given without a table or a query of that database"),
        (
            {"table": "t", "jdbc_url": "jdbc:postgresql://db:x/y"},
            "jdbc_url must be as jdbc:postgresql://host:5432/shop",
        ),
        ({"table": "t", "jdbc_url": "jdbc:mysql:db/x//"}, "jdbc_url must be as jdbc:postgresql://host:5432/shop"),
        ({"table": "t", "jdbc_predicates": ["a < 1"]}, "jdbc_predicates is for a database: give jdbc_url"),
        ({"table": "t", "jdbc_partition_column": "a"}, "jdbc_partition_column is for a database: give jdbc_url"),
        (
            {"table": "t", "jdbc_url": "jdbc:postgresql://db/x", "jdbc_lower_bound": 1},
            "jdbc_lower_bound is a bound of jdbc_partition_column: give that, or leave it out",
        ),
        ({"options": {"partitionColumn": "a"}}, "options.partitionColumn is refused: see jdbc_partition_column"),
        ({"options": {"lowerBound": "1"}}, "options.lowerBound is refused: see jdbc_lower_bound"),
        (
            {"since": "2015-05-03", "until": "2015-05-03T00:00:00Z"},
            "since must be before until, got 2015-05-03 and 2015-05-03T00:00:00Z: no event is between them",
        ),
        ({"since": "soon"}, "since must be a time as 2015-05-03T03:00:00Z, got 'soon'"),
        ({"table": 'a"; drop table x --'}, "BAD_IDENTIFIER table must be a name"),
        ({"table": "a..b"}, "BAD_IDENTIFIER table must be a name"),
        ({"jdbc_url": "postgresql://db/x"}, "jdbc_url must be text that matches"),
    ],
)
def test_mistakes_of_a_source(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        DataLoader(**parameters)


@pytest.mark.parametrize(
    ("cut", "days"),
    [
        ({"until": "2015-05-04T12:00:00Z"}, [3, 4]),
        ({"until": "2015-05-04"}, [3]),
        ({"since": "2015-05-03T12:00:00Z"}, [4]),
        ({"since": "2015-05-03"}, [3, 4]),
    ],
)
def test_dates_are_cut_at_their_midnight(tmp_path: Path, spark: SparkSession, cut: dict[str, Any], days: Any) -> None:
    days_of_may = [datetime.date(2015, 5, 3), datetime.date(2015, 5, 4)]
    columns = {"timestamp": days_of_may, "visitorid": [3, 4], "event": ["view"] * 2, "itemid": [6] * 2}
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    assert [event[1] for event in load(tmp_path / "events.parquet", **cut)] == days


def test_a_time_at_the_edge_of_the_calendar_is_a_bound(tmp_path: Path, spark: SparkSession) -> None:
    test_a_timestamp_of_parquet_becomes_milliseconds(tmp_path, spark)
    assert len(load(tmp_path / "events", since="0001-01-01T00:00:00+14:00")) == 1


@pytest.mark.parametrize(
    ("folder", "value", "kind"),
    [("hour=1", 10**12, "int"), ("share=0.5", "x", "double"), ("day=2015-05-01", "x", "date")],
)
def test_values_that_a_partition_cannot_have(csv: Path, folder: str, value: Any, kind: str) -> None:
    (csv.parent / folder).mkdir()
    (csv.parent / folder / "a.csv").write_text(HEADER + "5,7,view,3,\n")
    name = folder.split("=", maxsplit=1)[0]
    with pytest.raises(SchemaError, match=f"SCHEMA_TYPE {name} expected {kind}, got {value!r}; see data_loader.part"):
        load(csv.parent, file_format="csv", partitions={name: [value]})


def test_what_was_asked_for_is_told_where_nothing_is_found(csv: Path) -> None:
    (csv.parent / "hour=1").mkdir()
    (csv.parent / "hour=1" / "a.csv").write_text(HEADER + "5,7,view,3,\n")
    asked: dict[str, Any] = {"partitions": {"hour": [2, 3]}, "since": "2015-05-03"}
    with pytest.raises(InputError, match="has no events for partitions hour 2 or 3, since 2015-05-03; see data_loader"):
        load(csv.parent, file_format="csv", **asked)


@pytest.mark.parametrize(
    "option", [{"encoding": "nope"}, {"escape": "xx"}, {"multiLine": "maybe"}, {"maxColumns": "x"}, {"lineSep": ""}]
)
def test_options_that_are_wrong_are_told(csv: Path, option: dict[str, str]) -> None:
    csv.write_text(HEADER + "5,7,view,3,\n")
    told = rf"CFG_OPTION data_loader\.options \({next(iter(option))}\) must be as Spark's reader takes it, which says: "
    with pytest.raises(ConfigError, match=told):
        load(csv, options=option)


@pytest.mark.parametrize("pattern", ["{a.csv", "[a.csv"])
def test_08_a_glob_that_is_none_is_told(tmp_path: Path, spark: SparkSession, pattern: str) -> None:
    with pytest.raises(InputError, match=r"INPUT_NOT_FOUND .*a\.csv is not a pattern for names of files: a bracket"):
        load(tmp_path / pattern)


def test_the_header_is_read_with_the_options_for_comments_and_quotes(csv: Path) -> None:
    csv.write_text("# of today\n'timestamp','visitorid','event','itemid'\n5,7,'a,b',3\n# more\n6,7,view,3\n")
    read = {"options": {"comment": "#", "quote": "'"}}
    assert load(csv, **read) == [(5, 7, "a,b", 3, None), (6, 7, "view", 3, None)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/log/a.csv", "csv"),
        ("/log/A.CSV.gz", "csv"),
        ("/log/*.csv", "csv"),
        ("/log/day*.csv*", "csv"),
        ("/log/x.csv/", "csv"),
        ("/log/x.csv/*", "csv"),
        ("s3a://log/a.ndjson.zst", "json"),
        ("/log/a.orc", "orc"),
        ("/log/my.csv_export/x", None),
        ("/log/my.csv/x", None),
        ("/log/a.csv.parquet", "parquet"),
    ],
)
def test_a_format_is_the_end_of_the_name(name: str, expected: str | None) -> None:
    assert DataLoader(event_filename=name)._format() == expected
