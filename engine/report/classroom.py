"""A class report: several people's runs on one page, each beside the others."""

from __future__ import annotations

from collections.abc import Mapping

from engine.charts import Picture
from engine.charts.run import latency
from engine.charts.seven import architecture
from engine.errors import ScenarioError
from engine.export.link import to_link
from engine.report.build import headline
from engine.report.document import Block, Code, Document, Facts, Section, Table, Words, numeric
from engine.report.honest import setting
from engine.report.pillars import pillars
from engine.result import Result
from engine.study.lab import differences
from engine.version import VERSION

RUNS_MAX = 60
ROWS_MAX = 40


def class_report(results: Mapping[str, Result], title: str = "Class report") -> Document:
    """Return several runs on one page, by who made them; the first is what others differ from.

    Nothing is played for it.  Raises ScenarioError if there are none, or more than a page holds.
    """
    if not 1 <= len(results) <= RUNS_MAX:
        raise ScenarioError(f"a class report has 1 to {RUNS_MAX} runs, not {len(results)}")
    first = next(iter(results.values()))
    sections = [_overview(results)]
    for place, (name, result) in enumerate(results.items(), 1):
        blocks: list[Block] = [
            Words(f"{result.scenario.title}, seed {result.seed}."),
            Facts(headline(result)),
            _differs(first, result),
            renamed(architecture(result), f"r{place}"),
            renamed(latency(result), f"r{place}"),
        ]
        try:
            blocks.append(Code(f"python -m engine run {to_link(result.scenario, result.seed)}"))
        except ScenarioError as error:
            blocks.append(Words(f"There is no link: {error}."))
        sections.append(Section(name, tuple(blocks)))
    return Document(title, f"{len(results)} runs, Strata {VERSION}", "", tuple(sections))


def _overview(results: Mapping[str, Result]) -> Section:
    """Return one row a run: key numbers, then the score where no further run is needed."""
    names = [fact.label for fact in headline(next(iter(results.values())))]
    columns = ("Whose", "Scenario", *names)
    rows = tuple(
        (name, result.scenario.title, *(fact.value for fact in headline(result)))
        for name, result in results.items()
    )
    scored = {name: pillars(result, None) for name, result in results.items()}
    pillar_names = tuple(pillar.name for pillar in next(iter(scored.values())))
    marks = tuple(
        (name, *("–" if pillar.score is None else str(pillar.score) for pillar in found))
        for name, found in scored.items()
    )
    said = (
        "Points of 100. Scalability, and half of reliability, take further runs and are left out"
        " here; each own report has them."
    )
    return Section(
        "Side by side",
        (
            Table(columns, rows, "", numeric(columns, "Whose", "Scenario")),
            Table(
                ("Whose", *pillar_names), marks, said, numeric(("Whose", *pillar_names), "Whose")
            ),
        ),
    )


def _differs(first: Result, result: Result) -> Block:
    if result is first:
        return Words("The others are compared with this one.")
    found = differences(first.scenario, result.scenario)
    rows = tuple((path, setting(old), setting(new)) for path, old, new in found[:ROWS_MAX])
    if not rows:
        return Words("No knob stands elsewhere than in the first.")
    more = f" The first {ROWS_MAX} of {len(found)}." if len(found) > ROWS_MAX else ""
    return Table(("Knob", "First", "Here"), rows, f"What differs from the first.{more}")


def renamed(picture: Picture, prefix: str) -> Picture:
    """Return a picture under another name, so that those of several runs stand on one page."""
    name = f"{prefix}_{picture.name}"
    svg = picture.svg
    for before in ('id="', "url(#"):
        svg = svg.replace(f"{before}{picture.name}-", f"{before}{name}-")
    return picture._replace(name=name, svg=svg)
