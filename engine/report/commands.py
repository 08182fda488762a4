"""The reports' part of the command line: report, class."""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.errors import ScenarioError
from engine.reading import load, presets
from engine.report.build import RUNS, Asked, report
from engine.report.classroom import class_report
from engine.report.document import Document
from engine.report.html import to_html
from engine.report.markdown import to_markdown
from engine.report.pdf import to_pdf
from engine.run import simulate
from engine.study.crew import crew
from engine.study.lab import Lab
from engine.study.shelf import Shelf

if TYPE_CHECKING:
    from engine.result import Result
    from engine.scenario import Scenario

FORMATS = (".html", ".pdf", ".md")
Meant = Callable[[argparse.Namespace], "tuple[Scenario, int]"]


def add(
    commands: Any,
    asks: Callable[[argparse.ArgumentParser], None],
    played: Callable[[argparse.Namespace], Result],
    opened: Callable[[str], tuple[Scenario, int]],
) -> None:
    """Add the commands to a parser's; `opened` reads a preset's name, a file or a link."""
    one = commands.add_parser("report", help="write a report: .html, .pdf or .md")
    asks(one)
    one.add_argument("--question", default="", help="what was to be found out")
    one.add_argument("--note", default="", help="what you say to it")
    one.add_argument("--author", default="")
    one.add_argument("--preset", help="what it was made from; default: the preset of that name")
    one.add_argument(
        "--runs", type=int, default=RUNS, help=f"for uncertainty; 1 plays none; default: {RUNS}"
    )
    one.add_argument("--processes", type=int, help="for these runs; default: one a core")
    _out(one)
    one.set_defaults(do=lambda options: _report(played(options), options))
    many = commands.add_parser("class", help="write several people's runs on one page")
    many.add_argument(
        "runs", nargs="+", metavar="NAME=SCENARIO", help="a preset, a file or a link each"
    )
    many.add_argument("--title", default="Class report")
    _out(many)
    many.set_defaults(do=lambda options: _class(options, opened))


def _out(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", required=True, metavar="FILE", help=", ".join(FORMATS))


def _report(result: Result, options: argparse.Namespace) -> None:
    place = _place(options.out)
    name = options.preset or (options.scenario if options.scenario in presets() else None)
    asked = Asked(
        options.question,
        options.note,
        options.author,
        options.scenario,
        load(name) if name else None,
    )
    lab = Lab(crew(processes=options.processes), Shelf(), _tell) if options.runs > 1 else None
    write(report(result, asked, lab=lab, runs=options.runs), place)


def _class(options: argparse.Namespace, opened: Callable[[str], tuple[Scenario, int]]) -> None:
    place = _place(options.out)
    results = {}
    for text in options.runs:
        name, sign, wanted = text.partition("=")
        if not sign or not name or name in results:
            raise ScenarioError(f"{text[:60]} is no NAME=SCENARIO of its own; write anna=amazon")
        results[name] = simulate(*opened(wanted))
    write(class_report(results, options.title), place)


def _place(out: str) -> pathlib.Path:
    """Return where to write; refuse at once what cannot be, before anything is played."""
    place = pathlib.Path(out)
    if place.suffix.lower() not in FORMATS:
        raise ScenarioError(f"--out {out} ends in none of {', '.join(FORMATS)}; choose one")
    return place


def write(document: Document, place: pathlib.Path) -> None:
    """Write a document in the format that the file's name says."""
    suffix = place.suffix.lower()
    if suffix == ".html":
        place.write_text(to_html(document), encoding="utf-8")
    elif suffix == ".pdf":
        place.write_bytes(to_pdf(document))
    else:
        for path, held in to_markdown(document, place.stem).items():
            where = place.parent / path
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(held)
    print(f"{place} holds the report")


def _tell(done: int, total: int) -> None:
    """Say how far it is, where somebody looks."""
    if sys.stderr.isatty():
        print(f"  {done} of {total} further runs", file=sys.stderr)
