"""Scaler: one service's autoscaler at work: it looks at what was scraped, decides, and acts.

The arithmetic of `hpa`, the Horizontal Pod Autoscaler of Kubernetes, stands in `engine.hpa`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine import hpa
from engine.component import ControlPlane
from engine.layers.fleet import Fleet

if TYPE_CHECKING:
    from engine.layers.autoscaler import Autoscaler

SEEN_KEPT = 512  # turns of which it remembers what it saw
WINDOW_SECONDS = 15.0  # that CPU use is a mean of: metrics-server, --metric-resolution


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
    loads: tuple[float, ...]


class Scaler:
    """The autoscaler of one service."""

    def __init__(self, run: ControlPlane, service: str, station: str) -> None:
        self.run = run
        self.service = service
        self.station = station
        self.fleet = Fleet(run, station)
        self.memory = hpa.Memory()
        self.seen: deque[Seen] = deque(maxlen=SEEN_KEPT)
        self.changed_at = -math.inf  # when the simple rule has done something last
        self.blind = False  # whether it was noted why nothing can be done
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
        if self._tied():
            return
        if rules.mode == "scheduled":
            self._by_schedule(rules)
            return
        self._look()
        late = float(self.run.env.now) - rules.late_seconds + 1e-9
        seen = next((seen for seen in reversed(self.seen) if seen.at <= late), None)
        if seen is None:
            return  # it does not know of anything yet
        if all(math.isnan(load) for load in seen.loads):
            self._see_nothing()
            return
        self.blind = False
        if rules.mode == "hpa":
            self._by_target(rules, seen)
        else:
            self._by_thresholds(rules, seen)

    def _tied(self) -> bool:
        """Return whether a hash gives each user a server once for all; say so once."""
        scenario = self.run.scenario
        balancer = scenario.edge.balancer
        first = {
            getattr(step, "service", "")
            for journey in scenario.journeys.values()
            for step in journey.steps
        }
        balanced = scenario.edge.enabled and balancer.on and self.service in first
        tied = bool(balanced and balancer.policy in {"hash", "consistent_hash"})
        if tied and not self.blind:
            text = f"{self.service}: policy {balancer.policy} ties users to servers, so"
            self.run.note("scale", self.station, f"{text} {self.fleet.count} servers stay")
            self.blind = True
        return tied

    def _look(self) -> None:
        """Keep in mind what is to be seen now."""
        scrapes = self.run.recorder.scrapes
        at = scrapes[-1].time if scrapes else 0.0
        loads = self._loads("cpu_utilisation")
        if self.rules.metric == "busiest":
            loads = np.fmax(loads, self._loads("utilisation"))
        self.seen.append(Seen(float(self.run.env.now), at, tuple(loads.tolist())))

    def _loads(self, name: str) -> np.ndarray:
        """Return a figure of each server."""
        return np.array(self.run.metrics.by_server(name, self.station, WINDOW_SECONDS))

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
            str(server): hpa.Metric(round(load * 1000), seen.scraped_at, WINDOW_SECONDS)
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
        if self.memory == hpa.Memory():  # recordInitialRecommendation: it begins with what is
            self.memory = hpa.Memory(recommendations=((now, current),))
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
        why = f"{self._what} {wanted.usage} % of {rules.target_cpu_percent} %"
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
        load, (low, high) = 100.0 * sum(loads) / len(loads), self._limits(rules)
        count = self.fleet.count
        if load > rules.up_above_percent and count < high:
            self._have(count + 1, f"{self._what} {load:.0f} %, above {rules.up_above_percent:g} %")
            self.changed_at = now
        elif load < rules.down_below_percent and count > low:
            self._have(
                count - 1, f"{self._what} {load:.0f} %, below {rules.down_below_percent:g} %"
            )
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

    @property
    def _what(self) -> str:
        """What it looks at, in words."""
        return "CPU" if self.rules.metric == "cpu" else "CPU or threads"

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
