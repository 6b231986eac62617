"""Turn errors of Spark into errors that say what to do.

Example usage:
>>> print(explained(RuntimeError("[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///e.csv.gz.")))
INPUT_CORRUPT file:///e.csv.gz cannot be read to its end; replace the file
"""

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

from recommender.errors import (
    ArtifactError,
    ConfigError,
    InputError,
    Mistake,
    RecommenderError,
    SchemaError,
    StorageError,
    TransientError,
)

_UNREADABLE = re.compile(
    r"FAILED_READ_FILE|Encountered error while reading file|CANNOT_READ_FILE|is not a Parquet file"
    r"|Unexpected end of input stream|could not verify page|ChecksumException|Checksum error|ParquetDecodingException"
)
# A name may have spaces: it ends with the sentence, or with the line.
_FILE = re.compile(
    r"(?:reading file|read file(?: at path)?:?|footer for file:?)\s+(?:FileStatus\{path=)?'?(\S.*?)'?"
    r"(?=[.,]?\s*$|[.,]\s|; isDirectory=)",
    re.MULTILINE,
)
# What such an error holds where the file is damaged, and not, say, hidden from this user.
_DAMAGED = re.compile(
    r"is not a Parquet file|end of (?:input )?stream|EOFException|could not verify page|hecksum"
    r"|ParquetDecodingException|incorrect (?:header|data)|invalid (?:block|stored|distance|code|bit)|not in GZIP"
    r"|ZipException|Malformed ORC|CRC|[Cc]orrupt|Unknown frame|magic|FAILED_TO_UNCOMPRESS"
)
_NOT_PACKED = re.compile(r"not a gzip file|not in the BZip2 format|Unknown frame descriptor")
_CAUSES = re.compile(r"Caused by: (?:[\w$]+\.)+([A-Z]\w*)")
_LOST = re.compile(
    r"ExecutorLostFailure|Executor (?:\S+ )?(?:lost|exited)|All masters are unresponsive|Master removed our application"
    r"|FetchFailed|has failed the maximum allowable number of times|was shut down|has been shutdown|cancelled because"
    r"|Cannot call methods on a stopped"
)
_COLUMN = re.compile(r"[Cc]olumn:? (\[?[^\],]+\]?)")
_TYPES = re.compile(r"[Ee]xpected(?: Spark type|:) (\w+), (?:actual Parquet type|[Ff]ound:) (\w+)")
_SOURCE_LOST = re.compile(
    r"sending to the backend|terminating connection|This connection has been closed|Connection reset"
    r"|connection is closed|Communications link failure|Connection (?:to \S+ )?refused"
)
_OF_DRIVER = re.compile(r"PSQLException|java\.sql\.|\.jdbc\.|Communications link failure|sending to the backend")
_SOURCE_ERROR = re.compile(r"(?:PSQLException|java\.sql\.SQL\w*Exception): (.*)")
_OF_A_ROW = re.compile(
    r"\[(CAST_INVALID_INPUT|CAST_OVERFLOW|DIVIDE_BY_ZERO|REMAINDER_BY_ZERO|ARITHMETIC_OVERFLOW|DATETIME_OVERFLOW"
    r"|BINARY_ARITHMETIC_OVERFLOW|INVALID_ARRAY_INDEX\w*|NUMERIC_VALUE_OUT_OF_RANGE|CANNOT_PARSE_TIMESTAMP)[.\w]*\]"
)
_RECORD = re.compile(r"\[(MALFORMED_RECORD_IN_PARSING)[.\w]*\]")
_SERVER_GONE = re.compile(r"StatusCode\.UNAVAILABLE|failed to connect to all addresses|Socket closed")
_GONE = ("Py4JNetworkError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError")
_FULL_SHARE, _FULL_BYTES = 0.01, 64 * 2**20  # a disk with less than either free is called full


def explained(error: BaseException, local: str = "", root: str = "", place: str = "a file") -> RecommenderError | None:
    """Translate an error of Spark's into a RecommenderError; return None if it is a bug.

    Args:
        local: where Spark keeps its own files on this machine, folders joined by commas.
        root: where the stages store their results.
        place: what is read, for errors that do not name the file.
    """
    text = str(error)
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return _full_disk(local, root)
    if "OutOfMemoryError" in text:
        return RecommenderError(
            "OUT_OF_MEMORY", "Spark ran out of memory; give it more: --driver-memory 4g before the job"
        )
    if "JAVA_GATEWAY_EXITED" in text:
        sentence = "Java, which Spark runs on, did not start; it must be 17 or newer, in JAVA_HOME or on PATH"
        return ConfigError(Mistake("JAVA_FAILED", "", f"{sentence}: python -m recommender doctor looks for the reason"))
    if "COLUMN_DATA_TYPE_MISMATCH" in text or "SchemaColumnConvertNotSupportedException" in text:
        return _another_type(text)
    if _UNREADABLE.search(text):
        return _unreadable(text, place)
    gone = type(error).__name__ in _GONE
    return (None if gone else _of_database(text)) or _lost(error, text)


