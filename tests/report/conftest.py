"""Runs that several tests of reports look at."""

import pytest

from engine import Result, load, simulate

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="session")
def shop() -> Result:
    """Return a short run of the shop under too much load, so that something fails."""
    scenario = load("amazon").change(
        {"duration_seconds": 20, "warm_up_seconds": 5, "client.requests_per_second": 2600}
    )
    return simulate(scenario, seed=3)


@pytest.fixture(scope="session")
def hostile() -> Result:
    """Return a run in which things have names that are meant to do harm."""
    scenario = load("monolith")
    tree = scenario.model_dump(mode="json")
    tree |= {
        "title": f'"><img src=x onerror=alert(1)>{HOSTILE}\x00',
        "blurb": f"</title></style>{HOSTILE}",
        "duration_seconds": 4,
        "warm_up_seconds": 1,
    }
    for service in tree["application"]["services"].values():
        service["title"] = f"]]>{HOSTILE}"
    tree["journeys"] = {
        f"{HOSTILE} {place}": {**journey, "title": f"|--|`{HOSTILE}[x](javascript:alert(1))"}
        for place, journey in enumerate(tree["journeys"].values())
    }
    return simulate(type(scenario).model_validate(tree), seed=3)
