"""Find damage in a snapshot before the service answers from it.

Example usage:
>>> import pathlib, tempfile
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> read_manifest(folder)
Traceback (most recent call last):
recommender.errors.ArtifactError: SNAPSHOT_MISSING ... has no manifest.json; ...
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from recommender.errors import ArtifactError
from recommender.snapshot.layout import MANIFEST, MODEL_FILES, SINGLE_FILES
from recommender.snapshot.manifest import Manifest

_CHUNK = 1 << 22


def read_manifest(folder: Path, sha256: str | None = None) -> Manifest:
    """Return the manifest of a snapshot.

    Args:
        folder: where the snapshot is.
        sha256: of the manifest's file, as the commit record has it; None: the snapshot is not part of a commit.

    Raises:
        ArtifactError: there is none, it is damaged, it is another commit's, or it does not list what there must be.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        sentence = f"{folder} has no {MANIFEST}; give the folder of a snapshot that is complete"
        raise ArtifactError("SNAPSHOT_MISSING", sentence) from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise corrupt(f"{path} is not the manifest that the commit names")
    manifest = Manifest.read(content, str(path))
    missing = [name for name in (*SINGLE_FILES, *MODEL_FILES[manifest.model]) if name not in manifest.files]
    if missing:
        raise corrupt(f"{path} does not list {missing[0]}")
    for name in manifest.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise corrupt(f"{path} lists {name}, which is not inside the snapshot")
    return manifest


def checked_files(folder: Path, manifest: Manifest) -> Iterator[None]:
    """Compare every file with the manifest, a few megabytes at a time: who iterates can do other things between.

    Raises:
        ArtifactError: a file is missing, or has another size or content.
    """
    for name, facts in manifest.files.items():
        path = folder / name
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    yield
        except FileNotFoundError as error:
            raise corrupt(f"missing {path.name}: {path} is gone") from error
        except OSError as error:
            raise corrupt(f"{path} cannot be read: {error.strerror}") from error
        if size != facts.bytes:
            raise corrupt(f"{path} has {size:,} bytes, not {facts.bytes:,}")
        if digest.hexdigest() != facts.sha256:
            raise corrupt(f"{path} does not match its hash")


def corrupt(what: str) -> ArtifactError:
    """Return the error of a snapshot that is not as it was written."""
    return ArtifactError("ARTIFACT_CORRUPT", f"{what}; publish the version again, or restore the file")
