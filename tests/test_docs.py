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


def test_every_row_of_the_fault_matrix_that_is_built_has_its_test() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\[test_", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == [*range(1, 63)]
