"""As much of Airflow as a DAG of Spark jobs needs to be imported, and its tasks to be executed."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


class Exceptions(ModuleType):
    """Stands for airflow.sdk.exceptions."""

    AirflowException = type("AirflowException", (Exception,), {})
    AirflowFailException = type("AirflowFailException", (Exception,), {})
    AirflowSkipException = type("AirflowSkipException", (Exception,), {})


class Dag:
    """Stands for airflow.sdk.DAG."""

    last: "Dag"

    def __init__(self, *_: object, **__: object) -> None:
        self.tasks: list[Any] = []
        Dag.last = self

    def __enter__(self) -> "Dag":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Operator:
    """Stands for the provider's SparkSubmitOperator: it keeps what it was given, and fails as the provider does."""

    code = 0

    def __init__(self, **given: Any) -> None:
        vars(self).update(given, after=[])
        Dag.last.tasks.append(self)

    def __rshift__(self, later: Any) -> None:
        later.after.append(self.task_id)

    def execute(self, *_: object) -> None:
        if self.code:
            raise Exceptions.AirflowException(f"Cannot execute: spark-submit. Error code is: {self.code}.\nlog")


def dag_module(path: Path) -> dict[str, Any]:
    """Return the names of a DAG's module, imported with stand-ins for Airflow."""
    operators = ModuleType("spark_submit")
    vars(operators)["SparkSubmitOperator"] = Operator
    sdk = ModuleType("airflow.sdk")
    vars(sdk)["DAG"] = Dag
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "airflow.sdk.exceptions", Exceptions("airflow.sdk.exceptions"))
        patch.setitem(sys.modules, "airflow.providers.apache.spark.operators.spark_submit", operators)
        patch.setitem(sys.modules, "airflow.sdk", sdk)
        for name in ("airflow", "airflow.providers", "airflow.providers.apache", "airflow.providers.apache.spark"):
            patch.setitem(sys.modules, name, ModuleType(name))
        patch.setitem(sys.modules, "airflow.providers.apache.spark.operators", ModuleType("operators"))
        names: dict[str, Any] = {"__name__": path.stem}
        exec(compile(path.read_text(), str(path), "exec"), names)  # noqa: S102 - as Airflow does
    return names
