"""The page of plans in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.playground import ANSWER_MS, Playground
from tests.pages.small import link

pytestmark = pytest.mark.xdist_group("browser")

PLAYED_MS = 120_000  # the first study starts processes


def ask(page: Page, url: str, slowest: str) -> None:
    """Ask for the cheapest number of app servers with that P99."""
    page.goto(f"{url}/plan?{link(90)}&plan-p99={slowest}&plan-knobs=App+servers")
    expect(page.get_by_label("P99 at most, ms", exact=True)).to_have_value(
        slowest, timeout=ANSWER_MS
    )
    page.get_by_role("button", name="Find the cheapest").click()


def test_the_cheapest_is_found_applied_and_undone(server: str, page: Page) -> None:
    """An answer that has to be typed into the sliders by hand is half an answer."""
    ask(page, server, "600")
    card = page.locator(".st-key-plan-winner")
    card.wait_for(timeout=PLAYED_MS)
    expect(card).to_contain_text("App servers: 2 (now 1)")
    expect(card).to_contain_text("Verified on 5 seeds")
    page.get_by_role("button", name="Apply").click()
    slider = Playground(page).slider("App servers")
    expect(slider).to_have_value("2", timeout=ANSWER_MS)
    page.get_by_role("button", name="Undo").click()
    expect(slider).to_have_value("1", timeout=ANSWER_MS)


@pytest.mark.thorough
def test_a_goal_that_nothing_meets_names_the_limit(server: str, page: Page) -> None:
    """An empty answer would not say what to change."""
    ask(page, server, "20")
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("The limit that binds is P99 ≤ 20 ms", timeout=PLAYED_MS)
