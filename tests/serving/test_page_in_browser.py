"""The page in a real browser, before a stub of the service; its pictures are kept in tests/artifacts.

Needs the package playwright and Debian's Chromium. The page must not ask anybody but the service, and must not break
its own policy: that is looked at behind every test.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.published import publish
from support.running import Running
from support.stub_service import EVENTS, KNOWN, LONG, SCRIPT, TITLES, UNKNOWN, WITHOUT_TITLES, StubService

api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
LIGHT, DARK = "rgb(244, 246, 248)", "rgb(19, 23, 28)"
PICTURES = Path(__file__).resolve().parent.parent / "artifacts"
PATIENCE = 10_000  # ms
expect = api.expect

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser: {CHROMIUM} is not there")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def service() -> Iterator[StubService]:
    with StubService() as service:
        yield service


@pytest.fixture
def opened(browser: Any, service: StubService) -> Iterator[Callable[..., Any]]:
    """Return a function that opens the page at an address behind "#" (settings: of the browser's context)."""
    contexts, asked, complaints = [], [], []

    def at(state: str = "", **settings: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
        page.goto(f"{service.address}#{state}")
        return page

    yield at
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(service.address)] == []
    assert [text for text in complaints if "Failed to load resource" not in text] == []


def picture(page: Any, name: str) -> None:
    """Keep how the page looks."""
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def rows(page: Any) -> Any:
    return page.locator(".list > li")


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def test_a_visitor_is_typed_and_shown(opened: Callable[..., Any]) -> None:
    page = opened()
    expect(page.locator("#version")).to_contain_text("version 12, run 2026-11-24")
    picture(page, "start")
    page.get_by_label("Visitor", exact=True).fill(f" {KNOWN} ")
    button(page, "Show").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Visitor 42")
    expect(rows(page)).to_have_count(5)
    expect(rows(page).first).to_contain_text(re.compile("1.*Trail running shoe.*by the model.*0.821"))
    expect(rows(page).last).to_contain_text("popular")
    expect(page.locator("tbody tr").nth(1)).to_contain_text("addtocart")
    expect(page.locator("tbody tr").nth(1)).to_contain_text("2025-11-22 08:26 UTC")
    expect(page.locator("main").get_by_text("This is the list that was published")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("5 recommendations")
    expect(page).to_have_title("Visitor 42 – Recommendations")
    assert page.url.endswith("#visitor=42")
    picture(page, "visitor")


def test_a_recommendation_is_explained(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={KNOWN}")
    button(page, TITLES[2]).click()
    bars = page.locator(".bars > li")
    expect(bars).to_have_count(4)
    expect(bars.first).to_contain_text("Water bottle")
    expect(bars.first).to_contain_text("view, transaction")
    expect(bars.first).to_contain_text("+0.900")
    expect(bars.nth(2)).to_contain_text("−0.200")
    expect(bars.last).to_contain_text("popularity")
    expect(page.locator(".panel:visible .sum")).to_contain_text("Together 0.840")
    adds, takes = (page.locator(f".track > .{name}").first.bounding_box() for name in ("adds", "takes"))
    assert takes["x"] + takes["width"] == pytest.approx(adds["x"], abs=1.5)
    assert adds["width"] / takes["width"] == pytest.approx(0.9 / 0.2, rel=0.05)
    assert page.url.endswith("#visitor=42&item=2")
    expect(page.locator(".panel:visible .alike > li")).to_have_count(5)
    picture(page, "why")
    button(page, TITLES[2]).click()
    expect(page.locator(".panel:visible")).to_have_count(0)


def test_what_is_only_popular_needs_no_bars(opened: Callable[..., Any], service: StubService) -> None:
    page = opened(f"visitor={KNOWN}&item=5")
    expect(page.get_by_text("It is here because it is popular")).to_be_visible()
    assert not [address for address in service.asked if "explain" in address]


def test_a_visitor_that_does_not_exist_gets_the_popular_items_and_is_told_so(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={UNKNOWN}")
    expect(
        page.locator("main").get_by_text("This visitor is unknown to the version that is served: these are the popular")
    ).to_be_visible()
    expect(page.get_by_text("No event of this visitor is stored.")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    picture(page, "unknown")


def test_60_a_title_that_is_a_script_is_shown_and_not_run(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={KNOWN}&item=4")
    expect(button(page, SCRIPT)).to_be_visible()
    expect(page.locator(".bars > li")).to_have_count(4)
    page.goto(page.url.replace("&item=4", "&view=compare"))
    expect(page.get_by_role("link", name=SCRIPT)).to_be_visible()
    expect(page).to_have_title("Visitor 42 in two versions – Recommendations")
    assert page.locator("main script").count() == page.locator("main img[src=x]").count() == 0
    picture(page, "script")


def test_60_the_page_and_the_service_agree(browser: Any, tmp_path: Path) -> None:
    publish(tmp_path, "monday", titles=[SCRIPT])
    with Running("--root", str(tmp_path), "--poll", "0.1") as running:
        running.ready()
        visitorid = running.client.get("/v1/visitors/random").json()["visitorid"]
        context = browser.new_context()
        page, complaints = context.new_page(), list[str]()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
        page.goto(f"http://127.0.0.1:{running.port}/#visitor={quote(visitorid, safe='')}")
        expect(page.get_by_role("heading", level=2)).to_have_text(f"Visitor {visitorid}")
        expect(rows(page).first).to_contain_text(SCRIPT)
        rows(page).first.get_by_role("button", name=SCRIPT).click()
        expect(page.locator(".panel:visible .alike > li").first).to_contain_text(SCRIPT)
        assert page.locator("main script").count() == page.locator("main img[src=x]").count() == 0
        context.close()
    assert [text for text in complaints if "Failed to load resource" not in text] == []


def test_pictures_are_shown_where_they_can_be(opened: Callable[..., Any], service: StubService) -> None:
    page = opened(f"visitor={KNOWN}")
    shown = page.locator(".list img")
    expect(shown).to_have_count(1)
    expect(shown).to_have_attribute("alt", "Picture of Trail running shoe")
    expect(shown).to_have_attribute("loading", "lazy")
    assert "/pictures/missing.svg" in service.asked


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("start", ""),
        ("visitor", f"visitor={KNOWN}&item=2"),
        ("without-titles", f"visitor={WITHOUT_TITLES}"),
        ("compare", f"visitor={KNOWN}&view=compare"),
        ("item", "view=item&item=2"),
        ("version", "view=version"),
        ("refused", f"visitor={'x' * 201}"),
    ],
)
def test_a_narrow_screen_scrolls_only_down(opened: Callable[..., Any], name: str, state: str) -> None:
    page = opened(state, viewport={"width": 320, "height": 640})
    expect(page.locator("#content > :not(.loading)").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    picture(page, f"narrow-{name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_on_a_telephone_numbers_name_their_model_and_versions_can_be_compared(opened: Callable[..., Any]) -> None:
    page = opened("view=version", viewport={"width": 320, "height": 640})
    names = page.locator(".metrics tbody tr").first.locator(".of-model")
    expect(names.first).to_be_visible()
    assert names.all_inner_texts() == ["this model", "popular items"]
    link, table = (page.locator(f".scrolls:has(.over-time){part}").first.bounding_box() for part in (" a", ""))
    assert link["x"] + link["width"] <= table["x"] + table["width"]
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(names.first).to_be_hidden()


WAYS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
}
STATES = {
    "start": "",
    "visitor": f"visitor={KNOWN}&item=2",
    "what-if": f"visitor={KNOWN}&did=view:12",
    "unknown": f"visitor={UNKNOWN}",
    "compare": f"visitor={KNOWN}&view=compare",
    "item": "view=item&item=2",
    "version": f"visitor={KNOWN}&view=version",
    "refused": f"visitor={'x' * 201}",
}


@pytest.mark.parametrize("way", WAYS)
def test_axe_finds_nothing_that_keeps_people_out(opened: Callable[..., Any], service: StubService, way: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    service.hidden = [6]
    page = opened(**WAYS[way])
    for name, state in STATES.items():
        page.goto("about:blank")
        page.goto(f"{service.address}#{state}")
        expect(page.locator("#content > :not(.loading)").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        picture(page, f"{way}-{name}")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"


def has_ground(page: Any, colour: str) -> None:
    expect(page.locator("body")).to_have_css("background-color", colour)


def test_it_is_dark_where_the_system_is(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={KNOWN}&item=2", color_scheme="dark")
    expect(page.locator(".bars > li")).to_have_count(4)
    has_ground(page, DARK)
    picture(page, "dark-visitor")
    page.emulate_media(color_scheme="light")
    has_ground(page, LIGHT)
    for name, state in (
        ("dark-compare", f"visitor={KNOWN}&view=compare"),
        ("dark-version", "view=version"),
        ("dark-what-if", f"visitor={KNOWN}&did=view:12"),
    ):
        other = opened(state, color_scheme="dark")
        expect(other.locator("table:visible").first).to_be_visible()
        picture(other, name)


def test_a_chosen_theme_is_kept(opened: Callable[..., Any]) -> None:
    page = opened(color_scheme="light")
    button(page, "Dark colours").click()
    page.reload()
    expect(button(page, "Light colours")).to_be_visible()
    has_ground(page, DARK)


def focused(page: Any) -> str:
    """Return what the element with the focus is called, and see that it looks different from the others."""
    found = page.evaluate(
        """() => {
            const at = document.activeElement;
            if (at === document.body) return ["body", "solid"];
            return [at.id || at.textContent, getComputedStyle(at).outlineStyle];
        }"""
    )
    assert found[1] == "solid", found
    return str(found[0])


def test_everything_can_be_done_by_keyboard(opened: Callable[..., Any]) -> None:
    page = opened()
    expect(page.locator("#version")).to_contain_text("version 12")
    page.keyboard.press("Tab")
    assert focused(page) == "skip"
    for name in ("Visitor", "Compare", "Version", "theme", "visitor"):
        page.keyboard.press("Tab")
        assert focused(page) == name
    page.keyboard.type(KNOWN)
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(5)
    for name in ("places", "Show", "random", "filter-0", "filter-1", TITLES[1]):
        page.keyboard.press("Tab")
        assert focused(page) == name
    page.keyboard.press("Enter")
    expect(button(page, TITLES[1])).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".panel:visible .alike > li")).to_have_count(5)
    assert focused(page) == TITLES[1]
    picture(page, "keyboard")
    page.keyboard.press("Tab")
    assert focused(page) == TITLES[6]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text("Item 6")
    assert focused(page) == "Item 6"
    page.go_back()
    expect(button(page, TITLES[1])).to_be_focused()


def test_the_focus_is_never_trapped(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={KNOWN}&item=2")
    expect(page.locator(".bars > li")).to_have_count(4)
    expect(page.locator(".panel:visible .alike > li")).to_have_count(5)
    page.keyboard.press("Tab")
    seen = []
    while focused(page) != "body" and len(seen) < 60:
        seen.append(focused(page))
        page.keyboard.press("Tab")
    assert seen[0] == "skip"
    assert seen[-1] == "The service's interface"


def test_the_skip_link_leads_to_the_content_and_keeps_the_address(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={KNOWN}")
    expect(rows(page)).to_have_count(5)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "filter-0"
    assert page.url.endswith("#visitor=42")


def test_two_versions_are_compared(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={KNOWN}")
    expect(rows(page)).to_have_count(5)
    page.get_by_role("link", name="Compare").click()
    summary = "3 of 5 items were there before (1 moved up, 1 moved down); 2 gained, 1 lost."
    expect(page.locator(".sum")).to_have_text(summary)
    expect(page.get_by_role("status")).to_have_text(summary)
    now, before = (page.locator("section", has=page.get_by_role("heading", name=name)) for name in ("Now:", "Before:"))
    marks = [["▲ up 1, from 2 to 1", "▼ down 1, from 1 to 2", "= same place", "+ gained", "+ gained"]]
    marks += [["▼ down 1, from 1 to 2", "▲ up 1, from 2 to 1", "= same place", "− lost"]]
    assert [part.locator(".mark").all_inner_texts() for part in (now, before)] == marks
    expect(before.get_by_role("heading")).to_have_text("Before: version 11, run 2026-11-23")
    picture(page, "compare")


def test_without_a_version_before_there_is_nothing_to_compare(opened: Callable[..., Any], service: StubService) -> None:
    service.has_previous = False
    page = opened(f"visitor={KNOWN}&view=compare")
    expect(page.locator("main").get_by_text("There is no version before this one")).to_be_visible()


def test_the_version_is_shown_with_its_metrics(opened: Callable[..., Any], service: StubService) -> None:
    service.refused = "part-00001.arrow has 17 bytes, the manifest says 4,096"
    page = opened("view=version")
    expect(page.get_by_text("Blessed, on ndcg@10, 1,202 held-out visitors.")).to_be_visible()
    expect(page.get_by_text("Better than popular items, 5.5 times as good: 0.0743 against 0.0135")).to_be_visible()
    row = page.locator(".metrics tr", has_text="ndcg")
    expect(row).to_contain_text("near the top? ↑ higher is better")
    expect(row).to_contain_text("0.0743 (0.0632 to 0.0865)")
    expect(row).to_contain_text("0.0135 (0.0093 to 0.0182)")
    dots = [row.locator(".dot").nth(place).bounding_box() for place in (0, 1)]
    lines = [row.locator(".range").nth(place).bounding_box() for place in (0, 1)]
    at = [(dot["x"] + dot["width"] / 2 - line["x"]) / line["width"] for dot, line in zip(dots, lines, strict=True)]
    assert at == [pytest.approx(value / 0.0865, abs=0.02) for value in (0.0743, 0.0135)]
    page.get_by_label("Places that are looked at").select_option("5")
    expect(row).to_contain_text("0.0675 (0.0561 to 0.0790)")
    expect(
        page.get_by_text("A newer version was refused, and this one goes on being served: part-00001")
    ).to_be_visible()
    picture(page, "version")


def test_versions_are_shown_over_time_and_lead_to_a_comparison(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={KNOWN}&view=version")
    lines = page.locator(".over-time tbody tr")
    expect(lines).to_have_count(4)
    expect(lines.first).to_contain_text("candidate")
    expect(lines.nth(1)).to_contain_text(re.compile("version 12.*served.*0.0743"))
    lines.nth(2).get_by_role("link", name="Compare version 11, run 2026-11-23").click()
    expect(page.get_by_role("heading", name="Before: version 11, run 2026-11-23")).to_be_visible()
    page.get_by_label("Compare with").select_option("candidate")
    expect(page.get_by_role("heading", name="Candidate: version 3, run 2026-11-25")).to_be_visible()
    expect(page.get_by_role("heading", name="Live: version 12, run 2026-11-24")).to_be_visible()
    assert page.url.endswith("with=candidate")
    picture(page, "candidate")


def test_an_event_that_is_tried_changes_the_list_and_is_stored_nowhere(
    opened: Callable[..., Any], service: StubService
) -> None:
    page = opened(f"visitor={KNOWN}")
    page.get_by_label("Event", exact=True).select_option("addtocart")
    page.get_by_label("Id of an item").fill(" 12 ")
    button(page, "Try").click()
    expect(page.get_by_text("The list changes: 1 item new, 0 gone, 5 moved.")).to_be_visible()
    expect(rows(page).first.locator(".mark")).to_have_text("+ gained")
    assert service.told == [{"visitorid": KNOWN, "events": [{"event": "addtocart", "itemid": "12"}], "k": 10}]
    picture(page, "what-if")
    button(page, "Remove addtocart 12").click()
    expect(rows(page)).to_have_count(5)
    expect(page.locator(".mark")).to_have_count(0)
    assert page.url.endswith(f"#visitor={KNOWN}")


def test_a_list_is_filtered_by_what_the_shop_knows(opened: Callable[..., Any], service: StubService) -> None:
    page = opened(f"visitor={KNOWN}")
    page.get_by_label("category").select_option("shoes")
    expect(rows(page)).to_have_count(3)
    page.get_by_label("in stock").select_option("true")
    expect(page.get_by_label("category")).to_have_value("shoes")
    assert any("filter=category%3Ashoes%2Cin_stock%3Atrue" in address for address in service.asked)
    page.get_by_label("category").select_option("")
    expect(page.get_by_label("in stock")).to_have_value("true")


def test_visitors_and_items_are_found_while_one_types(opened: Callable[..., Any]) -> None:
    page = opened()
    page.get_by_label("Visitor", exact=True).press_sequentially("shoe")
    page.get_by_role("link", name=TITLES[1]).click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Item 1")
    page.get_by_label("Visitor", exact=True).fill("900")
    picture(page, "search")
    page.get_by_role("link", name=LONG).click()
    expect(page.get_by_role("heading", level=2)).to_have_text(f"Visitor {LONG}")
    expect(page.locator("#found a")).to_have_count(0)


def test_hidden_items_are_marked_as_hidden(opened: Callable[..., Any], service: StubService) -> None:
    service.hidden = [6, 2]
    page = opened(f"visitor={KNOWN}")
    expect(page.locator("tbody tr", has_text="Water bottle").first.locator(".badge")).to_have_text("hidden")
    page.goto(f"{service.address}#view=item&item=2")
    expect(page.get_by_text("This item is hidden: no list has it")).to_be_visible()
    expect(page.get_by_text("14 visitors")).to_be_visible()
    picture(page, "item-hidden")
    page.goto(f"{service.address}#view=version")
    expect(page.get_by_role("heading", name="Hidden items")).to_be_visible()


def test_the_address_holds_what_is_shown_and_the_way_back_works(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={WITHOUT_TITLES}&k=5")
    expect(rows(page)).to_have_count(5)
    expect(page.get_by_label("Places", exact=True)).to_have_value("5")
    button(page, "Random visitor").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Visitor 42")
    page.get_by_role("link", name="Version", exact=True).click()
    expect(page.get_by_role("heading", level=2)).to_have_text("The version that is served")
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_text("Visitor 42")
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_text("Visitor 7")
    expect(page.get_by_label("Visitor", exact=True)).to_have_value("7")


def test_an_answer_that_was_overtaken_is_not_shown(opened: Callable[..., Any], service: StubService) -> None:
    service.late = f"visitors/{WITHOUT_TITLES}/"
    page = opened(f"visitor={KNOWN}")
    expect(rows(page)).to_have_count(5)
    page.evaluate(f"location.hash = '#visitor={WITHOUT_TITLES}'")
    page.wait_for_function("document.getElementById('content').ariaBusy === 'true'")
    page.go_back()
    expect(page.get_by_label("Visitor", exact=True)).to_have_value(KNOWN)
    page.wait_for_timeout(1_500)
    expect(page.get_by_role("heading", level=2)).to_have_text("Visitor 42")
    button(page, TITLES[2]).click()  # what is shown still asks
    expect(page.locator(".bars > li")).to_have_count(4)


def test_what_another_version_says_is_not_shown_beside_a_list(opened: Callable[..., Any], service: StubService) -> None:
    page = opened(f"visitor={KNOWN}")
    expect(rows(page)).to_have_count(5)
    service.version = {**service.version, "number": 13, "run": "2026-11-25"}
    button(page, TITLES[2]).click()
    notices = page.locator(".panel:visible .notice")
    expect(notices).to_have_count(2)
    expect(notices.first).to_have_text("Another version is served since then: version 13, run 2026-11-25.")
    button(page, "Show it").first.click()
    expect(page.locator(".bars > li")).to_have_count(4)
    expect(page.locator("#version")).to_contain_text("version 13")


def test_a_time_that_is_in_no_calendar_is_shown_as_a_number(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVENTS, KNOWN, [(6, "view", 9_000_000_000_000_000)])
    page = opened(f"visitor={KNOWN}")
    expect(page.locator("tbody tr")).to_contain_text("9000000000000000")


def test_an_id_that_is_longer_than_a_number_of_javascript_is_kept(
    opened: Callable[..., Any], service: StubService
) -> None:
    service.random = LONG
    page = opened()
    button(page, "Random visitor").click()
    expect(page.get_by_role("heading", level=2)).to_have_text(f"Visitor {LONG}")


def test_a_refusal_says_what_to_do(opened: Callable[..., Any]) -> None:
    page = opened(f"visitor={'x' * 201}")
    failure = page.locator(".failure")
    expect(failure).to_contain_text("An id has at most 200 characters.Change what you asked for.")
    expect(failure).to_contain_text("REQUEST_INVALID")


def test_a_service_that_is_not_ready_is_asked_again(opened: Callable[..., Any], service: StubService) -> None:
    service.ready = False
    page = opened(f"visitor={KNOWN}")
    expect(page.locator(".failure")).to_contain_text("The service is not ready.")
    picture(page, "not-ready")
    service.ready = True
    expect(rows(page)).to_have_count(5)


def test_a_service_that_could_not_load_its_first_version_says_why(
    opened: Callable[..., Any], service: StubService
) -> None:
    service.ready, service.refused = False, "manifest.json is damaged"
    page = opened()
    expect(page.locator(".failure")).to_contain_text("The service is not ready.")
    page.get_by_role("link", name="Version", exact=True).click()
    expect(page.locator(".failure")).to_have_text(
        "The version that was to be served was refused: manifest.json is damaged"
    )


def test_a_service_that_is_gone_is_told(opened: Callable[..., Any], service: StubService) -> None:
    page = opened(f"visitor={KNOWN}")
    expect(rows(page)).to_have_count(5)
    service.stop()
    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".failure")).to_contain_text("The service does not answer.")
    expect(button(page, "Try again")).to_be_visible()


def test_a_token_is_asked_for_where_one_is_needed(opened: Callable[..., Any], service: StubService) -> None:
    service.token = "a token"  # noqa: S105 - of this test
    page = opened(f"visitor={KNOWN}")
    page.get_by_label("Token").fill("a token")
    button(page, "Use it").click()
    expect(rows(page)).to_have_count(5)
    page.reload()
    expect(rows(page)).to_have_count(5)
