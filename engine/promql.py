"""PromQL's arithmetic, and Prometheus's alerts: pure functions of samples and instants.

Held case by case against Prometheus's own tests.  Times are seconds; a sample is (time, value),
samples come in order of time.  What Prometheus would leave out of its answer is NaN here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Sample = tuple[float, float]
State = Literal["inactive", "pending", "firing"]

REACH = 1.1  # of the mean gap of samples: a border nearer than this is extrapolated to
LEAST = 2  # samples that a change needs
PERIOD_SECONDS = 30 * 86_400.0  # of an error budget


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
    if seen <= 0:
        return math.nan
    gap = seen / (count - 1)
    to_start, to_end = first[0] - (at - window), at - last
    if to_start >= gap * REACH:
        to_start = gap / 2
    if growth > 0 and first[1] >= 0:
        to_start = min(to_start, seen * (first[1] / growth))
    if to_end >= gap * REACH:
        to_end = gap / 2
    return growth * ((seen + to_start + to_end) / seen / per)


def quantile_over_time(q: float, values: Sequence[float]) -> float:
    """Return a quantile of samples, between two of them in proportion (promql/quantile.go).

    >>> quantile_over_time(0.75, [0, 1, 4])
    2.5
    """
    if not values or math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return -math.inf if q < 0 else math.inf
    known = sorted(values)
    rank = q * (len(known) - 1)
    lower = math.floor(rank)
    upper = min(len(known) - 1, lower + 1)
    weight = rank - lower
    return known[lower] * (1 - weight) + known[upper] * weight


# ---------------------------------------------------------------- alerts


@dataclass(frozen=True)
class Alert:
    """One alert, from evaluation to evaluation (rules/alerting.go, AlertingRule.Eval).

    Between two evaluations nothing happens: an alert `for` a minute fires at the first one that
    finds its condition true a minute after another one did, and never saw it false in between.
    """

    state: State = "inactive"
    pending_at: float = math.nan  # since when its condition has been true
    fired_at: float = math.nan
    resolved_at: float = math.nan
    kept_since: float = math.nan  # since when it fires although its condition is false

    def after(
        self, *, true: bool, now: float, for_seconds: float = 0.0, keep_seconds: float = 0.0
    ) -> Alert:
        """Return the alert after an evaluation that found its condition true, or not.

        >>> alert = Alert().after(true=True, now=0, for_seconds=60)
        >>> alert.state, alert.after(true=True, now=60, for_seconds=60).state
        ('pending', 'firing')
        """
        if not true:
            return self._without(now, keep_seconds)
        alert = self
        if alert.state == "inactive":
            alert = Alert("pending", pending_at=now)
        if alert.state == "pending" and now - alert.pending_at >= for_seconds:
            alert = replace(alert, state="firing", fired_at=now)
        return replace(alert, kept_since=math.nan)

    def _without(self, now: float, keep_seconds: float) -> Alert:
        """Return the alert after an evaluation that found its condition false."""
        if self.state == "firing" and keep_seconds > 0:
            since = now if math.isnan(self.kept_since) else self.kept_since
            if now - since < keep_seconds:
                return replace(self, kept_since=since)
        if self.state == "firing":
            return replace(self, state="inactive", resolved_at=now)
        return Alert() if self.state == "pending" else self


# ---------------------------------------------------------------- error budgets


@dataclass(frozen=True)
class Burn:
    """An alert on how fast an error budget goes: over a long window, and still over a short one.

    The Site Reliability Workbook, chapter 5, table 5-8; the short window is a twelfth of the
    long one, and lets the alert end soon after the errors have.
    """

    long_seconds: float
    short_seconds: float
    budget_share: float  # of the period's budget, spent in the long window
    severity: Literal["page", "ticket"]

    def rate(self, period_seconds: float = PERIOD_SECONDS) -> float:
        """Return how many times as fast as it may the budget goes; 1 spends it in the period.

        >>> [round(burn.rate(), 9) for burn in BURNS]
        [14.4, 6.0, 1.0]
        """
        return self.budget_share * period_seconds / self.long_seconds

    def threshold(self, objective: float, period_seconds: float = PERIOD_SECONDS) -> float:
        """Return the error ratio that is too much, of an objective such as 0.999."""
        return self.rate(period_seconds) * (1.0 - objective)

    def fires(self, over_long: float, over_short: float, objective: float) -> bool:
        """Return whether the error ratios over both windows are too high; NaN is not."""
        threshold = self.threshold(objective)
        return over_long > threshold and over_short > threshold

    def seconds_to_fire(self, error_ratio: float, objective: float) -> float | None:
        """Return how long errors that begin at once and stay go unseen; None: for ever.

        Before, there were none: the long window's mean has to grow to the threshold.
        """
        threshold = self.threshold(objective)
        if error_ratio <= threshold:
            return None
        return self.long_seconds * threshold / error_ratio

    def seconds_to_reset(self, error_ratio: float, objective: float) -> float | None:
        """Return how long the alert outlives errors that end at once; None: it never fired."""
        threshold = self.threshold(objective)
        if error_ratio <= threshold:
            return None
        return self.short_seconds * (1.0 - threshold / error_ratio)


BURNS = (
    Burn(3600.0, 300.0, 0.02, "page"),
    Burn(21_600.0, 1800.0, 0.05, "page"),
    Burn(259_200.0, 21_600.0, 0.10, "ticket"),
)
