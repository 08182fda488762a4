"""Faults of what is done later: workers crash, messages are poison, the broker is out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from engine.component import ControlPlane, knob
from engine.errors import close_to, shown
from engine.faults.fault import Lasting
from engine.faults.words import counted, numbered
from engine.kernel.tables import Op
from engine.layers.workers import WORKERS_MAX

if TYPE_CHECKING:
    import numpy as np

    from engine.scenario import Scenario

TOPIC = "asynchronous.topic"


def published(scenario: Scenario) -> list[str]:
    """Return the kinds of workers that journeys publish to, in the order in which they are met."""
    names = (
        name
        for _, _, step in scenario.walk()
        if getattr(step, "do", "") == "publish" and not getattr(step, "wait", False)
        for kind, name in step.names()
        if kind == "worker"
    )
    return list(dict.fromkeys(names))


def at_one_line(scenario: Scenario) -> bool:
    """Return whether the workers of a kind are one pool that takes from one line."""
    layer = scenario.asynchronous
    return layer.broker == "queue" and layer.dispatch == "fair"


class OfWorkers(Lasting):
    """A fault of one kind of worker."""

    layer = "asynchronous"

    worker: str = knob("", "Kind of worker", help="Which kind; empty: the first published to.")

    def refuse(self, scenario: Scenario) -> str:
        """There is such a kind, and something is published to it."""
        line, kinds = super().refuse(scenario), published(scenario)
        if line:
            return line
        if not kinds:
            return "no journey publishes; add a step do: publish"
        if self.worker and self.worker not in kinds:
            known = self.worker in scenario.asynchronous.kinds
            why = "nothing is published to" if known else "does not exist"
            return f"worker is {shown(self.worker)}, which {why}{close_to(self.worker, kinds)}"
        return ""

    def name(self, scenario: Scenario) -> str:
        """Return the kind."""
        return self.worker or published(scenario)[0]

    @classmethod
    def choices(cls, scenario: Scenario) -> Mapping[str, tuple[str, ...]]:
        """Kinds that something is published to."""
        return {"worker": tuple(published(scenario))}


class WorkerCrash(OfWorkers):
    """Workers die with what they have in hand; it is delivered again, and they are started again.

    Who acknowledges on receipt loses it.
    """

    do: Literal["worker_crash"] = "worker_crash"
    title = "Worker crash"
    state = "dead"

    first: int = knob(
        1, "Worker", low=1, high=WORKERS_MAX, step=1, slider_high=64, help="The first that dies."
    )
    workers: int | None = knob(
        1,
        "Workers",
        low=1,
        high=WORKERS_MAX,
        step=1,
        slider_high=64,
        help="How many die; empty: all of the kind.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """There are so many; those of one line are one pool and die together."""
        line = super().refuse(scenario)
        if line:
            return line
        layer, name = scenario.asynchronous, self.name(scenario)
        count = max(layer.workers_of(name), layer.autoscaler.max_workers * layer.autoscaler.on)
        if self.first > count:
            return f"first is {self.first}, but {name} has {count}; use at most {count}"
        if self.workers is None:
            return ""
        if at_one_line(scenario) and self.workers < count:
            return (
                f"workers is {self.workers}, but workers that take turns at one line crash"
                " together; leave it empty, or set asynchronous.dispatch to in_turn"
            )
        left = count - self.first + 1
        if self.workers > left:
            return f"workers is {self.workers}, but {name} has {left} from there; use {left}"
        return ""

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """Each worker."""
        name = self.name(scenario)
        for index in self.indices(
            WORKERS_MAX if self.workers is None else self.first + self.workers
        ):
            yield f"worker {index + 1} of {name}"

    def indices(self, most: int) -> list[int]:
        """Return which workers, counted from 0, of so many."""
        last = most if self.workers is None else self.first - 1 + self.workers
        return list(range(self.first - 1, min(most, last)))

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Kill them; what they had goes back, or is lost."""
        layer, name = run.scenario.asynchronous, self.name(run.scenario)
        station = run.plane.program.stations[f"asynchronous.{name}"]
        indices = self.indices(len(station.pools))
        pools = [station.pools[index] for index in indices]
        late = layer.acknowledge == "late"
        run.plane.shut(pools, refuses=False)
        cut = run.plane.crash(pools, f"{name} worker died", redelivers=late)
        who = numbered(f"{name} worker", indices if self.workers else range(run.plane.scaled(name)))
        fate = "delivered again" if late else "lost"
        yield station.name, f"{who} dead: {counted(cut, 'message')} {fate}"
        run.plane.reopen(pools)
        yield station.name, f"{who} started again"

    @classmethod
    def usual(cls, scenario: Scenario) -> WorkerCrash:
        """One worker, or all of one line."""
        choices = cls.choices(scenario)
        first: dict[str, Any] = {field: names[0] for field, names in choices.items() if names}
        return cls(**first, workers=None if at_one_line(scenario) else 1)

    @classmethod
    def drawn(cls, scenario: Scenario, rng: np.random.Generator) -> dict[str, Any]:
        """One worker of one kind, or all of one line."""
        fields, layer = super().drawn(scenario, rng), scenario.asynchronous
        if at_one_line(scenario):
            return {**fields, "workers": None}
        count = layer.workers_of(fields["worker"])
        return {**fields, "first": 1 + int(rng.integers(count))}


