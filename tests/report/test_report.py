"""A report says what the screen says, holds all that was promised, and runs nothing."""

import html.parser
import math
import pathlib
import re
import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Result, ScenarioError, load, simulate
from engine.__main__ import main
from engine.charts import colours, pictures, to_png
from engine.charts.picture import ticks
from engine.export import from_link
from engine.report import (
    Asked,
    class_report,
    headline,
    made_from,
    report,
    to_html,
    to_markdown,
    to_pdf,
)
from engine.report.document import Code, Document, Picture, Table
from engine.report.pillars import pillars
from engine.study.compare import compare
from engine.study.crew import Alone
from engine.study.figures import METRICS, measure
from engine.study.lab import Lab
from engine.study.statistics import interval
from engine.study.sweep import axis, sweep
from engine.words import Units
from pages.parts import flowmap, palette
from pages.parts.base import Base
from pages.parts.state import Run

HARMLESS = {
    "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "p", "nav", "ol", "ul",
    "li", "a", "main", "section", "figure", "figcaption", "svg", "desc", "defs", "pattern", "rect",
    "line", "path", "circle", "text", "div", "b", "small", "table", "caption", "thead", "tbody",
    "tr", "th", "td", "pre",
}  # fmt: skip
TITLES = [
    "At a glance", "Architecture", "Configuration", "Over time", "Latency", "Where the time goes",
    "Stations, with theory beside them", "Events and alerts", "Traces", "Comparison", "Sweep",
    "Score on five pillars", "Cost", "Assumptions", "What is not modelled", "How to reproduce it",
    "The whole scenario",
]  # fmt: skip


class Reader(html.parser.HTMLParser):
    """Reads a page as a browser does, and notes its elements, attributes and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Note an element that begins."""
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        """Note words."""
        self.words.append(data)


@pytest.fixture(scope="module")
def whole() -> Document:
    """Return a report with all that one can have, of a system that is quick to play."""
    scenario = load("monolith").change({"duration_seconds": 6, "warm_up_seconds": 1})
    more = scenario.change({"application.replicas": 3})
    lab = Lab(Alone())
    return report(
        simulate(more, seed=4),
        Asked("Do three suffice?", "They do.", "Ann", "monolith", scenario),
        lab=lab,
        runs=3,
        comparison=compare({"two": scenario, "three": more}, lab, runs=2),
        swept=sweep(scenario, [axis(scenario, "application.replicas", [1, 2, 3])], lab, runs=2),
    )


# ---------------------------------------------------------------- the same figures


def test_the_reports_figures_equal_those_on_screen(shop: Result) -> None:
    """A printed P99 would be another than the one that was looked at."""
    run = Run("test", Base("amazon", load("amazon")), shop.scenario, shop)
    screen = {each["label"]: each["value"] for each in flowmap.kpis(run)}
    assert {fact.label: fact.value for fact in headline(shop)} == screen
    page = " ".join(Reader(to_html(report(shop))).words)
    for value in screen.values():
        assert value in page


def test_they_do_so_in_other_units(shop: Result) -> None:
    """A bill of the month on screen would be one of the hour on paper."""
    run = Run("test", Base("amazon", load("amazon")), shop.scenario, shop)
    units = Units("minute", "month")
    screen = {each["label"]: each["value"] for each in flowmap.kpis(run, units)}
    assert {fact.label: fact.value for fact in headline(shop, units)} == screen
    page = " ".join(Reader(to_html(report(shop, Asked(units=units)))).words)
    for value in screen.values():
        assert value in page
    assert "In all, a month of 730 h" in page


def test_the_charts_have_the_colours_of_the_screen() -> None:
    """A layer would be green on screen and blue on paper."""
    assert {name: colour.light for name, colour in palette.LAYERS.items()} == colours.LAYERS
    assert {name: c.light for name, c in palette.PERCENTILES.items()} == colours.PERCENTILES
    assert palette.BAD.light == colours.BAD


