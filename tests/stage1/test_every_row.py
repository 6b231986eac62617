"""Every row of a source is right, or told: nothing is shifted, invented, merged or hidden without a word."""

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession, functions as F
from support.reading import checked, event_log, events, outcomes, read, told, verdicts, warnings_of

from recommender.errors import ConfigError, InputError, SchemaError
from recommender.stage1.steps import DataLoader

HEADER = "timestamp,visitorid,event,itemid,note\n"
T = 1430622000000


@pytest.fixture
def log(tmp_path: Path, spark: SparkSession) -> Path:
    return tmp_path / "events.csv"


# Rows and their cells


def test_a_row_that_has_not_the_cells_of_the_header_is_malformed_though_a_column_is_not_used(log: Path) -> None:
    bad = [f"{T}{rest}" for rest in (",7,view,79,26,3", ",7,view", ',7,view,"a"b,c",3', ',7,view,"a', ',7,view,a"')]
    log.write_text("\n".join(["timestamp,visitorid,event,price,itemid", *bad, f"{T},7,view,1,3", ""]))
    found = read(log)
    assert (found.rows, found.good, found.quarantined) == (6, 1, {"MALFORMED": 5})
    assert found.quarantine is not None
    assert sorted(row.raw for row in found.quarantine.collect()) == sorted(bad)


def test_a_line_break_inside_of_quotes_invents_no_event(log: Path) -> None:
    log.write_text(HEADER + f'{T},7,view,3,"one\n{T + 1},9,transaction,5,two"\n')
    assert told(log) == {"MALFORMED": 2}
    assert events(log, options={"multiLine": "true"}) == [(T, 7, "view", 3)]


@pytest.mark.parametrize("line", ['{},1,view,1,"oops\n', '{},1,view,1,"oops\n{},2,view,2,x\n{},1,view,1,"more"\n'])
def test_a_quote_that_is_not_closed_hides_no_rows(log: Path, line: str) -> None:
    rows = "".join(f"{T + n},{n},view,{n},ok\n" for n in range(5))
    log.write_text(HEADER + rows + line.format(T + 6, T + 7, T + 8) + rows)
    with pytest.raises(InputError, match=r"INPUT_CORRUPT .*events\.csv has a quote that is never closed, which hides"):
        read(log, options={"multiLine": "true"})


def test_two_quotes_that_are_not_closed_hide_no_rows_either(log: Path) -> None:
    rows = [f"{T + n},{n},view,{n},ok" for n in range(8)]
    rows[2], rows[5] = f'{T},2,view,2,"oops', f'{T},5,view,5,"oops'
    log.write_text(HEADER + "\n".join(rows) + "\n")
    assert outcomes(log, options={"multiLine": "true"}) == {"MALFORMED": 4, "good": 4}


def test_quotes_escaped_by_a_backslash_are_read_where_the_option_says_so(log: Path) -> None:
    log.write_text(HEADER.replace("itemid,note", "note,itemid") + f'{T},7,view,"TV \\"55\\", black",3\n')
    assert outcomes(log) == {"MALFORMED": 1}
    assert events(log, options={"escape": "\\"}) == [(T, 7, "view", 3)]


def test_a_line_that_repeats_the_header_is_no_event_and_counted(log: Path) -> None:
    log.write_text(HEADER + f"{T},7,view,3,x\n" + (HEADER + f"{T},8,view,3,x\n") * 2)
    assert told(log, id_type="string") == {"HEADER": 2, "good": 3}
    assert DataLoader(event_filename=str(log)).execute().count() == 3


def test_repeated_headers_are_counted_among_rows_that_are_kept_twice(log: Path) -> None:
    log.write_text(HEADER + f"{T},7,view,3,x\n" + HEADER * 2)
    config = {"data_loader": {"event_filename": str(log)}, "event_validator": {"max_quarantined": 1.0}}
    found = event_log({**config, "event_deduplicator": {"keep_duplicates": True}})
    found.load()
    assert (found.rows, found.quarantined) == (3, {"HEADER": 2})
    assert found.quarantine is not None
    assert [row.rows for row in found.quarantine.collect()] == [2]


