"""Decode text files, even if Spark does not know their encoding.

Spark 4 reads few encodings besides Unicode's. If each character is one byte, the text can be found from ISO-8859-1,
which Spark reads everywhere and which keeps every byte.

Example usage:
>>> Encoding("UTF16").is_wide, Encoding("utf_8_sig").of_reader
(True, 'UTF-8')
>>> row = spark.createDataFrame([(bytearray("€ 5 é".encode("windows-1252")),)], "line binary")
>>> row.select(Encoding("windows-1252").decoded(F.col("line"))).first()[0]
'€ 5 é'
"""

import codecs
import functools

from pyspark.sql import Column, functions as F

from recommender.errors import ConfigError, Mistake

_UPPER = bytes(range(128, 256))
_LATIN = "ISO-8859-1"
_UNKNOWN = "\ufffd"
_UTF_8 = {"utf-8", "utf-8-sig", "cp65001"}


class Encoding:
    """An encoding by its name, empty for UTF-8.

    Attributes:
        is_wide: whether a line break is more than a byte, as in UTF-16.
        of_reader: the encoding that is set for Spark's CSV reader.
    Raises:
        ConfigError: the encoding does not exist (CFG_OPTION).
    """

    def __init__(self, name: str) -> None:
        codec = _codec(name or "UTF-8")
        self._name = "UTF-8" if codec in _UTF_8 else name
        self._characters = _of_bytes(self._name)
        self.is_wide = codec.startswith(("utf-16", "utf-32"))
        self.of_reader = _LATIN if self._characters else self._name

    def decoded(self, line: Column) -> Column:
        """Return the text of a line that Spark took for UTF-8."""
        if self._name == "UTF-8":
            return line
        return self.translated(F.decode(line.cast("binary"), self.of_reader))

    def translated(self, text: Column) -> Column:
        """Return the text of a cell that Spark has read as `of_reader`."""
        upper = _UPPER.decode(_LATIN)
        return text if self._characters in {"", upper} else F.translate(text, upper, self._characters)


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        sentence = "data_loader.options (encoding) must be as Spark's reader takes it, which says: there is no encoding"
        raise ConfigError(Mistake("CFG_OPTION", "data_loader.options", f"{sentence} {name!r}")) from None


@functools.cache
def _of_bytes(name: str) -> str:
    """Return the characters of the bytes above ASCII; nothing where a character may take more than one byte.

    >>> _of_bytes("cp1251")[-3:], _of_bytes("utf-8"), _of_bytes("gbk")
    ('эюя', '', '')
    """
    if _codec(name) in {*_UTF_8, "utf-7"}:
        return ""
    try:
        characters = [bytes([byte]).decode(name, "replace") for byte in range(256)]
        # Of two bytes in the encodings of East Asia, in which the first takes the second with it.
        is_single = all(bytes([byte, 65]).decode(name, "replace").endswith("A") for byte in range(128, 256))
    except (LookupError, ValueError):
        return ""
    has_many = sum(character != _UNKNOWN for character in characters[128:]) > 0 or _codec(name) == "ascii"
    is_ascii = "".join(characters[:128]) == bytes(range(128)).decode("ascii")
    return "".join(characters[128:]) if is_single and is_ascii and has_many else ""
