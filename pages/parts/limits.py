"""What counts as busy, slow or bad, in one place: the map, the strip and the texts all ask here.

The limits of time and errors are those of a typical web shop's service-level objectives; the
limits of busyness follow from queueing: at 75 % busy a single server's line is 3 requests long,
at 95 % it is 19 (M/M/1: ρ / (1 - ρ), Kleinrock 1975).
"""

from engine import Scenario, ScenarioError

BUSY_WARN, BUSY_BAD = 0.75, 0.95
FAILED_WARN, FAILED_BAD = 0.03, 0.1  # of what one part does: a retry may still save the request
ERRORS_WARN, ERRORS_BAD = 0.001, 0.01  # of whole requests, whom nothing saves any more
ANSWERED_WARN, ANSWERED_BAD = 0.99, 0.95
REQUESTS_MAX = 5_000_000  # that a page plays at once: some fifteen seconds on a slow machine
# (warn, bad) in milliseconds.
LATENCY_MS = {"p50": (200.0, 400.0), "p95": (500.0, 1000.0), "p99": (1000.0, 2000.0)}


def above(value: float, warn: float, bad: float) -> str:
    """Return the state of a number that ought to be small: "o", "w" or "b".

    >>> [above(each, 1, 2) for each in (0.5, 1, 3, float("nan"))]
    ['o', 'w', 'b', 'o']
    """
    return "b" if value >= bad else "w" if value >= warn else "o"


def station_state(busy: float, failed_share: float) -> str:
    """Return a part's state from how busy it is and which share of its requests fail.

    >>> station_state(0.5, 0.0), station_state(0.8, 0.0), station_state(0.1, 0.2)
    ('o', 'w', 'b')
    """
    worst = (above(busy, BUSY_WARN, BUSY_BAD), above(failed_share, FAILED_WARN, FAILED_BAD))
    return "b" if "b" in worst else "w" if "w" in worst else "o"


def refuse_hours(scenario: Scenario) -> None:
    """Raise ScenarioError for what would keep a page waiting for minutes or hours."""
    client = scenario.client
    rate = client.requests_per_second
    if client.arrivals == "closed":
        rate = client.users / max(client.think_time.mean_ms / 1e3, 0.01)
    count = rate * scenario.duration_seconds
    if count > REQUESTS_MAX:
        raise ScenarioError(
            f"duration_seconds is {scenario.duration_seconds:g}: some {count:,.0f} requests, of"
            f" which a page plays {REQUESTS_MAX:,}; shorten it, lower the load, or use the shell"
        )
