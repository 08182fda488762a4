"""The page of scenarios: what follows from a text, and the page in a real browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.pages.playground import ANSWER_MS, Playground
from tests.pages.scenarios import ScenarioPage

pytestmark = pytest.mark.xdist_group("browser")


def test_a_system_is_built_with_tables_alone_and_runs(server: str, page: Page) -> None:
    """Who cannot write YAML must still get from nothing to a system that runs."""
    built = ScenarioPage(page).open(server)
    built.start_from("the smallest scenario")
    built.expect_text("My scenario")
    built.add("Services", "service", "billing")
    built.expect_text("billing: {}")
    cpu = built.row("application.services.billing").get_by_label("CPU time of billing")
    cpu.fill("{exponential: 7}")
    cpu.press("Enter")
    built.expect_text("exponential: 7")
    built.add("Journeys", "journey", "pay")
    built.expect_text("pay:")
    step = built.row("journeys.pay.steps.0")
    step.get_by_label("Service of call").select_option("billing")
    built.expect_text("service: billing")
    step.get_by_label("Add a step inside this call").select_option("write")
    built.expect_text("do: write")
    expect(built.row("journeys.pay.steps.0.then.0").locator(".chip")).to_have_text("write")
    built.expect_fine()
    expect(built.preset()).to_have_value("your scenario")
    built.go("Playground")
    shown = Playground(page)
    shown.wait_for_charts()
    expect(shown.box("application.billing")).to_have_count(1)
    expect(page.get_by_test_id("stAlert")).to_have_count(0)
    before = shown.run
    shown.slider("App servers").press("ArrowRight")
    shown.wait_for_another_run(before)
    built.go("Traces")
    page.locator(".st-key-journey button", has_text="Pay").or_(
        page.locator(".st-key-journey button", has_text="pay")
    ).click()
    page.locator(".waterfall .row", has_text="Billing").first.wait_for(timeout=ANSWER_MS)


def test_an_error_stands_beside_its_line_and_the_last_valid_scenario_stays(
    server: str, page: Page
) -> None:
    """Who types must see what is wrong, and where; and nothing may be lost meanwhile."""
    shown = ScenarioPage(page).open(server)
    start = shown.text
    shown.replace("replicas: 3", "replicas: many")
    expect(shown.beside).to_contain_text("application.replicas is 'many'")
    line = 1 + start[: start.index("replicas: 3")].count("\n")
    expect(shown.beside).to_have_attribute("data-line", str(line))
    expect(shown.status).to_contain_text(f"Line {line}")
    expect(shown.editor.locator(".gutter .bad")).to_have_text(f"✕ {line}")
    expect(shown.tables).to_contain_text("The text has an error")
    expect(Playground(page).slider("App servers")).to_have_value("3")
    assert "replicas: many" in shown.text
    shown.type(shown.text.replace("threads: 16", "threads: [16"))
    expect(shown.beside).to_contain_text("not YAML")
    shown.go("Playground")
    Playground(page).wait_for_charts()
    shown.go("Scenario")
    shown.wait()
    shown.expect_text("replicas: many")
    shown.type(start.replace("replicas: 3", "replicas: 5"))
    shown.expect_fine()
    expect(Playground(page).slider("App servers")).to_have_value("5")


@pytest.mark.thorough
def test_tables_and_text_share_one_history(server: str, page: Page) -> None:
    """Undo must take back the newest change, whichever side it was made on."""
    shown = ScenarioPage(page).open(server)
    start = shown.text
    shown.replace("replicas: 3", "replicas: 5")
    shown.expect_fine()
    expect(Playground(page).slider("App servers")).to_have_value("5")
    weight = shown.row("journeys.view").get_by_label("Weight of view")
    weight.fill("30")
    weight.press("Enter")
    shown.expect_text("weight: 30")
    assert "HTTP Archive" in shown.text, "comments must survive what tables do"
    page.get_by_role("button", name="Undo").click()
    shown.expect_text("weight: 22")
    assert "replicas: 5" in shown.text
    shown.area.press("Control+z")
    shown.expect_text("replicas: 3")
    assert shown.text == start
    shown.area.press("Control+Shift+z")
    shown.expect_text("replicas: 5")
    page.get_by_role("button", name="Redo").click()
    shown.expect_text("weight: 30")
    expect(weight).to_have_value("30")


@pytest.mark.thorough
def test_who_is_quicker_than_the_server_loses_nothing(server: str, page: Page) -> None:
    """Each change must be taken over, also those made before the last one was answered."""
    shown = ScenarioPage(page).open(server)
    weights = {"assets": "1", "view": "2", "search": "3", "buy": "4"}
    for journey, weight in weights.items():
        field = shown.row(f"journeys.{journey}").get_by_label(f"Weight of {journey}")
        field.fill(weight)
        field.press("Tab")
    for weight in weights.values():
        shown.expect_text(f"weight: {weight}")
    shown.replace("replicas: 3", "replicas: 5")
    shown.go("Playground")
    Playground(page).wait_for_charts()
    expect(Playground(page).slider("App servers")).to_have_value("5")


@pytest.mark.thorough
def test_what_tables_cannot_do_they_say_in_one_line(server: str, page: Page) -> None:
    """A refused edit must say why and change nothing."""
    shown = ScenarioPage(page).open(server)
    start = shown.text
    told = shown.tables.locator(".problem")
    shown.tab("Services")
    shown.tables.get_by_role("button", name="Remove auth").click()
    expect(told).to_contain_text("auth is used by journeys.view.steps[0].then[0] and 2 more")
    shown.add("Services", "service", "two words")
    expect(told).to_contain_text("two words is no name; use letters")
    cpu = shown.row("application.services.auth").get_by_label("CPU time of auth")
    for junk in ("-1", "{", "*a", "soon"):
        cpu.fill(junk)
        cpu.press("Enter")
        expect(told).to_contain_text("cpu_time")
        expect(cpu).to_have_value("{exponential: 0.5}")
    assert shown.text == start
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"title: x\nboom: &a [1]\nbang: [*a, *a]\n", "line 3 uses a YAML alias"),
        (b"!!python/object/apply:os.system ['true']", "is not YAML"),
        (b"\xff\xfe\x00\x01", "is no text in UTF-8"),
        (b"title: " + b"[" * 200, "nested deeper"),
        (b"journeys: {a: {steps: [{do: fly}]}}", "step of kind 'fly'"),
        (b"x: " + b"9" * 1_100_000, "characters"),
    ],
)
def test_a_hostile_file_is_refused_in_one_line(
    server: str, page: Page, content: bytes, line: str
) -> None:
    """A file comes from anywhere; it must not break the page, nor what is there."""
    shown = ScenarioPage(page).open(server)
    start = shown.text
    shown.area.evaluate("area => { area.mounted = true; }")
    shown.load("evil.yaml", content)
    told = page.get_by_test_id("stAlert")
    expect(told).to_have_count(1, timeout=ANSWER_MS)
    expect(told).to_contain_text("evil.yaml")
    expect(told).to_contain_text(line)
    assert shown.area.evaluate("area => area.mounted"), "an editor made anew forgets where one was"
    assert shown.text == start
    expect(shown.preset()).to_have_value("amazon")
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.thorough
def test_what_was_saved_can_be_loaded_again(
    server: str, page: Page, page_of: Callable[..., Page]
) -> None:
    """A scenario that cannot be taken home is lost with the session."""
    mine = ScenarioPage(page).open(server)
    mine.replace("title: Amazon-like shop", "title: My shop")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    assert download.value.suggested_filename == "my-shop.yaml"
    saved = download.value.path().read_text(encoding="utf-8")
    assert "title: My shop" in saved, "what was typed a moment ago must be in the file"
    assert saved == mine.text
    yours = ScenarioPage(page_of()).open(server)
    yours.load("my-shop.yaml", saved.encode())
    yours.expect_text("title: My shop")
    assert yours.text == saved
    yours.expect_fine()


@pytest.mark.thorough
def test_two_sessions_do_not_see_each_others_scenario(
    server: str, page: Page, page_of: Callable[..., Page]
) -> None:
    """What one student builds is nobody else's business."""
    mine = ScenarioPage(page).open(server)
    mine.replace("title: Amazon-like shop", "title: My secret shop")
    expect(mine.preset()).to_have_value("your scenario")
    yours = ScenarioPage(page_of()).open(server)
    expect(yours.preset()).to_have_value("amazon")
    assert "secret" not in yours.text
    yours.preset().click()
    expect(yours.page.get_by_role("option", name="your scenario")).to_have_count(0)


