"""Where runs are played: on this machine, or on a Dask cluster, and how long that may take."""

import functools
import math
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from engine import Scenario, Shelf, Task, load_knob, simulate
from pages.parts import settings, words
from pages.parts.base import Base

_FIELD = "scheduler-field"
PROBE_SECONDS = 10.0  # simulated, to see how fast this machine is
START_SECONDS = 3.0  # until the first process plays
ASKED_MAX = 400  # runs that are looked up before a start; more would make the form slow


class Estimate(NamedTuple):
    """What a study will take."""

    runs: int
    kept: int  # of them, that need not be played again
    seconds: float


@functools.cache
def shelf() -> Shelf:
    """Return where runs are kept."""
    return Shelf()


@functools.lru_cache(maxsize=32)
def _pace(base: Base) -> list[float]:
    """Return how long one unit of `_work` of a scenario takes, s: measured, then learnt."""
    scenario = base.scenario
    length = max(scenario.warm_up_seconds * 1.01 + 0.1, PROBE_SECONDS)
    probe = scenario.change({"duration_seconds": length, "faults": [], "changes": []})
    began = time.perf_counter()
    simulate(probe, seed=1)
    return [(time.perf_counter() - began) / max(_work(probe), 1e-9)]


def _work(scenario: Scenario) -> float:
    """Return how much there is to simulate: load times time."""
    return float(scenario.get(load_knob(scenario))) * scenario.duration_seconds


def estimate(base: Base, systems: Sequence[Scenario], seeds: Sequence[int], of: int) -> Estimate:
    """Return what it takes to play `of` systems with each seed, less what is kept.

    `systems` are all of them, or some where that would be too many to look at.
    """
    runs, known = of * len(seeds), dict[int, object]()
    if len(systems) == of and runs <= ASKED_MAX:
        tasks = [Task.of(system, seed) for system in systems for seed in seeds]
        known = dict(shelf().get(tasks))
    units = sum(
        _work(system)
        for index, system in enumerate(systems)
        for number in range(len(seeds))
        if index * len(seeds) + number not in known
    )
    units *= of / max(1, len(systems))
    share = min(os.cpu_count() or 1, max(1, runs - len(known)))
    seconds = START_SECONDS + units * _pace(base)[0] / share if units else 0.0
    return Estimate(runs, len(known), seconds)


def learn(base: Base, expected: float, took: float) -> None:
    """Take note of how long a study took that was expected to take so long, both in s."""
    if expected > START_SECONDS and took > START_SECONDS:
        ratio = (took - START_SECONDS) / (expected - START_SECONDS)
        pace = _pace(base)
        pace[0] *= math.sqrt(min(10.0, max(0.1, ratio)))  # half way: one study may have been odd


def duration(seconds: float) -> str:
    r"""Return a time to wait, in round figures.

    >>> [duration(seconds) for seconds in (0.4, 7.2, 43, 200, 9000)]
    ['a second', '7\xa0s', '45\xa0s', '3\xa0min', '2.5\xa0h']
    """
    if seconds < 1.5:
        return "a second"
    if seconds < 10:
        return f"{seconds:.0f}{words.SPACE}s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)}{words.SPACE}s"
    if seconds < 5400:
        return f"{seconds / 60:.0f}{words.SPACE}min"
    return f"{seconds / 3600:.1f}{words.SPACE}h"


def place() -> str:
    """Return where runs are played, in words."""
    address = settings.current().scheduler
    return f"the cluster at {address}" if address else f"{os.cpu_count() or 1} cores here"


def where_played() -> None:
    """Draw the field for a cluster's address."""
    with st.expander("Where runs are played"):
        st.session_state[_FIELD] = settings.current().scheduler
        st.text_input(
            "Address of a Dask scheduler",
            key=_FIELD,
            placeholder="empty: this machine",
            on_change=_take,
            help="Such as tcp://10.0.0.5:8786. Its workers need Strata on their path. The figures"
            " are the same, wherever they were played.",
        )
        st.caption(
            f"Now: {place()}. Every run is kept ({len(shelf()):,} so far): what was played once is"
            " there at once the next time."
        )


def _take() -> None:
    """Keep the address for all pages of this session; the page of settings, for later ones."""
    settings.change(scheduler=str(st.session_state[_FIELD]).strip())
