"""What is deployed calls the service as it can be called, without root."""

import argparse
import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("prometheus_client", reason="the extra serve is not installed")

from recommender.commands import serve
from recommender.serving.metrics import Metrics
from recommender.serving.versions import Versions

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
    assert "--require-hashes -r /source/requirements/serve.txt" in text
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


def test_the_pod_has_a_place_for_its_metrics(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}} in pod["volumes"]


@pytest.mark.parametrize("name", ["alerts.yaml", "grafana.json"])
def test_dashboard_and_alerts_use_metrics_that_there_are(name: str) -> None:
    exposition = Metrics().exposition(Versions(), 0.0).decode()
    known = set(re.findall(r"^# TYPE (\S+)", exposition, re.MULTILINE))
    used = set(re.findall(r"\brecommender_[a-z_]+", (DEPLOY / name).read_text(encoding="utf-8")))
    assert used
    assert {each.removesuffix("_bucket") for each in used} <= known
    if name == "alerts.yaml":
        rules = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))["groups"][0]["rules"]
        assert all({"alert", "expr", "annotations"} <= rule.keys() for rule in rules)
    else:
        panels = json.loads((DEPLOY / name).read_text(encoding="utf-8"))["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)


def test_what_the_container_installs_is_what_the_extra_needs() -> None:
    locked = (DEPLOY.parents[1] / "requirements" / "serve.txt").read_text(encoding="utf-8")
    parser = configparser.ConfigParser()
    parser.read(DEPLOY.parents[1] / "setup.cfg", encoding="utf-8")
    wanted = parser["options.extras_require"]["serve"] + parser["options"]["install_requires"]
    names = {re.split(r"[<>=;]", line)[0].strip().lower() for line in wanted.splitlines() if line.strip()}
    assert {name for name in names if not re.search(rf"^{name}==", locked, re.MULTILINE)} == set()
    assert "pyspark" not in locked
