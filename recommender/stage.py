"""The base of all stages, and what they take and return."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, get_type_hints

from pyspark.sql import Column, DataFrame

from recommender.errors import DataQualityError
from recommender.settings.step import Steps, parameters
from recommender.spark.cache import Cache
from recommender.spark.row_counts import RowCounter, StepRows
from recommender.store import Commit, Store
from recommender.tables.parquet import read_table, write_table

NOT_COMPARED: Final = "not compared with the live version"
_AT_ONCE = 3  # Spark plans one query while it computes another


def side_by_side(tasks: Sequence[Callable[[], object]]) -> None:
    """Run several actions of Spark, a few at a time; after the first that fails, none is begun."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    running = [pool.submit(task) for task in tasks]
    try:
        for each in as_completed(running):
            each.result()
    except Exception:
        pool.shutdown(cancel_futures=True)  # what runs still writes
        raise
    finally:  # a signal that ends the process is not kept waiting
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Previous:
    """The commit that a stage goes on from: its record, its tables, and whether it was made from the same input."""

    record: Mapping[str, Any]
    tables: Mapping[str, DataFrame]
    repeats: bool = False


@dataclass(frozen=True)
class Needs:
    """The inputs of a stage from the stages before; see the attributes of `Stage`."""

    inputs: Mapping[str, tuple[str, str]]
    settings: Mapping[str, tuple[str, str]]
    records: Mapping[str, tuple[str, str]]

    @property
    def stages(self) -> set[str]:
        """The stages that are read."""
        return {name for each in (self.inputs, self.settings, self.records) for name, _ in each.values()}


