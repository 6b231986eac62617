"""More of what users bring, several of a kind in one log: each cell is right, or reported."""

import bz2
import datetime
import decimal
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.reading import events, outcomes, read, told, warnings_of

from recommender.errors import ConfigError, InputError, SchemaError
from recommender.sources import files

HEADER = "timestamp,visitorid,event,itemid"
needs_half_floats = pytest.mark.skipif(pa.__version__ < "15", reason="pyarrow 14 cannot write half floats")
T = 1546300800000


@pytest.fixture
def log(tmp_path: Path, spark: SparkSession) -> Path:
    return tmp_path / "events.csv"


def lines(*rows: str, header: str = HEADER) -> str:
    return "".join(f"{row}\n" for row in (header, *rows))


def items(log: Path, cells: list[str], **loader: Any) -> list[Any]:
    """Return the item of each cell, None where it is none."""
    log.write_text(lines(*(f"{T},{place},view,{cell}" for place, cell in enumerate(cells))))
    found = {int(row[1]): row[3] for row in events(log, **loader)}
    return [found.get(place) for place in range(len(cells))]


# Ids


def test_a_number_is_an_id_if_it_is_whole_to_its_last_place(log: Path) -> None:
    exact = {"007": 7, "1e5": 100000, "1.0": 1, "5.": 5, "-0": 0, "+7": 7, " 7 ": 7, "1.5E+1": 15}
    wrong = ["0x1F", "1_000", "9٣", "1e-1", "1E400", "1.00000000000001", "7.000000000000000000001", "1.25E+1"]
    assert items(log, [*exact, *wrong]) == [*exact.values(), *[None] * len(wrong)]


def test_words_that_programs_write_for_nothing_are_no_ids(log: Path) -> None:
    words = ["NA", "N/A", "(null)", "nil", "<NA>", "#N/A", " None ", "NaN", "\\N"]
    assert items(log, [*words, "Na-7", "nilla"], id_type="string") == [*[None] * len(words), "Na-7", "nilla"]
    assert outcomes(log, id_type="string") == {"NULL_ID": len(words), "good": 2}


def test_zeros_that_the_name_of_a_folder_loses_are_reported(tmp_path: Path, spark: SparkSession) -> None:
    for folder in ("itemid=007", "itemid=12"):
        (tmp_path / "log" / folder).mkdir(parents=True)
        (tmp_path / "log" / folder / "a.csv").write_text(f"timestamp,visitorid,event\n{T},a,view\n")
    warnings = warnings_of(read(tmp_path / "log", file_format="csv", id_type="string"))
    assert warnings == ["the folder itemid=007 is read as 7: Spark makes numbers of the names of folders"]


def test_a_number_that_the_name_of_a_folder_seems_to_be_is_reported(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "itemid=1e5").mkdir()
    (tmp_path / "itemid=1e5" / "a.csv").write_text(f"timestamp,visitorid,event\n{T},a,view\n")
    warnings = warnings_of(read(tmp_path, file_format="csv", id_type="string"))
    assert warnings == ["the folder itemid=1e5 is read as 100000: Spark makes numbers of the names of folders"]


def test_decimals_that_are_not_whole_or_too_long_are_no_ids(tmp_path: Path, spark: SparkSession) -> None:
    cells = [decimal.Decimal("3.00"), decimal.Decimal("4.50"), decimal.Decimal(10**30)]
    columns = {"timestamp": [T] * 3, "visitorid": [1, 2, 3], "event": ["view"] * 3}
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({**columns, "itemid": pa.array(cells, pa.decimal128(38, 2))}), path)
    assert outcomes(path) == {"BAD_ID": 2, "good": 1}
    assert [row[3] for row in events(path, id_type="string")] == [str(10**30), "3"][::-1]


# Times


def times(log: Path, cells: list[str], **loader: Any) -> list[int | None]:
    """Return the time of each cell, None where it is none."""
    log.write_text(lines(*(f'"{cell}",{place},view,3' for place, cell in enumerate(cells))))
    found = {row[1]: row[0] for row in events(log, **loader)}
    return [found.get(place) for place in range(len(cells))]


def test_a_time_of_iso_may_lack_its_seconds_and_nothing_else_of_a_full_date(log: Path) -> None:
    exact = [
        "2019-01-01 00:00",
        "2019-1-1 0:00",
        "2019-01-01T00:00Z",
        "2019-01-01T01:00+01:00",
        "2019-01-01T01:00:00+0100",
    ]
    wrong = ["2019-01-01 01:00 PM", "2019-01-01 24:00", "2019-02-30", "20190101", "2019-W01-1", "now", "2019-01-01Tnow"]
    assert times(log, [*exact, *wrong], timestamp_unit="iso") == [*[T] * len(exact), *[None] * len(wrong)]


