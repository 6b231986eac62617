"""The report in a real browser: light, dark, narrow and printed; its pictures are kept in tests/artifacts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.literal_run import GATE, two_stages, whole_run
from support.literal_store import open_store

from recommender.report import facts_of, report_page
from recommender.store import Channels

api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PICTURES = Path(__file__).resolve().parent.parent / "artifacts"
REFUSAL = {"id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034, that of popular"}

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: {CHROMIUM} is not there")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the reports of a published run, of a refused one, and of both."""
    folder = tmp_path_factory.mktemp("reports")
    store = open_store(folder / "out")
    commit = whole_run(store, "monday")
    Channels(store).publish("live", commit)
    two_stages(store, "tuesday", blessed=False, gate={**GATE, "reasons": [REFUSAL]})
    judged = store.latest("stage2")
    assert judged is not None
    runs = [facts_of(store, "monday", {"stage4": commit}), facts_of(store, "tuesday", {"stage2": judged})]
    pages = {"published": runs[:1], "refused": runs[1:], "both": runs}
    for name, shown in pages.items():
        (folder / f"{name}.html").write_text(report_page(shown), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


@contextmanager
def started() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as browser:
        yield browser


def photographed(browser: Any, file: Path, name: str, scheme: str, width: int) -> None:
    """Open a report, keep its picture, and check that it fits, and asks for nothing else."""
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, java_script_enabled=False
    )
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda told: complaints.append(told.text))
    page.goto(file.as_uri())
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"report-{name}-{scheme}-{width}.png", full_page=True)
    sizes = page.locator("main").bounding_box()
    assert sizes["width"] <= width  # nothing is wider than the window
    box = page.locator(".row svg").first.bounding_box()
    assert box["width"] > 40
    context.close()
    assert asked == [file.as_uri()]
    assert complaints == []


@pytest.mark.parametrize("name", ["published", "refused", "both"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 375)])
def test_the_report_is_shown(browser: Any, files: dict[str, Path], name: str, scheme: str, width: int) -> None:
    photographed(browser, files[name], name, scheme, width)


def test_the_report_follows_the_colours_that_the_reader_prefers(browser: Any, files: dict[str, Path]) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(files["published"].as_uri())
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.set_viewport_size({"width": 375, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
    assert grounds == ["rgb(247, 248, 249)", "rgb(19, 23, 28)"]
