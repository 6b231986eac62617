"""``init`` looks at a log and writes the configuration that loads it, or says in a sentence what is missing."""

import bz2
import gzip
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet
import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st

from recommender.__main__ import main
from recommender.inspect.settings import KEYS
from recommender.run.config import config_schema

# Keys that the reader of events is to have; the test below finds out whether it has them all.
HEADER = "timestamp,visitorid,event,itemid"
ROWS = [(1546300800000 + second * 1000, second % 7, "view", second % 5) for second in range(40)]
LINES = [",".join(map(str, row)) for row in ROWS]


@pytest.fixture
def look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str, dict[str, Any]]]:
    """Return a function that looks at files: (exit code, stdout, stderr, the settings that were written)."""

    def looked(content: Any, name: str = "events.csv", *more: str) -> tuple[int, str, str, dict[str, Any]]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            text = "\n".join(content) if isinstance(content, list) else content
            path.write_text(text, encoding="utf-8")
        output = tmp_path / "written.yaml"
        code = main(["init", str(path), "-o", str(output), "--force", *more])
        captured = capsys.readouterr()
        found = yaml.safe_load(output.read_text(encoding="utf-8")) if output.exists() else {}
        output.unlink(missing_ok=True)
        return code, captured.out, captured.err, flattened(found)

    return looked


def flattened(found: dict[str, Any]) -> dict[str, Any]:
    """Return stage.step.key -> value without the path of the events; of the loader the key alone."""
    named = {
        f"{stage}.{step}.{key}".removeprefix("stage1.data_loader."): value
        for stage, steps in found.items()
        for step, keys in steps.items()
        for key, value in keys.items()
    }
    return {key: value for key, value in named.items() if key != "event_filename"}


def named(path: Path) -> str:
    """Return which files the configuration of a path names."""
    main(["init", str(path), "-o", f"{path}.yaml", "--force"])
    return str(
        yaml.safe_load(Path(f"{path}.yaml").read_text(encoding="utf-8"))["stage1"]["data_loader"]["event_filename"]
    )


def views(**more: Any) -> dict[str, Any]:
    """Return what is written of a log of views, and more."""
    return {"stage1.score_events.score_map": {"view": 1}, **more}


TEXT_IDS = {"id_type": "string", "stage1.train_test_split.column_name": "timestamp"}


def test_a_log_in_the_own_form_needs_little(look: Any) -> None:
    code, out, err, found = look([HEADER, *LINES])
    assert (code, err, found) == (0, "", views())
    assert "Looked at all 40 rows of events.csv: CSV with a header, cells between commas, UTF-8." in out
    assert "40 of 40 rows are fit for use." in out
    assert re.search(r"itemid +itemid +by its name +5 different numbers", out)