def test_uncertainty_is_that_of_replications(whole: Document) -> None:
    """The interval would be of something else than runs with other seeds."""
    table = next(
        b for b in whole.sections[0].blocks if isinstance(b, Table) and b.columns[0] == "Figure"
    )
    scenario = load("monolith").change(
        {"duration_seconds": 6, "warm_up_seconds": 1, "application.replicas": 3}
    )
    values = [measure(scenario, seed).get("latency_ms_p99") for seed in (1, 2, 3)]
    expected, metric = interval(values), METRICS["latency_ms_p99"]
    row = next(row for row in table.rows if row[0] == metric.title)
    assert row[2] == metric.say(expected.mean)
    assert row[3] == f"{metric.say(expected.low)} to {metric.say(expected.high)}"


# ---------------------------------------------------------------- what is in it


def test_a_report_has_every_section(whole: Document) -> None:
    """Something that was promised would be missing."""
    assert [section.title for section in whole.sections] == TITLES
    text = to_html(whole)
    for said in ("Do three suffice?", "They do.", "Ann", "application.replicas", "Apdex"):
        assert said in text
    pillar_names = [row[0] for row in whole.sections[11].blocks[0].rows]
    assert pillar_names == [
        "Scalability",
        "Performance",
        "Availability",
        "Reliability",
        "Cost efficiency",
    ]
    assert all(row[1] != "–" for row in whole.sections[11].blocks[0].rows)


def test_a_run_that_fails_shows_a_failed_trace(shop: Result) -> None:
    """The trace one most wants to see would not be there."""
    names = [picture.name for picture in report(shop).pictures()]
    for which in ("p50", "p99", "failed"):
        assert any(name.startswith("trace") and name.endswith(which) for name in names)


def test_the_link_in_a_report_gives_the_run(shop: Result) -> None:
    """Nobody could check what it says."""
    again = next(s for s in report(shop).sections if s.title == "How to reproduce it")
    link = next(b.text for b in again.blocks if isinstance(b, Code) and b.text.startswith("/?s="))
    assert from_link(link) == (shop.scenario, shop.seed)


def test_what_a_scenario_was_made_from_is_found_again() -> None:
    """A report of a link could not say what was changed."""
    changed = load("amazon").change({"application.replicas": 9, "title": "Mine"})
    assert made_from(changed) == load("amazon")


def test_pillars_that_need_more_runs_say_so_without_them(shop: Result) -> None:
    """A guess would look like a measurement."""
    scored = {pillar.name: pillar for pillar in pillars(shop, None)}
    assert scored["Scalability"].score is None
    assert scored["Availability"].score < 100
    assert all(p.how and p.measured for p in scored.values())
    assert all(p.score is None or 0 <= p.score <= 100 for p in scored.values())


def test_the_same_run_gives_the_same_report(shop: Result) -> None:
    """Two reports of one run could not be compared."""
    assert to_html(report(shop)) == to_html(report(simulate(shop.scenario, shop.seed)))


# ---------------------------------------------------------------- no harm


def test_no_name_becomes_markup(hostile: Result) -> None:
    """A name in a scenario would run a script in the reader's browser."""
    text = to_html(report(hostile, Asked("<script>1</script>", "<b>", '"onload="x', "<i>")))
    page = Reader(text)
    assert page.elements <= HARMLESS
    assert any("<script>alert(1)</script>" in said for said in page.words)
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "src"
        assert name != "href" or re.fullmatch(r"#s\d+-[a-z0-9-]*", value)
        assert "url(" not in value or re.fullmatch(r"url\(#[\w-]+\)", value)
    assert "@import" not in text
    assert "\x00" not in text


def test_every_picture_is_xml_that_asks_for_nothing(hostile: Result, shop: Result) -> None:
    """An SVG that is opened by itself would run or load something, or not open at all."""
    for result in (hostile, shop):
        for name, picture in pictures(result).items():
            assert re.fullmatch(r"[a-z0-9_]+", name)
            for element in ET.fromstring(picture.svg).iter():  # noqa: S314  (our own)
                tag = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
                assert tag in HARMLESS
                assert not any("href" in a or a.startswith("on") for a in element.attrib)


