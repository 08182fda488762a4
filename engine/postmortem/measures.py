"""Measures: what one might have done beforehand, each as the knobs that it turns.

Only what a scenario does not have yet is offered, and only what can make a difference there:
whether it does is found out by playing the run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from engine.distribution import Frozen

if TYPE_CHECKING:
    from engine.scenario import Scenario

Changes = dict[str, Any]
WORKERS = 1.5  # times as many
FASTER = 4.0  # times as fast


class Measure(Frozen):
    """One thing to do beforehand."""

    name: str
    changes: dict[str, Any]

    @property
    def layers(self) -> set[str]:
        """The layers whose knobs it turns."""
        return {path.partition(".")[0] for path in self.changes}


def measures(scenario: Scenario, station: str = "") -> list[Measure]:
    """Return what might have helped: first in the layer of `station`, where it began.

    What costs nothing comes before what costs money.  More traffic is met in the application.
    """
    found = []
    for name, propose in PROPOSALS:
        changes = propose(scenario)
        if changes:
            found.append(Measure(name=name, changes=changes))
    layer = station.partition(".")[0]
    near = {layer, "application"} if layer == "client" else {layer}
    return sorted(found, key=lambda measure: not near & measure.layers)


def services(scenario: Scenario) -> Iterator[str]:
    """Yield the services that some journey calls."""
    return (name for name in scenario.application.services if scenario.uses("call", name))


def has_servers(scenario: Scenario) -> bool:
    """Return whether requests meet servers at all."""
    return scenario.application.enabled and scenario.uses("call")


def retries(scenario: Scenario) -> bool:
    """Return whether clients try again."""
    return scenario.client.enabled and scenario.client.attempts > 1


def retry_budget(scenario: Scenario) -> Changes:
    """Google SRE book, chapter 21: retries are at most a tenth of requests."""
    if not retries(scenario) or scenario.client.retry_budget is not None:
        return {}
    return {"client.retry_budget": 0.1, "client.retry_budget_least_per_second": 0}


def throttling(scenario: Scenario) -> Changes:
    """Google SRE book, chapter 21: client-side throttling."""
    if not scenario.client.enabled or scenario.client.throttle.on:
        return {}
    return {"client.throttle.on": True}


def shedding(scenario: Scenario) -> Changes:
    """A short line: who would wait too long is refused at once (SRE book, chapter 22)."""
    layer = scenario.application
    if not has_servers(scenario):
        return {}
    changes: Changes = {}
    rooms = {name: room_for(scenario, name) for name in services(scenario)}
    if min(rooms.values()) < layer.queue_limit:
        changes["application.queue_limit"] = min(rooms.values())
    for name, room in rooms.items():
        own = layer.services[name].queue_limit
        if own is not None and own > room:
            changes[f"application.services.{name}.queue_limit"] = room
    return changes


def room_for(scenario: Scenario, name: str) -> int:
    """Return how many calls may wait at a server so that the last of them is still in time.

    As many as its cores do in half of the client's time-out; or half as many as there are threads
    ("small queue lengths relative to the thread pool size, 50 % or less") where that is less, and
    threads do something besides computing.
    """
    layer, service = scenario.application, scenario.application.services[name]
    threads, cores = service.threads or layer.threads, service.cores or layer.cores
    patience = scenario.client.timeout_seconds if scenario.client.enabled else 1.0
    in_time = patience / 2 * cores / max(1e-6, service.cpu_time.mean_ms / 1e3)
    room = in_time if threads <= cores else min(in_time, threads / 2)
    return max(1, int(room))


def deadlines(scenario: Scenario) -> Changes:
    """Work that nobody waits for any more is dropped."""
    if not has_servers(scenario) or not scenario.client.enabled or scenario.application.deadlines:
        return {}
    return {"application.deadlines": True}


def single_flight(scenario: Scenario) -> Changes:
    """One miss a key asks the database, the others wait for it."""
    cache = scenario.cache
    if not (cache.enabled and scenario.uses("lookup")) or cache.stampede != "none":
        return {}
    return {"cache.stampede": "single_flight"}


def breakers(scenario: Scenario) -> Changes:
    """Callers stop calling a service that keeps failing."""
    if not scenario.application.enabled:
        return {}
    return {
        f"application.services.{name}.care.breaker.on": True
        for name in services(scenario)
        if not scenario.application.services[name].care.breaker.on
    }


def health_checks(scenario: Scenario) -> Changes:
    """Servers that do not answer get no more requests."""
    edge = scenario.edge
    if not (edge.enabled and edge.balancer.on and has_servers(scenario)):
        return {}
    checks = getattr(edge.balancer, "checks", None)
    if checks is None or checks.on:
        return {}
    return {"edge.balancer.checks.on": True}


def failover(scenario: Scenario) -> Changes:
    """A replica takes over from a primary that is dead."""
    data = scenario.data
    if not data.enabled or data.failover.on or data.failover.why_no_primary(scenario):
        return {}
    return {"data.failover.on": True} if data.read_replicas else {}


def faster_failover(scenario: Scenario) -> Changes:
    """It is noticed, and acted upon, sooner."""
    rules = scenario.data.failover
    if not (scenario.data.enabled and rules.on):
        return {}
    return {
        "data.failover.check_every_seconds": max(0.1, rules.check_every_seconds / FASTER),
        "data.failover.promotion_seconds": rules.promotion_seconds / FASTER,
    }


def autoscaler(scenario: Scenario) -> Changes:
    """Servers are added when they are busy."""
    rules = getattr(scenario.application, "autoscaler", None)
    if rules is None or rules.on or not has_servers(scenario):
        return {}
    return {"application.autoscaler.on": True}


def faster_autoscaler(scenario: Scenario) -> Changes:
    """It looks more often, and new servers start sooner."""
    rules = getattr(scenario.application, "autoscaler", None)
    if rules is None or not rules.on:
        return {}
    return {
        "application.autoscaler.sync_seconds": max(1.0, rules.sync_seconds / FASTER),
        "application.autoscaler.startup_seconds": rules.startup_seconds / FASTER,
    }


def one_more_server(scenario: Scenario) -> Changes:
    """Of each service that is called."""
    layer = scenario.application
    if not has_servers(scenario):
        return {}
    changes: Changes = {"application.replicas": layer.replicas + 1}
    rules = getattr(layer, "autoscaler", None)
    if rules is not None and rules.on and rules.min_replicas < rules.max_replicas:
        changes["application.autoscaler.min_replicas"] = rules.min_replicas + 1
    for name in services(scenario):
        own = layer.services[name].replicas
        if own is not None:
            changes[f"application.services.{name}.replicas"] = own + 1
    return changes


def more_workers(scenario: Scenario) -> Changes:
    """Half as many again."""
    layer = scenario.asynchronous
    if not layer.enabled or not scenario.uses("publish"):
        return {}
    return {"asynchronous.workers": max(layer.workers + 1, int(layer.workers * WORKERS))}


def one_more_replica(scenario: Scenario) -> Changes:
    """One more read replica."""
    data = scenario.data
    if not (data.enabled and scenario.uses("read")):
        return {}
    return {"data.read_replicas": data.read_replicas + 1}


def more_shards(scenario: Scenario) -> Changes:
    """Twice as many shards, by hash."""
    data = scenario.data
    if not data.enabled or not (scenario.uses("read") or scenario.uses("write")):
        return {}
    return {"data.shards": min(64, data.shards * 2)}


def near_cache(scenario: Scenario) -> Changes:
    """What is asked for most is kept in the servers' own memory."""
    cache = scenario.cache
    if not (cache.enabled and scenario.uses("lookup")) or cache.near.on:
        return {}
    return {"cache.near.on": True}


