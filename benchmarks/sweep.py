"""A sweep of 500 runs on one process and on two, and what it would take in SimPy.

The sweep: the Amazon preset, 60 s at 1,000 requests a second, 25 combinations of app servers and
cache sizes, 20 seeds each.  The processes are started, and have compiled nothing, before the clock
runs; nothing is kept from one run to the next.  The wall time is what a user waits for.  SimPy
plays the web tandem, a far smaller model, at the rate that it is measured at here; the same number
of requests at that rate is the least that a sweep in SimPy would take, on as many processes.

`python -m benchmarks.sweep --runs 25` tries it out in a few seconds, with fewer seeds.
"""

import argparse
import os
import time
from typing import NamedTuple

from benchmarks.peers import run_simpy
from benchmarks.theory import WEB_TANDEM
from engine import Axis, Crew, Lab, Scenario, Task, axis, combinations, crew, load, seeds, sweep

REPLICAS = (3, 4, 5, 6, 8)
ENTRIES = (5_000, 10_000, 20_000, 30_000, 50_000)
CELLS = len(REPLICAS) * len(ENTRIES)
RUNS = 500  # 20 seeds of each cell
SIMPY_REQUESTS = 60_000
SIMPY_REPEATS = 3
PROBE = 40  # runs that tell one process's pace: it need not play all of them


class Timing(NamedTuple):
    """How long a number of runs took on a number of processes."""

    processes: int
    runs: int
    seconds: float  # wall time
    requests: float  # simulated

    @property
    def runs_per_second(self) -> float:
        """Runs a second of wall time."""
        return self.runs / self.seconds

    @property
    def requests_per_second(self) -> float:
        """Simulated requests a second of wall time."""
        return self.requests / self.seconds


def axes_of(scenario: Scenario) -> list[Axis]:
    """Return the knobs that are turned, and their values."""
    return [
        axis(scenario, "application.replicas", REPLICAS),
        axis(scenario, "cache.capacity", ENTRIES),
    ]


def requests_of(scenario: Scenario) -> float:
    """Return how many requests one run simulates, about."""
    return scenario.client.requests_per_second * scenario.duration_seconds


def warm(who: Crew, scenario: Scenario, processes: int) -> None:
    """Start the processes and let each load the machine code."""
    short = scenario.change({"duration_seconds": 2.0, "warm_up_seconds": 1.0})
    for _ in who.play([Task.of(short, seed) for seed in range(8 * processes)], lambda: False):
        pass


def timed(scenario: Scenario, processes: int, runs: int, of: int) -> Timing:
    """Play `runs` of the sweep's `of` on so many processes, and return how long it took."""
    who = crew("", processes)
    warm(who, scenario, processes)
    grid = combinations(axes_of(scenario))
    tasks = [Task.of(scenario.change(at), seed) for at in grid for seed in seeds(of // CELLS)]
    some = tasks[:: max(1, len(tasks) // runs)][:runs]
    began = time.perf_counter()
    outcomes = Lab(who).outcomes(some)
    seconds = time.perf_counter() - began
    assert not any(outcome.problem for outcome in outcomes)
    return Timing(processes, len(some), seconds, len(some) * requests_of(scenario))


def whole(scenario: Scenario, processes: int, of: int) -> Timing:
    """Play the whole sweep, of so many runs, as a user would; return how long it took."""
    who = crew("", processes)
    warm(who, scenario, processes)
    began = time.perf_counter()
    found = sweep(scenario, axes_of(scenario), Lab(who), of // CELLS)
    seconds = time.perf_counter() - began
    runs = sum(len(cell.outcomes) for cell in found.cells)
    assert runs == of, f"{runs} runs were played, not {of}"
    return Timing(processes, runs, seconds, runs * requests_of(scenario))


def simpy_rate() -> float:
    """Return how many requests of the web tandem SimPy plays a second, at its best."""
    rates = []
    for seed in range(SIMPY_REPEATS):
        began = time.perf_counter()
        run_simpy(WEB_TANDEM, SIMPY_REQUESTS, seed)
        rates.append(SIMPY_REQUESTS / (time.perf_counter() - began))
    return max(rates)


def report(runs: int = RUNS) -> str:
    """Return the measurements of a sweep of so many runs, a multiple of 25, as Markdown."""
    scenario = load("amazon")
    one = timed(scenario, 1, min(PROBE, runs), runs)
    two = whole(scenario, 2, runs)
    rate = simpy_rate()
    peer = two.requests / rate / 2
    rows = [
        f"| {each.processes} | {each.runs:,} | {each.seconds:.1f} | {each.runs_per_second:.2f}"
        f" | {each.requests_per_second:,.0f} |"
        for each in (one, two)
    ]
    faster = two.runs_per_second / one.runs_per_second
    return "\n".join(
        [
            f"## Sweep: {runs} runs of the Amazon preset, 60 s at 1,000 requests/s each",
            "",
            f"{CELLS} combinations of app servers and cache size, each with {runs // CELLS} seeds;",
            "wall time, with processes started and nothing kept.",
            f"Load average {os.getloadavg()[0]:.1f}.",
            "",
            "| processes | runs | seconds | runs/s | requests/s |",
            "|---:|---:|---:|---:|---:|",
            *rows,
            "",
            f"Two processes play {faster:.2f} times as many runs a second as one.",
            f"SimPy plays {rate:,.0f} requests of the web tandem a second here; that is a far",
            f"smaller model.  At that rate {two.requests / 1e6:.0f} million requests on two",
            f"processes take {peer:,.0f} s: {peer / two.seconds:.0f} times as long, at least.",
        ]
    )


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description="Time a sweep of the Amazon preset.")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"default: {RUNS}")
    wanted = parser.parse_args().runs
    print(report(max(1, round(wanted / CELLS)) * CELLS))


if __name__ == "__main__":
    main()
