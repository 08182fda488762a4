"""Faults of the edge: the CDN, the names, a whole region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from engine.component import ControlPlane, knob
from engine.errors import close_to, shown
from engine.faults.fault import Fault, Lasting
from engine.faults.words import counted

if TYPE_CHECKING:
    from engine.scenario import Scenario

CDN, NAMES = "edge.cdn", "edge.dns"


def no_cdn(scenario: Scenario) -> str:
    """Return why there is no CDN to break, or nothing."""
    if not scenario.edge.cdn.on:
        return "the CDN is off; switch it on with edge.cdn.on"
    return "" if scenario.uses("fetch") else "no journey uses the CDN; add a step do: fetch"


class CdnPurge(Fault):
    """The CDN is purged, in all regions: every object is fetched from the origin again."""

    do: Literal["cdn_purge"] = "cdn_purge"
    title = "Purge the CDN"
    layer = "edge"

    def refuse(self, scenario: Scenario) -> str:
        """There is a CDN that somebody uses."""
        return super().refuse(scenario) or no_cdn(scenario)

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Empty every store of the CDN, also what it knows of freshness."""
        program = run.plane.program
        gone = sum(run.plane.empty(store) for store in program.stations[CDN].stores)
        for dataset in run.scenario.datasets_of("fetch"):
            for what in ("fresh", "landed"):
                first = program.named.get(f"cdn {what} {dataset}")
                if first is not None:
                    for region in range(len(run.scenario.client.regions)):
                        run.plane.empty(first + region)
        yield CDN, f"the CDN is purged: {counted(gone, 'object')} gone"


class CdnDown(Lasting):
    """The CDN is out: a share of what it is asked for fails."""

    do: Literal["cdn_down"] = "cdn_down"
    title = "CDN outage"
    layer = "edge"

    share: float = knob(
        1.0, "Share", low=0, high=1, step=0.05, help="Of the requests to it that fail."
    )

    def refuse(self, scenario: Scenario) -> str:
        """There is a CDN that somebody uses."""
        return super().refuse(scenario) or no_cdn(scenario)

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Fail at the edge."""
        rows = run.plane.program.rows(CDN, what="serve") or run.plane.program.rows(CDN)
        handle = run.plane.disturb(rows, loss=self.share, reason="CDN down")
        some = "" if self.share == 1 else f" for {self.share:.0%} of requests"
        yield CDN, f"the CDN is out{some}"
        run.plane.calm(handle)
        yield CDN, "the CDN works again"


class DnsDown(Lasting):
    """The name service is out: whose resolver does not remember the name comes no further."""

    do: Literal["dns_down"] = "dns_down"
    title = "DNS failure"
    layer = "edge"

    timeout_seconds: float = knob(
        5.0,
        "Resolver time-out",
        unit="s",
        low=0,
        high=600,
        step=1,
        slider_high=30,
        help="How long a look-up waits in vain. resolv.conf: 5 s.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """Names are looked up, which takes time."""
        line = super().refuse(scenario)
        if line:
            return line
        if not scenario.edge.dns.on:
            return "names are not looked up; switch it on with edge.dns.on"
        if not scenario.client.enabled:
            return "the client layer is off, so nobody looks names up"
        if scenario.edge.dns.lookup.constant == 0:
            return "edge.dns.lookup is 0: nobody is asked; set it above 0"
        return ""

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Let look-ups wait in vain."""
        rows = run.scenario.edge.dns.lookup_rows(run)
        handle = run.plane.disturb(
            rows, extra_seconds=self.timeout_seconds, loss=1.0, reason="name not found"
        )
        yield NAMES, "the name service does not answer; who remembers the name can still come"
        run.plane.calm(handle)
        yield NAMES, "the name service answers again"


class RegionDown(Lasting):
    """A region's edge is down: its users are refused until they are sent to another region."""

    do: Literal["region_down"] = "region_down"
    title = "Region down"
    layer = "edge"
    state = "down"

    region: str = knob("", "Region", help="Which one; empty: the first.")

    def refuse(self, scenario: Scenario) -> str:
        """There is such a region, and regions are watched."""
        line = super().refuse(scenario) or scenario.edge.dns.why_no_region(scenario)
        names = self.choices(scenario)["region"]
        if line or not self.region or self.region in names:
            return line
        return f"region is {shown(self.region)}, which does not exist{close_to(self.region, names)}"

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """The region."""
        yield f"region {self.region or self.choices(scenario)['region'][0]}"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Shut the region's edge."""
        name = self.region or self.choices(run.scenario)["region"][0]
        gate = run.scenario.edge.dns.region_down(run, name)
        yield NAMES, f"the edge of {name} is down"
        run.scenario.edge.dns.region_back(run, gate)
        yield NAMES, f"the edge of {name} is up again"

    @classmethod
    def choices(cls, scenario: Scenario) -> Mapping[str, tuple[str, ...]]:
        """The regions."""
        return {"region": tuple(region.name for region in scenario.client.regions)}
