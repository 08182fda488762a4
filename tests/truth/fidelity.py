"""The page docs/fidelity.md, made from the verdicts and from nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tests.truth.verdict import Figure, Verdict, Word

COLUMNS: tuple[Word, ...] = (
    "passed",
    "passed in part",
    "failed",
    "not expressible",
    "left for a long run",
    "disputed",
)
TITLES = {
    "queueing": "Queueing theory",
    "cache": "Caches",
    "lb_nginx": "Balancers: nginx",
    "lb_theory": "Balancers: theory",
    "tail": "Tails",
    "messaging": "Messaging",
    "data": "Data",
    "resilience": "Resilience",
    "failures": "Failures",
    "hpa": "Autoscaler: Kubernetes",
    "prometheus": "Alerts: Prometheus",
}
INTRODUCTION = """\
# Fidelity

How the simulator compares with facts that this project did not write: closed forms, published
test suites, and what real programs did. The facts are data, in `tests/truth/*.json`; an adapter
says each as a scenario, runs it, and compares every figure within the case's own tolerance. A fact
about one mechanism or one formula alone is said as a small program of mechanisms, or is a call of
the function that the engine itself uses; nothing is expected that the case does not expect.
`tests/test_truth.py` makes this page and fails if it is out of date:

    TRUTH_WRITE=1 python -m pytest tests/test_truth.py

A case that the product cannot say yet is listed with the reason; it does not count as passed.
*Passed in part*: the figures that can be said are right, and those that cannot are listed.
All runs have seed 7, and as many arrivals as the tolerance asks for. A figure that no clause of
its case's tolerance speaks of is held to the tightest relative one.
"""


def page(verdicts: list[Verdict]) -> str:
    """Return the whole page."""
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.case.group].append(verdict)
    blocks = [INTRODUCTION, *counts(groups), *unsaid(verdicts), *in_part(verdicts)]
    blocks += left_out(verdicts)
    for group, members in groups.items():
        blocks += measured(TITLES.get(group, group), members)
    return "\n".join(blocks) + "\n"


def counts(groups: dict[str, list[Verdict]]) -> Iterator[str]:
    """Yield how many cases of each group passed, failed or could not be said."""
    rows = []
    for group, members in groups.items():
        of = [sum(verdict.word == word for verdict in members) for word in COLUMNS]
        rows.append([TITLES.get(group, group), len(members), *of])
    rows.append(["**All**", *map(sum, zip(*(row[1:] for row in rows), strict=True))])
    yield table(["group", "cases", *COLUMNS], rows)


def unsaid(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Yield the cases that were not judged, each with its reason."""
    headings: dict[Word, str] = {
        "not expressible": "What cannot be said yet",
        "left for a long run": "Left for a long run",
        "disputed": "Disputed",
    }
    for word, heading in headings.items():
        rows = [[f"`{v.case.id}`", v.case.title, v.why] for v in verdicts if v.word == word]
        if rows:
            yield f"\n## {heading}\n"
            yield table(["case", "about", "why"], rows)


def in_part(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Yield the figures that the product cannot say, of cases whose other figures it can."""
    rows = []
    for verdict in verdicts:
        reasons: dict[str, list[str]] = defaultdict(list)
        for figure, why in verdict.lacking.items():
            reasons[why].append(figure)
        if verdict.figures:
            rows += [
                [f"`{verdict.case.id}`", ", ".join(names), why] for why, names in reasons.items()
            ]
    if rows:
        yield "\n## Figures that cannot be said yet\n"
        yield table(["case", "figures", "why"], rows)


def left_out(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Yield the figures that are no claim about a run, or that no run could be held to."""
    rows = [
        [f"`{verdict.case.id}`", name, why]
        for verdict in verdicts
        for name, why in verdict.beside.items()
    ]
    if rows:
        yield "\n## Figures that are not compared\n"
        yield table(["case", "figure", "why"], rows)


def measured(title: str, verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Yield what a group's cases expect, and what came out."""
    yield f"\n## {title}: measured\n"
    rows = []
    for verdict in verdicts:
        name = f"`{verdict.case.id}`"
        for figure in verdict.figures:
            right = "" if figure.holds else " **off**"
            rows.append(
                [
                    name,
                    figure.name,
                    shown(figure.expected),
                    shown(figure.measured),
                    off(figure),
                    f"{figure.rule}{right}",
                ]
            )
            name = ""
    yield table(["case", "figure", "expected", "measured", "off by", "allowed"], rows)


def shown(value: Any) -> str:
    """Return a value as the page shows it: four digits are as many as any tolerance needs."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def off(figure: Figure) -> str:
    """Return how far a number is off, in percent."""
    expected, value = figure.expected, figure.measured
    if isinstance(expected, bool) or not isinstance(expected, int | float):
        return ""
    if not expected:
        return "0" if value == expected else shown(value - expected)
    percent = round((value / expected - 1) * 100, 2)
    return f"{percent:+.2f} %" if percent else "0"


def table(heads: list[str], rows: list[list[Any]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in escaped)
