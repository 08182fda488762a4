"""Another machine's Strata, which nobody has visited yet: what it shows to who comes by a link."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from engine import from_link, headline, simulate
from tests.pages.playground import Playground
from tests.pages.take import TakePage
from tests.pages.test_take import own_link
from tests.pages.test_traces import BUSY, open_traces

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def elsewhere(serve: Callable[[], str]) -> str:
    """Return the address of a server of its own; the first test is its first visitor."""
    return serve()


@pytest.mark.thorough
def test_a_link_to_traces_works_for_the_very_first_visitor(elsewhere: str, page: Page) -> None:
    """A server's first visitor may come by a link to an inner page, and must see its frame too."""
    open_traces(page, elsewhere, f"{BUSY}&which=p99")
    expect(Playground(page).slider("App servers")).to_have_value("1")
    assert "which=p99" in page.url


def test_a_link_shows_the_same_on_another_machine(
    server: str, elsewhere: str, page: Page, page_of: Callable[..., Page]
) -> None:
    """A colleague would look at another system, or at other figures."""
    TakePage(page).open(server, "Link and file", f"s={own_link()}")
    carried = page.locator(".st-key-take-out code").first.inner_text().strip()
    assert from_link(carried) == from_link(own_link())
    there = Playground(page_of(locale="de-DE")).open(elsewhere, carried)
    assert there.numbers() == [fact.value for fact in headline(simulate(*from_link(own_link())))]
