"""A game day: half an hour of the shop, with all that watches it and acts, and things that break.

Amazon at 1,000 requests a second, 1.8 million journeys: the autoscaler decides every 15 s, metrics
are scraped and alerts evaluated every 5 s, servers are checked every 10 s, and faults come.
"""

from __future__ import annotations

import statistics
import time

from engine import Scenario, Simulation, load

REPEATS = 3
GOAL_SECONDS = 5.0  # of CPU time
LIVE = {
    "duration_seconds": 1800,
    "application.autoscaler.on": True,
    "application.autoscaler.sync_seconds": 15,
    "application.autoscaler.min_replicas": 3,
    "asynchronous.autoscaler.on": True,
    "observability.scrape_interval_seconds": 5,
    "observability.alerts.on": True,
    "edge.balancer.checks.on": True,
    "data.failover.on": True,
    "faults": [
        {"do": "kill_server", "at_seconds": 300, "length_seconds": 120},
        {"do": "cache_flush", "at_seconds": 600},
        {"do": "traffic_spike", "at_seconds": 900, "length_seconds": 60, "factor": 2},
        {"do": "primary_down", "at_seconds": 1200, "length_seconds": 120},
        {"do": "slow_server", "at_seconds": 1500, "length_seconds": 120},
    ],
}


def game_day() -> Scenario:
    """Return half an hour of the shop."""
    return load("amazon").change(LIVE)


def play(scenario: Scenario, seed: int = 7) -> tuple[float, int, int]:
    """Return the CPU seconds that a run takes with its figures, its journeys, its log's lines."""
    began = time.process_time()
    run = Simulation(scenario, seed)
    run.advance_to(scenario.duration_seconds)
    result = run.result()
    started, lines = result.summary.started, len(result.events)
    return time.process_time() - began, started, lines


def report() -> str:
    """Return the table of what a game day costs."""
    live, bare = game_day(), load("amazon").change({"duration_seconds": 1800})
    rows = []
    for name, scenario in (("with all that acts, and faults", live), ("nothing acts", bare)):
        taken = [play(scenario) for _ in range(REPEATS)]
        seconds = statistics.median(each[0] for each in taken)
        _, started, lines = taken[0]
        rows.append(f"| {name} | {started:,} | {lines:,} | {seconds:.2f} |")
    return "\n".join(
        [
            "## A game day",
            "",
            "Half an hour of the Amazon-like shop at 1,000 requests a second, in one go: HPA every",
            "15 s, scrapes and alerts every 5 s, health checks every 10 s, five faults.  The goal",
            f"is {GOAL_SECONDS:g} s of CPU time.",
            "",
            "| run | journeys | log lines | CPU s |",
            "|---|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    print(report())
