"""The exports' part of the command line: export, link."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.errors import ScenarioError
from engine.export.bundle import bundle, files, kinds, with_readme
from engine.export.link import to_link

if TYPE_CHECKING:
    from engine.result import Result
    from engine.scenario import Scenario

Asks = Callable[[argparse.ArgumentParser], None]


def add(
    commands: Any,
    asks: Asks,
    meant: Callable[[argparse.Namespace], tuple[Scenario, int]],
    played: Callable[[argparse.Namespace], Result],
) -> None:
    """Add the commands to a parser's: `asks` adds which run is meant, `played` returns it."""
    export = commands.add_parser("export", help="write a run's data to a folder or a zip")
    asks(export)
    export.add_argument("--out", required=True, metavar="DIR|FILE.zip")
    export.add_argument(
        "--only",
        action="append",
        choices=[kind.name for kind in kinds()],
        help="only this kind of data; may be repeated",
    )
    export.set_defaults(do=lambda options: _export(played(options), options))
    link = commands.add_parser("link", help="print the link to a scenario")
    asks(link)
    link.set_defaults(do=lambda options: print(to_link(*meant(options))))


def _export(result: Result, options: argparse.Namespace) -> None:
    place = pathlib.Path(options.out)
    if place.suffix.lower() == ".zip":
        place.write_bytes(bundle(result, options.only))
        print(f"{place} holds the run's data")
        return
    if place.is_file():
        raise ScenarioError(f"--out {place} is a file; name a folder, or a file that ends in .zip")
    found = with_readme(result, files(result, options.only))
    for path, held in found.items():
        where = place / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(held)
    print(f"{place} holds {len(found)} files; README.txt says what each is")
