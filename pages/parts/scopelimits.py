"""What the microscope can look at: the journeys of a scenario, and what it leaves out, by name."""

from typing import Any

from engine import Microscope, Scenario, uncovered
from pages.parts import words
from pages.parts.scopewords import sentence

STORY = {"search": "iPhone 15", "buy": "iPhone 15", "view": "iPhone 15"}  # asked for at first


def journeys(scenario: Scenario) -> list[dict[str, Any]]:
    """Return the journeys, and what each is about at first; the shop's story comes first."""
    found = []
    for name, journey in scenario.journeys.items():
        about = any(kind == "dataset" for _, step in journey.walk() for kind, _ in step.names())
        found.append(
            {
                "name": name,
                "title": journey.title or name,
                "keyed": about,
                "about": STORY.get(name, "")
                if {"products", "searches"} & set(scenario.datasets) and about
                else "",
            }
        )
    order = {name: place for place, name in enumerate(STORY)}
    return sorted(found, key=lambda each: order.get(each["name"], len(order)))


def not_covered() -> list[str]:
    """Return what the microscope does not know."""
    return [sentence(text) for text in Microscope.not_covered.values()]


def simplified(scenario: Scenario) -> tuple[Scenario, list[str]]:
    """Return a scenario without what the microscope does not know, and what was left out.

    What cannot be left out stays in, and the microscope refuses it.
    """
    found = uncovered(scenario)
    if not found:
        return scenario, []
    paths = [each.partition(":")[0] for each in found]
    plain = scenario
    if "faults" in paths:
        plain = plain.model_copy(
            update={"faults": (), "changes": (), "chaos": type(scenario.chaos)()}
        )
    plain = plain.change(
        {path: value for each in paths for path, value in _WITHOUT.get(each, {}).items()}
    )
    still = set(uncovered(plain))
    left = [each.partition(": ")[2] for each in found if each not in still]
    return plain, left


_WITHOUT: dict[str, dict[str, Any]] = {
    "client.pattern": {"client.pattern.shape": "constant"},
    "client.offline": {"client.offline.share": 0.0},
    "edge.dns.failover": {"edge.dns.failover": False},
    "edge.balancer.checks": {"edge.balancer.checks.on": False},
    "edge.balancer.slow_start_seconds": {"edge.balancer.slow_start_seconds": 0.0},
    "application.pauses": {"application.pauses.every_seconds": None},
    "application.mtbf_seconds": {"application.mtbf_seconds": None},
    "application.deploy": {"application.deploy.at_seconds": None},
    "application.autoscaler": {"application.autoscaler.on": False},
    "asynchronous.autoscaler": {"asynchronous.autoscaler.on": False},
    "asynchronous.rebalance": {"asynchronous.rebalance.at_seconds": 0.0},
    "cache.policy": {"cache.policy": "lru"},
    "cache.flush_at_seconds": {"cache.flush_at_seconds": None},
    "data.failover": {"data.failover.on": False},
    "data.standby.outage_at_seconds": {"data.standby.outage_at_seconds": 0.0},
    "data.backup": {"data.backup.on": False},
}
"""What to turn so that a scenario is one that the microscope knows."""


def left_out(what: list[str]) -> str:
    """Say what a scenario is looked at without."""
    return f"Left out, as the microscope does not know it: {'; '.join(what)}." if what else ""


def missing(scenario: Scenario) -> str:
    """Return why a scenario cannot be looked at, as markdown; "" if it can."""
    found = uncovered(scenario)
    if not found:
        return ""
    lines = "\n".join(f"- {words.plain(each)}" for each in found)
    return (
        "**The microscope does not know all that this system has:**\n\n"
        f"{lines}\n\nSwitch it off on the left or on the Scenario page, or choose another preset,"
        " such as *amazon*. The Playground and the Live page play all of it."
    )
