"""Rename a Java package inside of jars, as the shaded libraries of others expect it.

Example usage:
>>> text = b"com/fasterxml/A"
>>> pool = b"\\xca\\xfe\\xba\\xbe" + bytes(4) + b"\\x00\\x03" + b"\\x05" + bytes(8) + b"the rest"
>>> renamed(pool, {b"com/fasterxml": b"org/apache"}) == pool
True
>>> pool = b"\\xca\\xfe\\xba\\xbe" + bytes(4) + b"\\x00\\x02" + b"\\x01\\x00\\x0f" + text + b"the rest"
>>> renamed(pool, {b"com/fasterxml": b"org/apache"})[10:]
b'\\x01\\x00\\x0corg/apache/Athe rest'
"""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

_TEXT = 1
_SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
_WIDE = (5, 6)  # take two places


def renamed(content: bytes, names: Mapping[bytes, bytes]) -> bytes:
    """Return a class with other texts in its constants (JVM specification, 4.4); all else refers to them by number."""
    (count,) = struct.unpack_from(">H", content, 8)
    made, place, number = [content[:10]], 10, 1
    while number < count:
        tag = content[place]
        if tag == _TEXT:
            (length,) = struct.unpack_from(">H", content, place + 1)
            end = place + 3 + length
            text = content[place + 3 : end]
            for old, new in names.items():
                text = text.replace(old, new)
            made.append(struct.pack(">BH", tag, len(text)) + text)
        else:
            end = place + 1 + _SIZES[tag]
            made.append(content[place:end])
        place, number = end, number + 1 + (tag in _WIDE)
    return b"".join([*made, content[place:]])


def relocate(jar: Path, target: Path, package: str, other: str) -> Path:
    """Write a copy of a jar, whose classes of a package are in another one.

    Args:
        jar: the jar. target: the copy.
        package: with dots. other: the package that takes its place.
    """
    path, new = package.replace(".", "/"), other.replace(".", "/")
    names = {package.encode(): other.encode(), path.encode(): new.encode()}
    with zipfile.ZipFile(jar) as source, zipfile.ZipFile(target, "w") as made:
        for name in source.namelist():
            if name.startswith(f"{path}/") and name.endswith(".class"):
                made.writestr(new + name.removeprefix(path), renamed(source.read(name), names))
    return target