def test_seconds_with_a_fraction_keep_their_milliseconds(log: Path) -> None:
    cells = {"1546300800.0": T, "1546300801.999999": T + 1999, "1.546300802e9": T + 2000, "NaN": None}
    assert times(log, [*cells], timestamp_unit="s") == [*cells.values()]


@pytest.mark.parametrize(
    ("unit", "rows", "reasons"),
    [
        ("ms", [T, T * 1000, T * 10**6, T // 1000], {"FUTURE_TIMESTAMP": 2, "ZERO_TIMESTAMP": 1}),
        ("s", [T // 1000, T, T * 10**6], {"FUTURE_TIMESTAMP": 1, "BAD_TIMESTAMP": 1}),
        ("us", [T * 1000, T // 1000, T * 10**6], {"ZERO_TIMESTAMP": 1, "FUTURE_TIMESTAMP": 1}),
    ],
)
def test_rows_in_another_unit_are_kept_apart(log: Path, unit: str, rows: list[int], reasons: dict[str, int]) -> None:
    log.write_text(lines(*(f"{row},{place},view,3" for place, row in enumerate(rows))))
    assert outcomes(log, timestamp_unit=unit) == {**reasons, "good": 1}


def test_a_pattern_of_time_is_one_of_whole_numbers_too(tmp_path: Path, spark: SparkSession) -> None:
    columns = {"timestamp": [20190101, 20190102, 20191301], "visitorid": [1, 2, 3], "event": ["view"] * 3}
    pq.write_table(pa.table({**columns, "itemid": [1, 2, 3]}), tmp_path / "events.parquet")
    found = events(tmp_path / "events.parquet", timestamp_format="yyyyMMdd")
    assert [row[0] for row in found] == [T, T + 86_400_000]
    found = events(tmp_path / "events.parquet", timestamp_format="yyyyMMdd", since="2019-01-01T12:00:00Z")
    assert [row[0] for row in found] == [T + 86_400_000]


# Weights


def test_a_weight_is_a_number_as_people_write_it(log: Path) -> None:
    cells = {"1": 1.0, " 3 ": 3.0, "1e2": 100.0, "2.": 2.0, ".5": 0.5}
    wrong = ["1d", "2f", "5 stars", "true", "0x10", "1e400", "-inf", "nan"]
    rows = [f"{T},{place},3,{cell}" for place, cell in enumerate([*cells, *wrong])]
    log.write_text(lines(*rows, header="timestamp,visitorid,itemid,stars"))
    rated: dict[str, Any] = {"constant_event": "rating", "columns": {"weight": "stars"}}
    assert outcomes(log, **rated) == {"BAD_WEIGHT": len(wrong), "good": len(cells)}
    assert [row[4] for row in events(log, **rated)] == [*cells.values()]


# Rows and their cells


def test_rows_of_a_compressed_file_are_compared_with_its_header(tmp_path: Path, spark: SparkSession) -> None:
    text = lines(f"{T},1,view,3,x,", f"{T},2,view,3,x", f"{T},3,view,3,x,,", header=f"{HEADER},note,")
    (tmp_path / "events.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert told(tmp_path / "events.csv.gz") == {"MALFORMED": 2, "good": 1}


def test_a_line_inside_of_a_quoted_cell_that_looks_like_a_row_is_reported(log: Path) -> None:
    log.write_text(lines(f'{T},1,view,3,"one', f"{T},9,transaction,77,two", 'three"', header=f"{HEADER},note"))
    found = read(log)
    assert found.quarantined == {"MALFORMED": 2}
    sentence = "2 rows have a quote that is not closed in their line, so a line after one may be part of a cell and no"
    assert [warning[: len(sentence)] for warning in warnings_of(found)] == [sentence]
    assert events(log, options={"multiLine": "true"}) == [(T, 1, "view", 3)]
    log.write_text(lines(f"{T},1,view,3,one", f"{T},9,view", header=f"{HEADER},note"))
    assert warnings_of(read(log)) == []


@pytest.mark.parametrize(
    ("encoding", "text"), [("UTF-16LE", "茶"), ("UTF-32", "茶"), ("koi8-r", "чай"), ("ISO-8859-15", "5€")]
)
def test_an_encoding_that_is_named_is_read(log: Path, encoding: str, text: str) -> None:
    log.write_bytes(lines(f"{T},7,view,{text}").encode(encoding))
    assert events(log, id_type="string", options={"encoding": encoding}) == [(T, "7", "view", text)]


def test_bytes_that_are_no_characters_are_never_an_id(log: Path) -> None:
    log.write_bytes(lines(f"{T},7,view,café", f"{T},8,view,tea").encode("latin-1"))
    assert outcomes(log, id_type="string") == {"ENCODING": 1, "good": 1}


def test_parents_that_are_missing_or_no_objects_leave_no_id(tmp_path: Path, spark: SparkSession) -> None:
    own = [{"id": 5}, {}, None, "x", [1], {"id": {"a": 1}}, {"id": [7]}]
    rows = [{"timestamp": T, "visitorid": "a", "event": "view", "p": parent} for parent in own]
    path = tmp_path / "events.jsonl"
    path.write_text("\ufeff" + "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    reasons = {"MALFORMED": 2, "BAD_ID": 2, "NULL_ID": 2, "good": 1}
    assert told(path, columns={"itemid": "p.id"}, id_type="string") == reasons


# Files and folders


def test_files_of_a_folder_are_read_each_by_its_header(tmp_path: Path, spark: SparkSession) -> None:
    files = {
        "a.csv": lines(f"{T},1,view,3"),
        "b.csv": lines(f"4,view,{T},2,x", header="itemid,event,timestamp,visitorid,more"),
        "empty.csv": "",
        "header.csv": lines(),
        ".hidden.csv": lines(f"{T},99,view,9"),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = read(tmp_path)
    assert (found.rows, found.good, found.quarantined) == (2, 2, {})
    headers, empty = warnings_of(found)
    assert headers.endswith("have 2 different headers; cells are found by name")
    assert empty.startswith("1 files of ")


def test_a_file_beside_folders_of_partitions_is_refused(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "day=1").mkdir()
    for name in ("a.csv", "day=1/b.csv"):
        (tmp_path / name).write_text(lines(f"{T},1,view,3"))
    with pytest.raises(InputError, match=r"UNEXPECTED_FILE \S+/a\.csv does not lie in folders named as those of \S+/b"):
        read(tmp_path, file_format="csv")


def test_folders_of_partitions_that_a_glob_or_path_names_make_columns(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "event=view").mkdir()
    (tmp_path / "event=view" / "a.csv").write_text(f"timestamp,visitorid,itemid\n{T},1,3\n")
    (tmp_path / "event=view" / "a.jsonl").write_text(f'{{"timestamp": {T}, "visitorid": 1, "itemid": 3}}\n')
    for name in ("event=*/*.csv", "event=view/a.csv", "event=view/*.jsonl"):
        assert events(tmp_path / name) == [(T, 1, "view", 3)]


@pytest.mark.parametrize(("name", "taken"), [("a.csv", "files"), ("a.parquet", "folders")])
def test_a_column_that_folders_are_named_after_as_well_is_reported(
    tmp_path: Path, spark: SparkSession, name: str, taken: str
) -> None:
    (tmp_path / "event=view").mkdir()
    path = tmp_path / "event=view" / name
    if taken == "files":
        path.write_text(lines(f"{T},1,cart,3"))
    else:
        pq.write_table(pa.table({"timestamp": [T], "visitorid": [1], "event": ["cart"], "itemid": [3]}), path)
    found = read(tmp_path)
    assert [row.event for row in found.good_events] == ["cart" if taken == "files" else "view"]  # type: ignore[attr-defined]
    sentence = f"event is in the files and in the names of their folders, as in event=view; the {taken}' is taken"
    assert warnings_of(found) == [sentence]


def test_an_empty_file_among_those_of_parquet_is_reported(tmp_path: Path, spark: SparkSession) -> None:
    pq.write_table(
        pa.table({"timestamp": [T], "visitorid": [1], "event": ["view"], "itemid": [3]}), tmp_path / "a.parquet"
    )
    (tmp_path / "b.parquet").write_bytes(b"")
    found = read(tmp_path)
    assert found.rows == 1
    (warning,) = warnings_of(found)
    assert re.fullmatch(r"1 files of \S+ are empty, one is \S+b\.parquet", warning)


def test_options_of_a_folder_are_those_of_the_format_of_its_files(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "part-0.csv").write_text(lines(f'{T},1,view,"TV \\"55\\""'))
    assert events(tmp_path / "log", id_type="string", options={"escape": "\\"}) == [(T, "1", "view", 'TV "55"')]
    with pytest.raises(ConfigError, match=r"data_loader\.options\.mergeSchema is not an option of Spark's csv reader"):
        read(tmp_path / "log", options={"mergeSchema": "true"})


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("time", pa.array([datetime.time(1, 2)], pa.time64("us"))),
        pytest.param("half", pa.array([np.float16(1)], pa.float16()), marks=needs_half_floats),
    ],
)
def test_a_type_that_spark_cannot_read_is_reported(tmp_path: Path, spark: SparkSession, name: str, column: Any) -> None:
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"timestamp": [T], "visitorid": [1], "event": ["view"], "itemid": [3], name: column}), path)
    with pytest.raises(SchemaError, match=r"SCHEMA_TYPE \S+ has a column of a type that Spark cannot read.*; write it"):
        read(path)


def test_a_type_that_is_younger_than_the_parquet_of_spark_35_is_reported() -> None:
    said = '... because the return value of "org.apache.parquet.format.LogicalType.getSetField()" is null'
    told = files._mistake(RuntimeError(f"[CANNOT_READ_FILE_FOOTER] a.parquet {said}"), "a.parquet", "parquet", {})
    assert str(told).startswith("SCHEMA_TYPE a.parquet has a column of a type that Spark cannot read; write it")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "e.csv",
            f"{T},7,view,7\n".encode(),
            r"e\.csv has values, and no names of columns; see data_loader\.header",
        ),
        (
            "e.csv",
            f"ann\t{T}\t5\n".encode(),
            r"e\.csv has values, and no names of columns; see data_loader\.header and",
        ),
        ("e.csv", b'{"timestamp": 1}\n', r"e\.csv has values, and no names of columns; see data_loader\.file_format"),
        (
            "e.csv",
            HEADER.replace(",", ";").encode(),
            r"found \[timestamp;visitorid;.*; see data_loader\.delimiter",
        ),
        (
            "e.csv",
            gzip.compress(lines().encode()),
            r"e\.csv is packed with gzip, though its name does not say",
        ),
        (
            "e.csv.gz",
            bz2.compress(lines().encode()),
            r"e\.csv\.gz is not packed as the end of its name says",
        ),
        (
            "e.csv.lz4",
            b"\x04\x22\x4d\x18" + bytes(99),
            r"e\.csv\.lz4 has 103 bytes, and Spark reads no row from",
        ),
        ("e.xlsx", b"PK\x03\x04", r"e\.xlsx has a format that Spark does not read here; save the sheet as CSV"),
        ("12:30.csv", lines().encode(), r"12:30\.csv has a colon in its name, which Spark refuses; rename it"),
        (
            "e.csv",
            lines().encode("utf-16-le"),
            r"e\.csv is not a header in the encoding that is set; see .*encoding",
        ),
    ],
)
def test_a_file_that_is_something_else_is_named_with_the_way_out(
    tmp_path: Path, spark: SparkSession, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    options = {"encoding": "UTF-16"} if b"\x00" in content[:3] else {}
    with pytest.raises(InputError, match=sentence):
        read(tmp_path / name, allow_empty=False, options=options)


def test_json_in_wide_characters_is_refused(tmp_path: Path, spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match=r"JSON is read line by line, which a file in UTF-16 .*; convert it to UTF-8"):
        read(tmp_path / "e.json", options={"encoding": "UTF-16"})


def test_a_line_that_the_reader_refuses_is_reported_without_its_text() -> None:
    said = (
        "com.univocity.parsers.common.TextParsingException: Index 20481 out of bounds, parsed content: ann@example.org"
    )
    told = files._mistake(RuntimeError(said), "e.csv", "csv", {})
    assert str(told).startswith("INPUT_CORRUPT e.csv has a line with more cells, or a longer one, than Spark's reader")
    assert "ann" not in str(told)


# Filters


def test_a_filter_is_not_asked_about_the_names_above_the_cells(log: Path) -> None:
    log.write_text(lines(f"{T},7,view,3,5", f"{T},8,view,4,1", header=f"{HEADER},price"))
    assert [row[1] for row in events(log, where="int(price) > 2")] == [7]


def test_a_filter_that_keeps_nothing_or_fails_is_named_without_a_row(log: Path) -> None:
    log.write_text(lines(f"{T},7,view,3,cheap", header=f"{HEADER},price"))
    with pytest.raises(InputError, match=r"has no events for the condition data_loader\.where"):
        read(log, where="price = 'dear'", allow_empty=False)
    with pytest.raises(
        InputError, match=r"SOURCE_QUERY \S+ fails on a row, with CAST_INVALID_INPUT; write it with"
    ) as raised:
        read(log, where="int(price) > 2")
    assert "cheap" not in str(raised.value)


def test_a_log_of_which_nothing_is_fit_for_use_has_its_reasons_in_the_error(log: Path) -> None:
    log.write_text(lines(f"{T},7,view", f"{T},x,view,3"))
    with pytest.raises(InputError, match=r"no event that is fit for use: of 2 rows MALFORMED 1, BAD_ID 1$"):
        read(log, allow_empty=False)
