"""The parser of the arguments of jobs and commands."""

import argparse
from typing import NoReturn

from recommender.errors import ConfigError, Mistake


class Parser(argparse.ArgumentParser):
    """A parser whose errors are shown like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise the error."""
        raise ConfigError(Mistake("CFG_ARGUMENT", "", f"{message}; see --help"))