def test_the_next_command_is_shown_as_the_job_takes_it(
    look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = look([HEADER, *LINES])[1]
    assert out.endswith(f"\n  ./spark-submit.sh --config {tmp_path}/written.yaml\n")
    monkeypatch.chdir(tmp_path)  # which is not a checkout
    out = look([HEADER, *LINES])[1]
    assert out.endswith(f"\n  python -m recommender run --config {tmp_path}/written.yaml\n")


def test_every_line_has_its_reason_and_only_what_differs_is_written(look: Any, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("\n".join([HEADER, *LINES]))
    main(["init", str(tmp_path / "log.csv"), "-o", str(tmp_path / "e.yaml")])
    text = (tmp_path / "e.yaml").read_text()
    lines = [line for line in text.splitlines() if ": " in line and not line.lstrip().startswith("#")]
    assert all(" # " in line for line in lines)
    assert named(tmp_path / "log.csv") == f"{tmp_path}/log.csv"


def test_columns_are_recognised_by_their_names(look: Any) -> None:
    text = ["event_time,event_type,product_id,category_id,price,user_id,user_session"]
    text += [
        f"2019-10-01 01:14:{s:02} UTC,{'view' if s % 3 else 'cart'},10{s % 9},77,9.5,{s % 4},a-{s}" for s in range(60)
    ]
    code, out, _, found = look(text)
    assert code == 0
    assert found == {
        "columns": {"timestamp": "event_time", "visitorid": "user_id", "event": "event_type", "itemid": "product_id"},
        "timestamp_unit": "iso",
        "stage1.score_events.score_map": {"view": 1, "cart": 5},
    }
    assert "view 40, cart 20" in out
    assert "not used: category_id, price, user_session" in out


@pytest.mark.parametrize(
    ("delimiter", "name"), [("\t", "u.data"), ("::", "ratings.dat"), (",", "r.csv"), (";", "r.txt")]
)
def test_ratings_without_a_header_are_recognised_by_their_values(look: Any, delimiter: str, name: str) -> None:
    rows = [delimiter.join(map(str, (n % 9, 100 + n % 8, n % 5 + 1, 1577906627 + n * 999))) for n in range(50)]
    code, out, _, found = look(rows, name)
    assert code == 0
    assert found.pop("delimiter", ",") == delimiter
    assert found == {
        "header": False,
        "column_names": ["visitorid", "itemid", "rating", "timestamp"],
        "columns": {"weight": "rating"},
        "constant_event": "rating",
        "timestamp_unit": "s",
        "stage1.score_events.score_map": {"rating": 1},
        "stage1.group_scores.aggregate": "last",
        "stage2.als.implicit_prefs": False,
    }
    assert "Without a header columns are guessed by what they hold: check column_names." in out


def test_half_stars_are_learned_from_too(look: Any) -> None:
    rows = [f"{n % 9},{n % 8},{n % 10 / 2 + 0.5},{1577906627 + n}" for n in range(40)]
    assert look(["userId,movieId,rating,timestamp", *rows])[3]["stage1.score_filter.min_score"] == 0.5


def test_the_items_of_amazon_are_recognised_in_either_order(look: Any) -> None:
    rows = [f"B00000{n % 7:04},A{n % 9:013},{n % 5 + 1}.0,{1253282760 + n}" for n in range(40)]
    assert look(rows)[3]["column_names"] == ["itemid", "visitorid", "rating", "timestamp"]


def test_an_amount_weighs_and_returns_are_left_out(look: Any) -> None:
    rows = [f"53{n % 9},85{n % 8}A,{n % 7 - 1},12/{n % 28 + 1}/2010 8:{n % 60:02},178{n % 5}" for n in range(60)]
    _, _, _, found = look(["InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID", *rows])
    assert found["columns"] == {
        "timestamp": "InvoiceDate",
        "visitorid": "CustomerID",
        "itemid": "StockCode",
        "transactionid": "InvoiceNo",
        "weight": "Quantity",
    }
    assert found["timestamp_format"] == "M/d/yyyy H:mm"
    assert found["where"] == "try_cast(`Quantity` AS double) > 0"
    assert (found["constant_event"], found["stage1.group_scores.aggregate"]) == ("transaction", "sum")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (lambda n: 1546300800 + n, {"timestamp_unit": "s"}),
        (lambda n: f"{1546300800 + n}.25", {"timestamp_unit": "s"}),
        (lambda n: (1546300800 + n) * 10**6, {"timestamp_unit": "us"}),
        (lambda n: (1546300800 + n) * 10**9, {"timestamp_unit": "ns"}),
        (lambda n: f"2019-01-01T08:00:{n:02}+01:00", {"timestamp_unit": "iso"}),
        (lambda n: f"2019-01-01 08:00:{n:02}.5", {"timestamp_unit": "iso"}),
        (lambda n: f"201901{n % 28 + 1:02}", {"timestamp_format": "yyyyMMdd"}),
        (lambda n: f"{n % 28 + 1:02}.01.2019 08:15", {"timestamp_format": "d.M.yyyy H:mm"}),
        (lambda n: f"{n % 28 + 1:02}/01/2019 08:15:00 PM", {"timestamp_format": "d/M/yyyy h:mm:ss a"}),
        (lambda n: f"2019/01/{n % 28 + 1:02} 08:15:00.125", {"timestamp_format": "yyyy/M/d H:mm:ss.SSS"}),
        (lambda n: f"{n % 28 + 1}-Jan-2019", {"timestamp_format": "d-MMM-yyyy"}),
    ],
)
def test_the_unit_and_pattern_of_times_are_found(look: Any, written: Any, expected: dict[str, str]) -> None:
    code, out, _, found = look([HEADER, *(f"{written(n)},{n % 7},view,{n % 5}" for n in range(40))])
    assert code == 0
    times = {key: value for key, value in found.items() if key.startswith("timestamp_")}
    assert times == expected
    assert "2019-01-01" in out


def test_a_day_and_a_time_of_day_in_two_columns_are_one_time(look: Any) -> None:
    text = [
        "date,clock,visitorid,event,itemid",
        *(f"2019-01-{n % 28 + 1:02},08:{n:02}:00,{n},view,7" for n in range(40)),
    ]
    assert look(text)[3]["columns"] == {"timestamp": ["date", "clock"]}


def test_a_time_of_day_alone_is_no_time(look: Any) -> None:
    code, _, err, found = look([HEADER, *(f"08:{n:02}:00,{n},view,7" for n in range(40))])
    assert (code, found) == (12, {})
    assert "no column of times was found (a column holds a time of day only, which is not a time)" in err


