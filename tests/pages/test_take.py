"""The page from which things are taken away: what leaves it is what was on the screen."""

import html
import io
import re
import zipfile
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect

from engine import Lab, ScenarioError, axis, crew, load, simulate, sweep
from engine.export import bundle, from_link, to_link
from engine.export.bundle import zipped
from engine.words import Units
from pages.parts import takereport
from pages.parts.base import Base
from pages.parts.jobs import Job
from pages.parts.making import Making
from pages.parts.state import Run
from pages.parts.takein import FILE_MAX, INSIDE_MAX, taken
from tests.pages.playground import ANSWER_MS, Playground
from tests.pages.scenarios import ScenarioPage
from tests.pages.take import TakePage

pytestmark = pytest.mark.xdist_group("browser")


def own_link(seed: int = 11) -> str:
    """Return a link to a scenario that no preset is."""
    changes = {"title": "A shop of my own", "application.replicas": 5, "duration_seconds": 20}
    return to_link(load("amazon").change(changes), seed)


# ---------------------------------------------------------------- links


def test_a_link_opens_as_ones_own_scenario_and_survives_a_reload(server: str, page: Page) -> None:
    """Copy, paste, see the same: the run's name has scenario and seed in it."""
    scenario, seed = from_link(own_link())
    ground = Playground(page).open(server, f"/?s={own_link()}")
    assert ground.run.startswith(f"{scenario.digest()[:8]}-{seed}")
    expect(page.locator(".st-key-preset input")).to_have_value("your scenario")
    expect(ground.slider("App servers")).to_have_value("5")
    first = ground.run
    page.reload()
    ground.wait_for_charts()
    assert ground.run == first


@pytest.mark.thorough
def test_a_broken_link_says_so_in_one_line_and_the_page_works(server: str, page: Page) -> None:
    """Half a link is what mail programs leave of one."""
    link = own_link()
    Playground(page).open(server, f"/?s={link[: len(link) // 2]}")
    told = page.get_by_test_id("stAlert")
    expect(told).to_have_count(1)
    expect(told).to_contain_text("copy the whole link again")
    expect(page.locator(".st-key-preset input")).to_have_value("amazon")


@pytest.mark.thorough
def test_a_link_to_ones_own_scenario_carries_it(
    server: str, page: Page, page_of: Callable[..., Page]
) -> None:
    """What one has built is what one wants to show."""
    shown = ScenarioPage(page).open(server)
    shown.replace("replicas: 3", "replicas: 5")
    expect(shown.preset()).to_have_value("your scenario")
    expect(page.locator(".st-key-copylink button")).to_have_attribute(
        "title", re.compile("whole scenario")
    )
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    page.locator(".st-key-copylink button").click()
    copied = str(page.evaluate("window.copied"))
    assert from_link(copied)[0].application.replicas == 5
    other = ScenarioPage(page_of())
    other.page.goto(copied)
    other.wait()
    other.expect_text("replicas: 5")


# ---------------------------------------------------------------- report


def test_the_report_has_the_figures_of_the_screen(server: str, page: Page) -> None:
    """A report that says something else than the screen is worth nothing."""
    ground = Playground(page).open(server, "/?application.replicas=4&seed=3")
    ground.hold_still()
    figures = [each.replace("\N{NO-BREAK SPACE}", " ").strip() for each in ground.numbers()]
    page.get_by_test_id("stTopNav").get_by_role("link", name="Take away").click()
    take = TakePage(page)
    take.put("The question asked", "Is <b>four</b> enough?")
    take.put("Runs with other seeds, for uncertainty", "1")
    take.button("Make the report").click()
    frame = page.locator("iframe[sandbox]")
    frame.wait_for(timeout=ANSWER_MS)
    assert frame.get_attribute("sandbox") == ""
    name, content = take.download("Download amazon")
    assert name == "amazon-like-shop.html"
    text = html.unescape(re.sub(r"<[^>]+>", " ", content.decode())).replace("\xa0", " ")
    assert "Is <b>four</b> enough?" in text
    for figure in figures:
        assert figure in text, figure


def test_a_sweep_of_the_scenario_goes_into_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """What took minutes to play would be left behind, or stand in a report of something else."""
    scenario = load("monolith").change({"duration_seconds": 3, "warm_up_seconds": 1})
    asked = [axis(scenario, "application.replicas", [1, 2])]
    swept = sweep(scenario, asked, Lab(crew(processes=1)), runs=2)
    about = SimpleNamespace(scenario=scenario.digest())
    done = Job("sweep", about, over=True, result=swept)
    monkeypatch.setattr(takereport.jobs, "find", {"sweep": done}.get)
    run, other = (
        Run("test", Base("monolith", each), each, simulate(each, seed=1))
        for each in (scenario, scenario.change({"application.replicas": 3}))
    )
    assert takereport.studies_of(run) == {"sweep": swept}
    assert takereport.studies_of(other) == {}
    wish = takereport.Wish("test", ("", "", "", ""), 1, "HTML", ("sweep",), Units())
    made = takereport._make(run, wish, {"sweep": swept}, "", Making(wish))
    assert "<h2>Sweep</h2>" in made.html
    assert "<h2>Comparison</h2>" not in made.html


