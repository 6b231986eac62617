"""What the documents point at exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for text, target in re.findall(r"\[([^\]]+)\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
        if text.startswith("test_"):
            assert f"def {text}(" in (page.parent / target).read_text(encoding="utf-8"), text


def anchors(page: Path) -> set[str]:
    """Return the anchors that the headings of a page have on GitHub."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_every_folder_of_the_package_is_described() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.parent.name for path in (ROOT / "recommender").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == folders


def is_slow(test: str, text: str) -> bool:
    """Return whether a test, or its whole file, is marked slow."""
    of_file = re.search(r"^pytestmark = .*mark\.slow", text, re.MULTILINE)
    return bool(of_file or re.search(rf"^@pytest\.mark\.slow\n(@.*\n)*def {test}\(", text, re.MULTILINE))


def test_the_fault_matrix_says_which_of_its_tests_are_slow() -> None:
    page = ROOT / "docs" / "reliability.md"
    found = re.findall(r"\[(test_\w+)\]\(([^)]+)\)( \*slow\*)?", page.read_text(encoding="utf-8"))
    assert len(found) > 62
    for test, target, said in found:
        assert is_slow(test, (page.parent / target).read_text(encoding="utf-8")) == bool(said), test


def test_every_row_of_the_fault_matrix_that_is_built_has_its_test() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\[test_", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == [*range(1, 63)]
