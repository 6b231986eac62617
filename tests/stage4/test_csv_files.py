"""The recommendations as CSV, for people."""

import csv
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from recommender.publishing.target import Version
from recommender.stage4.steps import CsvFiles, ParquetFiles, csv_files

SCHEMA = "visitorid string, rank int, itemid string, score float, source string"
VERSION = Version("stage4", 3, "5ee8" * 8, "monday")
DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"]
HARMLESS = ["plain", "a=b", 'quoted "x", y', "two\nlines", "", " leading", "trailing ", "'already", "löwe"]


def export(spark: SparkSession, folder: Path, rows: list[tuple[Any, ...]], step: Any = CsvFiles) -> Path:
    """Return the folder that the channel names."""
    delivering = step(path=str(folder / "out"))
    target = delivering.target({})
    delivering.execute(spark.createDataFrame(rows, SCHEMA).repartition(2), target, VERSION, "live")
    target.show(VERSION, "live", 0)
    return folder / "out" / str(target.current("live"))


def cells(folder: Path) -> list[list[str]]:
    """Return the cells of all files, by another reader than Spark; each begins with the names of the columns."""
    found = []
    for path in sorted(folder.glob("part-*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["visitorid", "rank", "itemid", "score", "source"]
        found += rows
    return found


def test_59_what_a_spreadsheet_would_take_for_a_formula_gets_a_quote(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(f"v{n:02}", 1, item, 0.5, "als") for n, item in enumerate(DANGEROUS)]
    assert [row[2] for row in cells(export(spark, tmp_path, rows))] == [f"'{item}" for item in DANGEROUS]


def test_59_visitors_are_defused_too_and_numbers_stay_numbers(spark: SparkSession, tmp_path: Path) -> None:
    rows = cells(export(spark, tmp_path, [("=cmd|' /C calc'!A0", 1, "tea", -0.5, "als")]))
    assert rows == [["'=cmd|' /C calc'!A0", "1", "tea", "-0.5", "als"]]


def test_other_texts_stay_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(f"v{n:02}", 1, item, 0.5, "als") for n, item in enumerate(HARMLESS)]
    assert [row[2] for row in cells(export(spark, tmp_path, rows))] == HARMLESS


def test_rows_are_in_the_order_of_visitors_and_places(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(visitor, rank, "tea", 0.5, "als") for rank in (2, 1) for visitor in ("bob", "ann")]
    found = [(row[0], int(row[1])) for row in cells(export(spark, tmp_path, rows))]
    assert found == [("ann", 1), ("ann", 2), ("bob", 1), ("bob", 2)]


def test_a_file_has_no_more_rows_than_a_spreadsheet_opens(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "_ROWS_PER_FILE", 2)
    folder = export(spark, tmp_path, [(f"v{n}", 1, "tea", 0.5, "als") for n in range(7)])
    assert len(cells(folder)) == 7
    assert all(len(path.read_text().splitlines()) <= 3 for path in folder.glob("part-*.csv"))


def test_parquet_has_the_same_rows_and_types(spark: SparkSession, tmp_path: Path) -> None:
    rows = [("ann", 1, "=1+1", 0.5, "als"), ("bob", 1, "tea", 0.25, "popular")]
    found = spark.read.parquet(str(export(spark, tmp_path, rows, ParquetFiles)))
    assert sorted(tuple(row) for row in found.collect()) == rows
    assert found.dtypes == spark.createDataFrame(rows, SCHEMA).dtypes


def test_a_version_can_be_read_as_a_partition(spark: SparkSession, tmp_path: Path) -> None:
    folder = export(spark, tmp_path, [("ann", 1, "tea", 0.5, "als")], ParquetFiles)
    found = spark.read.parquet(str(tmp_path / "out" / "recommendations"))
    assert [row["version"] for row in found.collect()] == [folder.name.removeprefix("version=")]
