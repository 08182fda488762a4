"""Runs that several tests of exports look at."""

import pytest

from engine import Result, load, simulate

HOSTILE = "=cmd|'/C calc'!A0 <script>alert(1)</script> ../../x"


@pytest.fixture(scope="session")
def shop() -> Result:
    """Return a short run of the shop, with something that fails."""
    scenario = load("amazon").change(
        {
            "duration_seconds": 20,
            "warm_up_seconds": 5,
            "client.requests_per_second": 300,
            "faults": [{"do": "kill_server", "at_seconds": 8, "length_seconds": 4}],
        }
    )
    return simulate(scenario, seed=3)


@pytest.fixture(scope="session")
def hostile() -> Result:
    """Return a run in which things have names that are meant to do harm."""
    scenario = load("monolith")
    tree = scenario.model_dump(mode="json")
    tree |= {"title": HOSTILE[:80], "blurb": HOSTILE, "duration_seconds": 4, "warm_up_seconds": 1}
    for service in tree["application"]["services"].values():
        service["title"] = HOSTILE[:40]
    names = list(tree["journeys"])
    tree["journeys"] = {f"{HOSTILE} {place}": tree["journeys"][n] for place, n in enumerate(names)}
    for journey in tree["journeys"].values():
        journey["title"] = HOSTILE[:80]
    return simulate(type(scenario).model_validate(tree), seed=3)