# ---------------------------------------------------------------- data, configuration, class


def test_all_data_leave_as_one_zip_that_opens_again(server: str, page: Page) -> None:
    """What was taken away on one machine is opened on the next."""
    take = TakePage(page).open(server, "Data", "seed=5")
    name, content = take.download("Download all as one zip")
    assert name == "amazon-like-shop-seed-5.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        inside = archive.namelist()
    assert {"scenario.yaml", "csv/stations.csv", "charts/latency.svg", "README.txt"} <= {*inside}
    back = taken(name, content)
    assert (back.scenario.digest(), back.seed) == (load("amazon").digest(), 5)
    take.open(server, "Link and file")
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/zip", "buffer": content}
    )
    expect(page.get_by_test_id("stAlert")).to_contain_text("Opened: Amazon-like shop, seed 5")
    expect(page.locator(".st-key-preset input")).to_have_value("your scenario")


@pytest.mark.thorough
def test_configuration_says_what_it_carries_beside_the_file(server: str, page: Page) -> None:
    """Who deploys a file has to know what it leaves open."""
    take = TakePage(page).open(server, "Deployable")
    expect(page.get_by_text("balancer: policy")).to_be_visible()
    page.get_by_text("Grafana", exact=True).click()
    expect(
        page.get_by_text("values: it shows what your Prometheus has", exact=True)
    ).to_be_visible()
    name, content = take.download("Download all")
    assert name.endswith("-deployable.zip")
    assert "nginx/nginx.conf" in zipfile.ZipFile(io.BytesIO(content)).namelist()


@pytest.mark.thorough
def test_a_class_report_puts_students_side_by_side(server: str, page: Page) -> None:
    """One page for the whole class; what is no scenario is named, and the others count."""
    take = TakePage(page).open(server, "Class report")
    take.put("Or links, one a line", f"Anna: {own_link()}\nBen: /?s={own_link(12)}\nCleo: s1.xx")
    expect(page.get_by_test_id("stAlert").filter(has_text="Cleo")).to_have_count(1)
    take.button("Make the class report").click()
    page.locator("iframe[sandbox]").wait_for(timeout=2 * ANSWER_MS)
    _, content = take.download("Download class-report.html")
    for name in ("Teacher", "Anna", "Ben"):
        assert name in content.decode()


# ---------------------------------------------------------------- what comes in


def junk() -> dict[str, tuple[bytes, str]]:
    """Return files that are none of ours, and what is said of them."""
    return {
        "foreign.zip": (zipped({"holiday.txt": b"sun"}), "a zip without scenario.yaml"),
        "cut.zip": (zipped({"scenario.yaml": b"title: x" * 999})[:60], "cannot be read"),
        "bomb.zip": (zipped({"scenario.yaml": b" " * (INSIDE_MAX + 9)}), "more than 1 MB"),
        "large.yaml": (b" " * (FILE_MAX + 1), "below 5 MB"),
        "picture.yaml": (b"\x89PNG\xff\xfe", "neither text nor a zip"),
        "half.txt": (own_link()[:90].encode(), "copy the whole link again"),
        "a\nb.yaml": (b"- 1\n", ""),
    }


@pytest.mark.parametrize("name", junk())
def test_a_file_that_is_none_of_ours_is_one_line(name: str) -> None:
    """A sentence that names the file and the way out."""
    content, said = junk()[name]
    with pytest.raises(ScenarioError) as error:
        taken(name, content)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_leaves_and_comes_back_gives_the_same_bytes() -> None:
    """The zip, the file with its first line, and the link all bring scenario and seed back."""
    result = simulate(load("amazon").change({"duration_seconds": 12}), seed=9)
    ways = {
        "a.zip": bundle(result, ["scenario"]),
        "a.yaml": bundle_file(result, "scenario.yaml"),
        "a.txt": bundle_file(result, "link.txt"),
    }
    for name, content in ways.items():
        back = taken(name, content)
        assert (back.scenario.digest(), back.seed) == (result.scenario.digest(), 9), name


def bundle_file(result: object, path: str) -> bytes:
    """Return one file of a run's zip."""
    with zipfile.ZipFile(io.BytesIO(bundle(result, ["scenario"]))) as archive:  # type: ignore[arg-type]
        return archive.read(path)
