"""The Live page in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.pages.live import ANSWER_MS, LivePage
from tests.pages.playground import Playground

pytestmark = pytest.mark.xdist_group("browser")


@pytest.mark.thorough
def test_an_empty_live_page_says_what_to_do(server: str, page: Page) -> None:
    """Who comes for the first time must not wonder why nothing moves; nothing needs scrolling."""
    shown = LivePage(page).open(server)
    expect(shown.root).to_contain_text("Press play, then break something")
    assert shown.seconds() == 0
    page.wait_for_timeout(600)
    assert shown.seconds() == 0
    bottom = shown.root.evaluate("root => root.getBoundingClientRect().bottom")
    assert bottom <= 720
    wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wide


def test_play_runs_on_and_pause_holds(server: str, page: Page) -> None:
    """Numbers, map and charts go on by themselves, and stand still when asked to."""
    shown = LivePage(page).open(server).play_until(8).pause()
    before = shown.seconds()
    expect(shown.root.locator(".kpi .value").first).to_have_text(re.compile(r"\d.*/s"))
    label = shown.root.locator(".node[data-id='application.product']").get_attribute("aria-label")
    assert "% busy" in (label or "")
    expect(shown.root.locator(".timechart").first).to_contain_text(re.compile(r"P99 \d"))
    page.wait_for_timeout(900)
    assert shown.seconds() == before
    shown.button("One step").click()
    page.wait_for_timeout(700)
    assert before <= shown.seconds() <= before + 2


def test_a_fault_takes_effect_and_is_marked(server: str, page: Page) -> None:
    """What was broken must be seen: a mark, a line in the log, other numbers."""
    shown = LivePage(page).open(server).play_until(5, "1")
    shown.strike("Client", "Traffic spike")
    expect(shown.root.locator(".forces")).to_contain_text("Traffic spike", timeout=ANSWER_MS)
    expect(shown.marks("fault")).to_have_count(1, timeout=ANSWER_MS)
    expect(shown.log).to_contain_text("traffic", ignore_case=True, timeout=ANSWER_MS)
    shown.at_speed("20")
    expect(shown.marks("fault over")).to_have_count(1, timeout=ANSWER_MS)
    expect(shown.root.locator(".forces")).to_have_text("", timeout=ANSWER_MS)


@pytest.mark.thorough
def test_a_fault_can_be_ended_before_its_time(server: str, page: Page) -> None:
    """Mending is as much of a lesson as breaking."""
    shown = LivePage(page).open(server).play_until(5, "1")
    shown.strike("Client", "Traffic spike")
    shown.button("End now: Traffic spike").click()
    expect(shown.marks("fault over")).to_have_count(1, timeout=ANSWER_MS)


@pytest.mark.thorough
def test_what_makes_no_sense_is_refused_in_a_line_and_the_run_goes_on(
    server: str, page: Page
) -> None:
    """A class must not lose its run to a click: one clear line, and on it goes."""
    shown = LivePage(page).open(server, "/live?cache.enabled=false").play_until(4, "5")
    shown.strike("Cache", "Flush the cache")
    expect(shown.told).to_contain_text("cache", timeout=ANSWER_MS)
    expect(shown.told).to_contain_text("off")
    shown.play_until(shown.seconds() + 4)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_slider_acts_at_its_moment(server: str, page: Page) -> None:
    """The sliders beside the run are its steering wheel."""
    shown = LivePage(page).open(server).play_until(5, "5")
    run = shown.run
    Playground(page).slider("App servers").press("ArrowRight")
    expect(shown.marks("change")).to_have_count(1, timeout=ANSWER_MS)
    expect(shown.log).to_contain_text("App servers is now 4")
    assert shown.run == run
    Playground(page).slider("Shards").press("End")
    expect(shown.told).to_contain_text("data.shards", timeout=ANSWER_MS)
    shown.play_until(shown.seconds() + 4)
    assert shown.run == run


@pytest.mark.thorough
def test_junk_in_a_link_gets_one_clear_line(server: str, page: Page) -> None:
    """A mistyped link is no reason for a traceback, nor for silence."""
    shown = LivePage(page).open(server, "/live?application.replicas=99999")
    told = page.get_by_test_id("stAlert")
    expect(told).to_have_count(1)
    expect(told).to_contain_text("application.replicas is 99999")
    shown.play_until(3)


@pytest.mark.thorough
def test_scrubbing_back_shows_what_was(server: str, page: Page) -> None:
    """What went by too fast must be there to be looked at again; play goes on from there."""
    shown = LivePage(page).open(server).play_until(30).pause()
    end = shown.seconds()
    scrubber = shown.root.get_by_label("Moment of the run")
    scrubber.evaluate("each => { each.value = 10; each.dispatchEvent(new Event('input')); }")
    assert shown.seconds() == 10
    expect(shown.button("Latest ⇥")).to_be_enabled()
    shown.button("Latest ⇥").click()
    shown.play_until(end + 2)


@pytest.mark.thorough
def test_the_run_is_there_again_after_a_look_at_another_page(server: str, page: Page) -> None:
    """A class that looks something up must not lose its run; charts still answer to clicks."""
    shown = LivePage(page).open(server).play_until(20).pause()
    moment, run = shown.seconds(), shown.run
    page.get_by_role("link", name="Playground").click()
    page.locator(".strata:not(.live)[data-run]").wait_for(timeout=ANSWER_MS)
    page.get_by_role("link", name="Live").click()
    shown.root.wait_for(timeout=ANSWER_MS)
    expect(shown.root).to_have_attribute("data-run", run)
    assert shown.seconds() == moment
    page.wait_for_timeout(500)
    shown.root.locator(".timechart .u-over").first.click(position={"x": 20, "y": 40})
    assert shown.seconds() < moment
    shown.play_until(moment + 2)


@pytest.mark.thorough
def test_a_restart_begins_again_with_the_same_numbers(server: str, page: Page) -> None:
    """The same seed tells the same story, until somebody breaks it in another way."""
    shown = LivePage(page).open(server).play_until(12).pause()
    scrubber = shown.root.get_by_label("Moment of the run")
    look = "each => { each.value = 10; each.dispatchEvent(new Event('input')); }"
    scrubber.evaluate(look)
    numbers, run = shown.root.locator(".kpi .value").all_inner_texts(), shown.run
    shown.button("↺ Restart").click()
    page.locator(f".live[data-run]:not([data-run='{run}'])").wait_for(timeout=ANSWER_MS)
    assert shown.seconds() == 0
    shown.play_until(12).pause()
    scrubber.evaluate(look)
    assert shown.root.locator(".kpi .value").all_inner_texts() == numbers


def test_a_branch_is_drawn_beside_and_told_in_a_sentence(server: str, page: Page) -> None:
    """The question that a class asks is "what if"; the answer is both lines, and a sentence."""
    shown = LivePage(page).open(server).play_until(10).pause()
    shown.root.get_by_role("tab", name="What if").click()
    shown.root.get_by_label("had been").fill("1")
    shown.button("Rerun and compare").click()
    expect(shown.root.locator(".said")).to_contain_text(
        "requests failed instead of", timeout=ANSWER_MS
    )
    expect(shown.root.locator(".beside")).to_contain_text("App servers 1 from the start")
    shown.button("Remove the dashed lines").click()
    expect(shown.root.locator(".beside")).to_have_text("", timeout=ANSWER_MS)


def test_the_end_is_told(server: str, page: Page) -> None:
    """A run that just stops teaches half of what it could."""
    shown = LivePage(page).open(server).play_until(15)
    shown.button("■ End").click()
    after = shown.root.locator("[data-panel=after]")
    expect(after).to_contain_text("What people saw", timeout=ANSWER_MS)
    expect(after).to_contain_text(re.compile(r"people asked [\d,]+ times"))
    expect(shown.root.get_by_role("tab", name="Afterwards")).to_have_attribute(
        "aria-selected", "true"
    )


@pytest.mark.thorough
def test_the_page_is_used_with_the_keyboard_alone(server: str, page: Page) -> None:
    """Who uses no mouse plays, breaks and reads like anybody."""
    shown = LivePage(page).open(server)
    shown.button("▶ Play").focus()
    page.keyboard.press("Enter")
    expect(shown.button("Pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(shown.button("Play")).to_be_visible()
    box = shown.root.locator(".node[data-id='data.primary']")
    box.focus()
    page.keyboard.press("Enter")
    expect(box).to_have_attribute("aria-pressed", "true")