def test_times_without_a_zone_are_told(look: Any) -> None:
    out = look([HEADER, *(f"2019-01-01 08:00:{n:02},{n},view,7" for n in range(40))])[1]
    assert "The times say no zone and are read as UTC; see data_loader.timezone." in out


def test_an_order_of_day_and_month_that_cannot_be_seen_is_told(look: Any) -> None:
    _, out, _, found = look([HEADER, *(f"0{n % 9 + 1}/0{n % 9 + 1}/2019 08:00,{n},view,7" for n in range(40))])
    assert "timestamp: whether 01/01/2019 begins with the day cannot be seen." in out
    assert found["timestamp_format"] == "d/M/yyyy H:mm"


def test_leading_zeros_make_ids_text(look: Any) -> None:
    code, out, _, found = look([HEADER, *(f"{row[0]},{row[1]},view,0{row[3]}8" for row in ROWS)])
    assert (code, found) == (0, views(**TEXT_IDS))
    assert "id_type: ids have leading zeros, which numbers would lose." in out


def test_ids_of_more_than_64_bits_are_text(look: Any) -> None:
    assert look([HEADER, *(f"{row[0]},922337203685477580{row[1] + 2}9,view,1" for row in ROWS)])[3] == views(**TEXT_IDS)


def test_negative_ids_are_kept_where_they_are_hashes(look: Any) -> None:
    code, _, _, found = look([HEADER, *(f"{row[0]},{(-1) ** n * (n + 7)},view,1" for n, row in enumerate(ROWS))])
    assert (code, found) == (0, views(**{"stage1.event_validator.negative_ids": "keep"}))


def test_rounded_ids_are_refused(look: Any) -> None:
    code, _, err, _ = look([HEADER, *(f"{row[0]},9.{row[1]}E+18,view,1" for row in ROWS)])
    assert code == 13
    assert "7 ids are rounded numbers such as 9.2E+18, which a spreadsheet or pandas writes: different ids" in err


def test_kinds_in_several_ways_are_one(look: Any) -> None:
    kinds = ["view", "View", " VIEW ", "Product Added"]
    _, _, _, found = look([HEADER, *(f"{row[0]},1,{kinds[n % 4]},2" for n, row in enumerate(ROWS))])
    assert found["event_map"] == {"view": "view"}
    assert found["stage1.score_events.score_map"] == {"view": 1, "Product Added": 5}


def test_kinds_that_are_not_known_are_told(look: Any) -> None:
    kinds = ["view", "zoom"]
    _, out, _, found = look([HEADER, *(f"{row[0]},1,{kinds[n % 2]},2" for n, row in enumerate(ROWS))])
    assert found["stage1.score_events.score_map"] == {"view": 1, "zoom": 0}
    assert "score_map: a guess by their names: set what each is worth to you; zoom: not known." in out


def test_a_log_without_kinds_of_events_gets_one(look: Any) -> None:
    _, out, _, found = look(["user,item,ts", *(f"{row[1]},{row[3]},{row[0]}" for row in ROWS)])
    assert found == views(columns={"timestamp": "ts", "visitorid": "user", "itemid": "item"}, constant_event="view")
    assert "constant_event: the log has no kinds of events: each is a view." in out


def test_days_of_purchases_count_twice(look: Any) -> None:
    rows = [f"2018-09-2{n % 3},{n % 2},0{n % 4},0.05" for n in range(40)]
    found = look(["t_dat,customer_id,article_id,price", *rows])[3]
    assert found["stage1.event_deduplicator.keep_duplicates"] is True
    assert found["constant_event"] == "transaction"


def test_lines_before_the_header_are_skipped(look: Any) -> None:
    assert look(["# report", "# 2021", HEADER, *LINES])[3]["skip_rows"] == 2
    assert look(["Report of January", "", HEADER, *LINES])[3]["skip_rows"] == 1  # blank lines do not count
    found = look(["sep=;", HEADER.replace(",", ";"), *(line.replace(",", ";") for line in LINES)])[3]
    assert found == views(delimiter=";")  # the loader knows that line
    found = look(["sep=\t", HEADER.replace(",", "\t"), *(line.replace(",", "\t") for line in LINES)])[3]
    assert found == views(delimiter="\t")


def test_names_that_stand_twice_are_replaced(look: Any) -> None:
    found = look([f"{HEADER},price,price", *(f"{line},1,2" for line in LINES)])[3]
    assert (found["header"], found["skip_rows"]) == (False, 1)
    assert found["column_names"] == [*HEADER.split(","), "price", "price_6"]


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8-sig", {}),
        ("utf-16", {"options": {"encoding": "UTF-16"}}),
        ("utf-16-le", {"options": {"encoding": "UTF-16LE"}}),
        ("windows-1252", {"options": {"encoding": "windows-1252"}}),
    ],
)
def test_encodings_are_found(look: Any, encoding: str, expected: dict[str, Any]) -> None:
    text = "\n".join([HEADER, *(f"{row[0]},{row[1]},view,Käse {row[3]}" for row in ROWS)])
    assert look(text.encode(encoding))[3] == views(**TEXT_IDS, **expected)


