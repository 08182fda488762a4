"""What the microscope does not know is refused by name, each of it, and stands in the docs."""

import pathlib

import pytest

from engine import ScenarioError, load
from engine.microscope import NOT_COVERED, Microscope, uncovered, without

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "not-modelled.md"
REGIONS = [
    {"name": "one", "share": 0.5, "down_at_seconds": 5},
    {"name": "two", "share": 0.5},
]
TURNED_ON = {
    "faults": {"chaos.on": True},
    "client.pattern": {"client.pattern.shape": "spike"},
    "client.offline": {"client.offline.share": 0.1},
    "client.throttle": {"client.throttle.on": True},
    "client.regions": {"client.regions": REGIONS},
    "edge.dns.failover": {"edge.dns.failover": True},
    "edge.balancer.checks": {"edge.balancer.checks.on": True},
    "edge.balancer.slow_start_seconds": {"edge.balancer.slow_start_seconds": 10},
    "application.pauses": {"application.pauses.every_seconds": 10},
    "application.mtbf_seconds": {"application.mtbf_seconds": 1000},
    "application.deploy": {"application.deploy.at_seconds": 10},
    "application.autoscaler": {"application.autoscaler.on": True},
    "asynchronous.autoscaler": {"asynchronous.autoscaler.on": True},
    "asynchronous.rebalance": {"asynchronous.rebalance.at_seconds": 10},
    "cache.warm_up": {"cache.warm_up.keys_per_second": 100},
    "cache.flush_at_seconds": {"cache.flush_at_seconds": 10},
    "data.failover": {"data.failover.on": True},
    "data.standby.outage_at_seconds": {
        "data.standby.outage_at_seconds": 5, "data.standby.synchronous": 1, "data.commit": "on",
    },
    "data.backup": {"data.backup.on": True},
}  # fmt: skip


def test_each_of_them_is_tried() -> None:
    """One that is added to the list has to be refused here too."""
    assert TURNED_ON.keys() == NOT_COVERED.keys()


@pytest.mark.parametrize("path", sorted(NOT_COVERED))
def test_it_is_refused_by_name_and_can_be_left_out(path) -> None:
    """Left out in silence, it would look as if it had no effect."""
    scenario = load("amazon").change(TURNED_ON[path])
    assert [each for each in uncovered(scenario) if each.startswith(f"{path}: ")]
    with pytest.raises(ScenarioError, match="the microscope does not know") as caught:
        Microscope(scenario)
    assert "\n" not in str(caught.value)
    plain, left_out = without(scenario)
    assert left_out or path == "client.regions"
    assert path == "client.regions" or not uncovered(plain)


@pytest.mark.parametrize(
    "word",
    ["faults", "chaos", "traffic patterns", "lose the network", "throttling", "region\nfailover",
     "health checks", "slow start", "pauses", "breakdowns", "deployments", "autoscaling",
     "rebalances", "warm-up", "crash of the cache at a set time", "failover by a controller",
     "standby that is lost", "backups"],
)  # fmt: skip
def test_the_docs_name_it(word) -> None:
    """Who reads the list before a lesson must not be surprised in it."""
    text = " ".join(DOCS.read_text("utf-8").partition("**The microscope.**")[2].split())
    assert " ".join(word.split()) in text
