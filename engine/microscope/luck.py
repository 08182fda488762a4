"""Luck, told again in plain Python: the kernel's counter-based draws, bit by bit.

`engine/kernel/randomness.py` says whose formulas these are.  That file is compiled; this one
is its twin, written on Python's own integers, so that a request under the microscope meets the
same service times as in a run of millions.
"""

import math
from dataclasses import dataclass

from engine.kernel.tables import Family

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
FIRST = 0xBF58476D1CE4E5B9
SECOND = 0x94D049BB133111EB
STEP = 2.0**-52


def mix(z: int) -> int:
    """Return 64 well-stirred bits (SplitMix64's finaliser, variant 13)."""
    z = ((z ^ (z >> 30)) * FIRST) & MASK
    z = ((z ^ (z >> 27)) * SECOND) & MASK
    return z ^ (z >> 31)


def base_of(seed: int, request: int) -> int:
    """Return the random base of request number `request` of a run."""
    return mix((seed + (request & MASK) * GOLDEN) & MASK)


def uniform(base: int, label: int, visit: int) -> float:
    """Return a number strictly between 0 and 1."""
    bits = mix(base ^ ((label + (visit & MASK) * GOLDEN) & MASK))
    return (float(bits >> 12) + 0.5) * STEP


@dataclass(frozen=True, slots=True)
class Dist:
    """A distribution of seconds: a row of the kernel's `dists`, with its samples."""

    family: int
    count: int
    a: float
    b: float
    c: float
    samples: tuple[float, ...]

    def draw(self, base: int, label: int, visit: int) -> float:
        """Return this distribution's value, seconds, for a request, a step and a visit."""
        if self.family == Family.CONSTANT:
            return self.a
        u = uniform(base, label, visit)
        if self.family == Family.EXPONENTIAL:
            return -self.a * math.log(u)
        if self.family == Family.LOGNORMAL:
            return math.exp(self.a + self.b * normal_quantile(u))
        if self.family == Family.UNIFORM:
            return self.a + (self.b - self.a) * u
        if self.family == Family.BIMODAL:
            mean = self.a if u >= self.c else self.b
            again = (label + FIRST) & MASK
            return -mean * math.log(uniform(base, again, visit)) if self.count == 1 else mean
        if self.family == Family.ERLANG:
            return self._erlang(u, base, label, visit)
        place = u * (self.count - 1)
        low = int(place)
        here = self.samples[low]
        return here + (self.samples[low + 1] - here) * (place - low)

    def _erlang(self, u: float, base: int, label: int, visit: int) -> float:
        """Return a sum of exponential phases."""
        total = math.log(u)
        for phase in range(1, self.count):
            total += math.log(uniform(base, (label + phase * SECOND) & MASK, visit))
        return -self.a / self.count * total


def normal_quantile(p: float) -> float:
    """Return the standard normal quantile (Acklam 2003)."""
    if p < 0.02425:
        return _tail_quantile(math.sqrt(-2.0 * math.log(p)))
    if p > 0.97575:
        return -_tail_quantile(math.sqrt(-2.0 * math.log(1.0 - p)))
    q = p - 0.5
    r = q * q
    above = -3.969683028665376e1 * r + 2.209460984245205e2
    above = (above * r - 2.759285104469687e2) * r + 1.383577518672690e2
    above = (above * r - 3.066479806614716e1) * r + 2.506628277459239
    below = -5.447609879822406e1 * r + 1.615858368580409e2
    below = (below * r - 1.556989798598866e2) * r + 6.680131188771972e1
    below = (below * r - 1.328068155288572e1) * r + 1.0
    return above * q / below


def _tail_quantile(q: float) -> float:
    """Return Acklam's quantile in a tail, for q = sqrt(-2 ln p)."""
    above = -7.784894002430293e-3 * q - 3.223964580411365e-1
    above = (above * q - 2.400758277161838) * q - 2.549732539343734
    above = (above * q + 4.374664141464968) * q + 2.938163982698783
    below = 7.784695709041462e-3 * q + 3.224671290700398e-1
    below = (below * q + 2.445134137142996) * q + 3.754408661907416
    return above / (below * q + 1.0)
