"""Read the beginning of a file as text, whatever its compression and encoding.

Example usage:
>>> decoded("Käse;1\\n".encode("windows-1252"), whole=True).encoding
'windows-1252'
>>> decoded("a;b\\n".encode("utf-16"), whole=True)
Text(lines=['a;b'], encoding='UTF-16', damaged=0, whole=True)
"""

import bz2
import codecs
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from recommender.errors import InputError
from recommender.inspect.places import compression_of

_MOST_BYTES = 64 * 2**20  # of a file that are looked at, unpacked
_CONTROL = bytes({*range(32)} - {1, 7, 9, 10, 11, 12, 13, 27, 28, 29, 30, 31})
_MOST_CONTROL = 0.02  # ratio of the bytes of a text
_MOST_DAMAGED = 0.02  # ratio of the lines of UTF-8
_MANY_NULS = 0.2
_TAR = slice(257, 262)  # where the first header of an archive says that it is one


@dataclass(frozen=True)
class Text:
    """The first lines of a file."""

    lines: list[str]  # without their ends
    encoding: str  # as Spark names it
    damaged: int  # number of lines with bytes that are not characters
    whole: bool  # whether these are all lines of the file


def head_of(file: Path, most: int = 64) -> bytes:
    """Return the first bytes of a file; raise an InputError if it cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise InputError("INPUT_UNREADABLE", f"{file.name} cannot be read: {error.strerror}") from None


def read_text(file: Path, most: int = _MOST_BYTES) -> Text:
    """Return the beginning of a file; raise an InputError if it cannot be read, is damaged, or is not text."""
    try:
        with _opened(file) as stream:
            content = stream.read(most)
            whole = not stream.read(1)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = str(error).split("\n", 1)[0][:120]
        raise InputError("INPUT_CORRUPT", f"{file.name} cannot be unpacked: {reason}; fetch the file again") from None
    text = decoded(content, whole)
    if content[_TAR] == b"ustar":
        raise InputError("INPUT_FORMAT", f"{file.name} is a tar archive, which Spark cannot read; unpack it")
    if text is None:
        raise InputError("ENCODING", f"{file.name} is not text in a known encoding; convert it to UTF-8")
    return text


def decoded(content: bytes, whole: bool) -> Text | None:
    """Return bytes as text; None if they are none."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _text(content, "utf-16", "UTF-16", whole)
    written = content.rstrip(b"\x00")  # a machine that died leaves a file that ends in zeros
    if written.count(0) > _MANY_NULS * len(written):
        little = content[1::2].count(0) > content[::2].count(0)
        name = "UTF-16LE" if little else "UTF-16BE"
        text = _text(content, name.lower().replace("utf-16", "utf-16-"), name, whole)
        return text if text and not any("\x00" in line for line in text.lines) else None
    content = written
    if len(content.translate(None, _CONTROL)) < (1 - _MOST_CONTROL) * len(content):
        return None
    text = _text(content, "utf-8-sig", "UTF-8", whole)
    if text is None or text.damaged <= _MOST_DAMAGED * len(text.lines):
        return text
    western = _text(content, "cp1252", "windows-1252", whole)
    return western if western and not western.damaged else None


def _text(content: bytes, codec: str, name: str, whole: bool) -> Text | None:
    if not whole:  # no half character at the end
        content = content[: len(content) // 2 * 2]
    lines = io.StringIO(content.decode(codec, errors="replace"), newline=None).read().split("\n")
    last = lines.pop()  # nothing, the last line of the file, or half a line
    if last and (whole or not lines):
        lines.append(last)
    return Text(lines, name, sum("\ufffd" in line for line in lines), whole)


def _opened(file: Path) -> BinaryIO:
    kind = compression_of(head_of(file))
    if kind == "gzip":
        return cast(BinaryIO, gzip.open(file))
    if kind == "bz2":
        return cast(BinaryIO, bz2.open(file))
    if kind:
        return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(file)), kind))
    return file.open("rb")
