"""Explain: where a system spends its time, what limits it, and how much more load it takes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import pandas as pd

from engine.errors import ScenarioError
from engine.result import Result
from engine.scenario import Scenario
from engine.study.figures import BUSY, HELD, REFUSED, Outcome, Task
from engine.study.lab import Lab, nobody

LATENCY_MS, ERRORS = 500.0, 0.01  # the objective unless another is asked for
GROWTH = 1.5  # of the load while looking for where it breaks
PRECISION = 0.02  # of the load at which it breaks
FACTOR_MAX = 64.0
PROBES = 10  # that a search takes, about
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
    tried: tuple[Probe, ...]  # by load


def load_knob(scenario: Scenario) -> str:
    """Return the path of the knob that says how much is asked."""
    closed = scenario.client.arrivals == "closed"
    return "client.users" if closed else "client.requests_per_second"


def headroom(
    scenario: Scenario, lab: Lab, objective: Objective | None = None, seed: int = 7
) -> Headroom:
    """Search for the load at which the objective breaks: doubling out, then halving in.

    Some ten runs.  Raises ScenarioError if the scenario cannot be played, StoppedError.
    """
    promise, path = objective or Objective(), load_knob(scenario)
    base = scenario.get(path)
    seen: dict[float, tuple[Outcome, str]] = {}
    inner = dataclasses.replace(lab, report=nobody)
    lab.report(0, PROBES)

    def holds(factor: float) -> bool:
        value = round(base * factor) if isinstance(base, int) else base * factor
        try:
            system = scenario.change({path: value})
        except ScenarioError as error:
            seen[factor] = Outcome({}, str(error)), str(error)
            return False
        outcome = inner.outcomes([Task.of(system, seed)])[0]
        seen[factor] = outcome, promise.broken(outcome)
        lab.report(len(seen), max(PROBES, len(seen) + 1))
        return not seen[factor][1]

    good, bad = 0.0, math.inf
    factor = 1.0
    if holds(1.0):
        good = 1.0
        while factor < FACTOR_MAX and math.isinf(bad):
            factor *= GROWTH
            if holds(factor):
                good = factor
            else:
                bad = factor
    else:
        bad = 1.0
        while factor > 1 / FACTOR_MAX and good == 0.0:
            factor /= GROWTH
            if holds(factor):
                good = factor
            else:
                bad = factor
    while good and math.isfinite(bad) and bad / good > 1 + PRECISION:
        middle = math.sqrt(good * bad)
        if holds(middle):
            good = middle
        else:
            bad = middle
    lab.report(len(seen), len(seen))
    return _told(scenario, good, bad, seen, base)


def _told(
    scenario: Scenario,
    good: float,
    bad: float,
    seen: dict[float, tuple[Outcome, str]],
    base: float,
) -> Headroom:
    unit = "users" if load_knob(scenario).endswith("users") else "requests/s"
    rate = base * good
    tried = tuple(
        Probe(at, base * at, how, out.get("latency_ms_p99"), out.get("error_ratio"))
        for at, (out, how) in sorted(seen.items())
    )
    if math.isinf(bad):
        text = f"It still keeps its objective at {good:.0f} times the load; nothing breaks before."
        return Headroom(good, rate, unit, "", "", text, tried)
    outcome, how = seen[bad]
    first = breaks_first(outcome, seen[good][0] if good else None)
    name = _title(scenario, first)
    if not good:
        text = f"It breaks its objective at every load that was tried: {how}."
    elif good >= 1:
        text = (
            f"It takes {rate:,.0f} {unit}, {good - 1:.0%} more than now. Just above that the"
            f" promise breaks ({how}), and {name} is what breaks first."
        )
    else:
        text = (
            f"It breaks its objective already: it would take {rate:,.0f} {unit}, {good:.0%} of the"
            f" load. {name} is what breaks first ({how})."
        )
    return Headroom(good, rate, unit, how, first, text, tried)


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


# ---------------------------------------------------------------- one run, explained


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One run in plain words."""

    bottleneck: str  # a station
    sentences: tuple[str, ...]
    stations: pd.DataFrame  # measured against Little's law and Erlang's formula
    spent: pd.DataFrame  # layer × kind, in the mean and the P99


def explain(result: Result) -> Explanation:
    """Return what limits a run and why, and where its time is spent."""
    stations = checked(result)
    spent = result.shares[result.shares["journey"] == "all"]
    name = bottleneck(result)
    return Explanation(name, tuple(_sentences(result, name, spent)), stations, spent)


def bottleneck(result: Result) -> str:
    """Return the station that limits a run: where most wait, else the busiest.

    A station whose slots are all held by requests that wait elsewhere is not where it begins.
    """
    table = result.stations.dropna(subset=["utilisation"])
    own = table["cpu_utilisation"].fillna(table["utilisation"])
    full, seen = table[own >= FULL], table["layer"] != "asynchronous"  # nobody waits for the rest
    for some in (full[seen[full.index]], full):
        if not some.empty:
            return str(some["waiting_mean"].fillna(0.0).idxmax())
    felt = own[seen]
    return str(felt.idxmax()) if not felt.empty else ""


