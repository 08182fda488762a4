"""Outliers: servers that fail more than the others are ejected for a while, as Envoy does it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from engine.component import Component, ControlPlane, knob
from engine.policy import outlier_threshold

GROUPS = "outliers"  # what the program lays out under this name: (title, first pool, how many)


class Outliers(Component):
    """Outlier detection: Envoy's rules and defaults (its `OutlierDetection` message)."""

    on: bool = knob(
        False, "Outlier detection", help="Eject servers that fail in a row, or more than others."
    )
    consecutive_5xx: int = knob(
        5,
        "Failures in a row",
        low=1,
        high=1000,
        step=1,
        slider_high=20,
        help="After so many a server is ejected at once. Envoy: 5.",
    )
    interval_seconds: float = knob(
        10.0,
        "Outlier interval",
        unit="s",
        low=0.1,
        high=3600,
        step=1,
        slider_high=60,
        help="How often success rates are compared. Envoy: 10 s.",
    )
    base_ejection_seconds: float = knob(
        30.0,
        "Ejection time",
        unit="s",
        low=0.1,
        high=3600,
        step=5,
        slider_high=300,
        help="The first time; n times that the n-th time, at most 300 s. Envoy: 30 s.",
    )
    max_ejection_percent: float = knob(
        10.0,
        "Ejected at most",
        unit="%",
        low=0,
        high=100,
        step=5,
        help="Of the servers; one may always be ejected. Envoy: 10 %.",
    )
    success_rate_minimum_hosts: int = knob(
        5,
        "Servers to compare",
        low=1,
        high=1000,
        step=1,
        slider_high=20,
        help="With fewer that have enough calls, success rates are not compared. Envoy: 5.",
    )
    success_rate_request_volume: int = knob(
        100,
        "Calls to compare",
        low=1,
        high=1_000_000,
        step=10,
        slider_high=1000,
        help="Calls in an interval that a success rate needs. Envoy: 100.",
    )
    success_rate_stdev_factor: float = knob(
        1.9,
        "Deviations below the mean",
        low=0,
        high=100,
        step=0.1,
        slider_high=5,
        help="A server whose success rate is lower than that is ejected. Envoy: 1.9.",
    )

    def compare(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Compare the servers' success rates now and then, and tell who was ejected."""
        peers = run.plane.world.peers
        calls, bad, times = (peers[name].copy() for name in ("calls", "bad", "times"))
        while True:
            rules = run.scenario.edge.balancer.outliers
            yield run.env.timeout(rules.interval_seconds)
            for title, first, count in run.plane.program.laid_out.get(GROUPS, ()):
                group = slice(first, first + count)
                asked = peers["calls"][group] - calls[group]
                failed = peers["bad"][group] - bad[group]
                rules.eject_low(run, first, count, asked, failed)
                for place in np.flatnonzero(peers["times"][group] > times[group]):
                    text = f"server {place + 1} is ejected"
                    run.note("ejection", f"application.{title}", text)
                idle = (peers["until"][group] <= run.env.now) & (peers["times"][group] > 0)
                peers["times"][group] -= idle  # a while without an ejection is forgiven
            calls, bad, times = (peers[name].copy() for name in ("calls", "bad", "times"))

    def eject_low(
        self, run: ControlPlane, first: int, count: int, asked: np.ndarray, failed: np.ndarray
    ) -> None:
        """Eject the servers whose success rate is far below the others'."""
        enough = np.flatnonzero(asked >= self.success_rate_request_volume)
        if len(enough) < self.success_rate_minimum_hosts:
            return
        rates = 100.0 * (1.0 - failed[enough] / asked[enough])
        low = rates < outlier_threshold(rates.tolist(), self.success_rate_stdev_factor)
        for place in enough[low]:
            run.plane.eject(first + int(place), first, count)