def test_markdown_leaves_names_as_they_are(hostile: Result) -> None:
    """A name would become a link or a piece of HTML where Markdown is shown."""
    found = to_markdown(report(hostile), "mine")
    text = found["mine.md"].decode()
    for line in text.splitlines():
        if not line.startswith("    "):  # code is shown as it is
            assert "<script" not in re.sub(r"\\.", "", line)
            assert "](javascript" not in re.sub(r"\\.", "", line)
    for path in re.findall(r"\]\((mine_files/[^)]*)\)", text):
        assert path in found
    assert len(found) > 8


def test_tables_in_markdown_keep_their_columns(hostile: Result) -> None:
    """A stroke in a name would break the table."""
    text = to_markdown(report(hostile))["report.md"].decode()
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


# ---------------------------------------------------------------- formats


def test_a_pdf_has_pages_and_contents(whole: Document) -> None:
    """A printed report could not be leafed through."""
    weasyprint = pytest.importorskip("weasyprint", reason="Pango is not there", exc_type=OSError)
    rendered = weasyprint.HTML(string=to_html(whole)).render()
    assert len(rendered.pages) > 5
    marks = rendered.make_bookmark_tree()
    assert [mark[0] for mark in marks[0][2]][1:] == TITLES
    assert len({mark[1][0] for mark in marks[0][2]}) > 4
    assert to_pdf(whole).startswith(b"%PDF-")


def test_without_pango_a_pdf_is_refused_in_one_line(
    whole: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback would not say that HTML is there."""
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(ScenarioError, match="apt install libpango"):
        to_pdf(whole)


def test_a_chart_can_be_png(shop: Result) -> None:
    """Who makes slides could not use it."""
    assert to_png(pictures(shop)["latency"]).startswith(b"\x89PNG")


def test_a_class_report_has_every_run_on_one_page(shop: Result, hostile: Result) -> None:
    """A teacher would have to open thirty files."""
    document = class_report({"Ann <1>": shop, "Ben": hostile, "Cy": shop})
    assert [section.title for section in document.sections][1:] == ["Ann <1>", "Ben", "Cy"]
    page = Reader(to_html(document))
    assert page.elements <= HARMLESS
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    overview = document.sections[0].blocks[0]
    assert [row[0] for row in overview.rows] == ["Ann <1>", "Ben", "Cy"]
    assert list(overview.rows[0][2:]) == [fact.value for fact in headline(shop)]
    with pytest.raises(ScenarioError, match="1 to"):
        class_report({})


def test_ids_on_a_page_are_unique(whole: Document) -> None:
    """A chart would be filled with another chart's stripes."""
    page = Reader(to_html(whole))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert all(isinstance(picture, Picture) for picture in whole.pictures())


@given(st.floats(0, 1e12) | st.just(math.nan))
def test_an_axis_has_a_few_round_numbers_and_room_for_all(high: float) -> None:
    """A chart would be empty, cut off, or black with numbers."""
    found = ticks(high)
    assert 2 <= len(found) <= 12
    assert found[0] == 0
    assert math.isnan(high) or found[-1] >= high * (1 - 1e-6)


# ---------------------------------------------------------------- the shell


def test_the_shell_writes_reports(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has no browser could not take one away."""
    monkeypatch.setenv("STRATA_RUNS", str(tmp_path / "runs.sqlite"))
    short = ["--set", "duration_seconds=3", "--set", "warm_up_seconds=1", "--runs", "1"]
    for name in ("report.html", "report.md"):
        assert main(["report", "monolith", *short, "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (tmp_path / "report_files" / "architecture.svg").exists()
    assert main(["report", "monolith", "--out", "report.doc"]) == 2
    assert "choose one" in capsys.readouterr().err
    more = ["--against", "monolith", "--knob", "application.replicas=1,2", "--processes", "1"]
    assert main(["report", "monolith", *short, *more, "--out", str(tmp_path / "more.html")]) == 0
    page = (tmp_path / "more.html").read_text(encoding="utf-8")
    assert "<h2>Comparison</h2>" in page
    assert "<h2>Sweep</h2>" in page
    assert main(["class", "monolith", "--out", str(tmp_path / "class.html")]) == 2
    assert "NAME=SCENARIO" in capsys.readouterr().err