@pytest.mark.parametrize(("suffix", "packed"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_compressed_files_are_looked_into(look: Any, suffix: str, packed: Any) -> None:
    assert look(packed("\n".join([HEADER, *LINES]).encode()), f"events.csv.{suffix}")[3] == views()


def test_zstandard_is_looked_into(look: Any) -> None:
    packed = pa.compress("\n".join([HEADER, *LINES]).encode(), "zstd", asbytes=True)
    assert look(packed, "events.csv.zst")[3] == views()


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (gzip.compress(b"a,b"), "events.csv", "its name does not say so; rename it to events.csv.gz"),
        (b"a,b\n1,2\n", "events.csv.gz", "events.csv.gz is not compressed, though its name says gzip"),
        (b"PK\x03\x04rest", "events.xlsx", "is a zip archive or a spreadsheet, which Spark cannot read; unpack it"),
        (gzip.compress(b"timestamp,visitorid\n" * 999)[:40], "e.csv.gz", "e.csv.gz cannot be unpacked"),
        (b"PAR1 but no more", "e.parquet", "e.parquet cannot be read as parquet"),
        (b"no parquet", "e.parquet", "e.parquet is not the parquet file that its name promises"),
        (b"a,b\n1,2\n", "events.csv.tmp", "events.csv.tmp looks unfinished"),
        (bytes(range(32)) * 40, "events.csv", "events.csv is not text in a known encoding; convert it to UTF-8"),
        (b"", "events.csv", "has no events: it has no rows"),
        (f"{HEADER}\n".encode(), "events.csv", "has no events: it has no rows"),
        (b'[{"a": 1}, {"a": 2}]', "e.json", "is one JSON array, but data_loader reads one object per line"),
        (b'{\n "a": 1\n}\n', "e.json", "has JSON objects of several lines"),
        (b'{"a": 1},\n{"a": 2},\n', "e.json", "has a comma after each object; remove it, for example with sed"),
        (b'{"itemid": 1}\n{"ItemID": 2}\n', "e.json", "itemid, ItemID stand in e.json for more than one column"),
        (
            bz2.compress(b"a,b"),
            "e.csv.gz",
            "is compressed with bz2, and its name does not say so; rename it to e.csv.bz2",
        ),
        (
            gzip.compress(bytes(257) + b"ustar"),
            "e.tar.gz",
            "e.tar.gz is a tar archive, which Spark cannot read",
        ),
        (
            '{"itemid": 1}\n'.encode("utf-16"),
            "e.json",
            "e.json is JSON in UTF-16, which is not read by line",
        ),
        (b"\x04\x22\x4d\x18", "e.csv.lz4", "is compressed with lz4, of which Spark reads Hadoop's own form only"),
        (b"a,b\n1,2\n", "12:30.csv", "12:30.csv has a colon in its name, which Spark refuses; rename it"),
        (b"ARROW1\x00\x00", "e.feather", "is an Arrow or Feather file; write it as Parquet"),
        (b"a,b\n1,2\n", "events.csv.filepart", "events.csv.filepart looks unfinished"),
    ],
)
def test_files_that_cannot_be_read_are_told_with_the_way_out(look: Any, content: Any, name: str, expected: str) -> None:
    code, out, err, found = look(content, name)
    assert (code, out, found) == (12, "", {})
    assert expected in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('"he said ""hi"", ok"', {}),
        ('"TV \\"55\\", black"', {"options": {"escape": "\\"}}),
        ('"TV 55" wide"', {"options": {"quote": ""}}),
        ('"one\ntwo"', {"options": {"multiLine": "true"}}),
        ('"plain, quoted"', {}),
    ],
)
def test_quotes_are_taken_as_they_are_meant(look: Any, cell: str, expected: dict[str, Any]) -> None:
    code, _, _, found = look(
        ["timestamp,visitorid,title,event,itemid", *(f"{r[0]},{r[1]},{cell},view,{r[3]}" for r in ROWS)]
    )
    assert (code, found) == (0, views(**expected))


def test_blanks_before_quotes_are_no_part_of_a_cell(look: Any) -> None:
    lines = [", ".join(f'"{cell}"' for cell in line.split(",")) for line in [HEADER, *LINES]]
    assert look(lines)[3] == views(options={"ignoreLeadingWhiteSpace": "true"})


