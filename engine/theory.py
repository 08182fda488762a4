"""What theory says about a queue: the yardstick beside every measured wait."""

import math


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