def faster_names(scenario: Scenario) -> Changes:
    """Users of a region that is down are sent elsewhere sooner."""
    dns = scenario.edge.dns
    lost = scenario.client.fails_over or any(one.kind == "region_down" for one in scenario.faults)
    if not (scenario.edge.enabled and dns.on and lost):
        return {}
    return {
        "edge.dns.detection_seconds": dns.detection_seconds / FASTER,
        "edge.dns.ttl_seconds": dns.ttl_seconds / FASTER,
    }


PROPOSALS: tuple[tuple[str, Callable[[Scenario], Changes]], ...] = (
    ("a retry budget of 10 %", retry_budget),
    ("load shedding: a line that is served in time", shedding),
    ("deadline propagation", deadlines),
    ("health checks", health_checks),
    ("failover to a replica", failover),
    ("failover four times as fast", faster_failover),
    ("users sent elsewhere four times as fast", faster_names),
    ("single flight: one miss a key asks the database", single_flight),
    ("a circuit breaker in front of every service", breakers),
    ("adaptive throttling by clients", throttling),
    ("an autoscaler", autoscaler),
    ("an autoscaler four times as fast", faster_autoscaler),
    ("a near cache in every server", near_cache),
    ("one more server of each service", one_more_server),
    ("one more read replica", one_more_replica),
    ("half as many workers again", more_workers),
    ("twice as many shards", more_shards),
)
