"""The score on five pillars, each from 0 to 100, with what was measured and how.

A score sums up; it is a convention, not a law.  Each pillar says its rule, so that whoever
disagrees can read off the measurement instead.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from engine.errors import ScenarioError
from engine.result import Result
from engine.scenario import Scenario
from engine.study.explain import bottleneck
from engine.study.figures import Outcome, Task
from engine.study.headroom import load_knob
from engine.study.lab import Lab
from engine.words import dollars, milliseconds, per_second, percent

APDEX_MS = 500.0  # the time that satisfies; four times as long is tolerated
NINES = 4.0  # 99.99 %: full marks
AT_WORK = 0.7  # of what is paid for: full marks, for beyond it lines grow (M/M/1)
TWICE = 2.0
KILLED = 0.25  # of the measured time one server is down


class Pillar(NamedTuple):
    """One pillar: its score, None where it was not measured."""

    name: str
    score: int | None
    measured: str
    how: str


def pillars(result: Result, lab: Lab | None) -> tuple[Pillar, ...]:
    """Return the five; without a lab those that need more runs are left unmeasured."""
    return (
        scalability(result, lab),
        performance(result),
        availability(result),
        reliability(result, lab),
        cost_efficiency(result),
    )


def scalability(result: Result, lab: Lab | None) -> Pillar:
    """Return how well twice the load is served."""
    how = (
        "The run is played again with twice the load and the same seed. Score: answers a second"
        " against twice as many, times the P99 that may double against the P99 then."
    )
    scenario = result.scenario
    path = load_knob(scenario)
    outcome = _played(scenario, {path: scenario.get(path) * 2}, result.seed, lab)
    now, p99 = result.summary.answered_per_second, result.summary.latency_ms_p99
    if outcome is None or not now or not p99:
        return Pillar("Scalability", None, _why_not(lab), how)
    then, slow = outcome.get("answered_per_second"), outcome.get("latency_ms_p99")
    growth = then / now
    kept = 1.0 if math.isnan(slow) else min(1.0, TWICE * p99 / slow)
    said = (
        f"At twice the load {per_second(then)} are answered instead of"
        f" {per_second(now)} ({growth:.2f} times), P99 {milliseconds(slow)} instead of"
        f" {milliseconds(p99)}."
    )
    return Pillar("Scalability", _score(min(1.0, growth / TWICE) * kept), said, how)


def performance(result: Result) -> Pillar:
    """Return how content users are with the time that answers take."""
    how = (
        f"Apdex (Apdex Alliance, technical specification 1.1, 2007) with T = {APDEX_MS:g} ms:"
        f" answers within T count whole, those within {4 * APDEX_MS:g} ms half, slower and failed"
        " ones not at all. Score: 100 × Apdex."
    )
    table, summary = result.latency(), result.summary
    quick = int(table.loc[table["latency_ms"] <= APDEX_MS, "requests"].sum())
    borne = int(table.loc[table["latency_ms"] <= 4 * APDEX_MS, "requests"].sum()) - quick
    answered = int(table["requests"].sum())
    whole = answered / (1.0 - summary.error_ratio) if answered else 0.0
    if not whole:
        return Pillar("Performance", 0, "Nothing was answered.", how)
    apdex = (quick + borne / 2) / whole
    said = (
        f"Apdex {apdex:.2f}: {percent(quick / whole)} within {APDEX_MS:g} ms,"
        f" {percent(borne / whole)} within {4 * APDEX_MS:g} ms."
    )
    return Pillar("Performance", _score(apdex), said, how)


def availability(result: Result) -> Pillar:
    """Return which share of requests is answered."""
    how = (
        "Share of requests that are answered, after retries, in nines: 90 % scores 25, 99 % 50,"
        " 99.9 % 75, 99.99 % and more 100. Of none that failed in n, fewer than 3/n fail with 95 %"
        " confidence (Hanley and Lippman-Hand, 1983)."
    )
    errors, answered = result.summary.error_ratio, int(result.latency()["requests"].sum())
    if not answered:
        return Pillar("Availability", 0, "Nothing was answered.", how)
    if errors == 0:
        said = f"None of {answered:,} failed: fewer than {percent(3 / answered)} do."
        return Pillar("Availability", 100, said, how)
    said = f"{100 * (1 - errors):.4g} % answered, {percent(errors)} failed."
    return Pillar("Availability", _score(-math.log10(errors) / NINES), said, how)


def reliability(result: Result, lab: Lab | None) -> Pillar:
    """Return what is left when a part fails."""
    how = (
        "Half: the share of parts that requests pass which have a spare. Half: the share of"
        " requests answered while something is broken: in this run, if anything is planned to"
        " break, else in one played again with a server of the busiest service dead for"
        f" {KILLED:.0%} of the measured time."
    )
    graph = result.topology
    passed = [n for n in graph if graph.nodes[n]["kind"] not in {"source", "telemetry"}]
    alone = [n for n in passed if graph.nodes[n]["spof"]]
    spare = 1.0 - len(alone) / max(1, len(passed))
    titles = ", ".join(str(graph.nodes[name]["title"]) for name in alone)
    said = f"{len(passed) - len(alone)} of {len(passed)} parts have a spare"
    said += f" (not {titles})." if titles else "."
    if result.scenario.faults:
        left = 1.0 - result.summary.error_ratio
        said += f" With what breaks in this run {100 * left:.4g} % are answered."
        return Pillar("Reliability", _score((spare + left) / 2), said, how)
    outcome, service = _broken(result, lab)
    if outcome is None:
        note = "" if lab is None else " No server could be taken away."
        return Pillar("Reliability", _score(spare), f"{said}{note}", how)
    left = 1.0 - outcome.get("error_ratio")
    said += f" With one server of {service} dead {100 * left:.4g} % are answered."
    return Pillar("Reliability", _score((spare + left) / 2), said, how)


def cost_efficiency(result: Result) -> Pillar:
    """Return how much of what is paid for is at work."""
    how = (
        "How busy parts are, each weighed by what it costs; parts without slots are left out."
        f" Score: 100 at {AT_WORK:.0%} and above, for beyond it lines grow fast; in proportion"
        " below."
    )
    busy = result.stations["utilisation"].dropna().to_dict()
    paid = [
        (line.usd_per_hour, busy[line.station]) for line in result.bill() if line.station in busy
    ]
    total = sum(usd for usd, _ in paid)
    million = result.summary.cost_usd_per_million_requests
    price = "nothing was answered" if million is None else f"{dollars(million)} a million"
    if not total:
        return Pillar("Cost efficiency", None, f"Nothing with slots is paid for; {price}.", how)
    mean = sum(usd * share for usd, share in paid) / total
    said = f"{percent(mean)} of what is paid for is at work; {price} answers."
    return Pillar("Cost efficiency", _score(mean / AT_WORK), said, how)


# ---------------------------------------------------------------- runs made for it


def _broken(result: Result, lab: Lab | None) -> tuple[Outcome | None, str]:
    """Return what comes out with a server of the busiest service dead, and the service's name."""
    scenario, table = result.scenario, result.stations
    services = table[(table["kind"] == "service") & (table["layer"] == "application")]
    if services.empty:
        return None, ""
    name = bottleneck(result)
    if name not in services.index:
        name = str(services["utilisation"].fillna(0.0).idxmax())
    measured = scenario.duration_seconds - scenario.warm_up_seconds
    fault = {
        "do": "kill_server",
        "service": name.partition(".")[2],
        "at_seconds": scenario.warm_up_seconds + measured / 3,
        "length_seconds": measured * KILLED,
    }
    planned = scenario.model_dump(mode="json")["faults"]
    found = _played(scenario, {"faults": [*planned, fault]}, result.seed, lab)
    return found, str(table.at[name, "title"])


def _played(
    scenario: Scenario, changes: dict[str, object], seed: int, lab: Lab | None
) -> Outcome | None:
    """Return what comes out of a changed scenario; None if it cannot be played."""
    if lab is None:
        return None
    try:
        task = Task.of(scenario.change(changes), seed)
    except ScenarioError:
        return None
    outcome = lab.outcomes([task])[0]
    return None if outcome.problem else outcome


def _why_not(lab: Lab | None) -> str:
    return "Not measured: it takes another run." if lab is None else "It could not be played."


def _score(share: float) -> int:
    """Return a share as points."""
    return round(100 * min(1.0, max(0.0, share)))