class Section(dict[str, Any]):
    """A stage's section of a configuration, step -> the step or its parameters, that knows the whole of it.

    Attributes:
        document: the whole configuration, as it was written.
    """

    def __init__(self, steps: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        super().__init__(steps)
        self.document = document


def _shown_nowhere(sentence: str) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Context:
    """The surroundings of a stage while it is executed."""

    announce: Callable[[str], None] = _shown_nowhere  # shows which part of the work begins
    warn: Callable[[str], None] = _shown_nowhere  # shows a sentence at once
    # the tables that are read besides the inputs, and their versions; see `Stage.versions`
    versions: Mapping[str, str | None] = field(default_factory=dict)
    hidden: Sequence[str] = ()  # ids of the items that are hidden now, for a stage that leaves them out


class Result(dict[str, Any]):
    """The stored result of a stage: name -> table as it was written, or the model.

    Attributes:
        rows: what was counted while the tables were written, by name.
        documents: the texts that belong to the result besides: name of the file -> text.
    """

    def __init__(self, tables: Mapping[str, Any], rows: Mapping[str, int], documents: Mapping[str, str]) -> None:
        super().__init__(tables)
        self.rows = dict(rows)
        self.documents = documents


@dataclass(frozen=True)
class Made:
    """The name of a result to come: its run, the number of its commit, where it is written, and when (ISO, UTC)."""

    run: str
    number: int
    url: str
    at: str


def place_of(store: Store, commit: Commit) -> str:
    """Return the folder with the tables of a commit."""
    return store.files.url(f"{commit.stage}/data/{commit.attempt}").removeprefix("file://")


class Stage:
    """A stage: built from a nested dict, it runs its steps and persists one result.

    Class attributes:
        NAME: the verb of the stage.
        FIXED: config key -> parameters of the step that the stage relies on; a config that moves one is refused.
        INPUTS: argument of `execute` -> (stage, table) that it is read from.
        SETTINGS: argument of `execute` -> (stage, step) whose parameters it is given.
        RECORDS: argument of `execute` -> (stage, key) of a commit's record that it is given; None if there is none.
        GOES_ON_FROM: which commit of its own `continues` speaks of: the newest, or the one that is live.
        GATED_BY: the stage whose verdict must bless what this stage makes visible; None if nothing must.
        REMEDY: what to do when the commit that it goes on from is damaged.
        LEAVES_HIDDEN_OUT: whether what it makes depends on the items that are hidden.
    Init parameters:
        config: step -> parameters, or the step itself; a step that is not named gets its defaults.
    Attributes:
        steps: the steps; their classes are those of the annotation.
        given: the whole configuration as it was written, if the stage was made from one.
        context: of the execution; `execute_persist` takes it.
    """

    NAME: ClassVar[str]
    FIXED: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    INPUTS: ClassVar[Mapping[str, tuple[str, str]]] = {}
    SETTINGS: ClassVar[Mapping[str, tuple[str, str]]] = {}
    RECORDS: ClassVar[Mapping[str, tuple[str, str]]] = {}
    GOES_ON_FROM: ClassVar[Literal["newest", "live"]] = "newest"
    GATED_BY: ClassVar[str | None] = None
    REMEDY: ClassVar[str] = "restore the file"
    LEAVES_HIDDEN_OUT: ClassVar[bool] = False
    steps: Steps

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.steps = get_type_hints(type(self))["steps"].build(config, fixed=self.FIXED)
        self.cache = Cache()
        self.counter = RowCounter(self.cache)
        self.given = config.document if isinstance(config, Section) else {}
        self.context = Context()

    @classmethod
    def step_classes(cls) -> dict[str, type]:
        """Return config key -> class of the step."""
        classes: dict[str, type] = get_type_hints(cls)["steps"].classes()
        return classes

    def parameters(self) -> dict[str, Any]:
        """Return config key -> parameters of the step, defaults included, as plain JSON types."""
        return {name: parameters(step) for name, step in vars(self.steps).items()}

    def changed(self) -> dict[str, dict[str, Any]]:
        """Return the parameters that differ from the defaults, by step."""
        usual = {name: parameters(kind()) for name, kind in self.step_classes().items()}
        found = {
            name: {key: value for key, value in given.items() if value != usual.get(name, {}).get(key)}
            for name, given in self.parameters().items()
        }
        return {name: differing for name, differing in found.items() if differing}

    def sources(self) -> list[str]:
        """Return the files, folders and globs that the stage reads besides `INPUTS`."""
        return []

    @property
    def is_sourced(self) -> bool:
        """Whether the config names what the stage needs from outside; without, a job gives it the sample events."""
        return True

    def versions(self, started: bool) -> Mapping[str, str | None]:  # noqa: ARG002
        """Return the tables that the stage reads besides, each with the version that it reads.

        Args:
            started: whether there is a session to ask; without one, None stands for what must be asked for.

        Returns:
            name -> version; None for what has no versions.
        """
        return {}

    def needs(self) -> Needs:
        """Return what the stage reads, as it is configured."""
        return Needs(self.INPUTS, self.SETTINGS, self.RECORDS)

    def continues(self) -> Sequence[str] | None:
        """Return the tables of a commit of its own that the stage goes on from; None if none matters to it.

        Which one is said by `GOES_ON_FROM`. A stage that goes on from one takes one more argument of `execute`,
        previous: Previous, None at the first time. If it is the live one, `execute` takes `not_compared`, too; see
        `compares`.
        """
        return None

    def compares(self) -> Sequence[str] | None:
        """Return the tables of its own live result that a stage compares the new one with; None if it does not.

        A stage that does takes two more arguments of `execute`. live: Previous, None if nothing is live or it is
        damaged: what is made does not depend on it. not_compared: a sentence, why `live` is None although something is
        live; "" if nothing is. `details` returns the sentence as not_compared, if in the end nothing was compared.
        """
        return None

    def shards(self, inputs: Mapping[str, Any]) -> int:  # noqa: ARG002
        """Return into how many parts the work is cut that can be done, and stored, one by one.

        Args:
            inputs: the arguments of `execute`; a stage of several parts takes one more, shard: (number, of how many).
        """
        return 1

    def searched(self, made_of: Mapping[str, Any]) -> Mapping[str, Any] | None:  # noqa: ARG002
        """Return what the trials of a search depend on; None for a stage that does not search.

        A stage that searches takes one more argument of `execute`, trials, with those of a run that was killed.

        Args:
            made_of: what the stage's result depends on, as its record has it.
        """
        return None

    def needs_checkpoints(self) -> bool:
        """Return whether a step cuts a long lineage by checkpoints; then the job gives Spark a folder for them."""
        return any(getattr(step, "needs_checkpoints", False) for step in vars(self.steps).values())

    def execute(self, *args: Any, **inputs: Any) -> dict[str, Any]:
        """Run the steps and return the tables by name."""
        raise NotImplementedError

    def run(self, name: str, rows: DataFrame, step: Any = None) -> DataFrame:
        """Return what a step makes of rows; the report shows how many went in and came out.

        Args:
            name: config key of the step. rows: what its `execute` takes, and nothing else.
            step: the step; null: the stage's own of that name.
        """
        return self.counter.through(name, step or getattr(self.steps, name), rows)

    def announce(self, part: str) -> None:
        """Show which part of the work begins."""
        self.context.announce(part)

    def warn(self, sentence: str) -> None:
        """Show a warning at once."""
        self.context.warn(sentence)

    def persist(self, path: str, data: Mapping[str, Any], part: str = "") -> None:
        """Write every table to a new folder below `path`, or a part of it into that, and count its rows."""
        self.announce(f"writing {', '.join(data)}")
        counted = {name: self.counter(name, rows, **self.conditions(name)) for name, rows in data.items()}
        side_by_side([functools.partial(write_table, path, name, rows, part) for name, rows in counted.items()])

    def conditions(self, table: str) -> dict[str, Column]:  # noqa: ARG002
        """Return which rows of a table are counted apart, by name."""
        return {}

    def execute_persist(self, path: str, part: str = "", context: Context | None = None, **inputs: Any) -> Result:
        """Execute, persist, free the intermediate results, and return the tables as they were written.

        Args:
            path: of a new folder.
            part: folder below that of each table, for one part of several.
            context: what surrounds the execution; None: nobody is shown anything.
            inputs: the arguments of `execute`.
        """
        self.context = context or Context()
        self.counter.begin()
        for table in inputs.values():
            if isinstance(table, DataFrame):
                self.counter.came_out("", table)
        try:
            data = self.execute(**inputs)
            self.persist(path, data, part)
            return Result(self.written(path, data), self.counter.rows(), self.documents())
        except DataQualityError as error:
            raise DataQualityError(error.id, error.fault, *error.advice, self.rescue(path)) from error
        finally:
            self.release()

    def written(self, path: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tables as they were written below `path`: what they were computed from is freed."""
        return {
            name: read_table(f"{path}/{name}", rows.schema) if isinstance(rows, DataFrame) else rows
            for name, rows in data.items()
        }

    def rescue(self, path: str) -> str:  # noqa: ARG002
        """Write the rows that explain why the data is not fit for use below `path`; return where, as a sentence."""
        return ""

    def details(self) -> dict[str, Any]:
        """Return what the commit's record says of the result besides, as plain JSON types; called after `persist`."""
        return {}

    def documents(self) -> Mapping[str, str]:
        """Return the texts that belong to the result besides: name of the file -> text; called after `persist`."""
        return {}

    def files(self, made: Made) -> Iterator[tuple[str, bytes]]:  # noqa: ARG002
        """Return the files that belong to the result besides, one at a time; called after `persist`.

        Returns:
            (path below the attempt's folder, content).
        """
        return iter(())

    def publish(self, store: Store, commit: Commit, start: Callable[[], object], warn: Callable[[str], None]) -> None:
        """Make a commit visible to more than the store's readers; called when it was committed, now or before.

        Args:
            start: starts Spark; called if it is needed.
            warn: shows a sentence at once.
        """

    def closing(self, store: Store, commit: Commit) -> list[str]:  # noqa: ARG002
        """Return what people are shown of a commit below the summary of its record, a paragraph each."""
        return []

    def release(self) -> None:
        """Free what `execute` has cached."""
        self.cache.release()

    def report(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the rows in and out of each step, given the counts of `persist`."""
        return self.counter.with_own(self.lines(rows), rows)

    def lines(self, rows: Mapping[str, int]) -> list[StepRows]:
        """Return the lines of `report` but those of the steps that `run` has run."""
        raise NotImplementedError
