"""Autoscaler: how many servers each service has, by the CPU use that was scraped, or by the clock.

`hpa` is the Horizontal Pod Autoscaler of Kubernetes, turn by turn.  `simple` is the rule of two
thresholds that textbooks begin with.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from engine import hpa
from engine.component import Component, ControlPlane, knob
from engine.layers.scaler import Scaler, control
from engine.layers.servers import Servers

SERVERS_MAX = 1000


class Planned(Component):
    """One entry of a schedule."""

    at_seconds: float = Field(ge=0, le=86_400, title="At", description="When, in seconds.")
    replicas: int = Field(ge=1, le=SERVERS_MAX, title="Servers", description="Of each service.")


class Pace(Component):
    """How fast a scale may change in one direction: HPAScalingRules of Kubernetes.

    The larger of both limits counts (selectPolicy: Max); both 0: no change in this direction.
    """

    servers: int = knob(
        4,
        "Servers a period",
        low=0,
        high=SERVERS_MAX,
        step=1,
        slider_high=20,
        help="By so many the number may change in a period. Kubernetes: upwards 4.",
    )
    percent: int = knob(
        100,
        "Percent a period",
        unit="%",
        low=0,
        high=10_000,
        step=10,
        slider_high=400,
        help="By such a share of the number at the period's beginning. Kubernetes: 100 %.",
    )
    period_seconds: float = knob(
        15.0,
        "Period",
        unit="s",
        low=1,
        high=1800,
        step=5,
        slider_high=300,
        help="Kubernetes: 15 s; 1800 s at most.",
    )
    window_seconds: float = knob(
        0.0,
        "Stabilisation window",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=600,
        help="Of all that was recommended in this time the most cautious counts. Kubernetes:"
        " upwards 0 s.",
    )

    def rules(self) -> hpa.Rules:
        """Return the rules as the algorithm takes them."""
        said = (("Pods", self.servers), ("Percent", self.percent))
        policies = tuple(
            hpa.Policy(kind, value, self.period_seconds)  # type: ignore[arg-type]
            for kind, value in said
            if value
        )
        if not policies:
            still = (hpa.Policy("Pods", 0, self.period_seconds),)
            return hpa.Rules(still, "Disabled", self.window_seconds)
        return hpa.Rules(policies, "Max", self.window_seconds)


class PaceDown(Pace):
    """How fast it may go down: at once, but after five minutes of lower recommendations only."""

    servers: int = knob(
        0,
        "Servers a period",
        low=0,
        high=SERVERS_MAX,
        step=1,
        slider_high=20,
        help="By so many the number may change in a period. Kubernetes: not limited so downwards.",
    )
    window_seconds: float = knob(
        300.0,
        "Stabilisation window",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=600,
        help="Of all that was recommended in this time the highest counts. Kubernetes: 300 s.",
    )


class Autoscaler(Component):
    """Adds servers to services that are busy and takes them away from those that are not."""

    on: bool = knob(
        False, "Autoscaler", main=True, help="Let the number of each service's servers follow."
    )
    mode: Literal["hpa", "simple", "scheduled"] = knob(
        "hpa",
        "Scaling rule",
        help="hpa: the Horizontal Pod Autoscaler of Kubernetes. simple: above one threshold one"
        " server more, below another one less. scheduled: so many from a time on.",
    )
    services: tuple[str, ...] = Field(
        default=(), title="Services", description="Which are scaled; empty: all of them."
    )
    target_cpu_percent: int = knob(
        80,
        "Target CPU",
        unit="%",
        low=1,
        high=100,
        step=5,
        help="hpa: mean CPU use that it aims at; a server requests all its cores. Kubernetes: 80.",
    )
    metric: Literal["cpu", "busiest"] = knob(
        "cpu",
        "Scaling metric",
        help="cpu: what servers compute, as it is mostly set up; a server whose threads all wait"
        " seems idle. busiest: CPU or worker threads, whichever is busier (a custom metric).",
    )
    min_replicas: int = knob(
        2,
        "Servers at least",
        low=1,
        high=SERVERS_MAX,
        step=1,
        slider_high=32,
        help="Of each service. Kubernetes: 1, which is a single point of failure.",
    )
    max_replicas: int = knob(
        20,
        "Servers at most",
        low=1,
        high=SERVERS_MAX,
        step=1,
        slider_high=64,
        help="Of each service; what a budget allows. Kubernetes has no default.",
    )
    startup_seconds: float = knob(
        30.0,
        "Start-up time",
        unit="s",
        low=0,
        high=3600,
        step=5,
        slider_high=300,
        help="From the decision until a new server takes calls: it is scheduled, its image pulled,"
        " the program started, and found ready. It costs from the beginning. An assumption.",
    )
    sync_seconds: float = knob(
        15.0,
        "Sync period",
        unit="s",
        low=1,
        high=3600,
        step=5,
        slider_high=120,
        help="From one decision to the next. Kubernetes: --horizontal-pod-autoscaler-sync-period"
        " 15 s.",
    )
    tolerance: float = knob(
        0.1,
        "Tolerance",
        low=0,
        high=1,
        step=0.05,
        help="hpa: as long as CPU is off target by no more than this share nothing is done."
        " Kubernetes: 0.1.",
    )
    cpu_initialization_seconds: float = knob(
        300.0,
        "CPU initialization",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=600,
        help="hpa: for so long after its start a server's CPU counts only if measured entirely"
        " after it was ready. Kubernetes: 5 min.",
    )
    readiness_delay_seconds: float = knob(
        30.0,
        "Initial readiness delay",
        unit="s",
        low=0,
        high=3600,
        step=5,
        slider_high=300,
        help="hpa: who was not ready within this time of its start never was. Kubernetes: 30 s.",
    )
    up: Pace = Pace()
    down: PaceDown = PaceDown()
    up_above_percent: float = knob(
        80.0,
        "Up above",
        unit="%",
        low=1,
        high=100,
        step=5,
        help="simple: mean CPU use above which there is one server more.",
    )
    down_below_percent: float = knob(
        20.0,
        "Down below",
        unit="%",
        low=0,
        high=99,
        step=5,
        help="simple: mean CPU use below which there is one server less.",
    )
    cooldown_seconds: float = knob(
        60.0,
        "Cool-down",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=600,
        help="simple: after a change nothing is done for so long. AWS Auto Scaling groups: 300 s.",
    )
    schedule: tuple[Planned, ...] = Field(
        default=(),
        max_length=1000,
        title="Schedule",
        description="scheduled: from which time on there are how many servers.",
    )
    late_seconds: float = knob(
        0.0,
        "Late by",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=600,
        help="It decides by what was to be seen so long ago: a clock that is slow, metrics that"
        " come late.",
    )

    @model_validator(mode="after")
    def limits_fit(self) -> Autoscaler:
        """The least is not above the most; a schedule has entries; thresholds leave room."""
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas is {self.min_replicas}, above max_replicas {self.max_replicas};"
                " lower it, or raise the other"
            )
        if self.on and self.mode == "scheduled" and not self.schedule:
            raise ValueError("there is no schedule; add entries of at_seconds and replicas to it")
        if self.down_below_percent >= self.up_above_percent:
            raise ValueError(
                f"down_below_percent is {self.down_below_percent:g}, not below up_above_percent"
                f" {self.up_above_percent:g}; lower it"
            )
        return self

    def scales(self, service: str) -> bool:
        """Return whether a service is one of those that are scaled."""
        return self.on and (not self.services or service in self.services)

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Look at all services, turn by turn; one that is off does nothing until it is on."""
        places = run.plane.program.laid_out.values()
        names = [place.station.name for place in places if isinstance(place, Servers)]
        scalers = [Scaler(run, name.partition(".")[2], name) for name in dict.fromkeys(names)]
        if scalers:
            yield control(run, scalers)
