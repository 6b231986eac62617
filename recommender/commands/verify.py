"""Compare every file of every commit with its record."""

import argparse
from typing import Any

from recommender.errors import ArtifactError
from recommender.progress import progress
from recommender.store import Store, verify
from recommender.text import size, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("--quick", action="store_true", help="compare names and sizes only, not the contents")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was compared, and what is damaged."""
    with progress("verifying") as announce:
        files, read, damages = verify(store, quick=options.quick, announce=announce)
    damaged = [{"path": damage.path, "what": damage.what} for damage in damages]
    return {"files": files, "bytes": read, "compared": "sizes" if options.quick else "contents", "damaged": damaged}


def text(result: dict[str, Any]) -> str:
    """Return the damaged files, and a line about the others."""
    lines = [(each["path"], each["what"]) for each in result["damaged"]]
    found = f"{result['files']:,} files, {size(result['bytes'])}, compared by their {result['compared']}"
    good = "all are as they were written" if not lines else f"{len(lines)} damaged"
    return "\n".join(filter(None, [table(lines) if lines else "", f"{found}: {good}"]))


def check(result: dict[str, Any]) -> None:
    """Fail if something is damaged.

    Raises:
        ArtifactError: something is.
    """
    if result["damaged"]:
        first = result["damaged"][0]
        more = f" and {len(result['damaged']) - 1} more" if len(result["damaged"]) > 1 else ""
        sentence = f"{first['path']} {first['what']}{more}; run the stage again with --force, or restore the files"
        raise ArtifactError("ARTIFACT_CORRUPT", sentence)