def test_a_header_may_have_a_line_break(look: Any) -> None:
    found = look([f'{HEADER},"note', 'more"', *(f'{line},"a\nb"' for line in LINES)])[3]
    assert found == views(options={"multiLine": "true"})


def test_cells_in_single_quotes_are_read(look: Any) -> None:
    code, _, _, found = look([HEADER, *(f"'{r[0]}','{r[1]}','view','{r[3]}'" for r in ROWS)])
    assert (code, found) == (0, views(options={"quote": "'", "escape": "'"}))


def test_rows_that_end_in_a_delimiter_get_a_column_for_it(look: Any) -> None:
    code, out, _, found = look([HEADER, *(f"{line}," for line in LINES)])
    assert (code, found) == (0, views(header=False, skip_rows=1, column_names=[*HEADER.split(","), "_c4"]))
    assert "40 of 40 rows are fit for use." in out


def test_zeros_at_the_end_of_a_file_do_not_matter(look: Any) -> None:
    assert look("\n".join([HEADER, *LINES]).encode() + bytes(4096))[3] == views()


def test_a_line_break_in_quotes_invents_no_purchase(look: Any) -> None:
    rows = [f'{row[0]},{row[1]},view,{row[3]},"line\n{row[0]},99,transaction,77,x"' for row in ROWS]
    code, out, _, found = look([f"{HEADER},note", *rows])
    assert (code, found) == (0, views(options={"multiLine": "true"}))
    assert "40 of 40 rows are fit for use." in out


def test_an_unclosed_quote_swallows_nothing(look: Any) -> None:
    rows = [f"{line},{'ok' if n != 9 else chr(34) + 'oops'}" for n, line in enumerate(LINES)]
    code, out, _, found = look([f"{HEADER},note", *rows])
    assert (code, found) == (0, views(options={"quote": ""}))
    assert "40 of 40 rows are fit for use." in out


def test_rows_with_too_many_cells_are_told(look: Any) -> None:
    code, _, err, _ = look(
        ["timestamp,visitorid,event,price,itemid", *(f"{r[0]},{r[1]},view,3,50,{r[3]}" for r in ROWS)]
    )
    assert code == 12
    assert "all 40 rows of events.csv have another number of cells than its header" in err
    code, out, err, _ = look([HEADER, *LINES, "1,2,3", "1,2,3"])
    assert code == 13
    assert "2 of the 42 rows looked at are not fit for use: 2 with too many or too few cells, or no JSON" in err
    assert "40 of 42 rows are fit for use" in out


def test_rows_that_are_not_fit_are_counted_by_reason_and_the_way_is_ready(look: Any, tmp_path: Path) -> None:
    bad = [
        "1546300800,1,view,2",
        "1546300800000,NULL,view,2",
        "soon,1,view,2",
        "1546300800000,1,,2",
        "32503680000000,1,view,2",
    ]
    code, out, err, _ = look([HEADER, *LINES, *bad])
    assert code == 13
    for reason in (
        "in 1970",
        "without a visitor or an item",
        "with a time that cannot be read",
        "without a kind",
        "in the future",
    ):
        assert reason in " ".join(out.split())
    assert "5 of the 45 rows looked at are not fit for use" in err
    (tmp_path / "e.csv").write_text("\n".join([HEADER, *LINES, *bad]))
    main(["init", str(tmp_path / "e.csv"), "-o", str(tmp_path / "e.yaml")])
    text = (tmp_path / "e.yaml").read_text()
    assert "  # event_validator:\n  #   max_quarantined: 0.14\n" in text
    allowed = yaml.safe_load(text.replace("# event_validator", "event_validator").replace("#   max", "  max"))
    assert allowed["stage1"]["event_validator"] == {"max_quarantined": 0.14}


def test_a_header_that_is_repeated_is_told(look: Any) -> None:
    code, out, _, found = look([HEADER, *LINES * 3, HEADER, *LINES])
    assert (code, found) == (0, views())
    assert "160 of 161 rows are fit for use; 1 that are the header again." in out


def test_words_for_nobody_are_told(look: Any) -> None:
    out = look([HEADER, *(f"{row[0]},{'anonymous' if n < 9 else row[1]},view,1" for n, row in enumerate(ROWS))])[1]
    assert "9 rows are of the visitor anonymous: if that is nobody, see data_loader.null_words." in out


