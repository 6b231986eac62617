"""Register published results in MLflow's registry, and let aliases follow the channels.

A file beside the result of stage 4 says which version of which model it is, so that promote and rollback need no
configuration. The registry has references: model and snapshot stay in the store.
"""

import json
import logging
import os
import warnings
from itertools import islice
from typing import Any, Final

from recommender.errors import ConfigError, InputError, Mistake
from recommender.settings.variables import substituted
from recommender.store import Channels, Commit, Store
from recommender.tracking.patience import reason_of_failure

_NOTE: Final = "mlflow.json"
# Seconds and tries of a request, unless somebody has set them. MLflow is not to report its use to its makers, nor to
# print addresses between the lines of a job.
_SHORT: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def mlflow_client(uri: str) -> Any:
    """Return a client of an MLflow server or database; raise an InputError if MLflow is not installed."""
    for name, value in _SHORT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what MLflow itself imports
        try:
            from mlflow import MlflowClient  # noqa: PLC0415 - an extra
        except ImportError as error:
            sentence = "tracking.mlflow needs the package mlflow-skinny; pip install '.[mlflow]'"
            raise InputError("MLFLOW_MISSING", sentence) from error
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)  # they log every table that they make
        return MlflowClient(uri, registry_uri=uri)


def register(client: Any, store: Store, commit: Commit, run: str, uri: str, model: str) -> None:
    """Register a result of stage 4, which a run in MLflow has logged, as a version of a model, unless it is one."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - an extra

    if _note(store, commit.attempt):
        return
    judged = store.commit_number("stage2", commit.record.get("upstream", {}).get("stage2", 0))
    folder = f"stage4/data/{commit.attempt}"
    tags = {"recommender.run": commit.run_id, "recommender.attempt": commit.attempt}
    if judged:
        tags["recommender.model"] = store.files.url(f"stage2/data/{judged.attempt}/model")
    if any("/snapshot/" in path for path in commit.files()):
        tags["recommender.snapshot"] = store.files.url(f"{folder}/snapshot")
    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = tags.get("recommender.model", store.files.url(folder))
    try:
        version = client.create_model_version(model, source, run, tags=tags).version
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        # A server takes no paths of other machines; the tags have them.
        client.log_dict(run, tags, "version/version.json")
        source = f"{client.get_run(run).info.artifact_uri}/version"
        version = client.create_model_version(model, source, run, tags=tags).version
    note = {"uri": uri, "model": model, "version": str(version)}
    store.files.create(f"{folder}/{_NOTE}", json.dumps(note).encode())


def alias(store: Store, commit: Commit) -> None:
    """Let the aliases of all channels that name a result name its version of the model."""
    channels = Channels(store)
    for channel in channels.names():
        current = channels.current(channel)
        if current and current.record["attempt"] == commit.attempt:
            _follow(store, channel)


def move_alias(store: Store, channel: str) -> str:
    """Let an alias name what its channel names now, if that is or was registered.

    Returns:
        Why it does not, as a sentence; "" if it does, or if nothing is registered.
    """
    reason = reason_of_failure(lambda: _follow(store, channel))
    return f"the alias {channel} in MLflow was not moved: {reason}" if reason else ""


def _follow(store: Store, channel: str) -> None:
    """Let an alias name the newest of the two last results of a channel that is registered."""
    for number, publication in enumerate(islice(Channels(store).history(channel), 2)):
        note = _note(store, publication.record["attempt"])
        if not note:
            continue
        mistakes: list[Mistake] = []
        client = mlflow_client(substituted(note["uri"], "tracking.mlflow", os.environ, mistakes))
        if mistakes:
            raise ConfigError(*mistakes)
        if number == 0:
            client.set_registered_model_alias(note["model"], channel, note["version"])
        else:
            client.delete_registered_model_alias(note["model"], channel)
        return


def _note(store: Store, attempt: str) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(store.files.read(f"stage4/data/{attempt}/{_NOTE}"))
    except FileNotFoundError:
        return {}
    return found
