"""The page of sweeps in a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.playground import ANSWER_MS, Playground
from tests.pages.small import link

pytestmark = pytest.mark.xdist_group("browser")

PLAYED_MS = 120_000  # the first study starts processes


RATE = "client.requests_per_second"


def open_sweep(page: Page, url: str, steps: int, second: str = "") -> None:
    """Go to the page, with its fields filled in by the address, and wait until it can start."""
    query = f"{link(50)}&sweep-steps-1-{RATE}={steps}{second}"
    page.goto(f"{url}/sweep?{query}")
    page.get_by_role("button", name="Start").wait_for(timeout=ANSWER_MS)


def fill(page: Page, label: str, value: str, place: int = 0) -> None:
    """Type into a field and wait until the page has taken it."""
    field = page.get_by_label(label, exact=True).nth(place)
    field.fill(value)
    field.press("Enter")
    page.wait_for_timeout(600)


def start(page: Page) -> None:
    """Start, and wait until all has been played."""
    button = page.get_by_role("button", name="Start")
    expect(button).to_have_count(1, timeout=ANSWER_MS)  # it moves where a second knob is chosen
    button.click()
    page.get_by_role("button", name="Done").wait_for(timeout=PLAYED_MS)
    page.locator("[data-testid=stPlotlyChart] .main-svg").first.wait_for(timeout=ANSWER_MS)


def test_load_is_swept_to_a_curve_a_knee_and_a_law_and_is_kept(server: str, page: Page) -> None:
    """The curve that every engineer draws by hand, and that nobody would wait for twice."""
    open_sweep(page, server, 4)
    expect(page.get_by_text("4 points × 3 seeds = 12 runs")).to_be_visible(timeout=ANSWER_MS)
    start(page)
    expect(page.get_by_text("limit of 500 ms").first).to_be_visible()
    expect(page.get_by_text("The knee is at")).to_be_visible()
    page.get_by_role("radio", name="Scalability law").click()
    expect(page.get_by_text("The Universal Scalability Law")).to_be_visible(timeout=ANSWER_MS)
    page.get_by_text("All numbers").click()
    expect(page.get_by_test_id("stDownloadButton")).to_be_visible()
    page.reload()  # the address still asks the same
    expect(page.get_by_text("12 of them kept")).to_be_visible(timeout=ANSWER_MS)


@pytest.mark.thorough
def test_a_click_on_a_field_of_the_map_moves_the_sliders(server: str, page: Page) -> None:
    """A map that leads nowhere would have to be copied by hand."""
    second = "&sweep-knob-2=Application:+App+servers&sweep-steps-2-application.replicas=2"
    open_sweep(page, server, 2, second)
    start(page)
    field = page.locator(".st-key-sweep-map .nsewdrag").first
    field.wait_for(timeout=ANSWER_MS)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(500)
    plot = field.bounding_box()
    assert plot is not None
    page.mouse.click(plot["x"] + 0.75 * plot["width"], plot["y"] + 0.25 * plot["height"])
    page.wait_for_url("**/?*application.replicas=4*", timeout=ANSWER_MS)
    shown = Playground(page)
    shown.wait_for_charts()
    expect(shown.slider("App servers")).to_have_value("4")
    expect(shown.slider("Request rate")).to_have_value("150")
    expect(page.get_by_role("button", name="Undo")).to_be_visible(timeout=ANSWER_MS)


@pytest.mark.thorough
def test_a_range_turned_around_is_said_in_one_line(server: str, page: Page) -> None:
    """A traceback, or an empty picture, would not say what to change."""
    open_sweep(page, server, 3)
    fill(page, "From, requests/s", "900")
    said = page.get_by_test_id("stAlert").filter(has_text="turn them around")
    expect(said).to_be_visible(timeout=ANSWER_MS)
    expect(page.get_by_role("button", name="Start")).to_have_count(0)


@pytest.mark.thorough
def test_a_scheduler_that_does_not_answer_is_said_and_this_machine_plays(
    server: str, page: Page
) -> None:
    """A wrong address would look like a sweep that never ends."""
    open_sweep(page, server, 3)
    page.get_by_text("Where runs are played").click()
    fill(page, "Address of a Dask scheduler", "tcp://127.0.0.1:9")
    page.get_by_role("button", name="Start").click()
    said = page.get_by_test_id("stAlert").filter(has_text="does not answer")
    expect(said).to_be_visible(timeout=PLAYED_MS)
    page.get_by_test_id("stTopNav").get_by_role("link", name="Explain").click()
    page.get_by_text("Where runs are played").click()
    field = page.get_by_label("Address of a Dask scheduler", exact=True)
    expect(field).to_have_value("tcp://127.0.0.1:9", timeout=ANSWER_MS)
    page.get_by_test_id("stTopNav").get_by_role("link", name="Sweep").click()
    page.get_by_role("button", name="Play on this machine instead").click()
    page.get_by_role("button", name="Done").wait_for(timeout=PLAYED_MS)
