"""Asynchronous: work that the customer need not wait for goes through a queue to workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from engine.component import Component, Inner, Layer, Line, Step, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.kernel.tables import Op
from engine.program import WAITING, Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

WORKERS_MAX = 512
BLOCK = 32  # workers are laid out in blocks, so that a run can scale out


class Worker(Component):
    """One kind of worker: a consumer group with its own pace and failures."""

    title: str = Field(default="", max_length=60)
    service_time: Time = knob(
        Distribution(lognormal=Lognormal(median=50, p99=400)),
        "Service time",
        unit="ms",
        help="What one message takes.",
    )
    failure_rate: float = knob(
        0.0,
        "Failure rate",
        low=0,
        high=1,
        step=0.01,
        help="Share of attempts that fail and are delivered again.",
    )
    workers: int | None = knob(
        None,
        "Workers",
        low=1,
        high=WORKERS_MAX,
        step=1,
        slider_high=64,
        help="Workers of this kind; empty: as the layer says.",
    )


class Asynchronous(Layer):
    """A Kafka-like topic with partitions, and worker pools by kind.

    Each kind is a consumer group and gets every message.  A partition is read by one worker
    of a group, in order, so that workers beyond the number of partitions stand idle.
    """

    workers: int = knob(
        8,
        "Queue workers",
        low=1,
        high=WORKERS_MAX,
        step=1,
        main=True,
        slider_high=48,
        help="Workers of each kind.",
    )
    partitions: int = knob(
        24,
        "Partitions",
        low=1,
        high=512,
        step=1,
        slider_high=96,
        help="No more workers of one kind than this can work at once.",
    )
    publish_time: Time = knob(
        Distribution(lognormal=Lognormal(median=3, p99=15)),
        "Publish time",
        unit="ms",
        help="Until the broker has the message safely.",
    )
    attempts: int = knob(
        5,
        "Deliveries",
        low=1,
        high=100,
        step=1,
        slider_high=20,
        help="How often a message is tried before the dead-letter queue.",
    )
    retry_delay_ms: float = knob(
        1000.0,
        "Redelivery delay",
        unit="ms",
        low=0,
        high=3_600_000,
        step=100,
        slider_high=60_000,
        help="Until a failed message is delivered again.",
    )
    kinds: dict[str, Worker] = Field(default_factory=lambda: {"worker": Worker()})

    def lay_out(self, program: Program, kind: str) -> int:
        """Return the channel of a kind of worker, made on first use; partitions by range."""
        name = f"channel {kind}"
        if name in program.named:
            return program.named[name]
        worker = self.kinds[kind]
        count = worker.workers or self.workers
        station = program.station(
            f"asynchronous.{kind}", worker.title or kind.capitalize(), "worker", count
        )
        first = program.pools(station, -(-count // BLOCK) * BLOCK, 1, -1, count)
        channel = program.channel(
            station,
            list(range(first, first + count)),
            assigned(self.partitions, count),
            self.attempts,
            Distribution(constant=self.retry_delay_ms),
        )
        program.named[name] = channel
        program.later(lambda: self._emit_worker(program, kind, channel))
        return channel

    def _emit_worker(self, program: Program, kind: str, channel: int) -> None:
        """Emit what a worker does with a message; its first row tells the wait in line."""
        program.journey = "worker"
        with program.at(program.stations[f"asynchronous.{kind}"], "process", background=True):
            again = program.step(Op.REQUEUE, kind=WAITING)
            program.start_channel(channel, again + 1)
            self.work(program, kind)
            program.step(Op.ACK)

    def work(self, program: Program, kind: str) -> None:
        """Emit what one message takes, and that it may fail."""
        worker = self.kinds[kind]
        program.hold("work", worker.service_time)
        program.chance("failure", worker.failure_rate, lambda: program.fail(f"{kind} failed"))

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """Workers and the broker by the hour."""
        used = [kind for kind in self.kinds if scenario.uses("publish", kind)]
        for kind in used:
            worker = self.kinds[kind]
            yield Line(
                item=f"{worker.title or kind} workers",
                station=f"asynchronous.{kind}",
                quantity=worker.workers or self.workers,
                usd_per_hour_each=scenario.prices.worker_usd_per_hour,
            )
        if used:
            yield Line(
                item="Broker",
                station="asynchronous.topic",
                quantity=1,
                usd_per_hour_each=scenario.prices.broker_usd_per_hour,
            )


class Publish(Step):
    """Put a message on the topic for kinds of workers; the reply does not wait for them.

    With the layer off the same work is done in place, while the customer waits.
    """

    do: Literal["publish"] = "publish"
    to: tuple[str, ...] = Field(min_length=1)

    def names(self) -> list[tuple[str, str]]:
        """The kinds of workers."""
        return [("worker", kind) for kind in self.to]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the publish; or, with the layer off, the work itself."""
        layer = scenario.asynchronous
        if not layer.enabled:
            for kind in self.to:
                title = layer.kinds[kind].title or kind.capitalize()
                station = program.station(f"asynchronous.{kind}", title, "worker", 1)
                with program.at(station, "in place"):
                    layer.work(program, kind)
            return
        topic = program.station("asynchronous.topic", "Topic", "queue")
        with program.at(topic, "publish"):
            program.hold("publish", layer.publish_time)
            partition = program.register("partition")
            program.step(
                Op.SPLIT,
                "partition",
                register=partition,
                site=program.choice([1.0] * layer.partitions),
            )
            for kind in self.to:
                channel = layer.lay_out(program, kind)
                program.step(
                    Op.PUBLISH,
                    site=channel,
                    register=partition,
                    reason=program.reason("topic full"),
                )
                program.calls("asynchronous.topic", f"asynchronous.{kind}")


def assigned(partitions: int, workers: int) -> list[int]:
    """Return which worker each partition belongs to, as Kafka's RangeAssignor gives them out.

    >>> assigned(12, 5)
    [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4]
    """
    share, rest = divmod(partitions, workers)
    counts = [share + (worker < rest) for worker in range(workers)]
    return [int(worker) for worker in np.repeat(np.arange(workers), counts)]
