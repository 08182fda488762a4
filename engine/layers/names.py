"""Names: how users find the edge of their region, and that of another when theirs is down."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.assembly import Station
from engine.component import Component, ControlPlane, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.kernel.tables import Op
from engine.program import NETWORK, Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

OPEN = 1 << 30  # slots of a gate that everybody may pass
CHECKS = 3  # in a row that say the same, until it is believed
CHECK_SECONDS_MIN = 0.1


class Dns(Component):
    """GeoDNS: sends each user to the nearest edge; resolvers remember the answer for its TTL."""

    on: bool = knob(True, "DNS", help="Look the name up before each request.")
    lookup: Time = knob(
        Distribution(lognormal=Lognormal(median=20, p99=120)),
        "Look-up time",
        unit="ms",
        help="When the resolver does not remember the name.",
    )
    ttl_seconds: float = knob(
        60.0,
        "DNS TTL",
        unit="s",
        low=0,
        high=86_400,
        step=10,
        help="How long resolvers remember. CloudFront and Route 53 aliases: 60 s.",
    )
    resolvers: int = knob(
        500,
        "Resolvers",
        low=1,
        high=100_000,
        step=100,
        help="How many resolvers the users share, with Zipf popularity.",
    )
    detection_seconds: float = knob(
        90.0,
        "Failure detection",
        unit="s",
        low=0,
        high=86_400,
        step=10,
        slider_high=300,
        help="How long a region has to be down (or up again) until its users are given another"
        " address: Route 53 checks every 30 s and wants 3 failures. Until the TTL has passed after"
        " that, resolvers still give the old one.",
    )
    failover: bool = knob(
        False,
        "Region failover",
        help="Check the edges of all regions, and give users of one that is down another address,"
        " whenever it happens. Else only regions with a time to go down are watched.",
    )
    detour: Time = knob(
        Distribution(constant=80),
        "Detour",
        unit="ms",
        help="Further round trip of a user who is sent to another region's edge.",
    )

    def watches(self, scenario: Scenario) -> bool:
        """Return whether regions can go down, and their users be sent elsewhere."""
        return self.failover or scenario.client.fails_over

    def emit(self, program: Program, scenario: Scenario) -> None:
        """Emit the look-up: remembered by the resolver or not."""
        station = program.station("edge.dns", "DNS", "service")
        with program.at(station, "resolve"):
            fails = self._lay_out(program, scenario, station)
            program.key("resolvers", self.resolvers, 1.0)
            if fails:
                self._fail_over(program, scenario, station)
                return
            known = program.step(Op.GET, site=station.stores[0])
            program.hold("lookup", self.lookup, NETWORK)
            program.step(Op.PUT, "remember", site=station.stores[0])
            program.patch(known, jump=program.here)

    def _lay_out(self, program: Program, scenario: Scenario, station: Station) -> bool:
        """Lay out what resolvers remember, on first use; return whether regions go down."""
        regions, fails = len(scenario.client.regions), self.watches(scenario)
        if not station.stores:
            # Where regions go down, a region's own address and another's are remembered apart.
            for _ in range(2 * regions if fails else 1):
                lives = Distribution(constant=self.ttl_seconds * 1e3)
                program.store(station, self.resolvers, self.resolvers, lives)
            if fails:
                for gate in ("names", "edges"):
                    program.named[f"edge.dns {gate}"] = program.pools(
                        station, regions, OPEN, 0, 0, meter=program.meter()
                    )
        return fails

    def _fail_over(self, program: Program, scenario: Scenario, station: Station) -> None:
        """Emit the look-up where regions go down, and the way to the region that is answered."""
        region, own = program.register("region"), station.stores[0]
        other = own + len(scenario.client.regions)
        known = program.step(Op.GET, site=own, by=region)
        moved = program.step(Op.GET, site=other, by=region)
        program.hold("lookup", self.lookup, NETWORK)
        away: list[int] = []

        def here() -> None:
            self._pass(program, "names")

        def elsewhere() -> None:
            program.key("resolvers", self.resolvers, 1.0)
            program.step(Op.PUT, "remember another", site=other, by=region)
            away.append(program.step(Op.GO))

        program.attempt(here, otherwise=elsewhere, what="region")
        program.key("resolvers", self.resolvers, 1.0)
        program.step(Op.PUT, "remember", site=own, by=region)
        program.patch(known, jump=program.here)
        self._pass(program, "edges")
        over = program.step(Op.GO)
        for row in (moved, *away):
            program.patch(row, jump=program.here)
        if "edge.dns another" not in program.named:
            program.named["edge.dns another"] = program.choice(shares(scenario))
        another = program.named["edge.dns another"]
        program.step(Op.SPLIT, "another", register=region, site=another)
        program.hold("detour", self.detour, NETWORK)
        if self.failover:
            self._pass(program, "edges")
        program.patch(over, jump=program.here)
        program.forget_key()

    def _pass(self, program: Program, gate: str) -> None:
        """Emit the way through a region's gate, which is shut while the region is down."""
        first, region = program.named[f"edge.dns {gate}"], program.register("region")
        program.step(Op.SEIZE, site=first, by=region, reason=program.reason("region down"))
        program.step(Op.RELEASE)

    # ------------------------------------------------------------ what can break

    def why_no_region(self, scenario: Scenario) -> str:
        """Return why no region of a scenario can go down while it runs; empty: one can."""
        if not (scenario.client.enabled and scenario.edge.enabled and self.on):
            return "client, edge and edge.dns have to be on for a region to be down"
        if not self.watches(scenario):
            return "edge.dns.failover is off: switch it on before the run for regions to be watched"
        return ""

    def region_down(self, run: ControlPlane, region: str) -> int:
        """Let the edge of a region refuse whoever comes; return what `region_back` takes.

        Requests that have passed it already go on.
        """
        names = [each.name for each in run.scenario.client.regions]
        gate = self._gate(run, "edges") + names.index(region)
        run.plane.shut([gate], refuses=True)
        return gate

    def region_back(self, run: ControlPlane, gate: int) -> None:
        """Let the edge of a region answer again; its users come back when checks have seen it."""
        run.plane.reopen([gate])

    def lookup_rows(self, run: ControlPlane) -> list[int]:
        """Return the rows where the name service is asked: to be disturbed when it is down.

        Names that resolvers remember are not asked for.
        """
        return list(run.plane.program.rows(station="edge.dns", what="lookup"))

    def _gate(self, run: ControlPlane, gate: str) -> int:
        """Return the first region's gate of a kind."""
        return int(run.plane.program.named[f"edge.dns {gate}"])

    # ------------------------------------------------------------ over time

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Let regions go down at their time, and notice it."""
        if self.on and run.scenario.client.enabled and self.watches(run.scenario):
            if run.scenario.client.fails_over:
                yield self._follow(run)
            if self.failover:
                yield self._check(run)

    def adopted(self, run: ControlPlane) -> None:
        """Keep sending users only to regions that are not known to be down."""
        if "edge.dns another" in run.plane.program.named:
            self._send_elsewhere(run)

    def _follow(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Shut the gates of regions whose time it is.

        Without checks it is known when a region has been down for so long.
        """
        shut: dict[tuple[str, int], bool] = {}
        gates = [("edges", 0.0)]
        if not self.failover:
            gates.append(("names", 1.0))
        while True:
            now, late = run.env.now, run.scenario.edge.dns.detection_seconds
            due = []
            for index, region in enumerate(run.scenario.client.regions):
                for gate, times_late in gates:
                    delay = times_late * late
                    down = region.down(now, delay)
                    if shut.get((gate, index), False) != down:
                        shut[gate, index] = down
                        self._set(run, gate, index, down)
                    times = (region.down_at_seconds, region.up_at_seconds)
                    due += [t + delay - now for t in times if t is not None and t + delay > now]
            yield run.env.timeout(min([1.0, *due]))

    def _check(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Ask every edge whether it lives, and believe three answers in a row.

        Route 53: every 30 s, failure threshold 3, for down and up alike (Developer Guide, "How
        Amazon Route 53 determines whether a health check is healthy").
        """
        down = run.memory.setdefault("edge.dns down", set())
        contrary = [0] * len(run.scenario.client.regions)
        while True:
            late = run.scenario.edge.dns.detection_seconds
            yield run.env.timeout(max(CHECK_SECONDS_MIN, late / CHECKS))
            for index in range(len(contrary)):
                answers = run.plane.answers(self._gate(run, "edges") + index)
                contrary[index] = contrary[index] + 1 if answers == (index in down) else 0
                if contrary[index] == CHECKS:
                    contrary[index] = 0
                    down ^= {index}
                    self._set(run, "names", index, index in down)
                    self._send_elsewhere(run)

    def _set(self, run: ControlPlane, gate: str, index: int, down: bool) -> None:
        """Shut a gate of a region, or open it again."""
        pool = self._gate(run, gate) + index
        if down:
            run.plane.shut([pool], refuses=True)
        else:
            run.plane.reopen([pool])
        name = run.scenario.client.regions[index].name
        run.note("region", "edge.dns", _sentence(name, gate, down))

    def _send_elsewhere(self, run: ControlPlane) -> None:
        """Share users of regions that are down out among those that are not known to be."""
        down = run.memory.get("edge.dns down", ())
        weights = [0.0 if index in down else share
                   for index, share in enumerate(shares(run.scenario))]  # fmt: skip
        if sum(weights):
            choice = run.plane.world.choices[run.plane.program.named["edge.dns another"]]
            first, count = int(choice["first"]), int(choice["count"])
            run.plane.world.chances[first : first + count] = np.cumsum(weights) / sum(weights)


def shares(scenario: Scenario) -> list[float]:
    """Return how many of those who are sent elsewhere each region gets: none if it will go down."""
    regions = scenario.client.regions
    return [each.share if each.down_at_seconds is None else 0.0 for each in regions]


def _sentence(name: str, gate: str, down: bool) -> str:
    """Say what has happened to a region."""
    if gate == "edges":
        return f"{name} is {'down' if down else 'up again'}"
    return f"users of {name} are {'sent elsewhere' if down else 'sent there again'}"
