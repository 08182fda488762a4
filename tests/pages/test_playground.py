"""The playground in a real browser."""

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pages.parts import timechart
from tests.pages.playground import ANSWER_MS, CHART, Playground

pytestmark = pytest.mark.xdist_group("browser")

SLIDERS = [
    "Request rate",
    "App servers",
    "App worker threads",
    "Cache TTL",
    "Cache size",
    "Queue workers",
    "Shards",
    "Read replicas",
]
LAYERS = ["Client", "Edge", "Application", "Cache", "Asynchronous", "Data", "Observability"]

ROW = Path(timechart.__file__).with_suffix(".js")
# The call with the newer data comes first; then the older one, which is over at once.
OVERTAKEN = """async ([text]) => {
  const module = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  const { default: row } = await import(module);
  const parentElement = document.createElement('div');
  parentElement.innerHTML = "<div class='timecharts'></div>";
  document.body.append(parentElement);
  const call = (label) => row({ parentElement, data: new TextEncoder().encode(JSON.stringify([{
    title: 'Rate', unit: '/s', label, data: [[0, 1, 2], [3, 4, 5]], span: [0, 2],
    lines: [{ name: 'rate', colour: 'red', width: 1 }], shades: [], marks: [],
  }])) });
  const [, end] = [call('new'), call('old')];
  end();
  await new Promise((resolve) => setTimeout(resolve, 200));
  return [...parentElement.querySelectorAll('[role=img]')].map((each) => each.ariaLabel);
}"""


def test_the_first_screen_is_a_simulated_amazon(server: str, page: Page) -> None:
    """Who opens Strata must see a running system at once, whole, and without scrolling."""
    shown = Playground(page).open(server)
    units = [r"/s$", r"ms$", r"ms$", r"ms$", r"%$", r"^\$.*/h$"]
    for text, unit in zip(shown.numbers(), units, strict=True):
        assert re.search(r"\d", text), text
        assert re.search(unit, text), text
    assert shown.boxes.count() >= 15
    height = shown.root.locator(".map").evaluate("map => map.clientHeight")
    assert height <= 340
    bottoms = page.locator(CHART).evaluate_all(
        "charts => charts.map(chart => chart.getBoundingClientRect().bottom)"
    )
    assert len(bottoms) == 3
    assert max(bottoms) <= 720


@pytest.mark.thorough
@pytest.mark.parametrize("preset", ["amazon", "monolith"])
def test_boxes_do_not_overlap_and_titles_are_whole(server: str, page: Page, preset: str) -> None:
    """A map with boxes over one another, or titles cut short, cannot be read."""
    shown = Playground(page).open(server, f"/?preset={preset}")
    boxes = shown.boxes.locator("rect.box").evaluate_all(
        "all => all.map(box => box.getBoundingClientRect().toJSON())"
    )
    for one, other in combinations(boxes, 2):
        apart = one["right"] <= other["left"] or other["right"] <= one["left"]
        assert apart or one["bottom"] <= other["top"] or other["bottom"] <= one["top"]
    assert not [text for text in shown.boxes.locator(".title").all_text_contents() if "…" in text]


def test_each_main_slider_changes_the_answer(server: str, page: Page) -> None:
    """A slider that moves nothing teaches nothing."""
    shown = Playground(page).open(server)
    shown.hold_still()
    seen, numbers = {shown.run}, shown.numbers()
    for title in SLIDERS:
        before, slider = shown.run, shown.slider(title)
        at_its_low_end = slider.get_attribute("min") == slider.input_value()
        slider.press("End" if at_its_low_end else "Home")
        after = shown.wait_for_another_run(before)
        assert after not in seen, title
        seen.add(after)
        if title == "Request rate":
            assert shown.numbers()[0] != numbers[0]


