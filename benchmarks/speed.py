"""Requests a second: Strata beside SimPy and Ciw, on the same models, in the same process.

Engines take turns, `REPEATS` times, so that a noisy moment of the machine hits all of them; what
counts is CPU time, and of that the median.  Strata builds the run, simulates it with metrics and
traces on, and hands out its summary; compiling is done before.  Every engine's mean sojourn is held
to theory.
"""

import pathlib
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.peers import run_ciw, run_simpy
from benchmarks.theory import (
    MM1,
    MM8,
    MODELS,
    SECONDS_TO_MS,
    WEB_TANDEM,
    Single,
    Tandem,
    mean_sojourn_seconds,
)
from engine import Scenario, load, simulate

REPEATS = 5
SCENARIOS = pathlib.Path(__file__).with_name("scenarios")
FILES = {MM1: "mm1.yaml", MM8: "mm8.yaml", WEB_TANDEM: "web_tandem.yaml"}
AMAZON_REQUESTS = 1_000_000
# Of a mean over all repeats: more than four standard errors of the noisiest row, Ciw's M/M/1.
TOLERANCE = 0.08


class Engine(NamedTuple):
    """A simulator, and how many requests keep it busy for about a second."""

    name: str
    mean_sojourn: Callable[[Single | Tandem, int, int], float]
    requests: int


class Timing(NamedTuple):
    """What the repeats of one engine on one model came to."""

    requests_per_second: float  # of CPU time, median
    sojourn_ms: float  # mean over all repeats


def run_strata(model: Single | Tandem, requests: int, seed: int) -> float:
    """Return Strata's mean sojourn for a benchmark model, in seconds."""
    scenario = lasting(load(SCENARIOS / FILES[model]), requests)
    mean = simulate(scenario, seed=seed).summary.latency_ms_mean
    assert mean is not None, "nobody was answered"
    return mean / SECONDS_TO_MS


def lasting(scenario: Scenario, requests: int) -> Scenario:
    """Return the scenario, made long enough for about so many requests."""
    return scenario.change({"duration_seconds": requests / scenario.client.requests_per_second})


ENGINES = (
    Engine("SimPy", run_simpy, requests=60_000),
    Engine("Ciw", run_ciw, requests=20_000),
    Engine("Strata", run_strata, requests=1_000_000),
)


def cpu_seconds(work: Callable[[], float]) -> tuple[float, float]:
    """Return the CPU time that some work took, and what it returned."""
    started = time.process_time()
    answer = work()
    return time.process_time() - started, answer


def time_engines(model: Single | Tandem) -> dict[str, Timing]:
    """Time every engine on a model, in turns.  A mean that theory denies is an error."""
    seconds: dict[str, list[float]] = {engine.name: [] for engine in ENGINES}
    sojourns: dict[str, list[float]] = {engine.name: [] for engine in ENGINES}
    for seed in range(REPEATS):
        for name, mean_sojourn, requests in ENGINES:
            took, sojourn = cpu_seconds(lambda: mean_sojourn(model, requests, seed))  # noqa: B023
            seconds[name].append(took / requests)
            sojourns[name].append(sojourn)
    timings = {
        name: Timing(
            1.0 / statistics.median(seconds[name]),
            statistics.fmean(sojourns[name]) * SECONDS_TO_MS,
        )
        for name in seconds
    }
    exact = mean_sojourn_seconds(model) * SECONDS_TO_MS
    for name, timing in timings.items():
        if abs(timing.sojourn_ms / exact - 1.0) > TOLERANCE:
            sentence = f"{name}, {model.name}: {timing.sojourn_ms:.3f} ms, theory {exact:.3f} ms"
            raise ArithmeticError(sentence)
    return timings


def amazon_requests_per_second() -> float:
    """Return how many whole requests of the Amazon preset Strata simulates in a CPU second."""
    scenario = lasting(load("amazon"), AMAZON_REQUESTS)
    rates = []
    for seed in range(REPEATS):
        took, started = cpu_seconds(lambda: simulate(scenario, seed=seed).summary.started)  # noqa: B023
        rates.append(started / took)
    return statistics.median(rates)


def warm_up() -> None:
    """Load or compile the machine code, and import what the first run imports."""
    for model in MODELS:
        run_strata(model, requests=10_000, seed=0)
    simulate(load("amazon").change({"duration_seconds": 1.0, "warm_up_seconds": 0.0}))


def report() -> str:
    """Return the measurements as Markdown."""
    warm_up()
    lines = [
        f"## Speed: requests a CPU second, median of {REPEATS}",
        "",
        "| model | SimPy | Ciw | Strata | Strata / SimPy | Strata / Ciw |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    checks = []
    for model in MODELS:
        timings = time_engines(model)
        simpy, ciw, strata = (timings[engine.name].requests_per_second for engine in ENGINES)
        lines.append(
            f"| {model.name} | {simpy:,.0f} | {ciw:,.0f} | {strata:,.0f}"
            f" | {strata / simpy:.0f}× | {strata / ciw:.0f}× |"
        )
        means = " | ".join(f"{timing.sojourn_ms:.3f}" for timing in timings.values())
        checks.append(f"| {model.name} | {mean_sojourn_seconds(model) * 1e3:.3f} | {means} |")
    lines += [
        f"| Amazon preset | – | – | {amazon_requests_per_second():,.0f} | – | – |",
        "",
        "Mean sojourn in ms, over all repeats:",
        "",
        "| model | theory | SimPy | Ciw | Strata |",
        "|---|---:|---:|---:|---:|",
        *checks,
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
