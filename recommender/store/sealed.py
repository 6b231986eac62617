"""Records whose damage is noticed: JSON with the hash of its own content.

Example usage:
>>> content = seal({"run": "monday", "rows": 3})
>>> unseal(content, "1.json")
{'run': 'monday', 'rows': 3}
>>> unseal(content.replace(b"3", b"4"), "1.json")
Traceback (most recent call last):
recommender.errors.ArtifactError: ARTIFACT_CORRUPT 1.json is damaged: ...
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from recommender.errors import ArtifactError

_SEAL = "sha256"


def seal(record: Mapping[str, Any]) -> bytes:
    """Return a record as JSON, with the hash of its content as its last key."""
    return json.dumps({**record, _SEAL: digest(record)}, indent=1).encode()


def unseal(content: bytes, name: str) -> dict[str, Any]:
    """Return a record; raise an ArtifactError if it does not match its hash."""
    try:
        record = json.loads(content)
        claimed = record.pop(_SEAL)
    except (ValueError, TypeError, KeyError, AttributeError):
        claimed = None
    if claimed is None or claimed != digest(record):
        sentence = f"{name} is damaged: its content does not match its hash; restore it from a copy, or delete it"
        raise ArtifactError("ARTIFACT_CORRUPT", f"{sentence} to go back to the record before it")
    return dict(record)


def digest(content: Any) -> str:
    """Return the SHA-256 of plain JSON types; the order of keys does not matter.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