# Layouts


def test_files_without_a_header_have_the_names_that_are_given_or_numbers(tmp_path: Path, spark: SparkSession) -> None:
    for name, text, delimiter in (("u.data", f"7\t3\t5\t{T}\n", "\\t"), ("r.dat", f"7::3::5::{T}\n", "::")):
        (tmp_path / name).write_text(text * 2)
        read_as: dict[str, Any] = {"header": False, "delimiter": delimiter, "constant_event": "rating"}
        names = ["visitorid", "itemid", "weight", "timestamp"]
        given = {"column_names": names, "columns": {"weight": "weight"}}
        numbers = {"columns": dict(zip(names, ("c1", "c2", "c3", "c4"), strict=True))}
        for named in (given, numbers):
            assert events(tmp_path / name, **read_as, **named) == [(T, 7, "rating", 3, 5.0)]  # type: ignore[arg-type]
            assert outcomes(tmp_path / name, **read_as, **named) == {"good": 2}  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match=r"column_names has 2 names, and the first row of .*u\.data has 4 cells"):
        read(tmp_path / "u.data", header=False, delimiter="\t", column_names=["visitorid", "itemid"])


@pytest.mark.parametrize(
    ("name", "text", "parameters"),
    [
        ("a.csv", "sep=;\ntimestamp;visitorid;event;itemid\n{t};7;view;3\n", {}),
        ("a.csv", "# of\n\n# shop\ntimestamp,visitorid,event,itemid\n{t},7,view,3\n", {"skip_rows": 2}),
        ("a.csv", "# of\n# of\ntimestamp,visitorid,event,itemid\n{t},7,view,3\n", {"skip_rows": 2}),
        ("a.csv", "# of\ntimestamp,visitorid,event,itemid\n{t},7,view,3\n", {"options": {"comment": "#"}}),
        ("a.tsv", "timestamp\tvisitorid\tevent\titemid\n{t}\t7\tview\t3\n", {}),
        ("a.txt", "timestamp,visitorid,event,itemid\n{t},7,view,3\n", {}),
        ("a.jsonl", '{{"timestamp": {t}, "visitorid": 7, "event": "view", "itemid": 3}}\n', {}),
        ("folder/a.csv", "timestamp,visitorid,event,itemid\n{t},7,view,3\n", {}),
    ],
)
def test_what_a_file_is_follows_from_its_name_and_its_first_lines(
    tmp_path: Path, spark: SparkSession, name: str, text: str, parameters: dict[str, Any]
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.format(t=T))
    assert events(path.parent if "/" in name else path, **parameters) == [(T, 7, "view", 3)]


@pytest.mark.parametrize("multiline", ["false", "true"])
@pytest.mark.parametrize("encoding", ["windows-1252", "cp1251", "ISO-8859-1"])
def test_encodings_of_a_byte_a_character_are_read_on_every_spark(log: Path, encoding: str, multiline: str) -> None:
    text = {"windows-1252": "€“é", "cp1251": "Чай", "ISO-8859-1": "é"}[encoding]
    log.write_bytes((HEADER + f"{T},7,view,{text},x\n").encode(encoding))
    options = {"encoding": encoding, "multiLine": multiline}
    assert events(log, id_type="string", options=options) == [(T, "7", "view", text)]


def test_a_file_without_any_wanted_column_is_named(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "events.csv").write_text(HEADER + f"{T},7,view,3,x\n")
    (tmp_path / "category_tree.csv").write_text("categoryid,parentid\n1,2\n")
    with pytest.raises(SchemaError, match=r"found \[categoryid, parentid\] in .*category_tree\.csv, which lies beside"):
        read(tmp_path)


# Ids


