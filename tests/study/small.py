"""A system that plays in milliseconds, for studies of many runs."""

from engine.scenario import Scenario, parse

ONE_SERVER = {
    "title": "One server",
    "duration_seconds": 20,
    "warm_up_seconds": 2,
    "client": {
        "requests_per_second": 50,
        "timeout_seconds": 5,
        "attempts": 1,
        "web_round_trip": 5,
        "mobile_round_trip": 5,
    },
    "edge": {"enabled": False},
    "cache": {"enabled": False},
    "asynchronous": {"enabled": False},
    "data": {"enabled": False},
    "application": {
        "replicas": 1,
        "threads": 8,
        "cores": 1,
        "services": {"server": {"cpu_time": {"exponential": 10}}},
    },
    "journeys": {"ask": {"steps": [{"do": "call", "service": "server"}]}},
}


def small(**changes: object) -> Scenario:
    """Return one server; changes by path, with __ for a dot."""
    return parse(ONE_SERVER).change({k.replace("__", "."): v for k, v in changes.items()})
