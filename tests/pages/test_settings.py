"""What is set holds on every page, and at the next visit."""

import pathlib
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from engine.words import Units
from pages.parts import settings
from pages.parts.settings import COOKIE, COOKIE_MAX, PRICE_MAX, Settings, from_cookie, usual_prices
from tests.pages.playground import ANSWER_MS, Playground

PARTS = pathlib.Path(settings.__file__).parent

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def visitor(page_of: Callable[..., Page]) -> Iterator[Page]:
    """Return a page of somebody whose browser nobody else uses; it forgets what it has kept."""
    page = page_of(locale="en-GB")
    yield page
    page.context.clear_cookies()
    page.evaluate("window.localStorage.clear()")


def settings_of(page: Page, url: str) -> None:
    """Go to the page of settings."""
    page.goto(f"{url}/settings")
    page.get_by_text("Price list").wait_for(timeout=ANSWER_MS)


def kept(page: Page, said: Settings) -> None:
    """Wait until the browser keeps just these settings."""
    page.wait_for_function(
        "word => document.cookie.split('; ').includes(word)",
        arg=f"{COOKIE}={said.to_cookie()}",
        timeout=ANSWER_MS,
    )


@pytest.mark.thorough
def test_prices_seed_and_type_are_kept_for_the_next_visit(server: str, visitor: Page) -> None:
    """What one sets for a whole term is not to be set anew every morning."""
    page = visitor
    ground = Playground(page).open(server)
    usual = ground.numbers()[-1]
    settings_of(page, server)
    page.get_by_role("spinbutton", name="App core, an hour").fill("45")
    page.get_by_role("spinbutton", name="App core, an hour").press("Enter")
    expect(page.get_by_role("spinbutton", name="App core, an hour ●")).to_have_value("45")
    page.get_by_role("spinbutton", name="Seed that a visit begins with").fill("12")
    page.get_by_role("spinbutton", name="Seed that a visit begins with").press("Enter")
    expect(page.get_by_role("spinbutton", name="Seed", exact=True)).to_have_value("12")
    page.get_by_role("radio", name="Projector").click()
    page.wait_for_function("getComputedStyle(document.documentElement).fontSize !== '14px'")
    kept(page, Settings(projector=True, seed=12, prices=(("app_core_usd_per_hour", 45.0),)))
    ground.open(server)
    assert "-12" in ground.run
    assert ground.numbers()[-1] != usual
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") != "14px"
    ground.open(server, "/?seed=4")
    assert "-4" in ground.run


def test_light_and_dark_are_chosen_for_every_page_there_is() -> None:
    """One page would stay white in a dark hall."""
    titles = re.findall(r'st.Page\("pages/(\w+).py"', PARTS.joinpath("frame.py").read_text("utf-8"))
    script = PARTS.joinpath("keeper.js").read_text("utf-8")
    listed = re.search(r"const PAGES = \[(.*?)\]", script, re.DOTALL)
    assert listed
    assert re.findall(r"'(\w*)'", listed[1]) == ["", *titles[1:]]


def test_every_page_is_in_the_navigation_of_a_projector(
    server: str, page_of: Callable[..., Page]
) -> None:
    """A page behind “more” would never be found."""
    page = page_of()
    page.context.add_cookies(
        [{"name": COOKIE, "value": Settings(projector=True).to_cookie(), "url": server}]
    )
    settings_of(page, server)
    expect(page.get_by_test_id("stTopNav").get_by_role("link")).to_have_count(11)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.context.clear_cookies()


@pytest.mark.thorough
def test_units_hold_on_the_playground(server: str, visitor: Page) -> None:
    """A bill comes by the month; who pays it would have to multiply."""
    page = visitor
    ground = Playground(page).open(server)
    answers, hour = ground.numbers()[0], ground.numbers()[-1]
    assert answers.endswith("/s")
    settings_of(page, server)
    page.get_by_role("radio", name="minute").click()
    page.get_by_role("radio", name="month").click()
    kept(page, Settings(units=Units("minute", "month")))
    ground.open(server)
    assert ground.numbers()[0].endswith("/min")
    month = ground.numbers()[-1]
    assert month.endswith("/month")
    usd = [float(re.sub(r"[^0-9.]", "", each)) for each in (hour, month)]
    assert usd[1] == pytest.approx(usd[0] * 730, rel=0.01)
    expect(page.locator(".kpi .now").first).to_contain_text("/min")


def test_dark_is_chosen_here_and_holds_on_every_page(server: str, visitor: Page) -> None:
    """A lecture hall is dark whatever the laptop says, and one's own scenario stays."""
    page = visitor
    settings_of(page, server)
    light = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    page.get_by_role("radio", name="Dark").click()
    other = f"getComputedStyle(document.querySelector('.stApp')).backgroundColor !== '{light}'"
    page.wait_for_function(f"document.querySelector('.stApp') && {other}", timeout=ANSWER_MS)
    Playground(page).open(server)
    assert page.evaluate(other)


@pytest.mark.parametrize(
    "word", ["", "junk", "e30", "W10", "x" * (COOKIE_MAX + 1), "bnVsbA", "eyJzZWVkIjotMX0"]
)
def test_a_cookie_of_junk_sets_nothing(word: str) -> None:
    """Cookies are from outside: what makes no sense is left out."""
    assert from_cookie(word) == Settings()


def test_a_cookie_brings_back_what_makes_sense() -> None:
    """One bad price does not cost the others."""
    name, *_ = usual_prices()
    said = Settings(projector=True, seed=5, prices=((name, 9.0),), units=Units("minute", "month"))
    assert from_cookie(said.to_cookie()) == said
    odd = said._replace(prices=((name, 9e99), ("nobody", 1.0), ("a",)))  # type: ignore[arg-type]
    assert from_cookie(odd.to_cookie()).prices == ((name, PRICE_MAX),)
    odd = said._replace(units=Units("fortnight", "day"))
    assert from_cookie(odd.to_cookie()).units == Units("second", "day")
    whole = said._replace(prices=tuple((each, 12345.678) for each in usual_prices()))
    assert len(whole.to_cookie()) < COOKIE_MAX