@pytest.mark.parametrize(
    ("id_type", "cells"),
    [
        (
            "long",
            {
                "257597.0": 257597,
                "1.54630E+12": 1546300000000,
                "9.2e+18": "BAD_ID",
                "1.5": "BAD_ID",
                "tea": "BAD_ID",
                str(2**63): "BAD_ID",
                "NULL": "NULL_ID",
                " ": "NULL_ID",
            },
        ),
        (
            "string",
            {
                **dict.fromkeys(("NULL", "nan", "None", "\\N", "undefined", "-", ""), "NULL_ID"),
                '"[""a"",""b""]"': "BAD_ID",
                "[a]": "[a]",
                "007": "007",
            },
        ),
    ],
)
def test_an_id_is_exact_or_has_a_true_reason(log: Path, id_type: str, cells: dict[str, Any]) -> None:
    log.write_text(HEADER + "".join(f"{T},{place},view,{cell},x\n" for place, cell in enumerate(cells)))
    found = verdicts(log, "itemid", len(cells), id_type=id_type)
    assert dict(zip(cells, found, strict=True)) == cells


def test_words_for_no_id_are_the_user_s(log: Path) -> None:
    log.write_text(HEADER + f"{T},null,view,leer,x\n")
    assert outcomes(log, id_type="string", null_words=["LEER"]) == {"NULL_ID": 1}
    assert outcomes(log, id_type="string", null_words=[]) == {"good": 1}


def test_zeros_that_a_number_loses_and_ids_that_merge_by_it_are_told(log: Path) -> None:
    log.write_text(HEADER + f"{T},1,view,007,x\n{T},2,view,7,x\n{T},3,view,08,x\n{T},0,view,0.0,x\n")
    found = read(log)
    sentence = (
        "2 rows have an id that begins with zeros, which a number does not; ids that differ in them alone are now"
    )
    assert warnings_of(found) == [f"{sentence} one: 1 itemid; see data_loader.id_type"]
    warning = "1 rows have an id such as 7.0, made of a whole number by a program; as text it is not the id 7"
    assert warnings_of(read(log, id_type="string")) == [f"{warning}, see data_loader.id_type"]


def test_ids_that_a_spreadsheet_has_rounded_are_told(log: Path) -> None:
    log.write_text(HEADER + f"{T},1,view,1.23457E+11,x\n{T},2,view,1.5E+1,x\n{T},3,view,7,x\n")
    (warning,) = warnings_of(read(log))
    assert warning == (
        "2 rows have an id such as 1.2E+11, which a spreadsheet has rounded: different ids may have become one; export "
        "them as text"
    )


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([512000012.0]), "512000012"),
        (pa.array([b"visitor-00000007"]), "BAD_ID"),
        (pa.array([2.0**60]), "BAD_ID"),
        (pa.array([float("nan")]), "NULL_ID"),
        (pa.array([bytes(range(16))], pa.binary(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (pa.array([b"tea"]), "BAD_ID"),
        (pa.array([[1, 2]]), "SCHEMA_TYPE itemid expected string found array<bigint>, file .*data_loader.explode"),
        (pa.array([{"id": "a"}]), "SCHEMA_TYPE itemid expected string found struct<id:string>, file .*order.id"),
    ],
)
def test_ids_of_other_types_are_exact_or_refused(
    tmp_path: Path, spark: SparkSession, column: Any, expected: str
) -> None:
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"timestamp": [T], "visitorid": ["v"], "event": ["view"], "itemid": column}), path)
    if expected.startswith("SCHEMA"):
        with pytest.raises(SchemaError, match=expected):
            read(path, id_type="string")
    else:
        [row] = checked(path, id_type="string")
        assert (row.reason or row.itemid) == expected


# Times


ISO: dict[str, Any] = {"timestamp_unit": "iso"}


