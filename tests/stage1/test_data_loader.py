"""Events are found by the names of their columns, and what is wrong with a file is said in one sentence."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.errors import ConfigError, InputError, SchemaError
from recommender.stage1.steps import DataLoader

HEADER = "timestamp,visitorid,event,itemid,transactionid\n"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def load(path: Path, **parameters: Any) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in DataLoader(event_filename=str(path), **parameters).execute().collect())


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


def test_ids_beyond_int32_are_kept(csv: Path) -> None:
    csv.write_text(HEADER + f"5,{2**62},view,{2**40},\n")
    assert load(csv) == [(5, 2**62, "view", 2**40, None)]


def test_a_missing_file_is_named(csv: Path) -> None:
    with pytest.raises(InputError, match=r"INPUT_NOT_FOUND .*events\.csv does not exist; see data_loader"):
        load(csv)


@pytest.mark.parametrize("text", ["", HEADER])
def test_a_file_without_events_is_named(csv: Path, text: str) -> None:
    csv.write_text(text)
    with pytest.raises(InputError, match=r"INPUT_EMPTY .*events\.csv has no events"):
        load(csv)


def test_an_empty_folder_is_named(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "events").mkdir()
    with pytest.raises(InputError, match=r"INPUT_EMPTY .*events has no events"):
        load(tmp_path / "events")


def test_a_missing_column_is_named_with_those_that_are_there(csv: Path) -> None:
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
    with pytest.raises(InputError, match=r"INPUT_CORRUPT .*events\.parquet cannot be read as Parquet"):
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
