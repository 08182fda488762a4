"""What a run takes for granted, and what it leaves out."""

from __future__ import annotations

import functools
import pathlib
import re
from typing import Any

from engine.errors import shown
from engine.result import Result

PLANNED_MAX = 6
LIST = pathlib.Path(__file__).parents[2] / "docs" / "not-modelled.md"
ALWAYS = ("Cost", "Everywhere", "Traces")


def assumptions(result: Result) -> tuple[str, ...]:
    """Return what the run takes for granted, as sentences."""
    scenario = result.scenario
    client = scenario.client
    users = (
        f"{client.users:,} users, each of whom waits for an answer before asking again"
        if client.arrivals == "closed"
        else f"{client.requests_per_second:,g} requests a second, whether answers come or not"
    )
    asked = f"What is asked: {users}; arrivals are {client.arrivals}."
    draws = (
        "Service times are independent draws from the distributions of the configuration; the same"
        " seed gives every request the same draws, whatever else is changed."
    )
    warm_up = (
        f"The first {scenario.warm_up_seconds:g} s are warm-up and count in no figure but the time"
        " series."
    )
    prices = (
        "Prices are those of the configuration; by default AWS's list for us-east-1 in 2024,"
        " rounded."
    )
    care = (
        "A simulation says what such a system does, not what yours does: measure yours, then set"
        " the times."
    )
    return asked, draws, warm_up, prices, care


@functools.cache
def _listed() -> dict[str, str]:
    """Return the project's list of what is not modelled, by topic."""
    try:
        text = LIST.read_text(encoding="utf-8")
    except OSError:
        return {}
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    found = (re.fullmatch(r"\*\*([A-Z][a-z]+)\.\*\* (.*)", paragraph) for paragraph in paragraphs)
    return {match[1]: match[2] for match in found if match}


def setting(value: object) -> str:
    """Return what a knob stands at; of what is planned, what and when.

    >>> setting(0.5), setting([]), setting([{"do": "kill_server", "at_seconds": 20.0, "server": 1}])
    ('0.5', 'none', 'kill_server at 20 s')
    """
    if isinstance(value, list | tuple):
        if not value:
            return "none"
        if all(isinstance(each, dict) and "at_seconds" in each for each in value):
            said = (f"{_what(each)} at {each['at_seconds']:g} s" for each in value[:PLANNED_MAX])
            more = f", and {len(value) - PLANNED_MAX} more" if len(value) > PLANNED_MAX else ""
            return ", ".join(said) + more
    return shown(value)


def _what(planned: dict[str, Any]) -> str:
    """Return what is planned: a fault's name, or the knobs that are turned."""
    return str(planned.get("do") or " and ".join(map(str, planned.get("set", {"change": 0}))))


def not_modelled(result: Result) -> tuple[tuple[str, str], ...]:
    """Return what is left out of the layers that are on, by topic."""
    on = {name.capitalize() for name, layer in result.scenario.layers() if layer.enabled}
    listed = _listed()
    said = tuple(
        (topic, text.replace("*", ""))
        for topic, text in listed.items()
        if topic in on or topic in ALWAYS
    )
    return said or (("Everywhere", "See docs/not-modelled.md of the project."),)