def failed_on_a_row(error: BaseException) -> str | None:
    """Return what kind of error an SQL expression has met in a row, without the row's values; None if it is no such.

    >>> failed_on_a_row(ArithmeticError("[DIVIDE_BY_ZERO] Division by zero. SQLSTATE: 22012"))
    'DIVIDE_BY_ZERO'
    """
    found = _OF_A_ROW.search(str(error))
    return found[1] if found else None


def reason_of(error: BaseException) -> str:
    """Return the first line of an error, without the values of a row.

    >>> reason_of(ValueError("[CAST_INVALID_INPUT] The value 'ann@example.org' of the type STRING cannot be cast"))
    '[CAST_INVALID_INPUT] on a row, whose values are left out'
    >>> reason_of(ValueError("too short\\nand wrong"))
    'too short'
    """
    text = str(error)
    found = _OF_A_ROW.search(text) or _RECORD.search(text)
    if found:
        return f"[{found[1]}] on a row, whose values are left out"
    return text.strip().split("\n", 1)[0][:200]


def _of_database(text: str) -> RecommenderError | None:
    """Return the error of a database that was read, without the value that it may show."""
    if _SOURCE_LOST.search(text) and _OF_DRIVER.search(text):
        sentence = "the database ended the connection while it was read; start it again to go on"
        return TransientError("SOURCE_LOST", sentence)
    found = _SOURCE_ERROR.search(text)
    if found is None:
        return None
    said = re.sub(r': "[^"]*"$', "", found[1].strip())[:200]
    fault = f"the database cannot read what it is asked for: {said}"
    return InputError("SOURCE_QUERY", fault, "mend it, or leave it out by data_loader.query")


def _lost(error: BaseException, text: str) -> TransientError | None:
    if type(error).__name__ in _GONE:
        return TransientError("DRIVER_LOST", "the JVM that Spark ran in is gone; start it again to go on")
    if _SERVER_GONE.search(text):
        return TransientError("DRIVER_LOST", "the Spark Connect server does not answer; start it again to go on")
    if _LOST.search(text):
        sentence = "Spark lost executors, or its cluster, more often than it tries again; start it again to go on"
        return TransientError("CLUSTER_LOST", sentence)
    return None


def _file(text: str) -> str | None:
    """Return the file that an error names, by its name: Spark writes some of them as in a URL.

    >>> _file("Encountered error while reading file file:///logs/a%20b.csv. Details:")
    'file:///logs/a b.csv'
    >>> _file("Could not read footer for file: file:/logs/a b.parquet")
    'file:/logs/a b.parquet'
    """
    found = _FILE.search(text)
    return unquote(found[1]) if found else None


def _unreadable(text: str, place: str) -> RecommenderError:
    """Return the error of a file that cannot be read, one of the log or one of ours."""
    file = _file(text) or place
    if re.search(r"/data/[0-9a-f]{32}/", file):
        advice = "run its stage again with --force, or restore the file"
        return ArtifactError("ARTIFACT_CORRUPT", f"{file} cannot be read to its end", advice)
    if _NOT_PACKED.search(text):
        return InputError("INPUT_CORRUPT", f"{file} is not packed as the end of its name says", "rename it, or pack it")
    causes = _CAUSES.findall(text)
    if causes and not _DAMAGED.search(text):  # it may be as it should be
        advice = "see whether it is there, open to this user, and of its format"
        return InputError("INPUT_UNREADABLE", f"{file} cannot be read ({causes[-1]})", advice)
    if "hecksum error" in text or "ChecksumException" in text:
        fault = f"{file} has other bytes than the hidden .crc file beside it says"
        return InputError("INPUT_CORRUPT", fault, "replace the file, or remove that one if you changed the file")
    return InputError("INPUT_CORRUPT", f"{file} cannot be read to its end", "replace the file")


def _another_type(text: str) -> SchemaError:
    """Return the error of a column that has another type in one file than in the first."""
    file, column, types = _file(text), _COLUMN.search(text), _TYPES.search(text)
    found = f"expected {types[1]} found {types[2]}" if types else "has another type than in the other files"
    place = f", file {file}" if file else ""
    return SchemaError("SCHEMA_TYPE", f"{column[1].strip('[]` ') if column else 'a column'} {found}{place}")


def _full_disk(local: str, root: str) -> StorageError:
    """Return the error of a full disk: of this machine, or, on a cluster, of another."""
    names = {folder: f"spark.local.dir {folder}" for folder in local.split(",") if folder} | {root: f"root {root}"}
    full = [name for folder, name in names.items() if _is_full(folder)]
    where = " and ".join(full) or "a disk is full: see --root, and spark.local.dir for Spark's own files"
    return StorageError("STORAGE_FULL", f"{where}: no space left; free some, or take another folder" if full else where)


def _is_full(folder: str) -> bool:
    if re.match(r"\w+:", folder):
        return False  # not a disk of this machine
    place = next((path for path in (Path(folder), *Path(folder).parents) if folder and path.exists()), None)
    if place is None:
        return False
    usage = shutil.disk_usage(place)
    return usage.free < max(_FULL_SHARE * usage.total, _FULL_BYTES)