@pytest.mark.parametrize(
    ("parameters", "cells"),
    [
        ({}, {"1.54630E+12": 1546300000000, "soon": "BAD_TIMESTAMP", "": "NULL_TIMESTAMP"}),
        ({"timestamp_unit": "s"}, {"1546300800.123": 1546300800123}),
        ({"timestamp_unit": "ns"}, {"1546300800123456789": 1546300800123}),
        (ISO, {"08:00:00": "BAD_TIMESTAMP", "2010": "BAD_TIMESTAMP", "2019-01-01": 1546300800000}),
        (
            {**ISO, "timezone": "Europe/Berlin"},
            {
                "2019-01-01 01:00:00": 1546300800000,
                # The hour of 02:00 does not exist that day, and that of 02:00 in October exists twice: the first.
                "2021-03-28 02:30:00": 1616895000000,
                "2021-10-31 02:30:00": 1635640200000,
            },
        ),
        (
            {**ISO, "timezone": "America/Lima"},
            {"2019-01-01T01:00:00+01:00": 1546300800000, "2019-01-01 00:00:00 UTC": 1546300800000},
        ),
        (
            {"timestamp_format": "dd.MM.yyyy HH:mm", "timezone": "Europe/Berlin"},
            {"01.01.2019 01:00": 1546300800000, "1.1.2019": "BAD_TIMESTAMP"},
        ),
        ({"timestamp_format": "dd.MM.yyyy"}, {"1.1.2019": "BAD_TIMESTAMP", "01.01.2019": 1546300800000}),
    ],
)
def test_a_time_is_exact_or_has_a_true_reason(
    log: Path, spark: SparkSession, parameters: dict[str, Any], cells: dict[str, Any]
) -> None:
    log.write_text(HEADER + "".join(f"{cell},{place},view,3,x\n" for place, cell in enumerate(cells)))
    for zone in ("UTC", "Asia/Tokyo"):  # it is the same whatever the zone of the session is
        spark.conf.set("spark.sql.session.timeZone", zone)
        try:
            found = verdicts(log, "timestamp", len(cells), **parameters)
            assert dict(zip(cells, found, strict=True)) == cells
        finally:
            spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_a_share_of_the_rows_in_another_unit_is_found(log: Path) -> None:
    rows = [f"{T + n if n % 3 else (T + n) // 1000},{n},view,{n},x\n" for n in range(9)]
    log.write_text(HEADER + "".join(rows))
    assert outcomes(log) == {"ZERO_TIMESTAMP": 3, "good": 6}


def test_a_date_and_a_time_in_two_columns_are_one(log: Path) -> None:
    log.write_text("date,time,visitorid,event,itemid\n2019-01-01,00:00:01,7,view,3\n,00:00:01,7,view,3\n")
    columns = {"timestamp": ["date", "time"]}
    assert outcomes(log, columns=columns, timestamp_unit="iso") == {"NULL_TIMESTAMP": 1, "good": 1}
    assert events(log, columns=columns, timestamp_unit="iso") == [(1546300801000, 7, "view", 3)]
    loader = DataLoader(event_filename=str(log), columns=columns, timestamp_unit="iso")
    assert loader.unused(loader.load()) == []


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_in_nanoseconds_as_pandas_writes_them_are_read(
    tmp_path: Path, spark: SparkSession, used: bool, zone: str | None
) -> None:
    at = pa.array([datetime.datetime(2019, 1, 1), datetime.datetime(2019, 1, 2)], pa.timestamp("ns", zone))
    columns = {"timestamp": at if used else [T, T + 1], "visitorid": [7, 8], "event": ["view"] * 2, "itemid": [3, 4]}
    pq.write_table(pa.table({**columns, "seen": at}), tmp_path / "events.parquet")
    first, second = (1546300800000, 1546387200000) if used else (T, T + 1)
    assert events(tmp_path / "events.parquet") == [(first, 7, "view", 3), (second, 8, "view", 4)]
    since = datetime.datetime.fromtimestamp(second / 1000, datetime.timezone.utc).isoformat()
    assert events(tmp_path / "events.parquet", since=since) == [(second, 8, "view", 4)]
    assert spark.conf.get("spark.sql.legacy.parquet.nanosAsLong", "false") == "false"


@pytest.mark.parametrize("session", ["UTC", "Europe/Berlin"])
def test_a_time_without_a_zone_is_the_same_whatever_the_session_s_zone(
    tmp_path: Path, spark: SparkSession, session: str
) -> None:
    local = [datetime.datetime(2021, 3, 28, hour, 30) for hour in (1, 2, 3)]
    columns = {"timestamp": pa.array(local, pa.timestamp("us")), "visitorid": [1, 2, 3], "event": ["view"] * 3}
    pq.write_table(pa.table({**columns, "itemid": [1, 2, 3]}), tmp_path / "events.parquet")
    spark.conf.set("spark.sql.session.timeZone", session)
    try:
        found = events(tmp_path / "events.parquet", since="2021-03-28T02:00:00Z")
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert [row[0] for row in found] == [1616898600000, 1616902200000]


