"""Machines: the small systems that theory speaks of, said as scenarios, and read off after a run.

With everything off but one server the engine is M/M/c; all adapters start from there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import Result, Scenario, Simulation
from engine.record import BIN_MIDDLES, quantiles
from engine.scenario import parse

SEED = 7
WARM_UP_MAX = 43_200.0  # what a scenario may set
DURATION_MAX = 86_400.0  # the same; a run may be played on beyond it
NO_LIMIT = 1_000_000  # calls that may wait
FOREVER = 604_800.0  # s; the longest time to live

LAYERS = ("client", "edge", "application", "cache", "asynchronous", "data", "observability")


def system(steps: list[dict[str, Any]], per_second: float, **sections: Any) -> Scenario:
    """Return a scenario of one journey; a layer that is not given is off."""
    tree: dict[str, Any] = {layer: {"enabled": layer in sections} for layer in LAYERS}
    tree["client"]["requests_per_second"] = per_second
    for name, section in sections.items():
        tree[name] = {**tree.get(name, {}), **section}
    return parse({"journeys": {"request": {"steps": steps}}, **tree})


def server(time: Any, slots: int = 1, queue: int = NO_LIMIT, **more: Any) -> dict[str, Any]:
    """Return a service of one server: so many slots, so much room to wait."""
    pool = {"replicas": 1, "threads": slots, "cores": slots, "queue_limit": queue}
    return {"cpu_time": time, **pool, **more}


def one_server(per_second: float, time: Any, slots: int = 1, **more: Any) -> Scenario:
    """Return a scenario of one service behind a stream of requests: M/G/c."""
    gap = more.pop("gap", "poisson")
    services = {"server": server(time, slots, **more)}
    return system(
        [call("server")],
        per_second,
        client={"enabled": False, "gap": gap},
        application={"services": services},
    )


def call(service: str, *then: dict[str, Any]) -> dict[str, Any]:
    """Return a step that calls a service."""
    return {"do": "call", "service": service, "then": list(then)}


class Run:
    """What a run measured, in the words of queueing theory: seconds, not milliseconds."""

    def __init__(self, result: Result) -> None:
        self.result = result

    def row(self, station: str) -> dict[str, float]:
        """Return a station's figures."""
        return dict(self.result.stations.loc[station])

    def meter(self, station: str) -> dict[str, float]:
        """Return what a station's counters grew by: asked, served, failed, wait, stay, work."""
        meters = self.result._delta("meters")
        index = self.result.program.stations[station].meter
        return {name: float(column[index]) for name, column in meters.items()}

    def histogram(self, of: str, station: str) -> np.ndarray:
        """Return how many waits or stays fell into each bin."""
        return getattr(self.result, f"_{of}")[self.result.program.stations[station].meter]

    def quantile(self, of: str, station: str, q: float) -> float:
        """Return a quantile of waits or stays, seconds."""
        return float(quantiles(self.histogram(of, station), (q,))[0])

    def latency(self, q: float) -> float:
        """Return a quantile of the latency of all requests, seconds."""
        return float(quantiles(self.result._latency.sum(axis=0), (q,))[0])

    def spread(self, station: str) -> float:
        """Return the standard deviation of stays, seconds, from the middles of the bins."""
        counts = self.histogram("stays", station)
        mean = np.average(BIN_MIDDLES, weights=counts)
        return math.sqrt(np.average((BIN_MIDDLES - mean) ** 2, weights=counts))

    def had_to_wait(self, station: str) -> float:
        """Return the share of those who asked that did not get a slot at once."""
        return 1.0 - float(self.histogram("waits", station)[0]) / self.meter(station)["asked"]

    @property
    def latency_s_mean(self) -> float:
        """The mean time from request to answer."""
        assert self.result.summary.latency_ms_mean is not None
        return self.result.summary.latency_ms_mean / 1e3

    @property
    def failed_share(self) -> float:
        """The share of requests that ended in failure."""
        return self.result.summary.error_ratio


def play(scenario: Scenario, arrivals: float, warm_up: float = 0.03) -> Run:
    """Play a scenario until so many requests have come after the warm-up, a share of them.

    Cases that speak of the same system share one run of it.
    """
    seconds = arrivals / scenario.client.requests_per_second
    return play_for(scenario, seconds, min(WARM_UP_MAX, seconds * warm_up))


def play_for(scenario: Scenario, seconds: float, warm_up: float) -> Run:
    """Play a scenario for so many seconds after so many of warm-up."""
    return _played(scenario.model_dump_json(), seconds, warm_up)


@functools.lru_cache(maxsize=32)
def _played(text: str, seconds: float, warm_up: float) -> Run:
    run = begin(Scenario.model_validate_json(text), seconds + warm_up, warm_up)
    run.advance_to(seconds + warm_up)
    return Run(run.result())


def begin(scenario: Scenario, seconds: float, warm_up: float = 0.0, seed: int = SEED) -> Simulation:
    """Return a run that is about to begin."""
    clock = {"duration_seconds": min(DURATION_MAX, seconds), "warm_up_seconds": warm_up}
    return Simulation(scenario.change(clock), seed)


def census(run: Simulation, until: float, every: float, count: Callable[[], int]) -> np.ndarray:
    """Advance a run in equal steps and return what was counted after each."""
    times = np.arange(run.env.now + every, until, every)
    found = np.zeros(len(times), np.int64)
    for index, time in enumerate(times):
        run.advance_to(float(time))
        found[index] = count()
    return found
