"""Deployable: a scenario as configuration that other programs accept.

`kinds` says what there is, `files` writes it; `write` puts it into a folder.  Each file says at
its beginning which parts of the scenario it carries and which it cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.deploy import compose, firing, grafana, kubernetes, load, nginx, prometheus, topics
from engine.deploy.folder import write
from engine.deploy.site import Site

if TYPE_CHECKING:
    from engine.result import Result
    from engine.scenario import Scenario

__all__ = ["KINDS", "Kind", "files", "kinds", "needs_run", "write"]


@dataclass(frozen=True)
class Kind:
    """One kind of configuration: where its files are, and what they are good for."""

    name: str  # the folder of its files
    title: str
    help: str


KINDS = (
    Kind("nginx", "nginx", "The edge: servers, balancing, time-outs, cache and rate limit."),
    Kind("kubernetes", "Kubernetes", "Deployments, Services, autoscalers, disruption budgets."),
    Kind(
        "prometheus",
        "Prometheus",
        "Alerts as rules, unit tests of them from the run, and the gauges that they look at.",
    ),
    Kind("grafana", "Grafana", "A dashboard of the same figures, with the alerts' thresholds."),
    Kind("compose", "Docker Compose", "The stack in small, on one machine, with stand-ins."),
    Kind("topics", "Kafka or RabbitMQ", "The topics or queues that the workers need."),
    Kind("load", "k6 and Locust", "The scenario's traffic: journeys, rates, think time, retries."),
)
MAKERS = (nginx, kubernetes, prometheus, grafana, compose, topics, load)


def kinds() -> tuple[Kind, ...]:
    """Return the kinds of configuration, in the order in which they are offered."""
    return KINDS


def files(scenario: Scenario, result: Result | None = None) -> dict[str, str]:
    """Return path → text of all files; unit tests of alerts come from a run's result.

    Paths are relative and made of plain letters, whatever the scenario's names are.  Raises
    ScenarioError if there are more servers than can be written down.
    """
    site = Site(scenario)
    made: dict[str, str] = {}
    for maker in MAKERS:
        made |= maker.files(site)
    if result is not None:
        made |= firing.files(Site(result.scenario), result)
    return dict(sorted(made.items()))


def needs_run(scenario: Scenario) -> bool:
    """Return whether a run adds something: there are alerts, whose unit tests come from one."""
    return prometheus.watches(Site(scenario))
