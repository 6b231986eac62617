"""Find the files below a path, and what they are by their first bytes.

Example usage:
>>> compression_of(b"\\x1f\\x8b\\x08"), compression_of(b"timestamp,"), named_compression("a/events.csv.gz")
('gzip', None, 'gzip')
"""

import glob
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from recommender.errors import InputError

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIXES = {"gz": "gzip", "gzip": "gzip", "bz2": "bz2", "zst": "zstd"}
_FOREIGN = {
    b"PK\x03\x04": "is a zip archive or a spreadsheet, which Spark cannot read; unpack it, or save the sheet as CSV",
    b"\xfd7zXZ": "is compressed with xz, which Spark cannot read; unpack it with xz -d, or compress it with gzip",
    b"7z\xbc\xaf": "is a 7z archive, which Spark cannot read; unpack it",
    b"SQLite format 3": "is an SQLite database; export the table as CSV",
    b"Obj\x01": "is an Avro file; write it as Parquet, or read it with data_loader.query",
    b"\xd0\xcf\x11\xe0": "is an old Excel sheet; save it as CSV",
    b"\x04\x22\x4d\x18": "is compressed with lz4, of which Spark reads Hadoop's own form only; use gzip or zstd",
    b"ARROW1": "is an Arrow or Feather file; write it as Parquet",
    b"PARE": "is encrypted Parquet; write it without encryption, or read it with data_loader.query",
}
_UNFINISHED = (
    *(".tmp", ".temp", ".part", ".partial", ".filepart", ".inprogress", ".crdownload", ".download"),
    *("._copying_", ".swp", "~"),
)
_MOST_FILES = 10_000
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # in the name of a folder, for null


@dataclass(frozen=True)
class Place:
    """Where the events are."""

    path: str  # absolute path or glob, as the configuration takes it
    files: list[Path]  # the files below it, those that Spark skips left out
    lake: str | None = None  # delta or iceberg, if the files belong to such a table
    notes: list[str] = field(default_factory=list)  # what the user should know


def found_at(given: str) -> Place:
    """Return the place that a path, folder or glob names; raise an InputError if nothing there can be looked at."""
    name = given.removeprefix("file://") if given.startswith("file:///") else given
    if re.match(r"\w[\w+.-]*://", name):
        sentence = f"{given} is not on this machine; copy one of its files here and look at that"
        raise InputError("INPUT_NOT_FOUND", f"{sentence}, then write the real place as event_filename into the YAML")
    path = Path(os.path.abspath(Path(name).expanduser())) if "\x00" not in name else Path("/\x01")  # noqa: PTH100
    if not path.exists():
        matches = [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207 - of an absolute path
        if not matches:
            raise InputError("INPUT_NOT_FOUND", f"{given} does not exist; check the path")
        return Place(str(path), [file for match in matches for file in _below(match)])
    table = _lake(path)
    if table is not None:
        return table
    files = _below(path)
    if not files:
        raise InputError("INPUT_EMPTY", f"{given} has no files with events")
    return Place(literal(path), files) if path.is_file() else _folder(path, files)


def literal(path: Path | str) -> str:
    """Return a name as a glob that matches it alone.

    >>> print(literal("/logs/day[1].csv").replace(chr(92), "|"))
    /logs/day|[1|].csv
    """
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", str(path))


def folders_of(file: Path) -> dict[str, str | None]:
    """Return the columns that folders such as day=2026-01-31 give the rows of a file; Spark makes numbers of them."""
    found = dict(part.split("=", 1) for part in file.parts[:-1] if re.fullmatch(r"[^=]+=[^=]*", part))
    values = {name: str(int(text)) if text.isdecimal() else unquote(text) for name, text in found.items()}
    return {name: None if text == _NO_VALUE else text for name, text in values.items()}


def compression_of(head: bytes) -> str | None:
    """Return how bytes are compressed, by the first of them."""
    return next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), None)


def named_compression(name: str) -> str | None:
    """Return how a file is compressed, by the end of its name."""
    return _SUFFIXES.get(name.lower().rsplit(".", 1)[-1])


def check_kind(file: Path, head: bytes) -> None:
    """Refuse a file that Spark cannot read, or would read as something else than it is."""
    for magic, sentence in _FOREIGN.items():
        if head.startswith(magic):
            raise InputError("INPUT_FORMAT", f"{file.name} {sentence}")
    inside, named = compression_of(head), named_compression(file.name)
    suffix = {"gzip": "gz", "zstd": "zst"}
    if inside and named != inside:
        stem = file.name.rpartition(".")[0] if named else file.name
        wanted = f"{stem}.{suffix.get(inside, inside)}"
        sentence = f"{file.name} is compressed with {inside}, and its name does not say so; rename it to {wanted}"
        raise InputError("INPUT_FORMAT", sentence)
    if named and not inside and head:
        raise InputError("INPUT_FORMAT", f"{file.name} is not compressed, though its name says {named}; rename it")
    if ":" in file.name:
        raise InputError("UNEXPECTED_FILE", f"{file.name} has a colon in its name, which Spark refuses; rename it")
    if file.name.lower().endswith(_UNFINISHED):
        raise InputError("UNEXPECTED_FILE", f"{file.name} looks unfinished; remove it, or name the finished files")


def _below(path: Path) -> list[Path]:
    """Return the files at or below a path; what begins with a dot or an underscore is skipped, as Spark does."""
    if path.is_file():
        return [path]
    files: list[Path] = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name[0] not in "._" or "=" in name)
        files += [Path(folder, name) for name in sorted(names) if name[0] not in "._"]
        if len(files) > _MOST_FILES:
            break
    return [file for file in files if file.is_file()][:_MOST_FILES]


def _folder(path: Path, files: list[Path]) -> Place:
    """Return a folder; Spark goes down only into folders such as day=2026-01-31, all others need a glob."""
    depths = {len([part for part in file.relative_to(path).parts[:-1] if "=" not in part]) for file in files}
    if depths == {0}:
        return Place(literal(path), files)
    if len(depths) > 1:
        return Place(literal(path), files, notes=["files lie at different depths below the folder"])
    depth = len(files[0].relative_to(path).parts)
    return Place("/".join([literal(path), *"*" * depth]), files)


def _lake(path: Path) -> Place | None:
    """Return the Delta or Iceberg table that a path is, or is a part of; raise an InputError for one of Hudi."""
    for folder in (path, *path.parents)[:6]:
        if (folder / ".hoodie").is_dir():
            sentence = f"{folder} is a Hudi table: its files hold deleted and replaced rows too"
            raise InputError("SOURCE_FORMAT", f"{sentence}; read it with Hudi's library, by data_loader.table or query")
        if (folder / "_delta_log").is_dir():
            return Place(literal(folder), _below(folder), "delta")
        metadata = folder / "metadata"
        if metadata.is_dir() and any(metadata.glob("*.metadata.json")):
            return Place(literal(folder), [file for file in _below(folder) if metadata not in file.parents], "iceberg")
    return None
