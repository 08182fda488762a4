"""A scenario while somebody writes it: its text, the last that made sense, and the way back.

The text is the truth.  Typing and tables both change it, and share one history.  While it makes no
sense, the scenario that did last stays in force.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import engine
from engine import Scenario, ScenarioError, read_text
from pages.parts.base import YOURS, Base, preset_base
from pages.parts.lines import Problem, problem_of

STATES_MAX, CHARACTERS_MAX = 60, 4_000_000  # what a history keeps; a preset's state takes 170 kB
BURST_SECONDS = 1.5  # typing without a longer pause is one step of the history
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
TYPING = "typing"

SMALLEST = """\
title: My scenario
client:
  requests_per_second: 100

application:
  replicas: 1
  services:
    server: {title: Server, cpu_time: {exponential: 10}}   # milliseconds

datasets:
  records: {keys: 10000, zipf: 0.8}

journeys:
  visit:
    title: Visit
    steps:
      - do: call
        service: server
        then:
          - {do: read, dataset: records}
"""


class State(NamedTuple):
    """One moment of a draft."""

    text: str
    base: Base  # the last scenario that made sense
    problem: Problem | None  # what is wrong with the text
    what: str  # what was done to come here


class Draft(NamedTuple):
    """A text and its history; `version` changes whenever anything but typing changes the text."""

    now: State
    past: tuple[State, ...] = ()  # newest last
    future: tuple[State, ...] = ()  # nearest last
    version: str = ""
    changes: int = 0  # how often anything but typing has changed the text
    typed_at: float = 0.0  # seconds of some clock

    def typed(self, text: str, seconds: float) -> Draft:
        """Return the draft after somebody typed, at a moment; it may make no sense."""
        if text == self.now.text:
            return self
        state = _state(text, self.now.base, TYPING)
        goes_on = self.now.what == TYPING and seconds - self.typed_at < BURST_SECONDS
        past = self.past if goes_on else (*self.past, self.now)
        return self._replace(now=state, past=_kept(past), future=(), typed_at=seconds)

    def replaced(self, text: str, what: str) -> Draft:
        """Return the draft with another text, as one step.  Raises ScenarioError."""
        state = _state(text, self.now.base, what)
        if state.problem:
            raise ScenarioError(state.problem.message)
        return self._moved(state, (*self.past, self.now), ())

    def undone(self) -> Draft:
        """Return the draft as it was before its newest step."""
        if not self.past:
            return self
        return self._moved(self.past[-1], self.past[:-1], (*self.future, self.now))

    def redone(self) -> Draft:
        """Return the draft as it was before it was undone."""
        if not self.future:
            return self
        return self._moved(self.future[-1], (*self.past, self.now), self.future[:-1])

    def _moved(self, now: State, past: tuple[State, ...], future: tuple[State, ...]) -> Draft:
        changes = self.changes + 1
        return Draft(now, _kept(past), future, f"{YOURS} {changes}", changes)


def opened(preset: str, mine: Draft | None) -> Draft:
    """Return a preset as a draft; to go back from it leads to the session's own scenario."""
    base = preset_base(preset)
    state = State(preset_text(preset), base, None, f"start from {preset}")
    changes = mine.changes + 1 if mine else 0
    past = _kept((*mine.past, mine.now)) if mine else ()
    return Draft(state, past, (), f"{preset} {changes}", changes)


def preset_text(name: str) -> str:
    """Return a preset's own text, whose comments say where its numbers are from."""
    path = Path(engine.__file__).parents[1] / "presets" / f"{name}.yaml"
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return preset_base(name).scenario.to_yaml()


def checked(text: str, name: str = "the text") -> Scenario:
    """Return the scenario that a text says.  Raises ScenarioError, names that are none included.

    >>> checked("journeys: {two words: {steps: [{do: call, service: server}]}}")
    Traceback (most recent call last):
    engine.errors.ScenarioError: the text: journeys.two words is no name; use letters, digits, _ \
and -, such as two_words
    """
    scenario = read_text(text, name)
    for path, names in (
        ("application.services", scenario.application.services),
        ("asynchronous.kinds", scenario.asynchronous.kinds),
        ("datasets", scenario.datasets),
        ("journeys", scenario.journeys),
    ):
        for each in names:
            if not NAME.fullmatch(each):
                raise ScenarioError(f"{name}: {path}.{no_name(each)}")
    return scenario


def no_name(name: str) -> str:
    """Return the sentence about a name that is none."""
    near = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:40]
    near = near if NAME.fullmatch(near) else "my_name"
    shown = " ".join(name.split())[:60] or "An empty name"
    return f"{shown} is no name; use letters, digits, _ and -, such as {near}"


def _state(text: str, before: Base, what: str) -> State:
    """Return the state of a text; while it makes no sense, the scenario before stays in force."""
    try:
        return State(text, Base(YOURS, checked(text)), None, what)
    except ScenarioError as error:
        return State(text, before, problem_of(error, text), what)


def _kept(states: tuple[State, ...]) -> tuple[State, ...]:
    """Return the newest states, as many as a history keeps."""
    size, first = 0, len(states)
    while first > 0 and len(states) - first < STATES_MAX:
        size += len(states[first - 1].text)
        if size > CHARACTERS_MAX:
            break
        first -= 1
    return states[first:]
