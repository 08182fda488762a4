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
