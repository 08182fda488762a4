"""What theory says about a queue: the yardstick beside every measured wait."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def erlang_b(offered: float, servers: int) -> float:
    """Return the share of arrivals lost by `servers` slots with no line (M/G/c/c).

    The recursion of A. K. Erlang's formula; `offered` is arrival rate × mean service time.

    >>> round(erlang_b(20, 10), 4)
    0.538
    """
    blocked = 1.0
    for slots in range(1, servers + 1):
        blocked = offered * blocked / (slots + offered * blocked)
    return blocked


def erlang_c(offered: float, servers: int) -> float:
    """Return the share of arrivals that wait in M/M/c; 1 where it is overloaded.

    >>> round(erlang_c(1.5, 2), 4)
    0.6429
    """
    if offered >= servers:
        return 1.0
    blocked = erlang_b(offered, servers)
    return blocked / (1.0 - offered / servers * (1.0 - blocked))


def mmc_wait(rate: float, service: float, servers: int) -> float:
    """Return the mean wait in M/M/c, in the unit of `service`; infinite where overloaded.

    >>> round(mmc_wait(50, 0.01, 1), 4)
    0.01
    """
    offered = rate * service
    if offered >= servers:
        return math.inf
    return erlang_c(offered, servers) * service / (servers - offered)


def usl(n: float, alpha: float, beta: float) -> float:
    """Return the relative capacity of n processors, or users, by the universal scalability law.

    N. J. Gunther, "Guerrilla Capacity Planning", 2007: n / (1 + α(n-1) + βn(n-1)); α is what they
    do one after the other, β what each has to settle with every other.

    >>> round(usl(8, 0.03, 0.0005), 4)
    6.462
    """
    return n / (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0))


class Storm(NamedTuple):
    """What a retry storm can do to a server that works on what nobody waits for any more."""

    stable_below: float  # requests/s: from any backlog it finds back by itself
    capacity: float  # requests/s: at more it is overloaded without any storm
    attempts: float  # a second, while every attempt fails

    def state(self, load: float) -> str:
        """Return whether a load is stable, vulnerable or overloaded."""
        if load < self.stable_below:
            return "stable"
        return "vulnerable" if load < self.capacity else "overloaded"


def retry_storm(load: float, capacity: float, retries: int) -> Storm:
    """Return the states that retries make; `load` and `capacity` in requests a second.

    N. Bronson, A. Aghayev, A. Charapko, T. Zhu, "Metastable Failures in Distributed Systems",
    HotOS 2021: a load λ below the capacity μ is vulnerable where μ < λ (1 + retries), for once a
    backlog is longer than the time-out, every request comes so many times.

    >>> retry_storm(280, 300, 1)
    Storm(stable_below=150.0, capacity=300, attempts=560)
    """
    return Storm(capacity / (1 + retries), capacity, load * (1 + retries))


class Flush(NamedTuple):
    """What a cache that is lost does to the database behind it; requests/s."""

    warm: float  # at the database, with the cache
    cold: float  # without it
    safe: float  # this load needs no cache
    vulnerable: bool  # well while warm, overloaded once cold


def cache_flush(load: float, hit_ratio: float, capacity: float) -> Flush:
    """Return what a database of a capacity gets beside a look-aside cache, warm and cold.

    L. Huang et al., "Metastable Failures in the Wild", OSDI 2022, section 5.3: it is vulnerable
    where load × (1 - hit ratio) < capacity < load.

    >>> cache_flush(500, 0.75, 200)
    Flush(warm=125.0, cold=500, safe=200, vulnerable=True)
    """
    warm = load * (1.0 - hit_ratio)
    return Flush(warm, load, capacity, warm < capacity < load)


class Usl(NamedTuple):
    """A fit of the universal scalability law: throughput is gamma × usl(n, alpha, beta)."""

    alpha: float  # contention
    beta: float  # coherency delay
    gamma: float  # throughput of one


def usl_fit(load: Sequence[float], throughput: Sequence[float]) -> Usl:
    """Return the law that fits measurements best, by least squares; no coefficient is negative.

    >>> fit = usl_fit([1, 2, 4, 8], [100 * usl(n, 0.1, 0.01) for n in (1, 2, 4, 8)])
    >>> [round(coefficient, 6) for coefficient in fit]
    [0.1, 0.01, 100.0]
    """
    # It takes 0.14 s to load, which those who fit nothing need not wait for.
    from scipy.optimize import least_squares  # noqa: PLC0415

    n, measured = np.asarray(load, float), np.asarray(throughput, float)
    scale = float(np.max(measured / n))

    def off(law: np.ndarray) -> np.ndarray:
        alpha, beta, gamma = law
        return gamma * n / (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0)) - measured / scale

    found = least_squares(off, (0.01, 0.001, 1.0), bounds=(0.0, np.inf), xtol=1e-14, ftol=1e-14)
    alpha, beta, gamma = (float(value) for value in found.x)
    return Usl(alpha, beta, gamma * scale)
