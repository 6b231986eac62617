"""The files of the page: what a browser would forgive, and a reader of screens or a strict policy would not."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "recommender" / "serving" / "page"
FILES = sorted(PAGE.iterdir())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
ENOUGH = 4.5  # the contrast of text that level AA of WCAG 2 asks for


class Elements(HTMLParser):
    """The elements of a page, with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def html() -> Elements:
    return Elements((PAGE / "index.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_nothing_is_parsed_as_html_or_as_code(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
    assert not re.search(forbidden, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix != ".svg"], ids=lambda path: path.name)
def test_nothing_is_fetched_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|[\"'(]//\w|@import|url\(", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_imports_only_what_lies_beside_it(path: Path) -> None:
    names = re.findall(r'from "(.+)";', path.read_text(encoding="utf-8"))
    assert all(name.startswith("./") and (PAGE / name).is_file() for name in names)


def test_the_policy_forbids_what_is_inline(html: Elements) -> None:
    (policy,) = [meta["content"] for meta in html.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_there_is_nothing_inline(html: Elements) -> None:
    assert all(script.get("src") for script in html.of("script"))
    assert not html.of("style")
    assert not [name for _, attributes in html.found for name in attributes if name.startswith("on") or name == "style"]


def test_all_that_the_page_names_is_there(html: Elements) -> None:
    named = [script["src"] for script in html.of("script")] + [link["href"] for link in html.of("link")]
    assert named
    assert all(name.startswith("static/") and (PAGE / name.removeprefix("static/")).is_file() for name in named)


def test_the_page_says_its_language_and_has_a_title(html: Elements) -> None:
    assert html.of("html")[0]["lang"] == "en"
    assert html.of("title")
    (viewport,) = [meta["content"] for meta in html.of("meta") if meta.get("name") == "viewport"]
    assert viewport == "width=device-width, initial-scale=1"  # and nothing that forbids to zoom


def test_the_page_has_landmarks_and_one_first_heading(html: Elements) -> None:
    assert all(len(html.of(tag)) == 1 for tag in ("header", "nav", "main", "footer", "h1"))
    assert html.of("nav")[0]["aria-label"]


def test_every_field_has_a_label(html: Elements) -> None:
    labelled = {label["for"] for label in html.of("label")}
    fields = [field["id"] for tag in ("input", "select") for field in html.of(tag)]
    assert fields
    assert set(fields) <= labelled


def test_results_are_announced(html: Elements) -> None:
    assert [attributes["id"] for _, attributes in html.found if attributes.get("aria-live") == "polite"] == ["said"]


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as #1f5f8b, as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [":root", ':root[data-theme="dark"]'])
def test_text_can_be_told_from_its_ground(theme: str) -> None:
    text = (PAGE / "colours.css").read_text(encoding="utf-8")
    block = text[text.index(f"{theme} {{") :]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", block[: block.index("}")]))
    for ground in ("ground", "card", "notice", "failure", "hover"):
        assert contrast(colours["text"], colours[ground]) >= ENOUGH
    for ground in ("ground", "card"):
        for name in ("faint", "accent"):
            assert contrast(colours[name], colours[ground]) >= ENOUGH, (name, ground)
        for name in ("edge", "adds", "takes", "notice-edge"):
            assert contrast(colours[name], colours[ground]) >= 3, (name, ground)
    for name in ("gained", "lost"):
        assert contrast(colours[name], colours["card"]) >= ENOUGH, name
    assert contrast(colours["on-accent"], colours["accent"]) >= ENOUGH