def test_nested_names_and_arrays_of_json_are_found(look: Any) -> None:
    rows = [
        {"event_timestamp": str((1612069510 + n) * 10**6), "event_name": "view_item", "user": {"id": n % 5}}
        | {"items": [{"item_id": f"G{n % 4}"}, {"item_id": f"G{n % 3}"}] if n else []}
        for n in range(40)
    ]
    code, out, _, found = look([json.dumps(row) for row in rows], "events.jsonl")
    assert code == 0
    assert found == {
        "columns": {
            "timestamp": "event_timestamp",
            "visitorid": "user.id",
            "event": "event_name",
            "itemid": "items.item_id",
        },
        "explode": "items",
        "timestamp_unit": "us",
        **TEXT_IDS,
        "stage1.score_events.score_map": {"view_item": 1},
    }
    assert "1 objects have nothing in items, and make no event." in out
    assert "Looked at all 78 rows" in out


def test_everything_about_an_event_may_stand_in_an_array(look: Any) -> None:
    rows = [{"session": n, "events": [{"aid": n % 7, "ts": 1661200010000 + n, "type": "clicks"}]} for n in range(40)]
    found = look([json.dumps(row) for row in rows], "train.jsonl")[3]
    assert found["columns"] == {
        "timestamp": "events.ts",
        "visitorid": "session",
        "event": "events.type",
        "itemid": "events.aid",
    }


def test_an_id_in_an_array_is_that_of_what_the_array_is_of(look: Any) -> None:
    rows = [{"ts": row[0], "userId": row[1], "items": [{"id": row[3], "price": 5}]} for row in ROWS]
    found = look([json.dumps(row) for row in rows], "carts.jsonl")[3]
    assert (found["explode"], found["columns"]["itemid"]) == ("items", "items.id")


def test_objects_in_single_quotes_are_json_as_spark_takes_them(look: Any) -> None:
    rows = [
        {"reviewerID": "A1", "asin": "007", "overall": n % 5 + 1.0, "unixReviewTime": 1253282760 + n} for n in range(40)
    ]
    code, _, _, found = look([str(row) for row in rows], "loose.json")
    assert (code, found["columns"]["weight"]) == (0, "overall")


def test_a_line_that_is_no_object_is_malformed(look: Any) -> None:
    good = [json.dumps(dict(zip(HEADER.split(","), row, strict=True))) for row in ROWS]
    code, _, err, _ = look([*good, '{"timestamp": 15463008'], "events.json")
    assert code == 13
    assert "1 of the 41 rows looked at are not fit for use: 1 with too many or too few cells, or no JSON" in err


def columnar(path: Path, **columns: Any) -> None:
    named = {name: pa.array([row[n] for row in ROWS]) for n, name in enumerate(HEADER.split(","))}
    write = pyarrow.orc.write_table if path.suffix == ".orc" else pyarrow.parquet.write_table
    write(pa.table({**named, **columns}), path)


@pytest.mark.parametrize("suffix", ["parquet", "orc"])
def test_parquet_and_orc_are_looked_into(look: Any, tmp_path: Path, suffix: str) -> None:
    columnar(tmp_path / f"events.{suffix}", extra=pa.array(range(40)))
    code, out, _, found = look(None, f"events.{suffix}")
    assert (code, found) == (0, views())
    assert "not used: extra" in out


def test_types_of_parquet_say_the_unit_and_the_type(look: Any, tmp_path: Path) -> None:
    times = pa.array([datetime(2019, 1, 1, n % 24) for n in range(40)], pa.timestamp("ns"))
    columnar(tmp_path / "e.parquet", timestamp=times, visitorid=pa.array([512000012.0 + n for n in range(40)]))
    assert look(None, "e.parquet")[3] == views(**TEXT_IDS)
    columnar(tmp_path / "e.parquet", itemid=pa.array([[1, 2]] * 40))
    assert look(None, "e.parquet")[3] == views(explode="itemid")
    columnar(tmp_path / "e.parquet", itemid=pa.array([2.0**25 + n for n in range(40)], pa.float32()))
    assert look(None, "e.parquet")[0] == 13
    columnar(tmp_path / "e.parquet", itemid=pa.array([1.2e18 + n * 1000 for n in range(40)]))
    assert look(None, "e.parquet")[0] == 13


def test_of_a_folder_the_files_with_events_are_taken_and_the_others_named(look: Any, tmp_path: Path) -> None:
    look([HEADER, *LINES], "shop/events.csv")
    look("categoryid,parentid\n1,0\n", "shop/tree.csv")
    code, out, _, _ = look(None, "shop")
    assert code == 0
    assert "Looked at all 40 rows of events.csv" in out
    assert "Left out: tree.csv has no column for visitorid, itemid, timestamp." in out
    assert named(tmp_path / "shop") == f"{tmp_path}/shop/events.csv"
    look([HEADER, *LINES], "shop/more.csv")
    assert named(tmp_path / "shop") == f"{tmp_path}/shop/{{events.csv,more.csv}}"
    (tmp_path / "shop" / "tree.csv").rename(tmp_path / "shop" / "tree.txt")
    assert named(tmp_path / "shop") == f"{tmp_path}/shop/*.csv"


