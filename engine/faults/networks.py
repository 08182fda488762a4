"""Faults of the network between two layers: it is slow, loses calls, or is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from engine.component import ControlPlane, knob
from engine.faults.fault import Lasting
from engine.program import LAYERS, NETWORK

if TYPE_CHECKING:
    from engine.scenario import Scenario

Link = Literal[
    "client-edge",
    "edge-application",
    "application-application",
    "application-cache",
    "application-broker",
    "application-data",
]
# Where a link's time is emitted: station or layer, and of which kind.
WAYS: dict[str, dict[str, Any]] = {
    "client-edge": {"station": "client.web", "kind": NETWORK},
    "edge-application": {"station": "edge.balancer"},
    "application-application": {"layer": "application", "kind": NETWORK},
    "application-cache": {"layer": "cache", "kind": NETWORK},
    "application-broker": {"station": "asynchronous.topic"},
    "application-data": {"layer": "data", "kind": NETWORK},
}
HOPS = {
    "application-application": ("application", "call"),
    "application-cache": ("cache", "lookup"),
    "application-data": ("data", ""),
}


class OfLink(Lasting):
    """A fault of the way between two layers."""

    layer = ""

    link: Link = knob("application-data", "Between", help="Between which two layers.")

    def refuse(self, scenario: Scenario) -> str:
        """Both ends are there, and the way between them takes time."""
        for end in self.link.split("-"):
            layer = "asynchronous" if end == "broker" else end
            if layer in LAYERS and not getattr(scenario, layer).enabled:
                return f"link is {self.link!r}, but the {layer} layer is off; use another"
        if self.link == "edge-application" and not scenario.edge.balancer.on:
            return f"link is {self.link!r}, but there is no balancer between; use another"
        if self.link == "application-broker" and not scenario.uses("publish"):
            return f"link is {self.link!r}, but no journey publishes; use another"
        hop = HOPS.get(self.link)
        if hop and getattr(scenario, hop[0]).hop.constant == 0:
            return f"link is {self.link!r}, but {hop[0]}.hop is 0; set it above 0"
        return ""

    def rows(self, run: ControlPlane) -> list[int]:
        """Return where requests are on that way."""
        return list(run.plane.program.rows(**WAYS[self.link]))

    @property
    def way(self) -> str:
        """What the log calls it."""
        return " and ".join(self.link.split("-"))

    @property
    def place(self) -> str:
        """The station or layer that the log names."""
        way = WAYS[self.link]
        return str(way.get("station") or way["layer"])

    @classmethod
    def choices(cls, scenario: Scenario) -> Mapping[str, tuple[str, ...]]:
        """The links that there are."""
        links = get_args(Link)
        return {"link": tuple(link for link in links if not cls(link=link).refuse(scenario))}


class NetworkLatency(OfLink):
    """The network is slow between two layers: every exchange takes longer."""

    do: Literal["network_latency"] = "network_latency"
    title = "Network latency"

    extra_ms: float = knob(
        100.0,
        "More latency",
        unit="ms",
        low=0,
        high=60_000,
        step=10,
        slider_high=1000,
        help="There and back, for each exchange.",
    )

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Let each exchange take longer."""
        handle = run.plane.disturb(self.rows(run), extra_seconds=self.extra_ms / 1e3)
        yield self.place, f"{self.extra_ms:g} ms more between {self.way}"
        run.plane.calm(handle)
        yield self.place, f"the network between {self.way} is as fast as before"


RESEND_SECONDS = 0.2  # Linux: TCP_RTO_MIN, the least time until TCP sends again


class NetworkLoss(OfLink):
    """The network loses a share of what is sent between two layers: TCP sends it again, late."""

    do: Literal["network_loss"] = "network_loss"
    title = "Network loss"

    share: float = knob(
        0.05,
        "Lost",
        low=0,
        high=1,
        step=0.01,
        help="Share of the exchanges of which a packet is lost, each time it is sent.",
    )
    resent: bool = knob(
        True,
        "Sent again",
        help="By TCP: after 200 ms, then after twice as long, up to 120 s, 15 times (Linux:"
        " TCP_RTO_MIN, TCP_RTO_MAX, tcp_retries2). Off: it fails at once.",
    )

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Let a share of the exchanges be late, or fail."""
        handle = run.plane.disturb(
            self.rows(run),
            loss=self.share,
            reason="network loss",
            resend_seconds=RESEND_SECONDS if self.resent else 0.0,
        )
        again = " and sent again" if self.resent else ""
        yield self.place, f"{self.share:.0%} of what is sent between {self.way} is lost{again}"
        run.plane.calm(handle)
        yield self.place, f"nothing is lost between {self.way} any more"


class Partition(OfLink):
    """The network is cut between two layers: nothing arrives, and callers wait for nothing."""

    do: Literal["partition"] = "partition"
    title = "Network partition"
    state = "cut"

    timeout_seconds: float = knob(
        3.0,
        "Given up after",
        unit="s",
        low=0,
        high=600,
        step=0.5,
        slider_high=30,
        help="How long a caller waits for a connection, if nothing ends it sooner. An assumption:"
        " clients set some seconds; Linux gives up after two minutes (tcp_syn_retries 6).",
    )

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """The link."""
        yield f"the network between {self.way}"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Let every exchange wait in vain."""
        handle = run.plane.disturb(
            self.rows(run),
            extra_seconds=self.timeout_seconds,
            loss=1.0,
            reason="network partition",
        )
        yield self.place, f"the network between {self.way} is cut"
        run.plane.calm(handle)
        yield self.place, f"the network between {self.way} is whole again"
