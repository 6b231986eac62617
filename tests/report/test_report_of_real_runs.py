"""The reports of real runs: of the sample, of a run that the gate refuses, and of RetailRocket.

Every number on a page is one of the records, and pictures of all pages are kept in tests/artifacts.
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.literal_store import open_store
from support.page_text import Page
from support.submitting import run
from test_report import numbers_in
from test_report_in_browser import CHROMIUM, photographed, started

from recommender.commands.overview import one_run
from recommender.report import Facts, facts_of, report_page

REPOSITORY = Path(__file__).resolve().parents[2]
RETAILROCKET = REPOSITORY.parent / "shared" / "data" / "retailrocket" / "events.csv.gz"
WEAK = ("stage2.als.rank=1", "stage2.als.max_iter=1")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: {CHROMIUM} is not there"),
]


def workflow(root: Path, *settings: str) -> int:
    """Run the workflow as users do; return its exit code."""
    words = [word for setting in settings for word in ("--set", setting)]
    return run([sys.executable, "-m", "recommender", "run", "--root", str(root), *words], REPOSITORY).code


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a small model, of a better one that replaced it, and of a weak one that was refused."""
    root = tmp_path_factory.mktemp("sample")
    codes = [workflow(root, "stage2.als.rank=8"), workflow(root), workflow(root, *WEAK)]
    assert codes == [0, 0, 14]
    return root


@pytest.fixture(scope="module")
def retailrocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not RETAILROCKET.exists():
        pytest.skip(f"the real events are not there: {RETAILROCKET}")
    root = tmp_path_factory.mktemp("retailrocket")
    assert workflow(root, f"stage1.data_loader.event_filename={RETAILROCKET}") == 0
    return root


def facts(root: Path, name: str) -> Facts:
    found = one_run(open_store(root), name)
    return facts_of(open_store(root), found.id, found.commits, found.failures)


def recorded(shown: Facts, root: Path) -> set[float]:
    """Return the numbers of the records, and the sums and shares that the page makes of them."""
    records = [commit.record for commit in shown.commits.values()]
    own = [record["seconds"] for record in records if record["run"] == shown.run]
    rows = [sum(each["rows"] for each in record["contents"].values()) for record in records]
    curves = [shown.record("stage1")["profile"]["long_tail"], shown.record("stage4").get("long_tail") or []]
    shares = [total / curve[-1][1] for curve in curves for _, total in curve]
    days = list(shown.record("stage1")["profile"]["events_by_day"].values())
    weeks = [sum(days[first : first + 7]) for first in range(len(days))]
    kinds = sorted(shown.record("stage1")["profile"]["events_by_kind"].values())
    files = [len(shown.record("stage1").get("inputs") or ())]
    judged = shown.commits["stage2"]
    segments: list[Any] = []
    for path in judged.files("segment_metrics"):
        segments += pq.read_table(io.BytesIO((root / "stage2" / "data" / path).read_bytes())).to_pylist()
    return set(numbers_in([records, sum(own), rows, shares, max(days), weeks, kinds, files, segments]))


@pytest.mark.parametrize(
    ("fixture", "name", "begins"),
    [
        ("sample", "live", "Published to live: finds "),
        ("sample", "latest", "Refused by the gate: "),
        ("retailrocket", "live", "Published to live: finds "),
    ],
)
def test_every_number_is_one_of_the_records(
    request: pytest.FixtureRequest, browser: Any, fixture: str, name: str, begins: str
) -> None:
    root = request.getfixturevalue(fixture)
    shown = facts(root, name)
    source = report_page([shown])
    page = Page(source)
    assert begins in page.text
    assert page.values - recorded(shown, root) == set()
    if name == "live":  # the file that stage 4 has left shows the same
        beside = (root / "stage4" / "data" / shown.commits["stage4"].attempt / "report.html").read_text("utf-8")
        assert Page(beside).values == page.values
    file = root / f"{fixture}-{name}.html"
    file.write_text(source, encoding="utf-8")
    for scheme, width in (("light", 1200), ("dark", 1200), ("light", 375), ("dark", 375)):
        photographed(browser, file, f"{fixture}-{name}", scheme, width)
