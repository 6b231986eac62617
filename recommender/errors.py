"""Every error that a user can meet, with its exit code.

    RecommenderError            1   a bug
    ├── ConfigError            10   the configuration is wrong; nothing was started
    ├── InputError             12   the input is missing, empty or unreadable
    │   └── SchemaError        12   a column is missing or has another type
    ├── DataQualityError       13   the rows are not fit for use
    ├── GateError              14   the model is not good enough to be published
    ├── ConflictError          15   another run was first
    ├── ArtifactError          16   the result of an earlier stage is damaged
    ├── StorageError           17   the output cannot be written
    └── TransientError         18   it may work when tried again

An error has an id for machines and one sentence for people: the owner, what was expected, what came, what to do.

>>> error = InputError("INPUT_NOT_FOUND", "events.csv does not exist", "check data_loader.event_filename")
>>> print(error, error.exit_code)
INPUT_NOT_FOUND events.csv does not exist; check data_loader.event_filename 12
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class RecommenderError(Exception):
    """Base of all errors of this package.

    The parts are kept, so that a caller who knows better what to do raises the same fault with other advice.

    Init parameters:
        id: name of the error in capitals, for alerts and look-ups.
        fault: what is wrong, without secrets and without values of rows.
        advice: what to do, as far as `fault` does not say it.
    Attributes:
        sentence: the fault and the advice in one sentence.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, id: str, fault: str, *advice: str) -> None:  # noqa: A002 - the field's word for it
        self.id = id
        self.fault = fault
        self.advice = tuple(filter(None, advice))
        self.sentence = "; ".join((fault, *self.advice))
        super().__init__(f"{id} {self.sentence}")


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in a configuration: the error's id, the path of the key, and a sentence."""

    id: str
    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.id} {self.sentence}"


class ConfigError(RecommenderError):
    """The configuration is wrong. Holds all mistakes that were found, in the order of the configuration."""

    exit_code = 10

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__(mistakes[0].id, "; ".join(mistake.sentence for mistake in mistakes))
        self.mistakes: Sequence[Mistake] = mistakes


class InputError(RecommenderError):
    """The input is missing, empty or unreadable."""

    exit_code = 12


class SchemaError(InputError):
    """A column is missing, ambiguous, or has another type than expected."""


class DataQualityError(RecommenderError):
    """The rows are not fit for use."""

    exit_code = 13


class GateError(RecommenderError):
    """The model is not good enough to be published."""

    exit_code = 14


class ConflictError(RecommenderError):
    """Another run was first."""

    exit_code = 15


class ArtifactError(RecommenderError):
    """The result of an earlier stage is damaged."""

    exit_code = 16


class StorageError(RecommenderError):
    """The output cannot be written."""

    exit_code = 17


class TransientError(RecommenderError):
    """Something outside failed that may work when tried again."""

    exit_code = 18
