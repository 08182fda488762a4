"""PromQL's arithmetic, and Prometheus's alerts: pure functions of samples and instants.

Held case by case against Prometheus's own tests.  Times are seconds; a sample is (time, value),
samples come in order of time.  What Prometheus would leave out of its answer is NaN here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Sample = tuple[float, float]

REACH = 1.1  # of the mean gap of samples: a border nearer than this is extrapolated to
LEAST = 2  # samples that a change needs


def within(samples: Sequence[Sample], at: float, window: float) -> list[Sample]:
    """Return the samples of a range: open on the left, closed on the right, since Prometheus 3.

    >>> within([(0, 1.0), (5, 2.0), (10, 3.0)], at=10, window=5)
    [(10, 3.0)]
    """
    return [sample for sample in samples if at - window < sample[0] <= at]


def increase(samples: Sequence[Sample], at: float, window: float) -> float:
    """Return by how much a counter grew in a window; NaN with fewer than two samples in it.

    A counter that falls was reset, and began at 0 again.  What lies between the samples and the
    window's borders is extrapolated (promql/functions.go, extrapolatedRate).

    >>> increase([(0, 0.0), (60, 60.0), (120, 120.0)], at=120, window=120)
    120.0
    """
    seen = within(samples, at, window)
    if len(seen) < LEAST:
        return math.nan
    return extrapolated(seen[0], seen[-1][0], grown(seen), len(seen), at, window)


def rate(samples: Sequence[Sample], at: float, window: float) -> float:
    """Return a counter's growth in a window, a second."""
    seen = within(samples, at, window)
    if len(seen) < LEAST:
        return math.nan
    return extrapolated(seen[0], seen[-1][0], grown(seen), len(seen), at, window, per=window)


def irate(samples: Sequence[Sample], at: float, window: float) -> float:
    """Return a counter's growth between the last two samples of a window, a second."""
    seen = within(samples, at, window)
    if len(seen) < LEAST:
        return math.nan
    (before, low), (after, high) = seen[-2:]
    return (high if high < low else high - low) / (after - before)


def grown(samples: Sequence[Sample]) -> float:
    """Return by how much a counter grew from its first sample to its last, resets seen through."""
    total = samples[-1][1] - samples[0][1]
    before = samples[0][1]
    for _, value in samples[1:]:
        if value < before:
            total += before
        before = value
    return total


def extrapolated(
    first: Sample,
    last: float,
    growth: float,
    count: int,
    at: float,
    window: float,
    *,
    per: float = 1.0,
) -> float:
    """Return a counter's growth in a whole window, from what `count` samples in it saw.

    `first` is the first of them, `last` the time of the last.  A border is extrapolated to if it
    is not much further than samples are apart, else half a gap is; and no further back than to
    where the counter would have been 0.
    """
    seen = last - first[0]
    gap = seen / (count - 1)
    to_start, to_end = first[0] - (at - window), at - last
    if to_start >= gap * REACH:
        to_start = gap / 2
    if growth > 0 and first[1] >= 0:
        to_start = min(to_start, seen * (first[1] / growth))
    if to_end >= gap * REACH:
        to_end = gap / 2
    return growth * ((seen + to_start + to_end) / seen / per)
