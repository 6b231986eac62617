"""Deliver the recommendations to a PostgreSQL, as a view that always shows one complete version.

Example usage:
>>> step = PostgresView(url="postgresql://db.example/shop")
>>> step.settings({"visitorid": "bigint", "itemid": "string"})["itemid"]
'text'
>>> PostgresView().is_wanted
False
"""

import io
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
from pyspark.sql import DataFrame, functions as F

import recommender.constants as C
from recommender import errors
from recommender.publishing.places import open_postgres
from recommender.publishing.target import Version
from recommender.settings.step import Annotated, ColumnName, Field, step
from recommender.spark.aggregates import single_row

if TYPE_CHECKING:
    from recommender.publishing.postgres.view import PostgresTarget

_LOGIN = re.compile(r"(?i)://[^/?]*@|[?&](?:user|\w*password|passfile)=")
_OF_A_TASK = re.compile(r"recommender\.errors\.(\w+Error): ([A-Z_]+) ([^\n]+)")


@step
class PostgresView:
    """Load each version into a table of its own, and let a view show the one that the channel names.

    The login comes from the environment variables <login>_USER and <login>_PASSWORD. See docs/publishing.md for the
    protocol and for the rights that the user needs.

    Init parameters:
        url: the database, for example postgresql://host:5432/shop, without a login; null: nothing is delivered there.
        login: beginning of the names of the environment variables with user and password.
        schema: the schema of the view, which is there already.
        view: name of the view of the channel live; that of another channel has its name at the end. At most 45 bytes.
        keep_versions: how many of the versions stay that a channel has named last, 1 to 100.
        lock_timeout: seconds to wait for whoever uses the view, above 0 to 60.
        tries: how often to wait so long, 1 to 100.
        connections: how many connections copy rows at once, 1 to 64.
    Execution args:
        recommendations: the published table.
        target: what `target` has returned. version: what the table is. channel: that it is meant for.
    Execution returns:
        nothing; the version is there then, complete, and nobody sees it yet.
    Raises:
        ConfigError: a parameter is out of range. TransientError: the database does not answer, refuses the login, or
        somebody holds a lock. DataQualityError: rows break a constraint. StorageError: the user may not write, or rows
        are missing. InputError: psycopg, the database or the schema is not there.
    Persist strategy: a table of PostgreSQL.
    """

    url: Annotated[str, Field(pattern=r"^postgres(ql)?://[^/?#]+/[^/?#]+(\?.*)?$")] | None = None
    login: Annotated[str, Field(pattern=r"^\w+$")] = "POSTGRES"
    schema: ColumnName = "public"
    view: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,44}$")] = "recommendations"
    keep_versions: Annotated[int, Field(ge=1, le=100)] = 2
    lock_timeout: Annotated[float, Field(gt=0, le=60)] = 3.0
    tries: Annotated[int, Field(ge=1, le=100)] = 5
    connections: Annotated[int, Field(ge=1, le=64)] = 4

    def __post_init__(self) -> None:
        if self.url and _LOGIN.search(self.url):
            login = f"{self.login}_USER and {self.login}_PASSWORD"
            raise ValueError(f"url must not hold a login: it stays in records; set the environment variables {login}")

    @property
    def is_wanted(self) -> bool:
        return self.url is not None

    def settings(self, types: Mapping[str, str]) -> dict[str, Any]:
        """Return what it takes to open the target, without secrets.

        Args:
            types: name -> type of the columns visitorid and itemid, as Spark calls it.
        """
        names = ("url", "login", "schema", "view", "keep_versions", "lock_timeout", "tries")
        ids = {name: "text" if types[name] == "string" else "bigint" for name in (C.VISITOR, C.ITEM)}
        return {**{name: getattr(self, name) for name in names}, **ids}

    def target(self, types: Mapping[str, str]) -> "PostgresTarget":
        return open_postgres(self.settings(types))

    def execute(self, recommendations: DataFrame, target: "PostgresTarget", version: Version, channel: str) -> None:
        from recommender.publishing.postgres.versions import Contents, copy_part  # noqa: PLC0415 - psycopg is an extra

        database, login, schema = target.database, target.login, self.schema

        def copied(table: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            first = next((batch for batch in batches if batch.num_rows), None)
            if first is not None:
                part = int(first["part"][0].as_py())
                rows = copy_part(database, login, schema, table, part, _chunks(first, batches))
                yield pa.RecordBatch.from_pydict({"rows": [rows]})
            for _ in batches:  # of a part that is there already
                pass

        def send(table: str) -> Contents:
            parts = recommendations.coalesce(self.connections).withColumn("part", F.spark_partition_id())
            (done,) = single_row(
                parts.mapInArrow(lambda batches: copied(table, batches), "rows long").agg(F.sum("rows"))
            )
            del done  # what counts is what the database has
            return Contents(*_contents(recommendations))

        try:
            target.load(version, channel, send)
        except Exception as error:
            ours = _of_a_task(error)
            if ours is None:
                raise
            raise ours from None


def _chunks(first: pa.RecordBatch, others: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """Return rows as PostgreSQL's CSV, in which only an empty cell without quotes is a null."""
    yield _csv(first)
    yield from map(_csv, others)


def _csv(batch: pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    rows = batch.select([name for name in batch.schema.names if name != "part"])
    pyarrow.csv.write_csv(rows, sink, pyarrow.csv.WriteOptions(include_header=False))
    return sink.getvalue()


def _contents(rows: DataFrame) -> tuple[int, str, str]:
    """Return what the database must find: see ``recommender.publishing.postgres.versions.checked``."""
    text = F.concat_ws("|", *(F.col(name).cast("string") for name in rows.columns if name != C.SCORE))
    hashed = F.conv(F.substring(F.md5(text), 1, 8), 16, 10).cast("bigint")
    scaled = F.floor(F.col(C.SCORE).cast("double") * 2**20).cast("bigint")
    count, one, other = single_row(
        rows.agg(F.count(F.lit(1)), *(F.sum(each.cast("decimal(38,0)")) for each in (hashed, scaled)))
    )
    return count, str(one or 0), str(other or 0)


def _of_a_task(error: Exception) -> errors.RecommenderError | None:
    """Return the error that a task has met, as the driver would have met it; None where it is another.

    >>> print(_of_a_task(RuntimeError("recommender.errors.TransientError: TARGET_DOWN the database is down")))
    TARGET_DOWN the database is down
    """
    found = _OF_A_TASK.search(str(error))
    made = getattr(errors, found[1], None) if found else None
    return made(found[2], found[3]) if found and made else None
