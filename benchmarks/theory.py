"""What queueing theory says the benchmark models must answer.

The three models are stable queues whose mean sojourn has a closed form.  Every timed run is held to
it: a fast engine that simulates something else would not count.
"""

from typing import NamedTuple

SECONDS_TO_MS = 1e3


class Queue(NamedTuple):
    """A station of `servers` alike servers behind one first-come-first-served queue."""

    servers: int
    mean_seconds: float  # exponential service time


class Tandem(NamedTuple):
    """A small web site: balancer → application servers → cache → database on a miss."""

    name: str
    arrival_rate: float  # requests a second, Poisson
    balancer_seconds: float
    application: Queue
    cache_seconds: float
    miss_ratio: float
    database: Queue


class Single(NamedTuple):
    """One station and nothing else: M/M/c."""

    name: str
    arrival_rate: float
    station: Queue


MM1 = Single("M/M/1", arrival_rate=800.0, station=Queue(servers=1, mean_seconds=0.001))
MM8 = Single("M/M/8", arrival_rate=800.0, station=Queue(servers=8, mean_seconds=0.008))
WEB_TANDEM = Tandem(
    "web tandem",
    arrival_rate=800.0,
    balancer_seconds=0.001,
    application=Queue(servers=8, mean_seconds=0.008),
    cache_seconds=0.0005,
    miss_ratio=0.20,
    database=Queue(servers=4, mean_seconds=0.010),
)
MODELS = (MM1, MM8, WEB_TANDEM)


def mean_wait_seconds(rate: float, queue: Queue) -> float:
    """Return the mean wait in M/M/c: Erlang C by way of the Erlang B recursion (Kleinrock, vol. 1).

    >>> round(mean_wait_seconds(800.0, Queue(servers=1, mean_seconds=0.001)), 6)
    0.004
    """
    a = rate * queue.mean_seconds  # offered load, in erlangs
    c = queue.servers
    blocked = 1.0
    for n in range(1, c + 1):
        blocked = a * blocked / (n + a * blocked)
    queued = blocked / (1.0 - a / c * (1.0 - blocked))
    return queued * queue.mean_seconds / (c - a)


def mean_sojourn_seconds(model: Single | Tandem) -> float:
    """Return the mean time from arrival to answer.

    A Poisson stream leaves M/M/c as a Poisson stream (Burke 1956), and stays one when it is delayed
    or thinned at random, so the stations of the tandem add up.

    >>> round(mean_sojourn_seconds(WEB_TANDEM) * SECONDS_TO_MS, 3)
    13.864
    """
    if isinstance(model, Single):
        return mean_wait_seconds(model.arrival_rate, model.station) + model.station.mean_seconds
    always = (
        model.balancer_seconds
        + mean_wait_seconds(model.arrival_rate, model.application)
        + model.application.mean_seconds
        + model.cache_seconds
    )
    missed_rate = model.arrival_rate * model.miss_ratio
    on_a_miss = mean_wait_seconds(missed_rate, model.database) + model.database.mean_seconds
    return always + model.miss_ratio * on_a_miss