def _sentences(result: Result, name: str, spent: pd.DataFrame) -> list[str]:
    said = _limits(result, name) if name else ["No part has limits, so that nothing limits it."]
    for of, what in (("mean", "On average"), ("p99", "In the slowest hundredth")):
        part = spent[spent["of"] == of].nlargest(2, "ms")
        told = [
            (row.share, _kind_words(row.kind, row.layer)) for row in part.itertuples() if row.ms
        ]
        words = " and ".join(
            f"{share:.0%}{'' if place else ' of the time'} is {where}"
            for place, (share, where) in enumerate(told)
        )
        if words:
            said.append(f"{what} {words}.")
    return said


def _limits(result: Result, name: str) -> list[str]:
    """Say which part limits a run, and why: two sentences."""
    row = result.stations.loc[name]
    cpu, slots, threads = (
        float(row[each]) for each in ("cpu_utilisation", "utilisation", "thread_utilisation")
    )
    busy = slots if math.isnan(cpu) else cpu
    wait, rate = float(row["wait_ms_mean"]), float(row["rate_per_s"])
    waits = f", and each request waits {wait:,.1f} ms there" if wait >= 0.1 else ""
    if busy >= FULL:
        first = f"{row['title']} limits it: it is {busy:.0%} busy at {rate:,.0f}/s{waits}."
        why = "More comes in than it can do, so that lines grow: here, or at whoever calls it."
        if not math.isnan(cpu) and threads >= FULL:
            why = "Its CPU is what is short: more comes in than it can compute, and its line grows."
        return [first, why]
    first = f"Nothing is full. {row['title']} is the busiest part: {busy:.0%} busy at {rate:,.0f}/s"
    held = not math.isnan(cpu) and threads > NEAR and threads > cpu + 0.2
    if held:
        why = (
            f"But {threads:.0%} of its threads are held while they wait for what they call: look"
            " at the slow part behind it, or give it more threads."
        )
    elif busy > 0:
        why = f"If load grew, it would be full first, at {1 / busy:.1f} times the load of now."
    else:
        return [f"{first}{waits}."]
    return [f"{first}{waits}.", why]


def _kind_words(kind: str, layer: str) -> str:
    """Return a share of the time in plain words.

    >>> _kind_words("network", "client"), _kind_words("waiting", "data")
    ('the network of the client layer', 'waiting in line in the data layer')
    """
    if kind == "network":
        return f"the network of the {layer} layer"
    return f"{'waiting in line' if kind == 'waiting' else kind} in the {layer} layer"


def checked(result: Result) -> pd.DataFrame:
    """Return each station's measured wait beside what Erlang C and Little's law say of it.

    Little: the mean number there is the arrival rate times the mean stay (J. D. C. Little 1961);
    both sides are measured apart, so that a gap of more than noise would be a fault of the engine.
    """
    table = result.stations.dropna(subset=["utilisation"]).copy()
    rate = table["rate_per_s"]
    table["little_number"] = rate * table["residence_ms_mean"] / 1e3
    table["number_mean"] = table["waiting_mean"].fillna(0.0) + table["in_service_mean"]
    table["says"] = [_why_not(result.scenario, row) for row in table.itertuples()]
    columns = [
        "title",
        "rate_per_s",
        "utilisation",
        "wait_ms_mean",
        "theory_wait_ms",
        "number_mean",
        "little_number",
        "says",
    ]
    return table[columns]


def _why_not(scenario: Scenario, row: Any) -> str:
    """Say how a station's wait and number stand to the formulas', and why they may differ."""
    inside, little = float(row.number_mean), float(row.little_number)
    said = _wait_says(scenario, row)
    if abs(inside - little) <= max(0.1, 0.1 * inside):
        return said
    refused = "many are turned away or give up before their turn"
    why = refused if row.failed_per_s > 0 else "the line still grows, and who is in it has not left"
    return f"{said}; Little's law is off: {why}"


def _wait_says(scenario: Scenario, row: Any) -> str:
    """Say how a station's wait stands to M/M/c's, and why it may differ."""
    wait, theory = float(row.wait_ms_mean), float(row.theory_wait_ms)
    if math.isnan(theory) or math.isnan(wait):
        return (
            "no formula: more comes in than it can do, so that its line has no mean"
            if row.utilisation >= FULL
            else "no formula fits: it is no simple queue"
        )
    if abs(wait - theory) <= max(0.1, 0.1 * theory):
        return "as Erlang C says"
    if wait > theory:
        if row.thread_utilisation > 0.5 and row.cpu_utilisation < row.thread_utilisation - 0.2:
            return "longer: its threads are held while they wait for what they call"
        if scenario.client.attempts > 1 and row.failed_per_s > 0:
            return "longer: what failed comes again, in bursts"
        if scenario.client.pattern.shape != "constant":
            return "longer: load comes in waves, and the formula knows only the mean"
        return "longer: arrivals come in bursts, or some jobs are far longer than the mean"
    if row.service_ms_mean and row.in_service_mean:
        return "shorter: jobs vary less than the formula's, or the balancer evens out the lines"
    return "shorter"
