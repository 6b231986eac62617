"""The base of steps whose result is stored."""

from typing import Any

from pyspark.sql import DataFrame


class Persistent:
    """A step whose result can be stored: as Parquet, in a new folder."""

    def persist(self, path: str, data: Any) -> None:
        """Write a result of `execute` to a new folder: a DataFrame as Parquet, a model as MLlib does."""
        if isinstance(data, DataFrame):
            data.write.mode("error").parquet(path)
        else:
            data.save(path)

    def execute_persist(self, path: str, *args: Any, **inputs: Any) -> Any:
        """Execute the step, persist its result, and return it."""
        result = self.execute(*args, **inputs)  # type: ignore[attr-defined]
        self.persist(path, result)
        return result
