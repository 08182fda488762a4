"""What comes in from elsewhere: links, scenario files, and the zips that Strata itself writes.

All of it is hostile until parsed: sizes are limited before anything is unpacked, and nothing is
written anywhere.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import NamedTuple

from engine import Scenario, ScenarioError, from_link, read_text

FILE_MAX = 5_000_000  # bytes
INSIDE_MAX = 1_000_000  # bytes of a file in a zip; the largest scenario has a hundredth of it
FILES_MAX = 500  # in a zip; ours have forty
NAME_MAX = 60
SCENARIO, LINK = "scenario.yaml", "link.txt"
_SEED = re.compile(r"\A# python -m engine run \S+ --seed (\d{1,16})\s")
_BEGIN = re.compile(r"s\d{1,4}\.|https?://|/\?|\?")


class Taken(NamedTuple):
    """What came in."""

    name: str
    scenario: Scenario
    seed: int | None  # None: it does not say one


def taken(name: str, content: bytes) -> Taken:
    """Return what a file holds: a scenario, a link to one, or a zip with one.

    Raises ScenarioError, one line, for whatever is none.
    """
    name = plain_name(name)
    if len(content) > FILE_MAX:
        raise ScenarioError(f"{name} has {len(content):,} bytes; a file of ours is below 5 MB")
    if content.startswith(b"PK"):
        return _of_zip(name, content)
    return _of_text(name, _decoded(name, content))


def of_link(text: str) -> Taken:
    """Return what a link says.  Raises ScenarioError."""
    scenario, seed = from_link(text)
    return Taken("the link", scenario, seed)


def plain_name(name: str) -> str:
    """Return a file's name on one line, as long as a sentence has room for."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(shown.split())[:NAME_MAX] or "the file"


def _of_text(name: str, text: str) -> Taken:
    if "\n" not in text.strip() and _BEGIN.match(text.strip()):
        return of_link(text)._replace(name=name)
    said = _SEED.match(text)
    return Taken(name, read_text(text, name), int(said[1]) if said else None)


def _of_zip(name: str, content: bytes) -> Taken:
    try:
        held = _scenario_in(content)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError):
        # RuntimeError: it is encrypted; NotImplementedError, which is one: packed in another way.
        raise ScenarioError(f"{name} is a zip that cannot be read; export it again") from None
    if held is None:
        raise ScenarioError(
            f"{name} is a zip without {SCENARIO}; use one from the Take away page, or the"
            " scenario's own file"
        )
    if len(held) > INSIDE_MAX:
        raise ScenarioError(f"{name}: its {SCENARIO} has more than 1 MB; a scenario is smaller")
    return _of_text(name, _decoded(name, held))


def _scenario_in(content: bytes) -> bytes | None:
    """Return the scenario's file, or a little more of it than may be; None if there is none."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        inside = archive.namelist()
        if len(inside) > FILES_MAX or SCENARIO not in inside:
            return None
        with archive.open(SCENARIO) as file:
            return file.read(INSIDE_MAX + 1)


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ScenarioError(
            f"{name} is neither text nor a zip; use YAML, JSON, a link, or a zip of ours"
        ) from None
