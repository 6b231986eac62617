"""The installed package, without a checkout: a user's own step is found, and has its line in the report."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recommender.store import Store, open_files
from tests.support.submitting import LIGHT, SUBMIT, environment, setting

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400_000
# The step refuses to be found beside a checkout's package.
SHOP = """
import recommender
from pyspark.sql import DataFrame, functions as F
from recommender import step

assert "/installed/" in recommender.__file__, recommender.__file__


@step
class NightFilter:
    wakes_at: int = 6

    def execute(self, events: DataFrame) -> DataFrame:
        return events.where(F.hour(F.timestamp_millis("timestamp")) >= self.wakes_at)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a folder with the files that a wheel has."""
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / "source").mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "source" / name)
    shutil.copytree(ROOT / "recommender", tmp_path / "source" / "recommender")
    build = "import setuptools; setuptools.setup()"
    target = tmp_path / "installed"
    command = [sys.executable, "-c", build, "-q", "build_py", "--build-lib", str(target)]
    subprocess.run(command, cwd=tmp_path / "source", check=True)
    shutil.rmtree(tmp_path / "source")
    return target


@pytest.mark.slow
def test_a_step_of_a_user_s_own_works_with_the_installed_package(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "my_shop.py").write_text(SHOP)
    (tmp_path / "jobs").mkdir()
    shutil.copy(ROOT / "jobs" / "stage1.py", tmp_path / "jobs" / "stage1.py")
    # Half of the events are at 03:00 UTC, half at 12:00.
    rows = (f"{10**12 // DAY * DAY + (3 + n % 2 * 9) * DAY // 24 + n},{n % 10},view,{n % 7}" for n in range(100))
    (tmp_path / "events.csv").write_text("\n".join(["timestamp,visitorid,event,itemid", *rows]) + "\n")
    config = "stage1: {steps: {night_filter: {class: my_shop.NightFilter, wakes_at: 7}}}"
    (tmp_path / "shop.yaml").write_text(config)
    words = ["--config", "shop.yaml", "--root", "out", *setting("stage1.data_loader.event_filename=events.csv")]
    done = subprocess.run(
        [str(SUBMIT), *LIGHT, "jobs/stage1.py", *words],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": os.pathsep.join([str(installed), str(tmp_path / "shop")])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    commit = Store(open_files(str(tmp_path / "out"), hadoop=lambda: None)).latest("stage1")
    assert commit is not None
    lines = {line["step"]: (line["rows_in"], line["rows_out"]) for line in commit.record["steps"]}
    assert lines["night_filter"] == (100, 50)
    assert commit.record["config"]["steps"]["night_filter"]["class"] == "my_shop.NightFilter"
