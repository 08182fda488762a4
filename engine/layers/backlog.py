"""Backlog: workers become more when many messages wait, and fewer when few do."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from engine.component import Component, ControlPlane, knob
from engine.layers.fleet import Fleet
from engine.layers.group import Group
from engine.layers.workers import WORKERS_MAX

if TYPE_CHECKING:
    from engine.layers.asynchronous import Asynchronous

SEEN_KEPT = 512  # turns of which it remembers how many messages waited


class Backlog(Component):
    """An autoscaler of workers, by how many messages wait for a kind of them."""

    on: bool = knob(
        False,
        "Worker autoscaler",
        help="Let the number of workers of each kind follow how many messages wait for it.",
    )
    add_above: int = knob(
        10_000,
        "Add above",
        unit="messages",
        low=1,
        high=100_000_000,
        step=100,
        slider_high=100_000,
        help="More that wait than this, and there are more workers.",
    )
    remove_below: int = knob(
        1000,
        "Remove below",
        unit="messages",
        low=0,
        high=100_000_000,
        step=100,
        slider_high=100_000,
        help="Fewer that wait than this, and there are fewer workers.",
    )
    step: int = knob(
        4,
        "Workers a step",
        low=1,
        high=WORKERS_MAX,
        step=1,
        slider_high=32,
        help="So many are added or removed at a time.",
    )
    min_workers: int = knob(
        1, "Workers at least", low=1, high=WORKERS_MAX, step=1, slider_high=64, help="Of each kind."
    )
    max_workers: int = knob(
        32,
        "Workers at most",
        low=1,
        high=WORKERS_MAX,
        step=1,
        slider_high=128,
        help="Of each kind, and of one that reads a Kafka topic never more than it has partitions:"
        " the others would stand idle. KEDA: allowIdleConsumers false; 100 replicas.",
    )
    busy_percent: float = knob(
        80.0,
        "Busy at most",
        unit="%",
        low=1,
        high=100,
        step=5,
        help="No more are removed than the rest can do the work of, this busy. An assumption.",
    )
    startup_seconds: float = knob(
        30.0,
        "Start-up time",
        unit="s",
        low=0,
        high=3600,
        step=5,
        slider_high=300,
        help="Until a new worker works; it costs from the beginning. An assumption.",
    )
    sync_seconds: float = knob(
        30.0,
        "Sync period",
        unit="s",
        low=1,
        high=3600,
        step=5,
        slider_high=120,
        help="From one look at the lines to the next. KEDA: pollingInterval 30 s.",
    )
    cooldown_seconds: float = knob(
        300.0,
        "Cool-down",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=600,
        help="After any change no worker is removed for so long. KEDA: cooldownPeriod 300 s.",
    )
    late_seconds: float = knob(
        0.0,
        "Late by",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=600,
        help="It decides by what was to be seen so long ago.",
    )

    @model_validator(mode="after")
    def marks_leave_room(self) -> Backlog:
        """The low mark is below the high one, and the least not above the most."""
        if self.remove_below >= self.add_above:
            raise ValueError(
                f"remove_below is {self.remove_below}, not below add_above {self.add_above};"
                " lower it"
            )
        if self.min_workers > self.max_workers:
            raise ValueError(
                f"min_workers is {self.min_workers}, above max_workers {self.max_workers};"
                " lower it, or raise the other"
            )
        return self

    def run(self, run: ControlPlane, groups: dict[str, Group]) -> Generator[Any, Any, Any]:
        """Look at the line of each kind, turn by turn; while it is off nothing is done."""
        scalers = [Scaler(run, kind, group) for kind, group in groups.items()]
        for scaler in scalers:
            scaler.begin()
        while True:
            yield run.env.timeout(run.scenario.asynchronous.autoscaler.sync_seconds)
            for scaler in scalers:
                scaler.turn()


class Workers(Fleet):
    """The workers of a kind; those of a Kafka topic change hands in a rebalance."""

    def __init__(self, run: ControlPlane, kind: str, group: Group) -> None:
        super().__init__(run, f"asynchronous.{kind}")
        self.group = group

    @property
    def ready(self) -> int:
        """How many there are, or will be as soon as the group is rebalanced."""
        return self.group.size

    def have(self, count: int) -> None:
        """Let so many take part from the next rebalance on."""
        self.group.resize(count)


class Scaler:
    """The autoscaler of one kind of worker."""

    def __init__(self, run: ControlPlane, kind: str, group: Group) -> None:
        self.run = run
        self.kind = kind
        self.station = f"asynchronous.{kind}"
        self.fleet = Workers(run, kind, group)
        self.seen: deque[tuple[float, float]] = deque(maxlen=SEEN_KEPT)  # (time, depth)
        self.changed_at = float(run.env.now)  # it looks on for a while before it removes any
        self.held_back = False  # whether it was noted that there can be no more

    @property
    def layer(self) -> Asynchronous:
        """The layer as it is set now."""
        found: Asynchronous = self.run.scenario.asynchronous
        return found

    def begin(self) -> None:
        """Note how many workers the run begins with, if they are to be scaled."""
        if self.layer.autoscaler.on:
            self.fleet.bill()

    def turn(self) -> None:
        """Look, decide and act."""
        rules, now = self.layer.autoscaler, float(self.run.env.now)
        if not rules.on:
            return
        self.fleet.bill()  # a knob may have been turned meanwhile
        self.seen.append((now, self.run.metrics.value("queue_depth", self.station)))
        late = now - rules.late_seconds + 1e-9
        depth = next((depth for at, depth in reversed(self.seen) if at <= late), math.nan)
        if depth > rules.add_above:
            self._add(depth, rules)
        elif depth < rules.remove_below and now - self.changed_at >= rules.cooldown_seconds:
            self._remove(depth, rules)

    def _add(self, depth: float, rules: Backlog) -> None:
        """Have some more, or say once why there can be no more."""
        before, limits = self.fleet.count, self._limits(rules)
        count = min(before + rules.step, *limits.values())
        why = f"{self.layer.title_of(self.kind)}: {depth:,.0f} messages wait"
        tight = min(limits, key=lambda name: limits[name])
        if count > before:
            text = f"{why}, {before} → {count} workers; ready in {rules.startup_seconds:g} s"
            self._note(text + f"; no more than {tight}" * (count < before + rules.step))
            self._resize(count, rules)
        elif not self.held_back:
            self._note(f"{why}, but {before} workers are as many as {tight}")
        self.held_back = count <= before

    def _remove(self, depth: float, rules: Backlog) -> None:
        """Have some fewer, as many as the others can do without."""
        before = self.fleet.count
        busy = self.run.metrics.value("utilisation", self.station, rules.sync_seconds)
        if math.isnan(busy):
            return
        needed = math.ceil(busy * before / (rules.busy_percent / 100.0))
        count = max(before - rules.step, rules.min_workers, needed)
        if count < before:
            why = f"{self.layer.title_of(self.kind)}: only {depth:,.0f} messages wait"
            why += f" and workers are {busy:.0%} busy"
            self._note(f"{why}, {before} → {count} workers")
            self._resize(count, rules)
            self.held_back = False

    def _limits(self, rules: Backlog) -> dict[str, int]:
        """Return how many workers there can be, by what sets the limit."""
        limits = {"max_workers": rules.max_workers, "places for workers": self.fleet.most}
        if self.layer.broker == "kafka":
            limits = {"the topic's partitions": self.layer.partitions, **limits}
        return limits

    def _resize(self, count: int, rules: Backlog) -> None:
        self.changed_at = float(self.run.env.now)
        self.fleet.resize(count, rules.startup_seconds)

    def _note(self, text: str) -> None:
        self.run.note("scale", self.station, text)
