"""The files below a path, and how to make Spark read exactly these.

Example usage:
>>> print(literal("/logs/day[1].csv").replace(chr(92), "|"))
/logs/day|[1|].csv
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from recommender.errors import InputError
from recommender.sources.loaded import FILE, shown

# A file that cannot be read is an error, whatever the session says.
STRICT: Final = {"ignoreCorruptFiles": "false", "ignoreMissingFiles": "false"}
HINT: Final = "see data_loader"
_KEY = f"{HINT}.event_filename"

_UNFINISHED = (
    *(".tmp", ".temp", ".part", ".partial", ".filepart", ".inprogress", ".crdownload", ".download"),
    *("._copying_", ".swp", "~"),
)
# Ends of names of files that Spark does not read, or reads as something else -> what to do.
_FOREIGN = {
    (".xz", ".lzma", ".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.zst"): "unpack it",
    (".xlsx", ".xls", ".ods"): "save the sheet as CSV",
    (".avro", ".feather", ".arrow"): "write it as Parquet",
}
# What a text begins with whose bytes are not those of a text -> what it is, and what to do.
_PACKED = {
    "\x1f\ufffd": ("packed with gzip", "give it a name that ends in .gz"),
    "BZh": ("packed with bzip2", "give it a name that ends in .bz2"),
    "(\ufffd/\ufffd": ("packed with zstd", "give it a name that ends in .zst"),
    "\ufffd7zXZ": ("packed with xz", "unpack it"),
    "PK\x03\x04": ("a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    "PAR1": ("Parquet", "set data_loader.file_format to parquet"),
    "ORC": ("ORC", "set data_loader.file_format to orc"),
}
_EMPTY_PACKED = 64  # bytes; nothing at all takes fewer in each way of packing
_FILES_AT_ONCE = 8
_Found = TypeVar("_Found")


def listed(spark: SparkSession, path: str) -> list[str]:
    """Return the files that will be read; the listing runs no Spark job.

    Raises:
        InputError: there is none (INPUT_EMPTY), or one looks unfinished or would be left out (UNEXPECTED_FILE).
    """

    def found(recursive: bool) -> list[str]:
        reader = spark.read.format("binaryFile").option("recursiveFileLookup", str(recursive).lower())
        return sorted(unquote(file) for file in reader.load(path).inputFiles())

    if path.lower().startswith(("http://", "https://")):
        raise InputError("INPUT_NOT_FOUND", f"{path} is an address of the web, which Spark cannot read", "download it")
    files, below = found(False), found(True)
    for file in (*files, *below):
        if file.lower().endswith(_UNFINISHED):
            advice = "remove it, or name the finished files with a glob"
            raise InputError("UNEXPECTED_FILE", f"{file} looks unfinished", advice, _KEY)
        if file.startswith("file:") and ":" in file.rpartition("/")[2]:
            raise InputError("UNEXPECTED_FILE", f"{file} has a colon in its name, which Spark refuses", "rename it")
        advice = next((way for ends, way in _FOREIGN.items() if file.lower().endswith(ends)), "")
        if advice:
            raise InputError("SOURCE_FORMAT", f"{file} has a format that Spark does not read here", advice)
    nested = sorted(set(below) - set(files))
    if nested:
        fault = f"{nested[0]} lies in a folder inside the input, which is not read"
        raise InputError("UNEXPECTED_FILE", fault, "move it, or name it with a glob", _KEY)
    _check_folders(path, files)
    if not files:
        raise InputError("INPUT_EMPTY", f"{path} has no rows: there is no file in it", _KEY)
    return files


def no_text(place: str, first: str, options: str) -> InputError:
    """Return the error of a file or folder that is not text, by its first line.

    >>> print(no_text("events.csv", "\\x1f\\ufffd\\x08", "encoding"))
    ENCODING events.csv is packed with gzip, though its name does not say so; give it a name that ends in .gz
    """
    if "ustar" in first:
        return InputError("ENCODING", f"{place} is a tar archive, though its name does not say so", "unpack it")
    for begin, (kind, advice) in _PACKED.items():
        if first.startswith(begin):
            return InputError("ENCODING", f"{place} is {kind}, though its name does not say so", advice)
    fault = f"{place} is not UTF-8 text: its first line has bytes that are not characters"
    return InputError("ENCODING", fault, "convert the file", f"or {HINT}.options ({options})")


def check_packed(spark: SparkSession, file: str) -> None:
    """Refuse a packed file that has bytes, and from which Spark reads nothing.

    Raises:
        InputError: it is packed in another way than its name says (INPUT_CORRUPT).
    """
    (size,) = spark.read.format("binaryFile").load(literal(file)).select("length").first() or (0,)
    if size > _EMPTY_PACKED:
        advice = "of lz4 and snappy it reads Hadoop's own form only: pack the file with gzip or zstd"
        raise InputError("INPUT_CORRUPT", f"{file} has {size:,} bytes, and Spark reads no row from them", advice)


def of_each(files: Sequence[str], look: Callable[[str], _Found]) -> dict[str, _Found]:
    """Return what there is in each of the files, several looked at side by side."""
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        return dict(zip(files, pool.map(look, files), strict=True))


def literal(file: str) -> str:
    """Return the name of one file as a glob that matches it alone."""
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", file)


def base_of(path: str, files: Sequence[str]) -> dict[str, str]:
    """Return the option that makes columns of folders such as day=1, also if a path or glob names them.

    >>> base_of("/logs/day=*/*.csv", []), base_of("/logs", ["a", "b"]), base_of("/logs/*.csv", ["a", "b"])
    ({'basePath': '/logs'}, {'basePath': '/logs'}, {})
    """
    base, keyed, _ = re.split(r"(/[^/=]+=)", path, maxsplit=1) if re.search(r"/[^/=]+=", path) else (path, "", "")
    if any(sign in base for sign in "*?[{") or (not keyed and len(files) == 1):
        return {}
    return {"basePath": base}


def twice(files: Sequence[str], columns: Iterable[str], taken: str) -> list[str]:
    """Return a sentence about columns that files have, and that their folders are named after as well.

    >>> twice(["/logs/event=view/a.csv"], ["itemid", "event"], "files")
    ["event is in the files and in the names of their folders, as in event=view; the files' is taken"]
    """
    found = {name: re.search(rf"/({re.escape(name)}=[^/]*)/", files[0]) for name in dict.fromkeys(columns)}
    sentence = "{} is in the files and in the names of their folders, as in {}; the {}' is taken"
    return [sentence.format(name, match[1], taken) for name, match in found.items() if match]


def _check_folders(path: str, files: Sequence[str]) -> None:
    """Refuse files beside folders such as day=1: Spark would not read them."""
    of_keys: dict[tuple[str, ...], str] = {}
    for file in files:
        of_keys.setdefault(tuple(re.findall(r"/([^/=]+)=[^/]*(?=/)", file)), file)
    if len(of_keys) > 1 and not any(sign in path for sign in "*?[{"):
        less, more = (of_keys[keys] for keys in sorted(of_keys, key=len)[:: len(of_keys) - 1])
        fault = f"{less} does not lie in folders named as those of {more}, so it would not be read with them"
        raise InputError("UNEXPECTED_FILE", fault, "move it, or name the files with a glob", _KEY)


def place() -> Column:
    """Return the file that a row comes from."""
    return F.col("_metadata.file_path")


def with_place(rows: DataFrame) -> DataFrame:
    """Return rows with the file that each comes from."""
    return rows.withColumn(FILE, place())


def lacking(columns: Mapping[str, Sequence[str]], wanted: Sequence[str]) -> list[str]:
    """Return a sentence for each set of wanted columns that some files have and others have not.

    >>> lacking({"a.csv": ["x", "y"], "b.csv": ["x"], "c.csv": ["x"]}, ["x", "y", "z"])
    ['2 files, one is b.csv, have no column y']
    """
    somewhere = {name for its_columns in columns.values() for name in its_columns}
    by_lack: dict[tuple[str, ...], list[str]] = {}
    for file, its_columns in columns.items():
        lack = tuple(name for name in wanted if name in somewhere and name not in its_columns)
        by_lack.setdefault(lack, []).append(file)
    return [
        f"{len(files):,} files, one is {files[0]}, have no column {shown(list(lack))}"
        for lack, files in by_lack.items()
        if lack
    ]
