"""Coverage: what the microscope does not know, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.kernel.tables import Op
from engine.microscope.walk import RULES

if TYPE_CHECKING:
    from engine.scenario import Scenario

NOT_COVERED = {
    "faults": "faults, changes and chaos on a timeline: break things by hand instead",
    "client.pattern": "traffic that changes over time",
    "client.offline": "users who lose the network",
    "client.throttle": "throttling by the client",
    "client.regions": "regions that go down",
    "edge.dns.failover": "region failover",
    "edge.balancer.checks": "active health checks",
    "edge.balancer.slow_start_seconds": "slow start",
    "application.pauses": "pauses of a server's cores",
    "application.mtbf_seconds": "breakdowns of servers",
    "application.deploy": "deployments",
    "application.autoscaler": "autoscaling of services",
    "asynchronous.autoscaler": "autoscaling of workers",
    "asynchronous.rebalance": "rebalances of consumer groups",
    "cache.warm_up": "caches that are warmed up after a crash",
    "cache.flush_at_seconds": "a crash of the cache at a set time: crash it by hand",
    "data.failover": "failover by a controller: promote a replica by hand",
    "data.standby.outage_at_seconds": "a standby that is lost for a while",
    "data.backup": "backups",
}
"""What a scenario may not have, and what that is; the page shows it."""


def uncovered(scenario: Scenario) -> list[str]:
    """Return what of a scenario the microscope does not know; empty: it can be played."""
    found = [f"{path}: {NOT_COVERED[path]}" for path in _switched_on(scenario)]
    program = scenario.program()
    mechanisms = {Op(program.op_of(row)) for row in range(program.here)}
    found += [f"the mechanism {op.name}" for op in sorted(mechanisms) if op not in RULES]
    return found


def _switched_on(scenario: Scenario) -> list[str]:
    """Return the paths of `NOT_COVERED` that a scenario makes use of."""
    client, edge, app = scenario.client, scenario.edge, scenario.application
    cache, queues, data = scenario.cache, scenario.asynchronous, scenario.data
    balancer = edge.balancer
    uses = {
        "faults": bool(scenario.faults or scenario.changes or scenario.chaos.on),
        "client.pattern": client.arrivals == "open" and client.pattern.shape != "constant",
        "client.offline": client.enabled and client.offline.share > 0,
        "client.throttle": client.enabled and client.throttle.on,
        "client.regions": client.enabled and client.fails_over,
        "edge.dns.failover": client.enabled and edge.enabled and edge.dns.failover,
        "edge.balancer.checks": edge.enabled and balancer.checks.on,
        "edge.balancer.slow_start_seconds": edge.enabled and balancer.slow_start_seconds > 0,
        "application.pauses": app.enabled and app.pauses.every_seconds is not None,
        "application.mtbf_seconds": app.enabled and app.mtbf_seconds is not None,
        "application.deploy": app.enabled and app.deploy.at_seconds is not None,
        "application.autoscaler": app.enabled and app.autoscaler.on,
        "asynchronous.autoscaler": queues.enabled and queues.autoscaler.on,
        "asynchronous.rebalance": queues.enabled and queues.rebalance.at_seconds > 0,
        "cache.warm_up": cache.enabled and cache.warm_up.keys_per_second > 0,
        "cache.flush_at_seconds": cache.enabled and cache.flush_at_seconds is not None,
        "data.failover": data.enabled and data.failover.on,
        "data.standby.outage_at_seconds": data.enabled and data.standby.outage_at_seconds > 0,
        "data.backup": data.enabled and data.backup.on,
    }
    return [path for path, used in uses.items() if used]


OFF: dict[str, dict[str, object]] = {
    "faults": {"faults": [], "changes": [], "chaos.on": False},
    "client.pattern": {"client.pattern.shape": "constant"},
    "client.offline": {"client.offline.share": 0},
    "client.throttle": {"client.throttle.on": False},
    "edge.dns.failover": {"edge.dns.failover": False},
    "edge.balancer.checks": {"edge.balancer.checks.on": False},
    "edge.balancer.slow_start_seconds": {"edge.balancer.slow_start_seconds": 0},
    "application.pauses": {"application.pauses.every_seconds": None},
    "application.mtbf_seconds": {"application.mtbf_seconds": None},
    "application.deploy": {"application.deploy.at_seconds": None},
    "application.autoscaler": {"application.autoscaler.on": False},
    "asynchronous.autoscaler": {"asynchronous.autoscaler.on": False},
    "asynchronous.rebalance": {"asynchronous.rebalance.at_seconds": 0},
    "cache.flush_at_seconds": {"cache.flush_at_seconds": None},
    "cache.warm_up": {"cache.warm_up.keys_per_second": 0},
    "data.failover": {"data.failover.on": False},
    "data.standby.outage_at_seconds": {"data.standby.outage_at_seconds": 0},
    "data.backup": {"data.backup.on": False},
}


def without(scenario: Scenario) -> tuple[Scenario, list[str]]:
    """Return a scenario without what can be switched off of it, and what that was, in words.

    A journey of any preset can be looked at so: what is left out acts over time, on its own.
    """
    paths = [path for path in _switched_on(scenario) if path in OFF]
    changes: dict[str, object] = {}
    for path in sorted(paths, key=lambda path: path != "faults"):
        changes |= OFF[path]
    return scenario.change(changes), [f"{path}: {NOT_COVERED[path]}" for path in paths]
