"""Compare every file of every commit with its record."""

import argparse
import sys
from typing import Any

from recommender.errors import ArtifactError
from recommender.store import Store, verify
from recommender.text import size, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("--quick", action="store_true", help="compare names and sizes only, not the contents")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was compared, and what is damaged."""
    try:
        files, read, damages = verify(store, quick=options.quick, announce=_announce)
    finally:
        _announce("")
    damaged = [{"path": damage.path, "what": damage.what} for damage in damages]
    return {"files": files, "bytes": read, "compared": "sizes" if options.quick else "contents", "damaged": damaged}


def text(result: dict[str, Any]) -> str:
    """Return the damaged files, and a line about the others."""
    lines = [(each["path"], each["what"]) for each in result["damaged"]]
    found = f"{result['files']:,} files, {size(result['bytes'])}, compared by their {result['compared']}"
    good = "all are as they were written" if not lines else f"{len(lines)} damaged"
    return "\n".join(filter(None, [table(lines) if lines else "", f"{found}: {good}"]))


def failure(result: dict[str, Any]) -> ArtifactError | None:
    """Return the error of a store that is damaged, or nothing."""
    if not result["damaged"]:
        return None
    first, more = result["damaged"][0], len(result["damaged"]) - 1
    others = f" and {more:,} more" if more else ""
    sentence = f"{first['path']} {first['what']}{others}; run the stage again with --force, or restore the files"
    return ArtifactError("ARTIFACT_CORRUPT", sentence)


def _announce(what: str) -> None:
    """Show on a terminal which commit is being read; in a log it would only be noise."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what}")
        sys.stderr.flush()
