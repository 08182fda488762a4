"""Faults that come from outside: more users than anybody planned for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from engine.component import ControlPlane, knob
from engine.faults.fault import Lasting

if TYPE_CHECKING:
    from engine.scenario import Scenario


class TrafficSpike(Lasting):
    """So many times as many requests come, whatever the traffic pattern says."""

    do: Literal["traffic_spike"] = "traffic_spike"
    title = "Traffic spike"
    layer = "client"

    factor: float = knob(
        3.0,
        "Factor",
        unit="×",
        low=0,
        high=100,
        step=0.5,
        slider_high=20,
        help="How many times as many; below 1: fewer.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """Requests come at a rate: users who wait for answers cannot ask more often."""
        if scenario.client.arrivals == "closed":
            return "users wait for their answers here; set client.arrivals to open"
        return ""

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Multiply the rate; spikes at one time multiply one another."""
        run.spikes.append(self.factor)
        run.plane.surge(math.prod(run.spikes))
        yield "client.web", f"traffic is {self.factor:g} times what it was"
        run.spikes.remove(self.factor)
        run.plane.surge(math.prod(run.spikes))
        yield "client.web", f"the spike of {self.factor:g} times the traffic is over"