# Kinds, weights, nested values, filters


def test_kinds_are_mapped_case_and_blanks_aside_and_others_stay(log: Path) -> None:
    rows = [f"{T},1,{kind},3,x\n" for kind in ("Purchase ", "purchase", "View", "wave")]
    log.write_text(HEADER + "".join(rows))
    found = events(log, event_map={" PURCHASE": "transaction"})
    assert [row[2] for row in found] == ["View", "transaction", "wave"]


def test_a_weight_is_a_finite_number_and_part_of_what_an_event_is(log: Path) -> None:
    cells = ["3.5", "4", "4", "", "NaN", "Infinity", "3,5", "good"]
    log.write_text("\n".join(["timestamp;visitorid;itemid;stars", *(f"{T};1;3;{cell}" for cell in cells), ""]))
    rated: dict[str, Any] = {"delimiter": ";", "constant_event": "rating", "columns": {"weight": "stars"}}
    assert outcomes(log, **rated) == {"BAD_WEIGHT": 5, "good": 3}
    assert events(log, **rated) == [(T, 1, "rating", 3, 3.5), (T, 1, "rating", 3, 4.0)]


@pytest.mark.parametrize("file_format", ["json", "parquet"])
def test_what_is_inside_of_others_is_reached_and_an_array_is_an_event_per_element(
    tmp_path: Path, spark: SparkSession, file_format: str
) -> None:
    baskets = [["tea", "jam"], ["mug"], []]
    rows = [
        {"at": T + n, "user": {"id": f"u{n}"}, "name": "view", "items": [{"id": one} for one in basket]}
        for n, basket in enumerate(baskets)
    ]
    path = tmp_path / f"events.{file_format}"
    if file_format == "json":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    columns = {"timestamp": "at", "visitorid": "user.id", "event": "name", "itemid": "items.id"}
    made = [(T, "u0", "view", "jam"), (T, "u0", "view", "tea"), (T + 1, "u1", "view", "mug")]
    assert events(path, columns=columns, explode="items", id_type="string") == made
    found = read(path, columns=columns, explode="items", id_type="string")
    assert (found.rows, found.empty) == (3, 1)
    assert warnings_of(found) == ["1 rows have no element in items, and make no event"]
    only = read(path, columns=columns, explode="items", id_type="string", where="user.id <> 'u0' AND size(items) > 0")
    assert (only.rows, only.empty, only.report({})[0].note) == (1, 0, "left out by where: 2")


def test_a_whole_basket_is_never_an_item(tmp_path: Path, spark: SparkSession) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"timestamp": T, "visitorid": "u", "event": "view", "itemid": ["tea", "jam"]}) + "\n")
    assert outcomes(path, id_type="string") == {"BAD_ID": 1}


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet"])
def test_a_filter_is_of_any_column_of_the_log_and_what_it_leaves_out_is_counted(
    tmp_path: Path, spark: SparkSession, file_format: str
) -> None:
    rows = [(T + n, n, "view", n, "DE" if n % 2 else None) for n in range(5)]
    frame = spark.createDataFrame(rows, "timestamp long, visitorid long, event string, itemid long, country string")
    writer = frame.write.option("header", True) if file_format == "csv" else frame.write
    writer.format(file_format).save(str(tmp_path / "log"))
    found = read(tmp_path / "log", file_format=file_format, where="country = 'DE'")
    assert (found.rows, found.report({})[0].rows_in, found.report({})[0].note) == (2, 5, "left out by where: 3")


def test_rows_that_cannot_be_read_are_not_left_out_by_a_filter(log: Path) -> None:
    log.write_text(HEADER + f"{T},7,view,3,x\n{T},8,view\n" + HEADER)
    assert told(log, where="visitorid = '7'") == {"MALFORMED": 1, "HEADER": 1, "good": 1}


