"""The Microscope page in a real browser."""

import re
from collections.abc import Callable

import pytest
import redis
from playwright.sync_api import Locator, Page, expect

from engine import load, to_link
from tests.servers import redis_running

pytestmark = pytest.mark.xdist_group("browser")
ANSWER_MS = 20_000  # far more than it takes; a slow machine is no fault of the page


class ScopePage:
    """The page as a test sees it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".scope[data-bench]")
        self.steps = self.root.locator(".steps li")
        self.now = self.root.locator(".now")
        self.words = self.root.locator(".words")

    def open(self, url: str, path: str = "/microscope") -> "ScopePage":
        """Go to the page and wait until the map is there."""
        self.page.goto(url + path)
        self.root.wait_for(timeout=ANSWER_MS)
        return self

    def button(self, name: str) -> Locator:
        """Return a button by its name."""
        return self.root.get_by_role("button", name=name)

    def answered(self) -> "ScopePage":
        """Wait until nothing is asked for any more."""
        expect(self.root).not_to_have_class(re.compile("asking"), timeout=ANSWER_MS)
        return self

    def send(self, journey: str, about: str) -> "ScopePage":
        """Send a request on its way."""
        count = self.steps.count()
        self.root.get_by_label("Journey", exact=True).select_option(journey)
        self.root.get_by_label("What it asks for").fill(about)
        self.button("Send").click()
        expect(self.steps).not_to_have_count(count, timeout=ANSWER_MS)
        return self.answered()

    def to_the_end(self) -> "ScopePage":
        """Play until nobody is on the way."""
        self.button("To the end").click()
        expect(self.words).to_contain_text("Nobody is on the way", timeout=ANSWER_MS)
        return self

    def step_to(self, text: str, most: int = 60) -> "ScopePage":
        """Step until a headline says something."""
        for _ in range(most):
            if text in self.now.inner_text():
                return self
            before = self.root.get_attribute("data-at") or ""
            self.button("Step").click()
            expect(self.root).not_to_have_attribute("data-at", before, timeout=ANSWER_MS)
            self.answered()
        pytest.fail(f"no step said {text!r}")

    def do(self, action: str, button: str) -> "ScopePage":
        """Break something."""
        count = self.steps.count()
        self.root.get_by_role("tab", name="Break it").click()
        self.root.locator(f"[data-do={action}]").get_by_role("button", name=button).click()
        expect(self.steps).not_to_have_count(count, timeout=ANSWER_MS)
        return self.answered()

    def store(self, title: str) -> Locator:
        """Return one of the stores' tables."""
        return self.root.locator(f".store[data-store^='{title}']")


def test_a_miss_is_stored_and_the_second_search_hits_until_its_time_is_over(
    server: str, page: Page
) -> None:
    """The first lesson about caches: the commands, their answers, and the time to live."""
    shown = ScopePage(page).open(server)
    shown.send("search", "iPhone 15").step_to("a miss").step_to("Not in the cache")
    expect(shown.now.locator(".terminal")).to_contain_text("GET search:iphone-15")
    expect(shown.now.locator(".answer")).to_contain_text("nil")
    expect(shown.root.locator(".place.lit")).to_have_attribute("data-id", "cache.read")
    assert int(shown.root.get_attribute("data-took") or 0) > 0
    shown.to_the_end()
    expect(shown.store("Cache")).to_contain_text("search:iphone-15")
    shown.send("search", "iPhone 15").step_to("Found in the cache: a hit").to_the_end()
    shown.button("+ 5 min").click()
    expect(shown.words).to_contain_text("their time to live over: search:iphone-15")
    expect(shown.store("Cache")).to_contain_text("no key")


@pytest.mark.thorough
def test_a_killed_worker_s_message_is_delivered_again(server: str, page: Page) -> None:
    """Between payment and stock nothing may be lost, and the page says why."""
    shown = ScopePage(page).open(server).send("buy", "iPhone 15").step_to("takes the message")
    shown.do("kill_worker", "Kill it")
    expect(shown.words).to_contain_text("will be delivered again")
    shown.step_to("once more")
    expect(shown.now.locator(".terminal")).to_contain_text("XCLAIM")
    expect(shown.store("Queue")).to_contain_text("delivered again")
    shown.to_the_end()
    expect(shown.store("Done by the workers")).to_contain_text("once")


def test_looking_back_costs_nothing_and_acting_there_undoes_the_rest(
    server: str, page: Page
) -> None:
    """Back must show what was; and what is done there must begin from there."""
    shown = ScopePage(page).open(server).send("search", "iPhone 15").to_the_end()
    count, end = shown.steps.count(), shown.now.inner_text()
    shown.steps.nth(4).click()
    expect(shown.words).to_contain_text("You are looking back")
    shown.steps.nth(4).press("ArrowLeft")
    expect(shown.steps.nth(3)).to_have_attribute("aria-selected", "true")
    shown.do("crash_cache", "Crash it")
    expect(shown.steps).to_have_count(5)
    shown.to_the_end()
    assert shown.steps.count() == count + 1
    assert shown.now.inner_text() == end  # the same request, to the last digit


