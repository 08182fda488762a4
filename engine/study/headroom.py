"""Headroom: how much load a system takes until it breaks its promise, and what breaks first."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from engine.errors import ScenarioError
from engine.scenario import Scenario
from engine.study.figures import BUSY, HELD, REFUSED, Outcome, Task
from engine.study.lab import Lab, nobody
from engine.study.statistics import interval

LATENCY_MS, ERRORS = 500.0, 0.01  # the objective unless another is asked for
GROWTH = 1.5  # of the load while looking for where it breaks
PRECISION = 0.02  # of the load at which it breaks
FACTOR_MAX = 64.0
PROBES = 10  # that a search takes, about
OTHERS = 4  # further seeds, on which the limit is looked for near where the first one had it
NEARBY = 1.15  # how far off it may be there, as a factor: rounds of halving get it to `PRECISION`
ROUNDS = 4
FULL = 0.97  # of the time at work: its line grows
NEAR = 0.9  # beyond it waits are many times the work


@dataclasses.dataclass(frozen=True)
class Objective:
    """What users are promised: a P99 and a share of errors."""

    latency_ms_p99: float = LATENCY_MS
    error_ratio: float = ERRORS

    def __post_init__(self) -> None:
        """Refuse a promise that nobody can mean.  Raises ScenarioError."""
        if not self.latency_ms_p99 > 0:
            raise ScenarioError(
                f"a P99 of {self.latency_ms_p99:g} ms is no promise; use more than 0"
            )
        if not 0 <= self.error_ratio < 1:
            raise ScenarioError(
                f"a share of errors of {self.error_ratio:g} is no promise; use 0 to below 1, such"
                " as 0.01 for 1 %"
            )

    def broken(self, outcome: Outcome) -> str:
        """Return how an outcome breaks the promise; "" if it keeps it."""
        if outcome.problem:
            return outcome.problem
        errors, slow = outcome.get("error_ratio"), outcome.get("latency_ms_p99")
        if errors > self.error_ratio:
            return f"errors {errors:.2%} > {self.error_ratio:.2%}"
        if math.isnan(slow):
            return "nobody is answered"
        if slow > self.latency_ms_p99:
            return f"P99 {slow:,.0f} ms > {self.latency_ms_p99:,.0f} ms"
        return ""


class Probe(NamedTuple):
    """One load that was tried."""

    factor: float  # of the load asked for
    rate: float  # requests a second, or users
    broken: str  # how it broke the objective, or ""
    latency_ms_p99: float
    error_ratio: float


@dataclasses.dataclass(frozen=True)
class Headroom:
    """How much load the system takes until it breaks its objective."""

    factor: float  # of the load asked for, that it still takes
    rate: float  # requests a second, or users where they are what asks
    unit: str
    broken: str  # how the objective breaks just above it
    first: str  # the station that breaks first
    sentence: str
    tried: tuple[Probe, ...]  # by load; of the first seed
    half_width: float = math.nan  # of the rate's 95 % interval over seeds


def load_knob(scenario: Scenario) -> str:
    """Return the path of the knob that says how much is asked."""
    closed = scenario.client.arrivals == "closed"
    return "client.users" if closed else "client.requests_per_second"


def headroom(
    scenario: Scenario, lab: Lab, objective: Objective | None = None, seed: int = 7
) -> Headroom:
    """Search for the load at which the objective breaks: growing out, then halving in.

    Some ten runs with `seed`, then four each with `OTHERS` further seeds, side by side, to say how
    sure the rate is.  Raises ScenarioError if the scenario cannot be played, StoppedError.
    """
    found = _Search(scenario, lab, objective or Objective(), seed)
    good, bad = _bracket(found.holds)
    while good and math.isfinite(bad) and bad / good > 1 + PRECISION:
        middle = math.sqrt(good * bad)
        good, bad = (middle, bad) if found.holds(middle) else (good, middle)
    factors = [good]
    if good and math.isfinite(bad) and not found.seen[bad][0].problem:
        factors += found.elsewhere(good)
    lab.report(found.played, found.played)
    return _told(scenario, (good, bad), factors, found)


def _bracket(holds: Callable[[float], bool]) -> tuple[float, float]:
    """Return a factor of the load that is borne, 0 if none is, and one that is not, or infinity."""
    if holds(1.0):
        good = 1.0
        while good < FACTOR_MAX:
            if not holds(good * GROWTH):
                return good, good * GROWTH
            good *= GROWTH
        return good, math.inf
    bad = 1.0
    while bad > 1 / FACTOR_MAX:
        if holds(bad / GROWTH):
            return bad / GROWTH, bad
        bad /= GROWTH
    return 0.0, bad


class _Search:
    """Loads that are tried, as factors of the one that is asked for."""

    def __init__(self, scenario: Scenario, lab: Lab, promise: Objective, seed: int) -> None:
        self.scenario, self.promise, self.seed, self.report = scenario, promise, seed, lab.report
        self.lab = dataclasses.replace(lab, report=nobody)
        self.path = load_knob(scenario)
        self.base = scenario.get(self.path)
        self.seen: dict[float, tuple[Outcome, str]] = {}  # and how the promise was broken
        self.played = 0
        self.report(0, PROBES + OTHERS * ROUNDS)

    def holds(self, factor: float) -> bool:
        """Return whether the promise is kept at so much load, with the first seed."""
        try:
            outcome = self._play([factor], [self.seed])[0]
        except ScenarioError as error:
            outcome = Outcome({}, str(error))
        self.seen[factor] = outcome, self.promise.broken(outcome)
        return not self.seen[factor][1]

    def elsewhere(self, factor: float) -> list[float]:
        """Return the factors that are borne with other seeds, near the one of the first."""
        low, high = [factor / NEARBY] * OTHERS, [factor * NEARBY] * OTHERS
        luck = [self.seed + 1 + place for place in range(OTHERS)]
        for _ in range(ROUNDS):
            middles = [math.sqrt(a * b) for a, b in zip(low, high, strict=True)]
            for place, outcome in enumerate(self._play(middles, luck)):
                side = high if self.promise.broken(outcome) else low
                side[place] = middles[place]
        return low

    def _play(self, factors: list[float], luck: list[int]) -> list[Outcome]:
        tasks = [Task.of(self._at(f), seed) for f, seed in zip(factors, luck, strict=True)]
        found = self.lab.outcomes(tasks)
        self.played += len(tasks)
        self.report(self.played, max(PROBES + OTHERS * ROUNDS, self.played + 1))
        return found

    def _at(self, factor: float) -> Scenario:
        value = self.base * factor
        return self.scenario.change(
            {self.path: round(value) if isinstance(self.base, int) else value}
        )


def _told(
    scenario: Scenario,
    ends: tuple[float, float],
    factors: list[float],
    search: _Search,
) -> Headroom:
    (good, bad), seen, base = ends, search.seen, search.base
    unit = "users" if search.path.endswith("users") else "requests/s"
    found = interval([base * each for each in factors])
    # Each seed's own limit lies somewhere in the last step of its search.
    half = math.hypot(found.half_width, PRECISION / 2 * found.mean)
    rate, share = found.mean, found.mean / base
    sure = "" if math.isnan(half) else f" ± {half:,.0f}"
    tried = tuple(
        Probe(at, base * at, how, out.get("latency_ms_p99"), out.get("error_ratio"))
        for at, (out, how) in sorted(seen.items())
    )
    if math.isinf(bad):
        text = f"It still keeps its objective at {good:.0f} times the load; nothing breaks before."
        return Headroom(share, rate, unit, "", "", text, tried)
    outcome, how = seen[bad]
    first = breaks_first(outcome, seen[good][0] if good else None)
    name = _title(scenario, first)
    if not good:
        text = f"It breaks its objective at every load that was tried: {how}."
    elif good >= 1:
        text = (
            f"It takes {rate:,.0f}{sure} {unit}, {abs(share - 1):.0%}"
            f" {'more' if share >= 1 else 'less'} than now. Just above that the promise breaks"
            f" ({how}), and {name} is what breaks first."
        )
    else:
        text = (
            f"It breaks its objective already: it would take {rate:,.0f}{sure} {unit}, {share:.0%}"
            f" of the load. {name} is what breaks first ({how})."
        )
    return Headroom(share, rate, unit, how, first, text, tried, half)


def breaks_first(outcome: Outcome, before: Outcome | None = None) -> str:
    """Return the station that limits a run: one that works all the time, else one all held.

    Whoever calls a part that is full has its threads held and looks full as well, so that work
    counts before slots.  `before`: a run with less load, whose refusals are not news.
    """
    busy, held = outcome.by_station(BUSY), outcome.by_station(HELD)
    refused = {
        name: value - (before.get(f"{REFUSED}{name}") if before else 0.0)
        for name, value in outcome.by_station(REFUSED).items()
    }
    # What works in the background keeps no user waiting, unless nothing else is full.
    felt = [(each, False) for each in ((busy, NEAR), (held, FULL), (refused, 1e-9))]
    hidden = [((busy, NEAR), True), ((refused, 1e-9), True), ((busy, 0.0), True)]
    for (found, least), background in [*felt, *hidden]:
        known = [name for name in found if background or not name.startswith("asynchronous.")]
        worst = max(known, key=lambda name: found[name], default="")
        if worst and found[worst] >= least:
            return worst
    return ""


def _title(scenario: Scenario, station: str) -> str:
    found = scenario.program().stations.get(station)
    return found.title if found else station or "no single part"
