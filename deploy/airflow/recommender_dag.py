"""The four stages as an Airflow DAG, every night, by the Spark provider. Copy this file into the folder of the DAGs.

It needs apache-airflow-providers-apache-spark, the connection `spark_default` (its host is the master, in client mode:
else spark-submit does not return the job's exit code), and three variables:

- `recommender_home`: folder of the clone, on the machine of the worker
- `recommender_root`: folder or URI that the driver and all executors reach
- `recommender_events`: file, folder or glob with the log

A refused model (exit code 14) skips stage 4, a temporary fault (18) is tried again, all else fails at once.
"""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

GATE, TRANSIENT = 14, 18
STAGES = ("stage1", "stage2", "stage3", "stage4")


def exit_code(error: str) -> int | None:
    """Return the exit code of spark-submit, which the provider tells in the text of its error only."""
    found = re.search(r"Error code is: (\d+)", error)
    return int(found[1]) if found else None


def exception_of(code: int | None) -> type[Exception]:
    """Return the exception by which Airflow skips the task, tries it again, or fails it at once."""
    return {GATE: AirflowSkipException, TRANSIENT: AirflowException}.get(code or 0, AirflowFailException)


class RecommenderJob(SparkSubmitOperator):
    """A job of the recommender, whose exit code says what becomes of the task."""

    def execute(self, context: Any) -> None:
        """Submit the job and wait for it."""
        try:
            super().execute(context)
        except AirflowException as error:
            raise exception_of(exit_code(str(error)))(str(error)) from error


def arguments() -> list[str]:
    """Return the arguments of every stage; the run has the same name when a task is tried again."""
    return [
        *("--config", "conf/production.yaml", "--root", "{{ var.value.recommender_root }}"),
        *("--set", "stage1.data_loader.event_filename={{ var.value.recommender_events }}"),
        *("--run-id", "{{ dag_run.run_after.strftime('%Y%m%dT%H%M%S') }}"),
    ]


with DAG(
    "recommender",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,  # some file systems have no locks: one writer at a time
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
) as dag:
    previous = None
    for stage in STAGES:
        task = RecommenderJob(
            task_id=stage,
            application=f"{{{{ var.value.recommender_home }}}}/jobs/{stage}.py",
            application_args=arguments(),
            name=f"recommender-{stage}",
        )
        if previous:
            previous >> task
        previous = task
