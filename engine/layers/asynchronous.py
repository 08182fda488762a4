"""Asynchronous: work that the customer need not wait for goes through a queue to workers."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from engine.assembly import Station
from engine.component import ControlPlane, Figure, Inner, Layer, Line, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.kernel.tables import NOBODY, Op
from engine.layers.backlog import Backlog
from engine.layers.group import Group, listen
from engine.layers.outbox import Outbox
from engine.layers.partitions import Rebalance, assigned, dealt, partitions_of
from engine.layers.workers import WORKERS_MAX, Keys, Tries, Worker
from engine.program import WAITING, Program

if TYPE_CHECKING:
    from engine.layers.publish import Publish
    from engine.measured import Measured
    from engine.scenario import Scenario

BLOCK = 32  # workers are laid out in blocks, so that a run can scale out
FOREVER_SECONDS = 86_400  # no run is longer
PREFETCH_MAX = 65_535  # AMQP 0-9-1: basic.qos has 16 bits for prefetch-count
NO_LIMIT = 2**31 - 1  # messages
QUEUE_REQUESTS = 3  # of a message: it is sent, received and deleted


class Asynchronous(Layer):
    """A topic or a queue, and worker pools by kind; each kind gets every message.

    kafka: a partition is read by one worker of a group, in order, so that workers beyond the number
    of partitions stand idle.  queue: one line for all workers of a kind, as SQS and RabbitMQ have.
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
    broker: Literal["kafka", "queue"] = knob(
        "kafka",
        "Broker",
        help="kafka: partitions, each read in order by one worker of a kind. queue: one line for"
        " all workers of a kind (SQS, RabbitMQ).",
    )
    partitioner: Literal["random", "key"] = knob(
        "random",
        "Partitioner",
        help="key: what is about one thing, or one user, goes to one partition, in order: murmur2"
        " of the key, as Kafka does it.",
    )
    dispatch: Literal["fair", "in_turn"] = knob(
        "fair",
        "Dispatch",
        help="Of a queue. fair: a worker takes a message when it is free (SQS). in_turn: the broker"
        " pushes messages to the workers in turn, up to the prefetch of each (RabbitMQ).",
    )
    prefetch: int = knob(
        0,
        "Prefetch",
        unit="messages",
        low=0,
        high=PREFETCH_MAX,
        step=1,
        slider_high=300,
        help="Dispatch in turn: so many messages that are not acknowledged a worker may have, the"
        " one in hand among them. 0: no limit. RabbitMQ: prefetch_count 0; 1 is fair, but the"
        " worker waits for each; RabbitMQ's documentation advises 100 to 300.",
    )
    round_trip_ms: float = knob(
        0.5,
        "Round trip to the broker",
        unit="ms",
        low=0,
        high=10_000,
        step=0.1,
        slider_high=50,
        help="Dispatch in turn: until an acknowledgement is there and the next message is here,"
        " unless a prefetch hides it. Within a data centre 0.5 ms (Dean, 2009).",
    )
    acknowledge: Literal["late", "early"] = knob(
        "late",
        "Acknowledge",
        help="late: when the work is done: at least once. early: on receipt; what then fails is"
        " lost: at most once (RabbitMQ's autoAck, Celery's default).",
    )
    visibility_seconds: float = knob(
        30.0,
        "Visibility time-out",
        unit="s",
        low=0,
        high=43_200,
        step=5,
        slider_high=120,
        help="Of a queue: a message that takes longer is given to another worker, while the first"
        " works on. SQS: 30 s; 0: never.",
    )
    retention_seconds: float = knob(
        604_800.0,
        "Retention",
        unit="s",
        low=0.1,
        high=1_209_600,
        step=60,
        help="Messages that wait longer are dropped unread. Kafka: 7 days; SQS: 4.",
    )
    bounded: bool = knob(False, "Bounded queue", help="Let only so many messages wait.")
    capacity: int = knob(
        10_000,
        "Queue length",
        unit="messages",
        low=0,
        high=100_000_000,
        step=100,
        slider_high=100_000,
        help="Of each kind, if it is bounded. RabbitMQ: x-max-length.",
    )
    when_full: Literal["refuse", "block"] = knob(
        "refuse",
        "When full",
        help="refuse: the publisher fails at once. block: it waits, which is back-pressure.",
    )
    max_block_ms: float = knob(
        60_000.0,
        "Blocks for at most",
        unit="ms",
        low=100,
        high=600_000,
        step=500,
        help="How long a publisher waits for room. Kafka: max.block.ms 60 s.",
    )
    idempotency: bool = knob(
        False, "Idempotency keys", help="Remember what was done, so that it is not done twice."
    )
    keys: Keys = Keys()
    tries: Tries = Tries()
    outbox: Outbox = Outbox()
    rebalance: Rebalance = Rebalance()
    autoscaler: Backlog = Backlog()
    kinds: dict[str, Worker] = Field(default_factory=lambda: {"worker": Worker()})

    # ------------------------------------------------------------ workers

    @property
    def deals(self) -> bool:
        """Whether the broker pushes messages to the workers in turn."""
        return self.broker == "queue" and self.dispatch == "in_turn"

    def workers_of(self, kind: str) -> int:
        """Return how many workers of a kind there are."""
        return self.kinds[kind].workers or self.workers

    def title_of(self, kind: str) -> str:
        """Return what a kind of worker is called."""
        return self.kinds[kind].title or kind.capitalize()

    def lay_out(self, program: Program, scenario: Scenario, kind: str) -> int:
        """Return the channel of a kind of worker, made on first use."""
        name = f"channel {kind}"
        if name in program.named:
            return program.named[name]
        count = self.workers_of(kind)
        station = program.station(f"asynchronous.{kind}", self.title_of(kind), "worker", count)
        workers, owners = self._partitions(program, station, count)
        channel = program.channel(
            station,
            workers,
            owners,
            1 if self.acknowledge == "early" else self.attempts,
            Distribution(constant=self.retry_delay_ms),
            self.capacity if self.bounded else NOBODY,
            self.retention_seconds if self.retention_seconds < FOREVER_SECONDS else 0.0,
            (self.prefetch or NO_LIMIT) * self.deals,
            self.round_trip_ms / 2e3,
        )
        program.named[name] = channel
        program.later(lambda: self._emit_worker(program, scenario, kind, channel))
        return channel

    def _partitions(
        self, program: Program, station: Station, count: int
    ) -> tuple[list[int], list[int]]:
        """Return the workers' pools, and which worker each partition belongs to.

        A queue is one partition of one worker with many hands; dealt out in turn, it is a line,
        and a partition for each worker.
        """
        if self.broker == "queue" and self.dispatch == "fair":
            return [program.pools(station, 1, count, NOBODY, 1)], [0]
        laid = -(-max(count, self.autoscaler.max_workers) // BLOCK) * BLOCK
        first = program.pools(station, laid, 1, NOBODY, count)
        workers = list(range(first, first + count))
        if self.broker == "queue":
            return workers, dealt(laid + 1, range(count))
        return workers, assigned(self.partitions, count)

    def _emit_worker(self, program: Program, scenario: Scenario, kind: str, channel: int) -> None:
        """Emit what a worker does with a message; its first row tells the wait in line."""
        program.journey = "worker"
        with program.at(program.stations[f"asynchronous.{kind}"], "process", background=True):
            again = program.step(Op.REQUEUE, kind=WAITING)
            program.start_channel(channel, again + 1)
            if self.broker == "queue" and self.visibility_seconds and self.acknowledge == "late":
                program.attempt(
                    functools.partial(self._process, program, scenario, kind),
                    timeout=Distribution(constant=self.visibility_seconds * 1e3),
                    keeps=True,
                    what="visibility",
                )
            else:
                self._process(program, scenario, kind)
            program.step(Op.ACK)

    def _process(self, program: Program, scenario: Scenario, kind: str) -> None:
        """Emit one delivery: the work, and whether it is done twice where that can happen."""
        worker = self.kinds[kind]
        late = self.acknowledge == "late"
        lapses = self.broker == "queue" and self.visibility_seconds > 0
        if not (self.idempotency or (late and (lapses or worker.lost_ack_rate > 0))):
            self.work(program, kind)
            return
        self.keys.emit(program, scenario, kind, functools.partial(self.work, program, kind))
        if late:
            lost = f"{kind} acknowledgement lost"
            program.chance("lost ack", worker.lost_ack_rate, lambda: program.fail(lost))

    def work(self, program: Program, kind: str) -> None:
        """Emit what one message takes, and that it may fail and be tried again in place."""
        self.tries.emit(program, functools.partial(self.kinds[kind].work, program, kind))

    # ------------------------------------------------------------ publishing

    @property
    def keyed(self) -> bool:
        """Whether a message's key decides on its partition."""
        return self.broker == "kafka" and self.partitioner == "key"

    def send(self, program: Program, scenario: Scenario, publish: Publish) -> None:
        """Emit a message to kinds of workers: safely with the broker, then in their lines."""
        topic = program.station("asynchronous.topic", "Topic", "queue")
        with program.at(topic, "publish"):
            program.hold("publish", self.publish_time)
            partition = self._pick_partition(program, publish.keys(scenario))
            for kind in publish.to:
                channel = self.lay_out(program, scenario, kind)
                self._when_there_is_room(
                    program, functools.partial(self._publish, program, kind, channel, partition)
                )

    def _publish(self, program: Program, kind: str, channel: int, partition: int) -> None:
        reason = program.reason("topic full")
        program.step(Op.PUBLISH, site=channel, register=partition, reason=reason)
        program.calls("asynchronous.topic", f"asynchronous.{kind}")

    def _pick_partition(self, program: Program, keys: int) -> int:
        """Emit which partition a message goes to; return the register, 0 for the only one."""
        if self.broker == "queue":
            return 0
        partition = program.register("partition")
        if self.keyed:
            name = f"partitions of {keys}"
            if name not in program.named:
                program.named[name] = program.lookup(partitions_of(keys, self.partitions))
            program.step(Op.LOOKUP, site=program.named[name], register=partition)
            return partition
        choice = program.choice([1.0] * self.partitions)
        program.step(Op.SPLIT, "partition", register=partition, site=choice)
        return partition

    def _when_there_is_room(self, program: Program, publish: Inner) -> None:
        """Emit a publish; one that blocks is made again until there is room or patience ends."""
        if not self.bounded or self.when_full == "refuse":
            publish()
            return
        rest = 0.1  # Kafka's retry.backoff.ms
        program.attempt(
            publish,
            attempts=1 + round(self.max_block_ms / 1e3 / rest),
            base=rest,
            cap=rest,
            jitter="none",
            what="room",
        )

    # ------------------------------------------------------------ over time, and afterwards

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Rebalance the groups if that is wanted, miss who is dead, add and remove workers."""
        if self.enabled and self.broker == "kafka" and self.rebalance.at_seconds > 0:
            yield self.rebalance.run(run)
        used = [kind for kind in self.kinds if run.plane.has(f"channel {kind}")]
        groups = {kind: Group(run, kind) for kind in used}
        if self.enabled and groups:
            yield listen(run, groups)
            yield self.autoscaler.run(run, groups)

    def adopted(self, run: ControlPlane) -> None:
        """Note what workers are paid for, where a knob and no autoscaler has set their number."""
        for kind in self.kinds:
            station = f"asynchronous.{kind}"
            if self.enabled and not self.autoscaler.on and run.plane.has(f"channel {kind}"):
                run.recorder.pay(station, run.plane.scaled(station))

    def _used(self, scenario: Scenario) -> list[str]:
        return [kind for kind in self.kinds if scenario.uses("publish", kind)]

    def figures(self, result: Measured) -> Iterator[Figure]:
        """What was lost, and what was done twice."""
        for kind in self._used(result.scenario) if self.enabled else ():
            title, station = self.title_of(kind), f"asynchronous.{kind}"
            yield from self.keys.figures(result, kind, title)
            channel = result.program.named.get(f"channel {kind}", NOBODY)
            if channel == NOBODY:
                continue
            grown = result.grown("channels")
            early = self.acknowledge == "early"
            ends = {
                "dead": ("lost", "Acknowledged before the work was done, and then it failed.")
                if early
                else ("dead letters", "Failed at every delivery; somebody has to look at them."),
                "redelivered": ("redelivered", "Failed, or their worker died; given out anew."),
                "expired": ("expired", "Waited longer than the retention; nobody has read them."),
            }
            for column, (name, text) in ends.items():
                count = int(grown[column][channel])
                if count or (early and column == "dead"):
                    yield Figure(
                        name=f"{title}: {name}",
                        station=station,
                        value=count,
                        unit="messages",
                        help=text,
                    )

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """Workers by the hour; the broker by the hour, a queue by the message."""
        used = self._used(scenario)
        prices = scenario.prices
        for kind in used:
            worker = self.kinds[kind]
            yield Line(
                item=f"{worker.title or kind} workers",
                station=f"asynchronous.{kind}",
                quantity=worker.workers or self.workers,
                usd_per_hour_each=prices.worker_usd_per_hour,
            )
        if used and self.broker == "kafka":
            yield Line(
                item="Broker",
                station="asynchronous.topic",
                quantity=1,
                usd_per_hour_each=prices.broker_usd_per_hour,
            )
        elif used:
            an_hour = scenario.share_of("publish") * scenario.client.requests_per_second * 3600
            yield Line(
                item="Queue, per million requests",
                station="asynchronous.topic",
                quantity=an_hour / 1e6 * QUEUE_REQUESTS * len(used),
                usd_per_hour_each=prices.queue_usd_per_million,
            )
