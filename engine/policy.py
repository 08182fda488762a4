"""Policies: the arithmetic by which clients, proxies and consumer groups decide.

Pure functions of what was seen, as the documents and programs that their docstrings name have
them; who watches and acts stands elsewhere.  They need nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

Jitter = Literal["none", "full", "equal", "decorrelated"]


class Range(NamedTuple):
    """Where a draw may fall, evenly."""

    low: float
    high: float

    @property
    def mean(self) -> float:
        """The middle."""
        return (self.low + self.high) / 2


# ---------------------------------------------------------------- retries


def backoff_range(
    base: float, cap: float, attempt: int, jitter: Jitter = "full", before: float | None = None
) -> Range:
    """Return between what the rest after failed attempt 1, 2, … is drawn, in the unit of `base`.

    M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015, and its simulator:
    `min(cap, base × 2^attempt)`, less up to all of it (full) or half of it (equal).
    Decorrelated: from `base` to three times the rest before (at first: base).

    >>> backoff_range(5, 2000, 3, "equal")
    Range(low=20.0, high=40.0)
    """
    if jitter == "decorrelated":
        return Range(min(cap, base), min(cap, 3 * (base if before is None else before)))
    longest = float(min(cap, base * 2**attempt))
    low = {"none": longest, "equal": longest / 2, "full": 0.0}[jitter]
    return Range(low, longest)


def grpc_backoff(
    attempt: int, initial: float = 0.1, multiplier: float = 2.0, longest: float = 1.0
) -> Range:
    """Return between what gRPC draws the rest before retry 1, 2, …, in the unit of `initial`.

    gRPC proposal A6, client retries: min(initial × multiplier^(n-1), longest), ±20 %.

    >>> grpc_backoff(3).mean
    0.4
    """
    rest = min(initial * multiplier ** (attempt - 1), longest)
    return Range(rest * 0.8, rest * 1.2)


def grpc_throttle(tokens: float, succeeded: bool, most: float = 100.0, ratio: float = 0.1) -> float:
    """Return a client's tokens after one more answer: a failure costs 1, a success earns `ratio`.

    gRPC proposal A6, "Throttling Retry Attempts and Hedged RPCs"; it begins with `most`.

    >>> grpc_throttle(100, succeeded=False)
    99.0
    """
    return min(most, tokens + ratio) if succeeded else max(0.0, tokens - 1.0)


def grpc_may_retry(tokens: float, most: float = 100.0) -> bool:
    """Return whether gRPC retries at all: only with more than half of the tokens (A6)."""
    return tokens > most / 2


def retry_budget(active: int, percent: float = 20.0, least: int = 3) -> int:
    """Return how many retries may be under way at once beside so many requests.

    Envoy, circuit_breaker.proto, RetryBudget: a share of active and pending requests, but never
    fewer than min_retry_concurrency.

    >>> [retry_budget(10), retry_budget(100)]
    [3, 20]
    """
    return max(least, int(active * percent / 100))


def rejection(requests: float, accepts: float, multiplier: float = 2.0) -> float:
    """Return the chance with which a client rejects a request before it sends it.

    Google SRE book, chapter 21, "Handling Overload", client-side throttling: requests that were
    made and accepted in the last two minutes, and K, their multiplier.

    >>> round(rejection(3000, 500), 3), rejection(900, 600)
    (0.666, 0.0)
    """
    return max(0.0, (requests - multiplier * accepts) / (requests + 1.0))


# ---------------------------------------------------------------- balancing


def slow_start_factor(
    since: float, window: float, aggression: float = 1.0, least: float = 0.1
) -> float:
    """Return what share of its weight a server has that has been up for `since` of its window.

    Envoy, cluster.proto, SlowStartConfig: max(least, (since / window)^(1 / aggression)).

    >>> slow_start_factor(15, 60, aggression=2)
    0.5
    """
    if since >= window:
        return 1.0
    return max(least, (since / window) ** (1 / aggression))


def least_request_weight(weight: float, active: int, bias: float = 1.0) -> float:
    """Return a server's weight in Envoy's weighted least request: weight / (active + 1)^bias.

    Envoy documentation, "Supported load balancers".

    >>> least_request_weight(2, 4)
    0.4
    """
    return weight / (active + 1) ** bias


def outlier_threshold(success_rates: Sequence[float], factor: float = 1.9) -> float:
    """Return the success rate below which Envoy ejects a server: mean - factor × deviation.

    outlier_detection_impl.cc; the deviation is the population's (divided by n).

    >>> outlier_threshold([50, 100, 100, 100, 100])
    52.0
    """
    return float(np.mean(success_rates) - factor * np.std(success_rates))


class PriorityLoad(NamedTuple):
    """How Envoy shares traffic out over levels of priority."""

    percent: tuple[int, ...]  # of the traffic, by level
    panics: tuple[bool, ...]  # whether a level's traffic goes to all of its servers, well or not
    health: int  # normalised total, percent; 0 without a panic: nobody to send anything to


def priority_load(
    healthy_percent: Sequence[float], panic_percent: float = 50.0, overprovisioning: float = 1.4
) -> PriorityLoad:
    """Return how traffic is shared out over levels of priority, from the first on.

    Envoy documentation, "Priority levels" and "Panic threshold": a level counts as healthy as
    `overprovisioning` times its share of healthy servers, at most 100 %, and takes what those
    above it leave.  Only where all together stay below 100 % does a level panic whose share of
    healthy servers is below the threshold.

    >>> priority_load([71, 100])
    PriorityLoad(percent=(99, 1), panics=(False, False), health=100)
    """
    health = [min(100, int(round(each * overprovisioning, 9))) for each in healthy_percent]
    total = min(100, sum(health))
    panics = tuple(total < 100 and each < panic_percent for each in healthy_percent)
    if not total:
        return PriorityLoad((100, *[0] * (len(health) - 1)), panics, 0)
    shares: list[int] = []
    for each in health:
        shares.append(min(100 - sum(shares), each * 100 // total))
    shares[int(np.argmax(health))] += 100 - sum(shares)  # what rounding down has left over
    return PriorityLoad(tuple(shares), panics, total)


# ---------------------------------------------------------------- health checks


@dataclass(frozen=True)
class Check:
    """What active health checks make of one server: a state, and results in a row.

    A server goes down after `fall` failures in a row and up after `rise` successes in a row; a
    result of the other kind begins the count anew.  HAProxy's `inter`, `fall` and `rise` with
    their defaults (configuration.txt); nginx_upstream_check_module counts in the same way, with
    defaults of 30 s, 5 and 2.

    >>> check = Check(fall=2)
    >>> [check := check.after(ok) for ok in (False, True, False, False)][-1].up
    False
    """

    interval_seconds: float = 2.0
    fall: int = 3
    rise: int = 2
    up: bool = True
    in_a_row: int = 0  # results that speak against the state

    def after(self, ok: bool) -> Check:
        """Return the check after one more result."""
        if ok == self.up:
            return replace(self, in_a_row=0)
        count = self.in_a_row + 1
        if count < (self.rise if ok else self.fall):
            return replace(self, in_a_row=count)
        return replace(self, up=ok, in_a_row=0)


# ---------------------------------------------------------------- consumer groups

Partition = tuple[str, int]  # topic, number


def assign_range(
    topics: Mapping[str, int], subscriptions: Mapping[str, Iterable[str]]
) -> dict[str, list[Partition]]:
    """Return what Kafka's RangeAssignor gives each consumer: of every topic a run of partitions.

    Topics with their numbers of partitions, and the topics of each consumer.  Consumers go by
    name; the first ones get one more where the division leaves a rest.

    >>> {who: len(held) for who, held in assign_range({"t": 5}, {"a": "t", "b": "t"}).items()}
    {'a': 3, 'b': 2}
    """
    given: dict[str, list[Partition]] = {consumer: [] for consumer in sorted(subscriptions)}
    for topic in sorted(topics):
        readers = [consumer for consumer in given if topic in set(subscriptions[consumer])]
        start = 0
        for index, consumer in enumerate(readers):
            share, rest = divmod(topics[topic], len(readers))
            count = share + (index < rest)
            given[consumer] += [(topic, start + number) for number in range(count)]
            start += count
    return given


def assign_round_robin(
    topics: Mapping[str, int], subscriptions: Mapping[str, Iterable[str]]
) -> dict[str, list[Partition]]:
    """Return what Kafka's RoundRobinAssignor gives each consumer: one partition each, in turn.

    Whoever has not subscribed to a partition's topic is passed over.

    >>> assign_round_robin({"t": 3}, {"a": "t", "b": "t"})
    {'a': [('t', 0), ('t', 2)], 'b': [('t', 1)]}
    """
    given: dict[str, list[Partition]] = {consumer: [] for consumer in sorted(subscriptions)}
    names = list(given)
    turn = 0
    for topic in sorted(topics):
        if not any(topic in set(subscriptions[name]) for name in names):
            continue
        for number in range(topics[topic]):
            while topic not in set(subscriptions[names[turn % len(names)]]):
                turn += 1
            given[names[turn % len(names)]].append((topic, number))
            turn += 1
    return given