@pytest.mark.thorough
def test_each_layer_goes_off_and_on_again(server: str, page: Page) -> None:
    """Taking a layer away and adding it back is the playground's first lesson."""
    shown = Playground(page).open(server)
    for title in LAYERS:
        start = shown.run
        shown.switch(title).click()
        shown.wait_for_another_run(start)
        expect(page.locator(".band.off .layer")).to_have_text(f"{title}: off")
        shown.switch(title).click()
        page.locator(f"[data-run='{start}']").wait_for(state="attached", timeout=ANSWER_MS)
        expect(page.locator(".band.off")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.thorough
def test_a_part_of_a_layer_that_is_off_offers_to_switch_it_on(server: str, page: Page) -> None:
    """A dimmed box must say why it is dim, and how to change that."""
    shown = Playground(page).open(server, "/?cache.enabled=false")
    before = shown.run
    shown.box("cache.read").click()
    shown.inspector.get_by_role("button", name="Switch cache on").click()
    shown.wait_for_another_run(before)
    expect(page.locator(".band.off")).to_have_count(0)


def test_a_click_on_a_box_opens_the_inspector(server: str, page: Page) -> None:
    """The map is the way in: numbers, a reason and remedies are one click away."""
    shown = Playground(page).open(server)
    expect(shown.inspector).to_contain_text("Click a box")
    shown.box("application.product").click()
    expect(shown.inspector).to_contain_text("Application layer")
    expect(shown.inspector.locator(".facts.wide")).to_contain_text("Busy")
    expect(shown.inspector).to_contain_text("What to try")
    assert "station=Product" in page.url
    shown.box("application.product").click()
    expect(shown.inspector).to_contain_text("Click a box")


@pytest.mark.thorough
def test_the_map_is_used_with_the_keyboard_alone(server: str, page: Page) -> None:
    """Who uses no mouse must reach every box, hear what it is, and open it."""
    shown = Playground(page).open(server)
    box = shown.box("data.primary")
    assert re.match(r"Primary.*busy", box.get_attribute("aria-label") or "")
    box.focus()
    box.press("Enter")
    expect(shown.inspector).to_contain_text("Data layer")


def test_a_remedy_moves_its_slider_and_undo_brings_it_back(server: str, page: Page) -> None:
    """A remedy is a suggestion: it must show what it did, and be free to take back."""
    shown = Playground(page).open(server)
    start = shown.run
    slider = shown.slider("App servers")
    value = int(slider.input_value())
    shown.box("application.product").click()
    shown.inspector.get_by_role("button", name="+1 server").click()
    shown.wait_for_another_run(start)
    expect(slider).to_have_value(str(value + 1))
    assert f"application.replicas={value + 1}" in page.url
    shown.inspector.get_by_role("button", name="Undo").click()
    page.locator(f"[data-run='{start}']").wait_for(state="attached", timeout=ANSWER_MS)
    expect(slider).to_have_value(str(value))


def test_a_link_shows_the_same_run(server: str, page: Page, page_of: Callable[..., Page]) -> None:
    """A screen is a link: who opens it elsewhere sees the same numbers."""
    mine = Playground(page).open(server)
    before = mine.run
    mine.slider("Queue workers").press("ArrowRight")
    mine.wait_for_another_run(before)
    mine.box("asynchronous.payment").click()
    expect(mine.inspector).to_contain_text("Asynchronous layer")
    expect(page).to_have_url(re.compile("station=Payment"))
    yours = Playground(page_of()).open(page.url, "")
    assert yours.run == mine.run
    assert yours.numbers() == mine.numbers()
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".st-key-copylink button")).to_have_text("✓ Copied")
    expect(yours.inspector).to_contain_text("Asynchronous layer")
    expect(yours.box("asynchronous.payment")).to_have_class(re.compile("selected"))


def test_a_call_that_was_overtaken_clears_nothing(server: str, page: Page) -> None:
    """While a module loads, Streamlit's calls come in any order; one of them is cleaned up."""
    Playground(page).open(server)
    labels = page.evaluate(OVERTAKEN, [timechart.IMPORT + ROW.read_text(encoding="utf-8")])
    assert labels == ["new"]


def test_a_preset_brings_its_own_values(server: str, page: Page) -> None:
    """Sliders that keep the last preset's values would show a system that nobody described."""
    shown = Playground(page).open(server, "/?application.replicas=7")
    before = shown.run
    page.locator(".st-key-preset input").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    shown.wait_for_another_run(before)
    expect(shown.slider("App servers")).to_have_value("1")
    assert "application.replicas" not in page.url


def test_a_link_holds_choices_in_the_words_of_scenarios(server: str, page: Page) -> None:
    """A choice that a list spelled otherwise than scenarios do would get lost on its way."""
    link = "preset=hot_shard&edge.balancer.policy=round_robin"
    Playground(page).open(server, f"/?{link}")
    expect(page.locator(".st-key-preset input")).to_have_value("hot_shard")
    expect(page.locator(".st-key-edge-balancer-policy input")).to_have_value("round_robin")
    assert page.url.endswith(link)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


@pytest.mark.thorough
def test_a_knob_from_the_long_list_appears_in_its_layer(server: str, page: Page) -> None:
    """The few sliders on show must not be the end of what can be turned."""
    shown = Playground(page).open(server)
    shown.add_knob("Connection pool")
    before = shown.run
    shown.slider("Connection pool").press("Home")
    shown.wait_for_another_run(before)
    assert "data.connections=1" in page.url


def test_a_knob_that_changes_nothing_says_so_and_what_it_is_for(server: str, page: Page) -> None:
    """Kafka has no prefetch: who drags it and sees nothing move would doubt the simulator."""
    shown = Playground(page).open(server)
    shown.add_knob("Asynchronous: Prefetch")
    before = shown.run
    shown.slider("Prefetch").press("ArrowRight")
    shown.wait_for_another_run(before)
    toast = page.get_by_test_id("stToast")
    expect(toast).to_contain_text("Prefetch changes no figure of this run. Dispatch in turn:")
    before = shown.run
    shown.slider("Queue workers").press("ArrowRight")
    shown.wait_for_another_run(before)
    page.wait_for_timeout(1000)  # as long as one would take to come
    expect(toast).to_have_count(1)