class PoisonMessages(OfWorkers):
    """Messages that no worker of a kind can digest: they fail at the end of their work.

    Each fails at every delivery until it goes to the dead letters, or the fault ends.
    """

    do: Literal["poison_messages"] = "poison_messages"
    title = "Poison messages"

    share: float = knob(
        0.2,
        "Share",
        low=0,
        high=1,
        step=0.05,
        help="Of the messages meanwhile that no delivery gets done.",
    )

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Fail a share of the work."""
        name = self.name(run.scenario)
        station = f"asynchronous.{name}"
        rows = run.plane.program.rows(station, what="work")
        handle = run.plane.disturb(rows, loss=self.share, reason=f"{name} poisoned", always=True)
        yield station, f"{self.share:.0%} of the messages to {name} cannot be digested"
        run.plane.calm(handle)
        yield station, f"messages to {name} are fit again"


class BrokerDown(Lasting):
    """The broker is out: nothing can be published, and no worker gets anything to do."""

    do: Literal["broker_down"] = "broker_down"
    title = "Broker outage"
    layer = "asynchronous"
    state = "down"

    timeout_ms: float = knob(
        0.0,
        "Noticed after",
        unit="ms",
        low=0,
        high=600_000,
        step=100,
        slider_high=60_000,
        help="How long a publisher waits in vain; 0: it is refused at once. Kafka's producers wait"
        " max.block.ms, 60 s.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """Something is published."""
        line = super().refuse(scenario)
        return line or ("" if published(scenario) else "no journey publishes; add a do: publish")

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """The broker."""
        yield "the broker"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Refuse what is published, and hand nothing out."""
        plane = run.plane
        program = plane.program
        rows = [row for row in program.rows() if program.op_of(row) == Op.PUBLISH]
        waits = plane.disturb(program.rows(TOPIC, what="publish"),
                              extra_seconds=self.timeout_ms / 1e3)  # fmt: skip
        fails = plane.disturb(rows, loss=1.0, reason="broker down")
        pools = [
            pool
            for kind in published(run.scenario)
            for pool in program.stations[f"asynchronous.{kind}"].pools
        ]
        plane.shut(pools, refuses=False)
        yield TOPIC, "the broker is down: nothing is published, nothing handed out"
        plane.calm(waits)
        plane.calm(fails)
        plane.reopen(pools)
        yield TOPIC, "the broker is up again"
