"""Whether MLflow and OpenLineage answer, if runs are tracked there. A run goes on without them: faults are warnings.

Example usage:
>>> openlineage("/no/such/folder/lineage.jsonl", {})[0].found
'/no/such/folder is not there, or cannot be written'
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from recommender.doctor.finding import Finding, ok, warning
from recommender.errors import InputError
from recommender.tracking.model_versions import mlflow_client
from recommender.tracking.openlineage import KEY, headers, url_of
from recommender.tracking.patience import reason_of_failure

_SECONDS: Final = 15.0  # two tries of a request, as a run makes them
_REFUSED: Final = {401, 403}


def mlflow(uri: str) -> list[Finding]:
    """Look whether MLflow answers.

    Args:
        uri: of the server or of its database, as tracking.mlflow has it.
    """
    if uri.startswith("sqlite:///"):  # asking would create the database
        return [_appended("mlflow", Path(uri.removeprefix("sqlite:///")), "tracking.mlflow")]
    try:
        client = mlflow_client(uri)
    except InputError as reason:
        return [warning("mlflow", reason.sentence, "runs are not logged there until it is installed")]
    except Exception as reason:  # noqa: BLE001 - whatever MLflow raises for a URI that it does not know
        return [warning("mlflow", f"{_server(uri)} cannot be used: {type(reason).__name__}", "correct tracking.mlflow")]
    why = reason_of_failure(lambda: client.search_experiments(max_results=1), _SECONDS)
    if why:
        remedy = "start the server, correct tracking.mlflow, or set MLFLOW_TRACKING_USERNAME and _PASSWORD, or _TOKEN"
        said = why.partition(" with exception")[0]  # what follows names the same address again
        return [warning("mlflow", f"{_server(uri)} does not answer as MLflow does: {said}", remedy)]
    return [ok("mlflow", f"{_server(uri)} answers")]


def openlineage(target: str, environ: Mapping[str, str]) -> list[Finding]:
    """Look whether the events of a run can be sent, without sending one.

    Args:
        target: file or URL, as tracking.openlineage has it.
        environ: the environment variables.
    """
    url = url_of(target)
    if url is None:
        return [_appended("openlineage", Path(target.removeprefix("file://")), "tracking.openlineage")]
    found: list[int] = []

    def ask() -> None:
        try:
            with urlopen(Request(url, headers=headers(environ)), timeout=5) as answer:  # noqa: S310 - http and https
                found.append(answer.status)
        except HTTPError as reason:  # an answer too: most servers take nothing but POST there
            found.append(reason.code)

    why, server = reason_of_failure(ask, _SECONDS), _server(url)
    if why:
        return [warning("openlineage", f"{server} does not answer: {why}", "start it, or correct tracking.openlineage")]
    if found[0] in _REFUSED:
        return [warning("openlineage", f"{server} refuses the key: {found[0]}", f"set {KEY} to a key of the server")]
    if found[0] == 404:  # noqa: PLR2004
        path = urlsplit(url).path
        return [
            warning("openlineage", f"{server} has nothing at {path}: 404", "correct the path in tracking.openlineage")
        ]
    return [ok("openlineage", f"{server} answers")]


def _appended(check: str, path: Path, key: str) -> Finding:
    """Look whether a file can be made, or written."""
    if path.exists():
        if not path.is_file() or not os.access(path, os.W_OK):
            return warning(check, f"{path} is not a file that this user may write", f"correct its rights, or {key}")
    elif not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        said = f"{path.absolute().parent} is not there, or cannot be written"
        return warning(check, said, f"make the folder, or correct {key}")
    return ok(check, f"{path} can be written")


def _server(uri: str) -> str:
    """Return the scheme and the host of a URI, which have no secrets."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}" if parts.netloc else uri