@pytest.mark.thorough
def test_two_sessions_have_two_clocks(server: str, page: Page) -> None:
    """A class shares a server; what one lets go by is not gone by for the others."""
    mine = ScopePage(page).open(server).send("search", "iPhone 15").to_the_end()
    other = ScopePage(page.context.new_page()).open(server)
    mine.button("+ 5 min").click()
    expect(mine.root.locator(".clock")).to_contain_text("5:01")
    other.send("search", "iPhone 15")
    expect(other.root.locator(".clock")).to_have_text("0.0000 s")
    other.page.close()


def test_the_page_fits_names_its_limits_and_refuses_in_a_line(server: str, page: Page) -> None:
    """Nothing to scroll for on a projector; names are text, whatever is in them."""
    shown = ScopePage(page).open(server)
    assert shown.root.evaluate("root => root.getBoundingClientRect().bottom") <= 720
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown.root.get_by_label("What it asks for").fill("<img src=x onerror=alert(1)>")
    shown.button("Send").click()
    expect(shown.words).to_contain_text("asks for nothing that is called '<img", timeout=ANSWER_MS)
    shown.root.get_by_role("tab", name="Limits").click()
    expect(shown.root.locator("[data-panel=limits]")).to_contain_text("does not know")
    shown.open(server, "/microscope?preset=cache_flush")
    expect(shown.words).to_contain_text("Left out", timeout=ANSWER_MS)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.thorough
def test_what_happened_is_saved_as_files(server: str, page: Page) -> None:
    """A trace that cannot leave the page cannot be shown to anybody."""
    shown = ScopePage(page).open(server).send("search", "iPhone 15").to_the_end()
    shown.root.get_by_role("tab", name="Export").click()
    for name in ("otlp.json", "jaeger.json", "metrics.txt", "logs.jsonl"):
        with page.expect_download(timeout=ANSWER_MS) as saved:
            shown.button(name).click()
        assert saved.value.suggested_filename == f"strata-{name}"
        assert "search" in saved.value.path().read_text("utf-8")
    expect(shown.root.locator(".stand")).to_be_hidden()  # nothing to choose without servers


@pytest.mark.thorough
def test_on_real_servers_the_page_is_the_same(
    serve: Callable[..., str], page: Page, redis_url: str, postgres_url: str
) -> None:
    """The same story, told by a Redis and a PostgreSQL; nothing of it is left there."""
    url = serve(REDIS_URL=redis_url, DATABASE_URL=postgres_url)
    shown = ScopePage(page).open(url)
    expect(shown.root.locator(".stand")).to_contain_text("PostgreSQL")
    shown.send("buy", "iPhone 15").to_the_end()
    expect(shown.store("Database (PostgreSQL")).to_contain_text("iPhone 15")
    assert shown.root.evaluate("root => root.getBoundingClientRect().bottom") <= 720
    with redis.Redis.from_url(redis_url) as keys:
        assert keys.dbsize() > 0
        shown.root.get_by_label("What the stores stand on").select_option("embedded")
        expect(shown.steps).to_have_count(0, timeout=ANSWER_MS)
        shown.send("buy", "iPhone 15").to_the_end()
        expect(shown.store("Database (SQLite)")).to_contain_text("iPhone 15")
        assert keys.dbsize() == 0


@pytest.mark.thorough
def test_a_server_that_is_down_is_said_beside_the_choice(
    serve: Callable[..., str], page: Page
) -> None:
    """A page that fails because a server does would be of no use in a classroom."""
    with redis_running() as address:
        url = serve(REDIS_URL=address)
        shown = ScopePage(page).open(url).send("search", "iPhone 15").to_the_end()
        expect(shown.root.locator(".stand")).to_contain_text("Redis 7")
    shown.root.get_by_label("What it asks for").fill("iPhone 15")
    shown.button("Send").click()  # it has gone meanwhile
    trouble = shown.root.locator(".stand .late")
    expect(trouble).to_contain_text("nobody listens there", timeout=ANSWER_MS)
    expect(shown.words).to_contain_text("the embedded parts go on")
    shown.send("search", "iPhone 15").to_the_end()
    expect(shown.store("Cache")).to_contain_text("search:iphone-15")
    shown.root.get_by_label("What the stores stand on").select_option("servers")
    expect(trouble).to_contain_text("REDIS_URL", timeout=ANSWER_MS)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.thorough
def test_what_is_read_late_promoted_crashed_and_split_says_what_is_lost(
    server: str, page: Page
) -> None:
    """Which counts, which writes, which rows: a number alone would teach nothing."""
    late = load("amazon").change({"data.lag": {"constant": 5000}})
    shown = ScopePage(page).open(server, f"/microscope?s={to_link(late, 7)}")
    shown.send("buy", "iPhone 15").to_the_end()
    expect(shown.store("Database")).to_contain_text("not on all yet")
    shown.send("view", "iPhone 15").step_to("an old version").to_the_end()
    expect(shown.store("Write buffer")).to_contain_text("1 not in the database yet")
    shown.do("crash_cache", "Crash it")
    expect(shown.words).to_contain_text("never written: product:0 (1). No order is lost")
    expect(shown.store("Write buffer")).to_contain_text("empty")
    shown.do("promote", "Promote it")
    expect(shown.words).to_contain_text("products 0: version 2 is lost")
    for name in ("Pixel 8", "Kindle", "AirPods", "Backpack"):
        shown.send("view", name).to_the_end()
    shown.do("split_shard", "Split")
    expect(shown.words).to_contain_text("shard 1 → 2")
    expect(shown.store("Database")).to_contain_text("shard")