@pytest.mark.thorough
def test_a_preset_leaves_ones_own_scenario_and_it_stays_in_the_list(
    server: str, page: Page
) -> None:
    """To look at a preset again must not cost what one has built."""
    shown = ScenarioPage(page).open(server)
    shown.replace("replicas: 3", "replicas: 5")
    expect(shown.preset()).to_have_value("your scenario")
    shown.preset().click()
    page.get_by_role("option", name="monolith").click()
    shown.expect_text("Monolith")
    shown.preset().click()
    page.get_by_role("option", name="your scenario").click()
    shown.expect_text("replicas: 5")
    shown.go("Playground")
    Playground(page).wait_for_charts()
    expect(Playground(page).slider("App servers")).to_have_value("5")


def test_an_address_to_ones_own_scenario_is_refused_in_words(server: str, page: Page) -> None:
    """An address that shows another system than the one it was copied from would mislead."""
    other = Playground(page).open(server, "/?preset=your+scenario")
    expect(other.page.get_by_test_id("stAlert")).to_contain_text("somebody's own scenario")


@pytest.mark.thorough
def test_a_reload_offers_what_was_there(server: str, page: Page) -> None:
    """A reload begins a new session; an hour's work must not end with it."""
    shown = ScenarioPage(page).open(server)
    shown.replace("replicas: 3", "replicas: 5")
    expect(shown.preset()).to_have_value("your scenario")
    shown.open(server)
    page.get_by_role("button", name="Bring it back").click()
    shown.expect_text("replicas: 5")
    expect(Playground(page).slider("App servers")).to_have_value("5")