@pytest.mark.parametrize("where", ["itemid >", "colour = 'red'", "visitorid", "count(*) > 1", "rand() > 0.5"])
def test_a_filter_that_is_no_condition_is_refused(log: Path, where: str) -> None:
    log.write_text(HEADER + f"{T},7,view,3,x\n")
    with pytest.raises(ConfigError, match=r"CFG_SQL data_loader\.where (is not an SQL|must be true)"):
        read(log, where=where)


# Tables that are no plain files


@pytest.mark.parametrize(
    ("sign", "said"),
    [
        ("_delta_log/0.json", "is of a Delta table, .*file_format to delta, and event_filename to"),
        ("metadata/v1.metadata.json", "is of an Iceberg table, .*file_format to iceberg"),
        (".hoodie/hoodie.properties", "is of a Hudi table, .* with data_loader.table"),
    ],
)
def test_the_files_of_a_table_are_not_read_as_plain_ones(
    tmp_path: Path, spark: SparkSession, sign: str, said: str
) -> None:
    rows = spark.createDataFrame([(T, 7, "view", 3)], "timestamp long, visitorid long, event string, itemid long")
    rows.write.parquet(str(tmp_path / "shop" / "data" / "day=1"))
    (tmp_path / "shop" / sign).parent.mkdir()
    (tmp_path / "shop" / sign).write_text("{}")
    for path in ("shop/data", "shop/data/day=1", "shop/data/*"):
        with pytest.raises(InputError, match=f"SOURCE_FORMAT .*{said}"):
            read(tmp_path / path)


# Mistakes


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"options": {"encodng": "x"}}, "options.encodng is not an option of Spark's csv reader, did you mean en"),
        ({"column_names": ["a"]}, "column_names is for files without a header"),
        ({"skip_rows": 1, "options": {"multiLine": "true"}}, "skip_rows is for files that are read line by line"),
        ({"constant_event": "view", "columns": {"event": "kind"}}, "constant_event is the kind of every event"),
        ({"event_map": {"a": "x", "A ": "y"}}, "event_map has a kind twice"),
        ({"timezone": "Berlin"}, "timezone must be the name of a time zone as Europe/Berlin, got 'Berlin'"),
        ({"timestamp_format": "yyyy", "timestamp_unit": "s"}, "give either timestamp_format or timestamp_unit s"),
        ({"columns": {"timestamp": ["a", "b"]}}, "columns.timestamp of several columns is text"),
        ({"columns": {"itemid": "visitorid"}}, "columns has visitorid as visitorid and as itemid: name the column of"),
        ({"columns": {"itemid": ["a", "b"]}}, "columns.itemid must be one column"),
        ({"columns": {"timestamp": ["a", "b;c"]}}, "BAD_IDENTIFIER columns.timestamp must be a name"),
        ({"delimiter": '"'}, "delimiter must be text that matches"),
    ],
)
def test_mistakes_of_a_layout(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("(", r"\(")):
        DataLoader(event_filename="a.csv", **parameters)


def test_what_is_for_csv_files_is_refused_elsewhere() -> None:
    for source in ({"event_filename": "a.parquet"}, {"table": "shop.events"}):
        with pytest.raises(ConfigError, match="header is for CSV files: leave it out"):
            DataLoader(header=False, **source)  # type: ignore[arg-type]


def test_a_pattern_of_time_that_is_none_is_refused(log: Path) -> None:
    log.write_text(HEADER + f"{T},7,view,3,x\n")
    with pytest.raises(ConfigError, match=r"CFG_VALUE data_loader\.timestamp_format must be a pattern of Spark's"):
        read(log, timestamp_format="qqqq")


def test_no_count_is_made_of_a_log_without_a_filter(log: Path, spark: SparkSession) -> None:
    log.write_text(HEADER + f"{T},7,view,3,x\n")
    loaded = DataLoader(event_filename=str(log)).load()
    assert loaded.left_out is None
    assert loaded.rows.select(F.count(F.lit(1))).first() == (2,)  # the header is among them, to be counted
