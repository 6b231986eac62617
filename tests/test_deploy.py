"""What is in deploy/: every file parses, and every command line in it is one that the jobs accept."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.stub_airflow import Exceptions, Operator, dag_module

from recommender.errors import GateError, StorageError, TransientError
from recommender.run.arguments import existing_config, parser
from recommender.run.config import WORKFLOW, load_config
from recommender.store import open_files, run_id_mistake

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
JOBS = ROOT / "jobs"
DAG_FILE = DEPLOY / "airflow" / "recommender_dag.py"
STAGES = [f"{stage}.py" for stage in WORKFLOW]


def document(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def filled_in(argument: str) -> str:
    """Return an argument as the platform passes it on."""
    return re.sub(r"\$\{.*?\}|\{\{.*?\}\}|\$\(\w+\)|\bRUN_ID\b", "x1", argument)


def databricks() -> list[list[str]]:
    tasks = document("databricks/databricks.yml")["resources"]["jobs"]["recommender"]["tasks"]
    return [[task["spark_python_task"]["python_file"], *task["spark_python_task"]["parameters"]] for task in tasks]


def emr() -> list[list[str]]:
    return [step["Args"] for step in json.loads((DEPLOY / "emr" / "steps.json").read_text())]


def emr_serverless() -> list[list[str]]:
    job = json.loads((DEPLOY / "emr" / "serverless-job.json").read_text())["jobDriver"]["sparkSubmit"]
    return [[job["entryPoint"], *job["entryPointArguments"]]]


def dataproc() -> list[list[str]]:
    jobs = document("dataproc/workflow-template.yaml")["jobs"]
    return [[job["pysparkJob"]["mainPythonFileUri"], *job["pysparkJob"]["args"]] for job in jobs]


def cron_job() -> Any:
    return documents("kubernetes/job.yaml")[0]["spec"]["jobTemplate"]["spec"]


def kubernetes_job() -> list[list[str]]:
    return [cron_job()["template"]["spec"]["containers"][0]["args"]]


def spark_operator() -> list[list[str]]:
    application = document("kubernetes/spark-application.yaml")["spec"]
    return [[application["mainApplicationFile"], *application["arguments"]]]


def airflow() -> list[list[str]]:
    return [[task.application, *task.application_args] for task in dag_module(DAG_FILE)["dag"].tasks]


PLATFORMS = {
    "databricks": (databricks, STAGES),
    "emr": (emr, STAGES),
    "emr serverless": (emr_serverless, ["workflow.py"]),
    "dataproc": (dataproc, STAGES),
    "kubernetes": (kubernetes_job, ["workflow.py"]),
    "spark operator": (spark_operator, ["workflow.py"]),
    "airflow": (airflow, STAGES),
}


def split(command: list[str]) -> tuple[list[str], str, list[str]]:
    """Return the options of spark-submit, the name of the job's file, and the arguments of the job."""
    place = next(place for place, word in enumerate(command) if word.endswith(".py"))
    return command[:place], command[place].rpartition("/")[2], [filled_in(word) for word in command[place + 1 :]]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_command_line_is_one_that_the_job_accepts(platform: str) -> None:
    commands, scripts = PLATFORMS[platform]
    found = [split(command) for command in commands()]
    assert [script for _, script, _ in found] == scripts
    for _, script, arguments in found:
        stages = WORKFLOW if script == "workflow.py" else [script.removesuffix(".py")]
        options = parser(stages, JOBS / script).parse_args(arguments)
        assert run_id_mistake(options.run_id) is None
        name = options.config if options.config.parts[0] == "conf" else Path("conf", options.config.name)
        config = load_config(existing_config(name, ROOT), options.set, {}, options.root)
        assert config.stages["stage1"]["data_loader"]["event_filename"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_root_is_one_that_the_store_knows(platform: str) -> None:
    commands, _ = PLATFORMS[platform]
    _, _, arguments = split(commands()[0])
    root = arguments[arguments.index("--root") + 1]
    if ":" in root:
        with pytest.raises(StorageError, match="needs a JVM"):  # else: is not supported
            open_files(root, lambda: None)
    else:
        assert root == "x1" or Path(root).is_absolute()


def test_each_stage_waits_for_the_one_before() -> None:
    before = [[], ["stage1"], ["stage2"], ["stage3"]]
    tasks = document("databricks/databricks.yml")["resources"]["jobs"]["recommender"]["tasks"]
    assert [[on["task_key"] for on in task.get("depends_on", [])] for task in tasks] == before
    jobs = document("dataproc/workflow-template.yaml")["jobs"]
    assert [job.get("prerequisiteStepIds", []) for job in jobs] == before
    assert [task.after for task in dag_module(DAG_FILE)["dag"].tasks] == before


def test_a_configuration_that_is_named_without_a_folder_is_sent_along() -> None:
    for command in emr():
        options, _, arguments = split(command)
        assert options[options.index("--files") + 1].endswith("/" + arguments[arguments.index("--config") + 1])
    for job in document("dataproc/workflow-template.yaml")["jobs"]:
        assert job["pysparkJob"]["fileUris"][0].endswith("/production.yaml")


def test_the_targets_of_the_bundle_say_where_each_task_runs() -> None:
    targets = document("databricks/databricks.yml")["targets"]
    for target, key, place in (
        ("cluster", "job_cluster_key", "job_clusters"),
        ("serverless", "environment_key", "environments"),
    ):
        job = targets[target]["resources"]["jobs"]["recommender"]
        assert [(task["task_key"], task[key]) for task in job["tasks"]] == [
            (stage, job[place][0][key]) for stage in WORKFLOW
        ]


def test_the_parameter_of_the_template_is_the_run_id_of_each_stage() -> None:
    template = document("dataproc/workflow-template.yaml")
    fields = template["parameters"][0]["fields"]
    assert fields == [f"jobs['{stage}'].pysparkJob.args[7]" for stage in WORKFLOW]
    assert [command[8] for command in dataproc()] == ["RUN_ID"] * 4


def test_kubernetes_tries_again_what_may_work_then() -> None:
    [_, rule] = cron_job()["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {"containerName": "driver", "operator": "NotIn", "values": [18, 137, 143]}


@pytest.mark.parametrize("script", sorted(DEPLOY.rglob("*.sh")), ids=lambda script: script.name)
def test_a_shell_script_parses(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.stat().st_mode & 0o111


def test_the_image_has_the_locked_packages_but_its_own_spark(tmp_path: Path) -> None:
    text = (DEPLOY / "kubernetes" / "Dockerfile").read_text()
    assert all((ROOT / source).exists() for source in re.findall(r"^COPY (\S+)", text, re.MULTILINE))
    [program] = re.findall(r"awk '(.*?)'", text)
    lock = ROOT / "requirements" / "spark4.txt"
    kept = subprocess.run(["awk", program, str(lock)], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^([a-z][\w-]*)==", kept, re.MULTILINE)
    assert set(re.findall(r"^([a-z][\w-]*)==", lock.read_text(), re.MULTILINE)) - set(names) == {"pyspark", "py4j"}
    assert kept.count("--hash=") > len(names)
    assert [line for line in kept.splitlines() if not re.match(r"[a-z]| +--hash=", line)] == []


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (14, "AirflowSkipException"),
        (18, "AirflowException"),
        (1, "AirflowFailException"),
        (10, "AirflowFailException"),
        (13, "AirflowFailException"),
        (143, "AirflowFailException"),
    ],
)
def test_the_exit_code_says_what_becomes_of_the_task(code: int, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Operator, "code", code)
    task = dag_module(DAG_FILE)["dag"].tasks[3]
    with pytest.raises(Exception, match=f"Error code is: {code}") as raised:
        task.execute({})
    assert type(raised.value).__name__ == outcome


def test_a_job_that_succeeds_ends_its_task() -> None:
    dag_module(DAG_FILE)["dag"].tasks[0].execute({})


def test_an_error_without_an_exit_code_fails_at_once() -> None:
    names = dag_module(DAG_FILE)
    assert names["exit_code"]("the binary does not exist") is None
    assert names["exception_of"](None) is Exceptions.AirflowFailException


def test_the_exit_codes_of_the_dag_are_those_of_the_errors() -> None:
    names = dag_module(DAG_FILE)
    assert (names["GATE"], names["TRANSIENT"]) == (GateError.exit_code, TransientError.exit_code)
