"""Cases: the facts, as they stand in the JSON files here and in the folder TRUTH_DIR names."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

HERE = pathlib.Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One fact: what is given, what is expected, and how far a figure may be off."""

    id: str
    group: str
    title: str
    given: dict[str, Any]
    expect: dict[str, Any]
    tolerance: str
    source: str
    more: dict[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return self.id


FIELDS = ("id", "group", "title", "given", "expect", "tolerance", "source")


def read(path: pathlib.Path) -> Iterator[Case]:
    """Yield a file's cases; those whose source contradicts itself are left out."""
    for entry in json.loads(path.read_text(encoding="utf-8")):
        if not entry.get("disputed"):
            known = {name: entry.get(name, "") for name in FIELDS}
            rest = {name: value for name, value in entry.items() if name not in FIELDS}
            yield Case(**{**known, "given": entry.get("given") or {}}, more=rest)


def shipped() -> list[Case]:
    """Return the cases that the project carries."""
    return [case for path in sorted(HERE.glob("*.json")) for case in read(path)]


def added() -> list[Case]:
    """Return the cases of the folder that TRUTH_DIR names; those that ship are not read twice."""
    folder = os.environ.get("TRUTH_DIR")
    if not folder:
        return []
    known = {case.id: case for case in shipped()}
    found = [case for path in sorted(pathlib.Path(folder).glob("*.json")) for case in read(path)]
    return [case for case in found if case != known.get(case.id)]