def test_junk_in_a_link_gets_one_clear_line_each(server: str, page: Page) -> None:
    """A mistyped link is no reason for a traceback, nor for silence."""
    junk = {
        "application.replicas=99999": "application.replicas is 99999",
        "application.threads=many": "application.threads is many; use a number",
        "edge.balancer.policy=junk": "edge.balancer.policy",
        "seed=-3": "seed is -3",
        "preset=junk": "there is no preset junk",
    }
    query = "&".join([*junk, "station=junk", "journey=junk", "nonsense=1"])
    shown = Playground(page).open(server, f"/?{query}")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    told = page.get_by_test_id("stAlert")
    expect(told).to_have_count(len(junk))
    for line in junk.values():
        expect(told.filter(has_text=line)).to_have_count(1)
    assert shown.numbers()


@pytest.mark.thorough
def test_a_link_may_go_beyond_the_end_of_a_slider(server: str, page: Page) -> None:
    """The engine, not the slider, says what is possible."""
    shown = Playground(page).open(server, "/?application.replicas=40")
    expect(shown.slider("App servers")).to_have_value("40")
    expect(page.get_by_test_id("stAlert")).to_have_count(0)


def test_the_player_moves_one_cursor_over_everything(server: str, page: Page) -> None:
    """Map, numbers and charts must speak of the same moment."""
    shown = Playground(page).open(server)
    shown.hold_still()
    moment = page.get_by_label("Moment of the run")
    now = page.locator(".kpi .now").first
    moment.fill("20")
    first = now.inner_text()
    for share, second in ((20 / 60, "20"), (40.5 / 60, "40.5")):
        moment.fill(second)
        for chart in page.locator(CHART).all():
            line, plot = (chart.locator(each).bounding_box() for each in (".moment", ".u-over"))
            assert line
            assert plot
            assert line["x"] == pytest.approx(plot["x"] + share * plot["width"], abs=2)
    assert now.inner_text() != first
    page.locator(CHART).first.click(position={"x": 60, "y": 90})
    assert float(moment.input_value()) < 10


@pytest.mark.thorough
def test_a_chart_tells_all_its_numbers_at_the_pointer(server: str, page: Page) -> None:
    """Lines without numbers can be compared by eye only."""
    shown = Playground(page).open(server)
    shown.hold_still()
    chart = page.locator(CHART).nth(1)
    expect(chart.locator(".tip")).to_be_hidden()
    chart.hover(position={"x": 200, "y": 90})
    told = chart.locator(".tip")
    expect(told.locator(".key")).to_have_text(["asked", "answered", "failed"])
    for value in told.locator(".value").all_inner_texts():
        assert re.fullmatch(r"[\d,]+ /s", value)


@pytest.mark.thorough
def test_a_phone_needs_no_sideways_scrolling(server: str, page_of: Callable[..., Page]) -> None:
    """Many students only have a phone with them."""
    page = page_of(viewport={"width": 390, "height": 844})
    shown = Playground(page).open(server)
    width = page.evaluate(
        "Math.max(document.documentElement.scrollWidth,"
        " document.querySelector('[data-testid=stMain]').scrollWidth)"
    )
    assert width <= 390
    tops = [
        page.locator(".band").nth(layer).bounding_box()["y"]  # type: ignore[index]
        for layer in range(len(LAYERS))
    ]
    assert tops == sorted(tops)
    assert len(set(tops)) == len(LAYERS)
    shown.box("data.primary").click()
    expect(shown.inspector).to_contain_text("Data layer")


def test_dark_mode_is_drawn_in_dark(server: str, page_of: Callable[..., Page]) -> None:
    """A dark room and a bright page do not go together."""
    page = page_of(color_scheme="dark")
    Playground(page).open(server)
    colours = page.evaluate(
        """() => {
        const app = document.querySelector('[data-testid=stApp]');
        const fact = document.querySelector('.facts dt');
        return [getComputedStyle(app).backgroundColor, getComputedStyle(fact).color];
        }"""
    )
    assert colours == ["rgb(20, 24, 30)", "rgb(139, 148, 159)"]


def test_who_asks_for_calm_gets_a_map_at_rest(server: str, page_of: Callable[..., Page]) -> None:
    """Moving dots make some people ill; the numbers must still be there."""
    page = page_of(reduced_motion="reduce")
    shown = Playground(page).open(server)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    assert float(page.get_by_label("Moment of the run").input_value()) > 0
    assert re.search(r"\d", shown.box("application.product").text_content() or "")
