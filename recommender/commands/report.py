"""Write the report of a run as one HTML file, or of two runs beside each other.

RUN is an id or its unique beginning, a channel such as live, or latest. The file needs no network and no scripts.
"""

import argparse
from pathlib import Path
from typing import Any

from recommender.commands.overview import one_run, write_whole
from recommender.report import facts_of, report_page
from recommender.store import Store, now
from recommender.terminal.text import size

_MODE = 0o640  # it names visitors and what they did


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("one", metavar="RUN", help="id of a run, its beginning, a channel, or latest")
    parser.add_argument("other", metavar="OTHER", nargs="?", help="another run, shown beside it")
    parser.add_argument("-o", "--output", metavar="FILE", default="report.html", help="default: report.html")


def run(store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Write the report, and return where it is.

    Raises:
        ConfigError: the run does not exist. StorageError: the file cannot be written.
    """
    runs = [one_run(store, name) for name in (options.one, options.other) if name]
    page = report_page([facts_of(store, each.id, each.commits, each.failures) for each in runs], now())
    content = page.encode()
    write_whole(Path(options.output), content, _MODE)
    return {"runs": [each.id for each in runs], "file": options.output, "bytes": len(content)}


def text(result: dict[str, Any]) -> str:
    return f"wrote {result['file']}, {size(result['bytes'])}: the report of {' and '.join(result['runs'])}"
