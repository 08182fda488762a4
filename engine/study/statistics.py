"""How sure one may be of a simulated figure.

Intervals are Student's, as Law, "Simulation Modeling and Analysis" (5th ed., 2015, chapters 9 and
10), has them for replications and for paired differences; scipy does the arithmetic.  The only
rule written here is MSER-5: the published package for it (pymser) needs torch and statsmodels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.95  # of every interval, unless another is asked for
BATCH = 5  # the 5 of MSER-5


class Interval(NamedTuple):
    """A mean and how far off it may be, in the unit of what was measured."""

    mean: float
    half_width: float  # NaN where one value says nothing about noise
    runs: int

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half_width

    @property
    def real(self) -> bool:
        """Whether it differs from 0 beyond noise; nothing is known of a single value."""
        return not math.isnan(self.half_width) and abs(self.mean) > self.half_width

    def within(self, relative: float) -> bool:
        """Return whether the half-width is at most this share of the mean."""
        return self.half_width <= relative * abs(self.mean)


def interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Return the mean of independent values and its Student interval; NaNs are left out.

    >>> found = interval([9.0, 10.0, 11.0])
    >>> round(found.mean, 6), round(found.half_width, 3)
    (10.0, 2.484)
    """
    # It takes a third of a second to load, which those who ask for one run need not wait for.
    from scipy.stats import t  # noqa: PLC0415

    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    if len(known) == 0:
        return Interval(math.nan, math.nan, 0)
    if len(known) == 1:
        return Interval(float(known[0]), math.nan, 1)
    error = float(np.std(known, ddof=1)) / math.sqrt(len(known))
    quantile = float(t.ppf((1 + level) / 2, len(known) - 1))
    return Interval(float(known.mean()), error * quantile, len(known))


def difference(before: Sequence[float], after: Sequence[float], level: float = LEVEL) -> Interval:
    """Return `after` - `before`, paired by seed, and its interval.

    With common random numbers both had the same luck, so that the pairs' differences vary far
    less than the values do.

    >>> difference([10, 20, 30], [11, 21, 31]).real
    True
    """
    return interval(np.asarray(after, float) - np.asarray(before, float), level)


def mser5(series: Sequence[float]) -> int:
    """Return how many values at the beginning of a series are warm-up.

    MSER-5 (White, Cobb and Spratt, "A comparison of five steady-state truncation heuristics for
    simulation", WSC 2000): of the means of five values each, so many are cut that the standard
    error of the rest is least; at most half of them, since the few at the very end are alike by
    chance (Hoad, Robinson and Davies, WSC 2008).  NaNs count as the value before them.

    >>> mser5([9, 8, 7, 6, 5] + [1, 2, 1, 2, 1] * 9)
    5
    """
    known = _filled(np.asarray(series, float))
    batches = len(known) // BATCH
    if batches < 2:
        return 0
    means = known[: batches * BATCH].reshape(batches, BATCH).mean(axis=1)
    errors = [float(np.var(means[cut:])) / (batches - cut) for cut in range(batches // 2 + 1)]
    return BATCH * int(np.argmin(errors))


def _filled(series: np.ndarray) -> np.ndarray:
    """Return a series without gaps."""
    known = ~np.isnan(series)
    if not known.any():
        return series[:0]
    last = np.maximum.accumulate(np.where(known, np.arange(len(series)), -1))
    first = int(np.flatnonzero(known)[0])
    return np.asarray(np.where(last >= 0, series[np.maximum(last, 0)], series[first]), float)


def batch_means(series: Sequence[float], batches: int = 20, level: float = LEVEL) -> Interval:
    """Return the mean of one long run's values, and an interval from the means of its batches.

    Conway's method; 10 to 30 batches do (Schmeiser, "Batch size effects in the analysis of
    simulation output", 1982).  Values that come after the warm-up only, please.
    """
    known = np.asarray(series, float)
    known = known[~np.isnan(known)]
    size = len(known) // batches
    if size == 0:
        return interval(known, level)
    return interval(known[-size * batches :].reshape(batches, size).mean(axis=1), level)


def runs_needed(values: Sequence[float], half_width: float, level: float = LEVEL) -> int:
    """Return how many runs would bring the half-width down to this, by those made so far.

    Law 2015, section 9.4.1: the half-width falls with the root of the number of runs.

    >>> runs_needed([9.0, 10.0, 11.0], 1.0)
    19
    """
    found = interval(values, level)
    if math.isnan(found.half_width) or found.half_width <= half_width:
        return found.runs
    return math.ceil(found.runs * (found.half_width / half_width) ** 2)