def test_files_with_events_in_several_forms_are_told(look: Any) -> None:
    look([HEADER, *LINES], "shop/a.csv")
    look([line.replace(",", ";") for line in [HEADER, *LINES[:9]]], "shop/b.csv")
    code, out, err, _ = look(None, "shop")
    assert code == 13
    assert "1 files with events, one is b.csv, differ from the rest in format, columns or times and are left out" in err
    assert "Left out: b.csv has another form than the rest." in out


def test_files_at_different_depths_are_told(look: Any) -> None:
    look([HEADER, *LINES], "shop/a.csv")
    look([HEADER, *LINES], "shop/old/b.csv")
    code, _, err, _ = look(None, "shop")
    assert code == 13
    assert "files lie at different depths below the folder, and a run reads those of one depth; move the others" in err


def test_empty_files_and_marks_of_spark_do_not_matter(look: Any) -> None:
    look([HEADER, *LINES], "shop/part-0.csv")
    look("", "shop/_SUCCESS")
    look("", "shop/part-1.csv")
    code, out, _, found = look(None, "shop")
    assert (code, found) == (0, views(file_format="csv"))
    assert "Looked at all 40 rows of part-0.csv" in out


def test_folders_below_a_folder_get_a_glob_and_those_of_partitions_are_columns(look: Any, tmp_path: Path) -> None:
    look([HEADER, *LINES], "days/2019/01/a.csv")
    assert named(tmp_path / "days") == f"{tmp_path}/days/*/*/*"
    rows = [f"{row[0]},{row[1]},{row[3]}" for row in ROWS]
    look(["timestamp,visitorid,itemid", *rows], "hive/event=view/a.csv")
    look(["timestamp,visitorid,itemid", *rows], "hive/event=cart/a.csv")
    found = look(None, "hive")[3]
    assert found["stage1.score_events.score_map"] == {"cart": 5, "view": 1}


def test_tables_of_a_lake_are_not_read_as_plain_files(look: Any, tmp_path: Path) -> None:
    for name, mark in (("delta", "_delta_log/0.json"), ("iceberg", "metadata/v1.metadata.json")):
        (tmp_path / name / "data").mkdir(parents=True)
        columnar(tmp_path / name / "data" / "a.parquet")
        look("{}", f"{name}/{mark}")
        code, out, _, found = look(None, f"{name}/data")
        assert (code, found) == (0, views(file_format=name))
        assert "./spark-submit.sh --packages " in out
        assert "The files may hold rows that the table has deleted; a run reads the table as it is." in out
    (tmp_path / "hudi" / ".hoodie").mkdir(parents=True)
    code, _, err, _ = look(None, "hudi")
    assert code == 12
    assert "is a Hudi table: its files hold deleted and replaced rows too" in err


def test_what_is_missing_is_said_with_the_columns_and_what_to_write(look: Any) -> None:
    text = ["order_id,product_id,reordered", *(f"{n},{n % 7},0" for n in range(40))]
    code, _, err, _ = look(text)
    assert code == 12
    assert (
        "events.csv: no column of visitors and times was found; its columns are order_id, product_id, reordered" in err
    )
    assert "Say which it is with --column visitorid=NAME --column timestamp=NAME" in err


def test_a_column_that_is_named_is_taken(look: Any) -> None:
    text = ["wer,was,wann,wie", *(f"{row[1]},{row[3]},{row[0]},view" for row in ROWS)]
    assert look(text)[0] == 12
    code, _, _, found = look(text, "events.csv", "--column", "visitorid=wer", "--column", "itemid=was")
    assert code == 0
    assert found["columns"] == {"timestamp": "wann", "visitorid": "wer", "itemid": "was"}
    code, _, err, _ = look(text, "events.csv", "--column", "visitorid=wen")
    assert code == 12
    assert "events.csv has no column wen; it has wer, was, wann, wie" in err


@pytest.mark.parametrize("more", [(), ("--column", "timestamp=timestamp")])
def test_times_that_are_not_recognised_are_told(look: Any, more: Any) -> None:
    code, _, err, _ = look([HEADER, *(f'"{row[0]:,}",{row[1]},view,{row[3]}' for row in ROWS)], "events.csv", *more)
    assert code == 12
    assert "events.csv: the values of timestamp are not recognised as times; write them as 2019-01-31T08:30:00" in err


