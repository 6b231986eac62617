"""Compare every file of every commit with its record, and every place with the channel that was published there."""

import argparse
import sys
from typing import Any

from recommender.errors import ArtifactError, RecommenderError, TransientError
from recommender.publishing.places import open_places
from recommender.publishing.publication import differs
from recommender.store import Channels, Publication, Store, verify
from recommender.terminal.text import size, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="compare names and sizes only, not the contents")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was compared, and what is damaged."""
    try:
        files, read, damages = verify(store, quick=options.quick, announce=_announce)
    finally:
        _announce("")
    return {
        "files": files,
        "bytes": read,
        "compared": "sizes" if options.quick else "contents",
        "damaged": [{"path": damage.path, "what": damage.what} for damage in damages],
        "places": [place for current in Channels(store).currents() for place in _places(current)],
    }


def text(result: dict[str, Any]) -> str:
    lines = [(each["path"], each["what"]) for each in result["damaged"]]
    found = f"{result['files']:,} files, {size(result['bytes'])}, compared by their {result['compared']}"
    good = "all are as they were written" if not lines else f"{len(lines)} damaged"
    places = [(each["channel"], each["place"], each["what"] or "names the same run") for each in result["places"]]
    return "\n".join(filter(None, [table(lines) if lines else "", f"{found}: {good}", table(places) if places else ""]))


def failure(result: dict[str, Any]) -> RecommenderError | None:
    """Return the error of a store that is damaged, or of a place that names another run; None if all is well."""
    if not result["damaged"]:
        return _of_places([each for each in result["places"] if each["what"]])
    first, more = result["damaged"][0], len(result["damaged"]) - 1
    others = f" and {more:,} more" if more else ""
    sentence = f"{first['path']} {first['what']}{others}; run the stage again with --force, or restore the files"
    return ArtifactError("ARTIFACT_CORRUPT", sentence)


def _places(current: Publication) -> list[dict[str, Any]]:
    """Compare each place that a channel's record names with that record."""
    found = []
    for name, settings in current.record.get("delivered", {}).items():
        what, is_reached = "", True
        try:
            with open_places({name: settings}) as places:
                if differs(places[name], current.channel, current):
                    what = f"does not name run {current.run_id}, or lacks files of it"
        except RecommenderError as error:
            what, is_reached = f"cannot be looked at: {error.sentence}", False
        facts = {"channel": current.channel, "place": name, "run": current.run_id}
        found.append({**facts, "what": what, "is_reached": is_reached})
    return found


def _of_places(wrong: list[dict[str, Any]]) -> RecommenderError | None:
    """Return the error of the first place that differs, else of the first that was not reached."""
    if not wrong:
        return None
    first = min(wrong, key=lambda each: not each["is_reached"])
    sentence = f"{first['place']} of channel {first['channel']} {first['what']}"
    if not first["is_reached"]:
        return TransientError("PLACE_UNREACHED", sentence)
    mend = f"start stage4 again as it was, or python -m recommender rollback {first['channel']} {first['run']}"
    return ArtifactError("PLACE_DIFFERS", f"{sentence}; to mend it: {mend}")


def _announce(what: str) -> None:
    """Show on a terminal which commit is being read; in a log it would only be noise."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what}")
        sys.stderr.flush()
