"""What is deployed calls the service as it can be called, without root."""

import argparse
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from recommender.commands import serve

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy" / "serve"


def parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser.parse_args(words)


def after_serve(words: list[str]) -> list[str]:
    return words[words.index("serve") + 1 :]


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    assert [each["kind"] for each in documents] == ["Deployment", "Service", "PodDisruptionBudget"]
    spec: dict[str, Any] = documents[0]["spec"]["template"]["spec"]
    return spec


def test_the_container_serves_without_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    entry, command = (
        json.loads(re.findall(rf"^{word} (\[.*\])$", text, re.MULTILINE)[0]) for word in ("ENTRYPOINT", "CMD")
    )
    options = parsed(after_serve(entry) + command)
    assert (options.host, options.root, options.channel, options.port) == ("0.0.0.0", "/data", "live", 8000)  # noqa: S104
    assert re.search(r"^USER 10001", text, re.MULTILINE)


def test_the_unit_starts_the_service_and_gives_it_time_to_end() -> None:
    text = (DEPLOY / "recommender.service").read_text()
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    options = parsed(after_serve(shlex.split(command)))
    assert (options.host, options.workers, options.channel) == ("127.0.0.1", 4, "live")
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[0]) > 10


def test_the_pod_serves_without_root_and_is_asked_what_there_is(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    options = parsed(container["args"])
    assert (options.root, options.workers, options.drain) == ("/data", 2, 3.0)
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert pod["terminationGracePeriodSeconds"] > 10
    assert container["env"][0]["name"] == "RECOMMENDER_TOKEN"
