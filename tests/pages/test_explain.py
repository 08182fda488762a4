"""The page Explain in a real browser: what limits, how much more it takes, what would help."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.pages.playground import ANSWER_MS
from tests.pages.small import link

pytestmark = pytest.mark.xdist_group("browser")

STUDY_MS = 120_000  # processes have to start, and the machine may be slow
# One server, fed more than it can do.
BUSY = "preset=monolith&client.users=2500"


def open_explain(page: Page, url: str, query: str = BUSY) -> None:
    """Go to the page and wait until it has been drawn."""
    page.goto(f"{url}/explain?{query}")
    page.locator("#stations tbody tr").first.wait_for(timeout=ANSWER_MS)
    page.locator("[data-testid=stPlotlyChart] .main-svg").first.wait_for(timeout=ANSWER_MS)


def test_the_page_says_what_limits_and_holds_theory_against_it(server: str, page: Page) -> None:
    """A picture of numbers would leave the why to the reader."""
    open_explain(page, server)
    answer = page.locator("[data-bottleneck]")
    assert answer.get_attribute("data-bottleneck") == "application.server"
    expect(answer).to_contain_text(re.compile(r"Server .* busy at \d+/s"))
    row = page.locator("tr[data-station='data.primary'] td")
    expect(row.last).to_have_text(re.compile(r"Erlang|longer|shorter|formula"))
    expect(
        page.get_by_text(re.compile(r"Warm-up\. (The first|There is no|This run never)"))
    ).to_be_visible()


@pytest.mark.thorough
def test_headroom_says_the_rate_and_what_breaks_first(server: str, page: Page) -> None:
    """Nobody would know how far they are from an outage."""
    open_explain(page, server, link(90))
    page.get_by_role("button", name="Find the limit").click()
    panel = page.locator(".st-key-headroom")
    said = panel.get_by_text(re.compile(r"takes? [\d,]+ ± [\d,]+ requests/s.*breaks first"))
    expect(said).to_be_visible(timeout=STUDY_MS)
    field = panel.get_by_label("P99 at most, ms")
    field.fill("5")
    field.press("Enter")
    expect(panel.get_by_text("find the limit anew")).to_be_visible(timeout=ANSWER_MS)


def test_levers_are_tried_and_the_best_is_applied_and_undone(server: str, page: Page) -> None:
    """The answer would be a list, and the user would turn knobs by hand."""
    open_explain(page, server, link(95))
    panel = page.locator(".st-key-what-next")
    panel.get_by_role("button", name="Try every lever").click()
    first = panel.get_by_role("button", name="Apply").first
    first.wait_for(timeout=STUDY_MS)
    expect(panel.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(panel.get_by_text(re.compile(r"(app server|CPU core).*P99 −\d+"))).not_to_have_count(0)
    expect(panel.locator("[data-testid=stPlotlyChart] .main-svg").first).to_be_visible()
    before = page.url
    first.click()
    undo = panel.get_by_role("button", name="Undo")
    expect(undo).to_be_visible(timeout=ANSWER_MS)
    page.wait_for_function("before => location.href !== before", arg=before)
    undo.click()
    expect(undo).to_have_count(0, timeout=ANSWER_MS)
    page.wait_for_function("before => location.href === before", arg=before)


@pytest.mark.thorough
def test_a_study_can_be_called_off_and_says_so(server: str, page: Page) -> None:
    """A click by mistake would take minutes."""
    open_explain(page, server, "client.requests_per_second=500")
    panel = page.locator(".st-key-what-next")
    panel.get_by_role("button", name="Try every lever").click()
    expect(panel.get_by_role("progressbar")).to_be_visible(timeout=ANSWER_MS)
    expect(panel.get_by_text(re.compile(r"\d+ of \d+ runs"))).to_be_visible(timeout=STUDY_MS)
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.get_by_text("Stopped after")).to_be_visible(timeout=STUDY_MS)
