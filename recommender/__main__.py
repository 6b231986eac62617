"""Commands that need no Spark: ``python -m recommender --help``."""

import argparse
import json
import sys
from collections.abc import Sequence

from recommender import __version__
from recommender.config import config_schema


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m recommender", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("schema", help="print the JSON schema of the configuration, for editors")
    parser.parse_args(arguments)
    print(json.dumps(config_schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
