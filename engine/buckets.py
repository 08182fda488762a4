"""Buckets: latency as Prometheus has it, counted in a few buckets, quantiles guessed from these.

`histogram_quantile` is promql's (promql/quantile.go, BucketQuantile), bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.record import BIN_EDGES

SMALL_DELTA = 1e-12  # relative; smaller steps down are rounding, not a mistake


def histogram_quantile(q: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Return a quantile of cumulative buckets (upper bound, count), the last one infinite.

    Observations are taken to lie evenly in their bucket, whose lower bound is the one before, or
    0; a quantile in the last bucket is the bound before it.  Counts that fall are lifted.

    >>> histogram_quantile(0.5, [(0.1, 20), (0.2, 60), (math.inf, 80)])
    0.15000000000000002
    """
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return -math.inf if q < 0 else math.inf
    bounds, counts = _in_order(buckets)
    if len(bounds) < 2 or bounds[-1] != math.inf or counts[-1] == 0:
        return math.nan
    rank = q * counts[-1]
    place = next((i for i, count in enumerate(counts[:-1]) if count >= rank), len(counts) - 1)
    if place == len(counts) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    start, count = 0.0, counts[place]
    if place > 0:
        start = bounds[place - 1]
        count -= counts[place - 1]
        rank -= counts[place - 1]
    return start + (bounds[place] - start) * (rank / count)


def _in_order(buckets: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return bounds and counts in order, equal bounds added up, counts that never fall."""
    added: dict[float, float] = {}
    for bound, count in buckets:
        added[bound] = added.get(bound, 0.0) + count
    bounds = sorted(added)
    counts: list[float] = []
    for bound in bounds:
        count, before = added[bound], counts[-1] if counts else 0.0
        nearly = abs(count - before) < SMALL_DELTA * (abs(count) + abs(before))
        counts.append(before if counts and (count < before or nearly) else count)
    return bounds, counts


def bucketed(histogram: np.ndarray, bounds: Sequence[float]) -> list[tuple[float, float]]:
    """Return the cumulative buckets of a fine histogram of seconds.

    A fine bin that a bound cuts (it is at most 1.6 % wide) is shared out in proportion.
    """
    below = np.concatenate([[0.0], np.cumsum(histogram)])
    counts = np.interp(bounds, BIN_EDGES, below)
    pairs = [(float(bound), float(count)) for bound, count in zip(bounds, counts, strict=True)]
    return [*pairs, (math.inf, float(below[-1]))]
