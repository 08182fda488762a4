"""The page Compare in a real browser: pin, change, and see whether it makes a difference."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.playground import ANSWER_MS, Playground
from tests.pages.small import link

pytestmark = pytest.mark.xdist_group("browser")

STUDY_MS = 90_000  # processes have to start, and the machine may be slow
CALM = "client.requests_per_second=100"


def open_compare(page: Page) -> None:
    """Go to the page by its link, so that the session stays."""
    page.get_by_test_id("stTopNav").get_by_role("link", name="Compare").click()
    page.get_by_text("Compared with").wait_for(timeout=ANSWER_MS)


def test_a_pinned_system_is_compared_and_noise_is_called_noise(server: str, page: Page) -> None:
    """A difference by luck would be taken for one of the change."""
    shown = Playground(page).open(server, f"/?{link(50)}")
    page.get_by_role("button", name="Pin as baseline").first.click()
    before = shown.run
    shown.slider("App servers").press("ArrowRight")
    shown.wait_for_another_run(before)
    open_compare(page)
    differs = page.locator("table.differs tbody tr")
    expect(differs).to_have_count(1, timeout=ANSWER_MS)
    expect(differs).to_contain_text("application.replicas")
    runs = page.get_by_label("Runs of each")
    runs.fill("3")
    runs.press("Enter")
    page.get_by_role("button", name="Is the difference real?").click()
    told = page.locator("table.verdicts")
    dearer = told.locator("tr[data-metric=cost_usd_per_hour] td").last
    expect(dearer).to_contain_text("worse", timeout=STUDY_MS)
    errors = told.locator("tr[data-metric=error_ratio] td").last
    expect(errors).to_contain_text("no difference beyond noise")
    expect(page.get_by_text("Means of 3 runs of each")).to_be_visible(timeout=STUDY_MS)


@pytest.mark.thorough
def test_every_view_draws_both_systems(server: str, page: Page) -> None:
    """One view that fails would leave the reader with an empty page."""
    page.goto(f"{server}/compare?{CALM}&application.replicas=2")
    view = page.locator(".st-key-view")
    main = page.get_by_test_id("stMain")
    for name, drawn in {
        "Over time": ".timechart [role=img]",
        "Map": ".twins .node.differs .was",
        "Latency": "[data-testid=stPlotlyChart] .main-svg",
        "Traces": ".waterfall .row",
        "Parts": "th[colspan='3']",
        "Events": "[data-testid=stCaptionContainer], .scrolls",
        "Cost": "th:has-text('Costs')",
    }.items():
        view.get_by_role("radio", name=name).or_(view.get_by_role("button", name=name)).click()
        main.locator(drawn).first.wait_for(timeout=ANSWER_MS)
        expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.locator("th:has-text('On screen now')").first).to_be_visible()


def test_maps_side_by_side_mark_what_differs(server: str, page: Page) -> None:
    """Two tables of thirty rows would leave the reader to find the part that has changed."""
    page.goto(f"{server}/compare?{CALM}&application.replicas=2&view=Map")
    maps = page.locator(".twins section")
    expect(maps).to_have_count(2, timeout=ANSWER_MS)
    gateway = maps.locator("[data-id='application.gateway']")
    expect(gateway.nth(1).locator(".was")).to_contain_text("was ×3")
    expect(gateway.nth(0).locator(".was")).to_have_count(0)
    lefts = [box["x"] for box in (each.bounding_box() for each in maps.all()) if box]
    assert lefts[0] + 300 < lefts[1]
    gateway.nth(0).click()
    expect(page.locator(".twins .node.selected")).to_have_count(2)


def test_with_nothing_to_compare_the_page_says_what_to_do(server: str, page: Page) -> None:
    """An empty page must be a hint, not a riddle."""
    page.goto(f"{server}/compare?{CALM}")
    page.get_by_role("button", name="Pin as baseline").first.click(timeout=ANSWER_MS)
    expect(page.get_by_text("Both are the same system so far")).to_be_visible(timeout=ANSWER_MS)
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
