"""What a run takes for granted, and what it leaves out."""

from __future__ import annotations

import functools
import pathlib
import re

from engine.result import Result

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


def not_modelled(result: Result) -> tuple[str, ...]:
    """Return what is left out of the layers that are on, a paragraph each."""
    on = {name.capitalize() for name, layer in result.scenario.layers() if layer.enabled}
    listed = _listed()
    said = tuple(
        f"{topic}: {text.replace('*', '')}"
        for topic, text in listed.items()
        if topic in on or topic in ALWAYS
    )
    return said or ("See docs/not-modelled.md of the project.",)
