"""The transactional outbox: messages as rows, and the relay that publishes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.component import Component, knob
from engine.distribution import Distribution, Time, Uniform
from engine.kernel.tables import NOBODY, Op
from engine.program import WAITING, Program

if TYPE_CHECKING:
    from engine.assembly import Station
    from engine.layers.publish import Publish
    from engine.scenario import Scenario

RELAY_SLOTS = 1_000_000  # rows that the relay has in hand at once: all there are
RELAY_ATTEMPTS = 1_000_000  # a relay does not give up: that is what an outbox is for


class Outbox(Component):
    """A transactional outbox: the message is a row, written with the data; a relay publishes it.

    The customer does not wait for the broker, and a message is neither lost nor sent for nothing.
    """

    on: bool = knob(False, "Outbox", help="Write messages as rows; a relay publishes them.")
    row: Time = knob(
        Distribution(constant=1.0),
        "Outbox row",
        unit="ms",
        help="What one more row adds to the transaction.",
    )
    poll_ms: float = knob(
        500.0,
        "Relay polls every",
        unit="ms",
        low=0,
        high=600_000,
        step=50,
        slider_high=5000,
        help="How often new rows are looked for; Debezium's poll.interval.ms: 500.",
    )

    def emit(self, program: Program, scenario: Scenario, publish: Publish) -> None:
        """Emit the row; its relay is laid out on first use, one for each set of receivers.

        Where keys decide on partitions, it is one for each space of keys too: a relay looks a
        row's key up in the table of its own space.
        """
        name = "asynchronous.outbox" + "".join(f".{kind}" for kind in publish.to)
        if scenario.asynchronous.keyed and publish.dataset:
            name += f":{publish.dataset}"
        station = program.station(name, "Outbox", "worker")
        with program.at(station, "insert"):
            program.hold("row", self.row)
            if station.channel == NOBODY:
                self._lay_out(program, scenario, station, publish)
            reason = program.reason("outbox full")
            program.step(Op.PUBLISH, site=station.channel, reason=reason)

    def _lay_out(
        self, program: Program, scenario: Scenario, station: Station, publish: Publish
    ) -> None:
        pool = program.pools(station, 1, RELAY_SLOTS, NOBODY, 1)
        again = Distribution(constant=scenario.asynchronous.retry_delay_ms)
        channel = program.channel(station, [pool], [0], RELAY_ATTEMPTS, again)

        def relay() -> None:
            program.journey = "relay"
            with program.at(station, "relay", background=True):
                row = program.step(Op.REQUEUE, kind=WAITING)
                program.start_channel(channel, row + 1)
                since = Distribution(uniform=Uniform(low=0, high=self.poll_ms))
                program.hold("poll", since, WAITING)
                scenario.asynchronous.send(program, scenario, publish)
                program.step(Op.ACK)

        program.later(relay)
