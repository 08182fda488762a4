"""Autoscaler: how many servers each service has, by what was scraped of their CPU, or by the clock.

`hpa` is the Horizontal Pod Autoscaler of Kubernetes, turn by turn; its arithmetic stands in
`engine.hpa`.  `simple` is the rule of two thresholds that textbooks begin with.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any, Literal, NamedTuple

from pydantic import Field

from engine import hpa
from engine.component import Component, ControlPlane, knob
from engine.layers.fleet import Fleet
from engine.layers.servers import Servers

SEEN_KEPT = 512  # turns of which the autoscaler remembers what it saw
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
        help="By so many the number may change in a period. Kubernetes: up 4, down not limited so.",
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
        help="Of all that was recommended in this time the most cautious counts. Kubernetes: up"
        " 0 s, down 300 s.",
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
        help="hpa: mean CPU use that it aims at; a server requests all its cores. Kubernetes: 80 %.",
    )
    min_replicas: int = knob(
        1,
        "Servers at least",
        low=1,
        high=SERVERS_MAX,
        step=1,
        slider_high=32,
        help="Of each service. Kubernetes: 1.",
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
    down: Pace = Pace(servers=0, window_seconds=300)
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


def control(run: ControlPlane, scalers: list[Scaler]) -> Generator[Any, Any, Any]:
    """Take turns: of the clock, and whenever something is planned."""
    for scaler in scalers:
        scaler.begin()
    while True:
        rules, now = run.scenario.application.autoscaler, float(run.env.now)
        due = now + rules.sync_seconds
        if rules.on and rules.mode == "scheduled":
            times = (plan.at_seconds + rules.late_seconds for plan in rules.schedule)
            due = min([due, *(at for at in times if at > now)])
        yield run.env.timeout(due - now)
        for scaler in scalers:
            scaler.turn()


class Seen(NamedTuple):
    """What a turn saw of a service: the CPU use of each server, 0 to 1, as scraped."""

    at: float
    scraped_at: float
    seconds: float  # that the figures are means of
    loads: tuple[float, ...]


class Scaler:
    """The autoscaler of one service."""

    def __init__(self, run: ControlPlane, service: str, station: str) -> None:
        self.run = run
        self.service = service
        self.station = station
        self.fleet = Fleet(run, service, station)
        self.memory = hpa.Memory()
        self.seen: deque[Seen] = deque(maxlen=SEEN_KEPT)
        self.changed_at = -math.inf  # when the simple rule has done something last
        self.blind = False  # whether it was noted that there is nothing to see
        self.planned = -1  # the last entry of the schedule that was carried out

    @property
    def rules(self) -> Autoscaler:
        """The knobs as they are set now."""
        found: Autoscaler = self.run.scenario.application.autoscaler
        return found

    def begin(self) -> None:
        """Note how many servers the run begins with, if they are to be scaled."""
        if self.rules.scales(self.service):
            self.fleet.bill()

    def turn(self) -> None:
        """Look, decide and act."""
        rules = self.rules
        if not rules.scales(self.service):
            return
        self.fleet.bill()  # a knob may have been turned meanwhile
        if rules.mode == "scheduled":
            self._by_schedule(rules)
            return
        seen = self._look(rules.late_seconds)
        if seen is None or not seen.loads or all(math.isnan(load) for load in seen.loads):
            self._see_nothing()
            return
        self.blind = False
        if rules.mode == "hpa":
            self._by_target(rules, seen)
        else:
            self._by_thresholds(rules, seen)

    def _look(self, late_seconds: float) -> Seen | None:
        """Return what was to be seen so long ago; None if that was nothing."""
        now, metrics = float(self.run.env.now), self.run.metrics
        loads = tuple(metrics.by_server("cpu_utilisation", self.station))
        scrapes = self.run.recorder.scrapes
        if scrapes:
            self.seen.append(Seen(now, scrapes[-1].time, scrapes[-1].seconds, loads))
        known = (seen for seen in reversed(self.seen) if seen.at <= now - late_seconds + 1e-9)
        return next(known, None)

    def _see_nothing(self) -> None:
        """Say once that there are no metrics; nothing is done then."""
        if not self.blind:
            text = f"{self.service}: no metrics were scraped, so {self.fleet.count} servers stay"
            self.run.note("scale", self.station, text)
        self.blind = True

    # ------------------------------------------------------------ rules

    def _by_target(self, rules: Autoscaler, seen: Seen) -> None:
        """Do what a turn of the Horizontal Pod Autoscaler does."""
        now, fleet = float(self.run.env.now), self.fleet
        current = fleet.count
        pods = self._pods()
        metrics = {
            str(server): hpa.Metric(round(load * 1000), seen.scraped_at, seen.seconds)
            for server, load in enumerate(seen.loads)
            if not math.isnan(load) and str(server) in pods
        }
        try:
            wanted = hpa.resource(
                current,
                pods,
                metrics,
                rules.target_cpu_percent,
                now,
                tolerance=rules.tolerance,
                initialisation_seconds=rules.cpu_initialization_seconds,
                readiness_seconds=rules.readiness_delay_seconds,
            )
        except hpa.MissingError:
            self._see_nothing()
            return
        low, high = self._limits(rules)
        decision = hpa.decide(
            current,
            wanted.replicas,
            low,
            high,
            self.memory,
            now,
            up=rules.up.rules(),
            down=rules.down.rules(),
        )
        self.memory = decision.memory
        why = f"CPU {wanted.usage} % of {rules.target_cpu_percent} %"
        if decision.reason != "DesiredWithinRange":
            why += f" asks for {wanted.replicas}, {REASONS[decision.reason]}"
        self._have(decision.replicas, why)

    def _pods(self) -> dict[str, hpa.Pod]:
        """Return the servers as pods, a thousandth of all its cores being the unit of each."""
        pods = {
            str(server): hpa.Pod(1000, started=started, changed=ready)
            for server, (started, ready) in enumerate(self.fleet.ages())
        }
        for batch in self.fleet.batches:
            for _ in range(batch.count):
                pod = hpa.Pod(1000, phase="Pending", ready=False, started=batch.since)
                pods[str(len(pods))] = pod
        return pods

    def _by_thresholds(self, rules: Autoscaler, seen: Seen) -> None:
        """Have one more or one less, and then rest."""
        now = float(self.run.env.now)
        if now - self.changed_at < rules.cooldown_seconds:
            return
        loads = [load for load in seen.loads if not math.isnan(load)]
        cpu, (low, high) = 100.0 * sum(loads) / len(loads), self._limits(rules)
        count = self.fleet.count
        if cpu > rules.up_above_percent and count < high:
            self._have(count + 1, f"CPU {cpu:.0f} %, above {rules.up_above_percent:g} %")
            self.changed_at = now
        elif cpu < rules.down_below_percent and count > low:
            self._have(count - 1, f"CPU {cpu:.0f} %, below {rules.down_below_percent:g} %")
            self.changed_at = now

    def _by_schedule(self, rules: Autoscaler) -> None:
        """Have what was planned for now, once for each entry."""
        clock = float(self.run.env.now) - rules.late_seconds + 1e-9
        plans = sorted(rules.schedule, key=lambda plan: plan.at_seconds)
        due = sum(plan.at_seconds <= clock for plan in plans) - 1
        if due > self.planned:
            plan = plans[due]
            self._have(plan.replicas, f"planned for {plan.at_seconds:g} s")
        self.planned = due

    # ------------------------------------------------------------ acting

    def _limits(self, rules: Autoscaler) -> tuple[int, int]:
        """Return how many servers there are at least and at most."""
        high = min(rules.max_replicas, self.fleet.most)
        return min(rules.min_replicas, high), high

    def _have(self, count: int, why: str) -> None:
        """Have so many from now on, and say why."""
        before = self.fleet.count
        count = min(count, self.fleet.most)
        if count == before:
            return
        seconds = self.rules.startup_seconds
        self.fleet.resize(count, seconds)
        text = f"{self.service}: {why}, {before} → {count} servers"
        if count > before:
            text += f"; ready in {seconds:g} s"
        self.run.note("scale", self.station, text)


REASONS: dict[hpa.Reason, str] = {
    "ScaleUpLimit": "limited by the pace upwards",
    "ScaleDownLimit": "limited by the pace downwards",
    "TooManyReplicas": "limited by the most allowed",
    "TooFewReplicas": "limited by the least allowed",
    "ScaleUpStabilized": "less by the window upwards",
    "ScaleDownStabilized": "more by the window downwards",
}