@pytest.mark.thorough
def test_sliders_and_text_can_be_made_one(server: str, page: Page) -> None:
    """A slider that was moved, and a text that says otherwise, need a way together."""
    shown = ScenarioPage(page).open(server)
    Playground(page).slider("App servers").press("ArrowRight")
    page.get_by_role("button", name="Write them into the text").click()
    shown.expect_text("replicas: 4")
    expect(Playground(page).slider("App servers")).to_have_value("4")
    expect(page.get_by_text("Sliders stand elsewhere")).to_have_count(0)


@pytest.mark.thorough
def test_markup_in_names_and_titles_stays_text(server: str, page: Page) -> None:
    """A file from elsewhere must not write into other people's pages."""
    shown = ScenarioPage(page).open(server)
    shown.replace("title: Amazon-like shop", "title: '<img src=x onerror=alert(1)>'")
    shown.type(shown.text.replace("{title: Gateway,", "{title: '<b id=evil>x</b>',"))
    shown.expect_fine()
    expect(shown.preset()).to_have_value("your scenario")
    shown.tab("Services")
    expect(page.locator("#evil")).to_have_count(0)
    shown.go("Playground")
    Playground(page).wait_for_charts()
    expect(page.locator("#evil")).to_have_count(0)


@pytest.mark.thorough
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_the_page_needs_no_sideways_scrolling(
    server: str, page_of: Callable[..., Page], width: int, height: int
) -> None:
    """Half of a form beyond the edge is half of a form."""
    page = page_of(viewport={"width": width, "height": height})
    shown = ScenarioPage(page).open(server)
    for tab in ("Services", "Settings", "Journeys"):
        shown.tab(tab)
        main = page.get_by_test_id("stMain")
        assert main.evaluate("main => main.scrollWidth") <= width
        body = shown.tables.locator(".body")
        assert body.evaluate("body => body.scrollWidth - body.clientWidth") <= 0