def test_ids_and_weights_that_a_run_refuses_are_told(look: Any, tmp_path: Path) -> None:
    text = [f"{HEADER},stars", *(f'{line},"4,5"' for line in LINES)]
    code, _, err, _ = look(text, "events.csv", "--column", "weight=stars")
    assert (code, "40 with a weight that is not a number" in err) == (13, True)
    columnar(tmp_path / "e.parquet", itemid=pa.array([n % 2 == 0 for n in range(40)]))
    assert "40 whose visitor or item is a list, an object, a time, or true or false" in look(None, "e.parquet")[2]


def test_wrong_arguments_are_told(look: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err, _ = look([HEADER, *LINES], "events.csv", "--column", "who=user")
    assert code == 10
    assert "--column needs OURS=THEIRS, ours one of timestamp, visitorid, event, itemid, transactionid, weight" in err
    (tmp_path / "there.yaml").write_text("mine")
    assert main(["init", str(tmp_path / "events.csv"), "-o", str(tmp_path / "there.yaml")]) == 10
    assert "there.yaml is there already; --force replaces it, or see -o" in capsys.readouterr().err
    assert (tmp_path / "there.yaml").read_text() == "mine"
    assert main(["init", str(tmp_path / "events.csv"), "-o", str(tmp_path / "none" / "e.yaml")]) == 17
    assert "e.yaml cannot be written: No such file or directory" in capsys.readouterr().err
    assert main(["init", str(tmp_path / "nowhere"), "-o", str(tmp_path / "e.yaml")]) == 12
    assert "nowhere does not exist; check the path" in capsys.readouterr().err
    assert main(["init", "s3a://shop/events", "-o", str(tmp_path / "e.yaml")]) == 12
    assert "s3a://shop/events is not on this machine; copy one of its files here" in capsys.readouterr().err


def test_a_name_that_a_configuration_takes_for_a_variable_is_refused(look: Any) -> None:
    code, _, err, _ = look([HEADER, *(f"{row[0]},{row[1]},${{view}},1" for row in ROWS)])
    assert code == 12
    assert "a path, column or kind of event has ${ in its name" in err


def test_no_line_of_an_error_shows_a_row(look: Any) -> None:
    _, out, err, _ = look([HEADER, *LINES, *(f"secret-{n},ann@example.com,view,7" for n in range(9))])
    assert "secret" not in out + err
    assert "ann@" not in out + err


CELL = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "1546300800000", "2019-01-01", "view", "NULL", '"', "a\nb", "1e999", "-1", "9" * 400, "${X}"]),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
)
NAME = st.one_of(st.sampled_from(["visitorid", "itemid", "ts", "event", "rating", "sep=;", "#"]), st.text(max_size=6))


def ends_well(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Look at a path: a configuration that YAML reads, or one sentence."""
    output = path.with_suffix(".yaml")
    output.unlink(missing_ok=True)
    code = main(["init", str(path), "-o", str(output)])
    out, err = capsys.readouterr()
    assert code in {0, 12, 13}, err
    assert (code == 0) == (err == "")
    assert err.count("\n") <= 1
    assert output.exists() == bool(out)
    if code != 12:
        found = yaml.safe_load(output.read_text(encoding="utf-8"))
        assert found["stage1"]["data_loader"]["event_filename"]


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(content=st.binary(max_size=400), name=st.sampled_from(["e.csv", "e.json", "e.parquet", "e.orc", "e.gz", "e"]))
def test_any_bytes_end_with_a_sentence_or_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    ends_well(tmp_path / name, capsys)


@FUZZ
@given(
    names=st.lists(NAME, min_size=1, max_size=6),
    rows=st.lists(st.lists(CELL, max_size=7), max_size=8),
    delimiter=st.sampled_from([",", "\t", "::", ";", "|"]),
)
def test_any_table_ends_with_a_sentence_or_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str], rows: list[list[str]], delimiter: str
) -> None:
    text = "\n".join(delimiter.join(cells) for cells in (names, *rows))
    (tmp_path / "e.csv").write_text(text, encoding="utf-8", errors="replace")
    ends_well(tmp_path / "e.csv", capsys)


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=6,
)


@FUZZ
@given(rows=st.lists(st.dictionaries(NAME, VALUE, max_size=5), max_size=6))
def test_any_objects_end_with_a_sentence_or_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[dict[str, Any]]
) -> None:
    (tmp_path / "e.json").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    ends_well(tmp_path / "e.json", capsys)


def test_every_key_that_is_written_exists() -> None:
    sections = config_schema()["properties"]
    known = {
        f"{stage}.{step}.{key}"
        for stage in ("stage1", "stage2", "stage3")
        for step, keys in sections[stage]["properties"].items()
        for key in keys.get("properties", {})
    }
    assert set(KEYS) <= known
