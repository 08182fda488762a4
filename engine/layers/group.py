"""Groups: the workers that read a Kafka topic together, and what happens when one is gone.

A worker sends heartbeats.  One that was not heard of for the session time-out is out of the
group, and the partitions are given out anew: nobody reads meanwhile.  Until then what waits in
its partitions, and what it had in hand, waits.  Kafka's consumer configurations name the knobs.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from engine.component import ControlPlane
from engine.kernel.tables import NOBODY
from engine.layers.partitions import assigned, dealt


class Group:
    """The workers of one kind, by who is heard of."""

    def __init__(self, run: ControlPlane, kind: str) -> None:
        self.run = run
        self.kind = kind
        self.station = f"asynchronous.{kind}"
        self.channel: int = run.plane.program.named[f"channel {kind}"]
        self.heard: dict[int, float] = {}  # worker -> when it was heard of last, if not just now
        self.out: set[int] = set()  # workers that are not heard of any more
        self.wanted: int | None = None  # how many there will be after the rebalance under way
        self.rebalancing = False
        self.again = False  # somebody else came or went during a rebalance

    @property
    def size(self) -> int:
        """How many workers there are, or will be after the rebalance under way."""
        return self.run.plane.scaled(self.station) if self.wanted is None else self.wanted

    @property
    def shares(self) -> bool:
        """Whether partitions are shared out among the workers, as Kafka does it."""
        return bool(self.run.scenario.asynchronous.broker == "kafka")

    def resize(self, count: int) -> None:
        """Have so many workers; they take part after a rebalance."""
        if not self.shares:
            self.run.plane.scale(self.station, count)
            self._deal_out()
            return
        self.wanted = count
        self.rebalance()

    def rebalance(self) -> None:
        """Give the partitions out anew, once nobody has anything in the way of it."""
        if self.rebalancing:
            self.again = True
        else:
            self.rebalancing = True
            self.run.env.process(self._rebalance())

    def _rebalance(self) -> Generator[Any, Any, Any]:
        plane, layer = self.run.plane, self.run.scenario.asynchronous
        title = layer.title_of(self.kind)
        self._give([NOBODY] * layer.partitions)
        self.again = True
        while self.again:  # who comes or goes meanwhile makes it begin again
            self.again = False
            yield self.run.env.timeout(self.run.scenario.asynchronous.rebalance.pause_seconds)
        if self.wanted is not None:
            plane.scale(self.station, self.wanted)
            self.wanted = None
        self.rebalancing = False
        left = [worker for worker in range(self.size) if worker not in self.out]
        if left:
            self._give([left[place] for place in assigned(layer.partitions, len(left))])
        text = f"{title}: {layer.partitions} partitions are read again, by {len(left)} worker"
        text += "s" * (len(left) != 1)
        self.run.note("rebalance", self.station, text)

    def _give(self, owners: list[int]) -> None:
        self.run.plane.assign(self.channel, owners)

    # ------------------------------------------------------------ who is heard of

    def listen(self) -> None:
        """Take heartbeats in: who was not heard of for too long is out, who is again is in."""
        plane, now = self.run.plane, float(self.run.env.now)
        pools = plane.program.stations[self.station].pools
        slots = plane.world.pools["slots"][pools[0] : pools[0] + len(pools)]
        if slots.all() and not self.heard and not self.out:
            return  # everybody is there, as always
        rules = self.run.scenario.asynchronous.rebalance
        gone, back = [], []
        there = [bool(plane.answers(pool)) for pool in pools]
        if not any(there):
            self.heard.clear()  # it hears nothing itself, or nobody could take over
            return
        for worker, heard in enumerate(there):
            if heard:
                self.heard.pop(worker, None)
                if worker in self.out:
                    back.append(worker)
                continue
            since = self.heard.setdefault(worker, now - rules.heartbeat_seconds)
            if worker not in self.out and now - since >= rules.session_timeout_seconds:
                gone.append(worker)
        self.out = {worker for worker in self.out if worker < len(pools)}
        if gone or back:
            self._tell(gone, back)
            self.out = (self.out | set(gone)) - set(back)
            self.rebalance()

    def _tell(self, gone: list[int], back: list[int]) -> None:
        """Note who has gone and who is back, and what has to be delivered again."""
        layer, world = self.run.scenario.asynchronous, self.run.plane.world
        title, row = layer.title_of(self.kind), world.channels[self.channel]
        pools = self.run.plane.program.stations[self.station].pools
        places = world.partitions[int(row["first"]) : int(row["first"]) + int(row["partitions"])]
        for worker in gone:
            waits = int(places["waiting"][places["worker"] == pools[worker]].sum())
            text = f"{title}: worker {worker + 1} was not heard of for"
            text += f" {layer.rebalance.session_timeout_seconds:g} s;"
            text += f" {waits} messages of its partitions are delivered to others"
            self.run.note("redelivery", self.station, text)
        for worker in back:
            text = f"{title}: worker {worker + 1} is back and takes partitions again"
            self.run.note("rebalance", self.station, text)

    # ------------------------------------------------------------ queues that deal out

    def redeal(self) -> None:
        """Give what was dealt out to a worker whose connection is closed to another one.

        RabbitMQ notices at once: it requeues what was not acknowledged, and deals no more there.
        """
        plane = self.run.plane
        pools = plane.program.stations[self.station].pools
        slots = plane.world.pools["slots"][pools[0] : pools[0] + len(pools)]
        if slots.all() and not self.out:
            return
        out = {worker for worker, pool in enumerate(pools) if not plane.answers(pool)}
        self._tell_dealt(sorted(out - self.out), sorted(self.out - out))
        self.out = out
        self._deal_out()

    def _deal_out(self) -> None:
        """Let messages be dealt to those who are there, and take back what others were dealt."""
        if self.run.plane.deals(self.channel):
            left = [worker for worker in range(self.size) if worker not in self.out]
            self._give(dealt(self.run.plane.partitions_of(self.channel), left))

    def _tell_dealt(self, gone: list[int], back: list[int]) -> None:
        """Note who has gone and who is back."""
        layer, world = self.run.scenario.asynchronous, self.run.plane.world
        title, first = layer.title_of(self.kind), int(world.channels["first"][self.channel]) + 1
        for worker in gone:
            waits = int(world.partitions["waiting"][first + worker])
            text = f"{title}: worker {worker + 1} has closed its connection; {waits} messages that"
            self.run.note("redelivery", self.station, f"{text} it was dealt go to others")
        for worker in back:
            self.run.note("rebalance", self.station, f"{title}: worker {worker + 1} is back")


def listen(run: ControlPlane, groups: dict[str, Group]) -> Generator[Any, Any, Any]:
    """Take heartbeats in, of all groups."""
    while True:
        yield run.env.timeout(run.scenario.asynchronous.rebalance.heartbeat_seconds)
        layer = run.scenario.asynchronous
        for group in groups.values():
            if layer.broker == "kafka":
                group.listen()
            elif layer.deals:
                group.redeal()
