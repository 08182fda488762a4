"""Names: how users find the edge of their region, and that of another when theirs is down."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from engine.assembly import Station
from engine.component import Component, ControlPlane, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.kernel.tables import Op
from engine.program import NETWORK, Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

OPEN = 1 << 30  # slots of a gate that everybody may pass


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
    detour: Time = knob(
        Distribution(constant=80),
        "Detour",
        unit="ms",
        help="Further round trip of a user who is sent to another region's edge.",
    )

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
        regions, fails = len(scenario.client.regions), scenario.client.fails_over
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
        regions = scenario.client.regions
        region, own = program.register("region"), station.stores[0]
        other = own + len(regions)
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
        still_up = [r.share if r.down_at_seconds is None else 0.0 for r in regions]
        program.step(Op.SPLIT, "another", register=region, site=program.choice(still_up))
        program.hold("detour", self.detour, NETWORK)
        program.patch(over, jump=program.here)
        program.forget_key()

    def _pass(self, program: Program, gate: str) -> None:
        """Emit the way through a region's gate, which is shut while the region is down."""
        first, region = program.named[f"edge.dns {gate}"], program.register("region")
        program.step(Op.SEIZE, site=first, by=region, reason=program.reason("region down"))
        program.step(Op.RELEASE)

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Shut the gates of regions that are down."""
        if self.on and run.scenario.client.enabled and run.scenario.client.fails_over:
            yield self._watch(run)

    def _watch(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        told: dict[tuple[str, int], bool] = {}
        while True:
            now, late = run.env.now, run.scenario.edge.dns.detection_seconds
            due = []
            for index, region in enumerate(run.scenario.client.regions):
                for gate, delay in (("edges", 0.0), ("names", late)):
                    down = region.down(now, delay)
                    pool = run.plane.program.named[f"edge.dns {gate}"] + index
                    run.plane.world.pools["slots"][pool] = 0 if down else OPEN
                    if told.get((gate, index), False) != down:
                        told[gate, index] = down
                        run.note("region", "edge.dns", _sentence(region.name, gate, down))
                    times = (region.down_at_seconds, region.up_at_seconds)
                    due += [t + delay - now for t in times if t is not None and t + delay > now]
            yield run.env.timeout(min([1.0, *due]))


def _sentence(name: str, gate: str, down: bool) -> str:
    """Say what has happened to a region."""
    if gate == "edges":
        return f"{name} is {'down' if down else 'up again'}"
    return f"users of {name} are {'sent elsewhere' if down else 'sent there again'}"
