"""The page of traces in a real browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.pages.playground import ANSWER_MS, Playground

pytestmark = pytest.mark.xdist_group("browser")

BUSY = "application.replicas=1"  # so that some requests wait, and some fail


def open_traces(page: Page, url: str, query: str = "") -> None:
    """Go to the page of traces and wait until it has been drawn."""
    page.goto(f"{url}/traces?{query}")
    page.locator("[data-testid=stPlotlyChart] .main-svg").nth(1).wait_for(timeout=ANSWER_MS)


@pytest.mark.thorough
def test_every_choice_draws_a_waterfall_or_says_why_not(server: str, page: Page) -> None:
    """Each journey has its typical, slow and failed requests; none may break the page."""
    open_traces(page, server, BUSY)
    journeys = page.locator(".st-key-journey button")
    for journey in range(journeys.count()):
        journeys.nth(journey).click()
        for which in ("p50", "p95", "p99", "slowest", "failed"):
            page.locator(".st-key-which button", has_text=which).click()
            expect(page.locator(".st-key-which button[aria-checked=true]")).to_have_text(which)
            shown = page.locator(".waterfall .row, [data-testid=stAlert]").first
            shown.wait_for(timeout=ANSWER_MS)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_waterfall_shows_who_waited_and_who_worked(server: str, page: Page) -> None:
    """Without waits and the critical path, a waterfall does not say what to mend."""
    open_traces(page, server, f"{BUSY}&which=p99")
    page.locator(".waterfall .row").first.wait_for()
    assert page.locator(".waterfall .row").count() >= 4
    assert page.locator(".waterfall .line .waiting").count() >= 1
    assert page.locator(".waterfall .line .critical").count() >= 2


def test_a_click_on_a_span_shows_its_tags_and_a_branch_can_be_closed(
    server: str, page: Page
) -> None:
    """Details must be there when asked for, and out of the way when not."""
    open_traces(page, server)
    rows = page.locator(".waterfall .row")
    rows.first.wait_for()
    count = rows.count()
    rows.nth(1).click()
    expect(page.locator(".waterfall .tags")).to_contain_text("waits in line")
    rows.nth(1).click()
    expect(page.locator(".waterfall .tags")).to_have_count(0)
    rows.first.press("ArrowLeft")
    assert rows.count() < count
    expect(rows.first).to_have_attribute("aria-expanded", "false")
    rows.first.press("ArrowRight")
    assert rows.count() == count


@pytest.mark.thorough
def test_a_run_without_failures_says_how_to_get_one(server: str, page: Page) -> None:
    """An empty page must be a hint, not a riddle."""
    open_traces(page, server, "which=failed")
    expect(page.get_by_test_id("stAlert")).to_contain_text("To see one")


@pytest.mark.thorough
def test_traces_are_those_of_the_playgrounds_scenario(server: str, page: Page) -> None:
    """Both pages must look at the same system, on the way there and back."""
    shown = Playground(page).open(server)
    before, slider = shown.run, shown.slider("App servers")
    slider.press("ArrowRight")
    after = shown.wait_for_another_run(before)
    page.get_by_test_id("stTopNav").get_by_role("link", name="Traces").click()
    page.locator(".waterfall .row").first.wait_for(timeout=ANSWER_MS)
    assert "application.replicas=4" in page.url
    expect(slider).to_have_value("4")
    page.get_by_test_id("stTopNav").get_by_role("link", name="Playground").click()
    shown.wait_for_charts()
    assert shown.run == after


def test_the_browsers_back_button_shows_what_was_there(server: str, page: Page) -> None:
    """Back must lead to the system that was there before, map and sliders alike."""
    shown = Playground(page).open(server)
    start, slider = shown.run, shown.slider("App servers")
    page.get_by_test_id("stTopNav").get_by_role("link", name="Traces").click()
    page.locator(".waterfall .row").first.wait_for(timeout=ANSWER_MS)
    slider.press("ArrowRight")
    page.wait_for_url("**/traces?application.replicas=4")
    page.go_back()
    page.locator(f"[data-run='{start}']").wait_for(state="attached", timeout=ANSWER_MS)
    expect(slider).to_have_value("3")


@pytest.mark.thorough
def test_traces_fit_on_a_phone(server: str, page_of: Callable[..., Page]) -> None:
    """Sideways scrolling hides half of every bar."""
    page = page_of(viewport={"width": 390, "height": 844})
    open_traces(page, server)
    width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 390
