"""Randomness as a pure function of (seed, request, step label, visit).

SplitMix64's finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
generators"; constants of its variant 13 by D. Stafford) applied twice: once to make a
request's base from the seed and the request's number, once for each draw.  Hence two
runs that differ in one knob give every request the same service times, and a step that
is added elsewhere disturbs no other step's draws.
"""

import math

import numpy as np

from engine.kernel.compile import part
from engine.kernel.tables import Family

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
S30, S27, S31, S12 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(12)
STEP = 1.0 / 4503599627370496.0  # 2^-52


@part
def mix(z):
    """Return 64 well-stirred bits."""
    z = (z ^ (z >> S30)) * FIRST
    z = (z ^ (z >> S27)) * SECOND
    return z ^ (z >> S31)


@part
def base_of(seed, request):
    """Return the random base of request number `request` of a run."""
    return mix(seed + np.uint64(request) * GOLDEN)


@part
def uniform(base, label, visit):
    """Return a number strictly between 0 and 1."""
    bits = mix(base ^ (label + np.uint64(visit) * GOLDEN))
    return (float(np.int64(bits >> S12)) + 0.5) * STEP


@part
def draw(dist, base, label, visit, world):
    """Return a value of a distribution; the two commonest families without a call."""
    if dist.family == Family.CONSTANT:
        return dist.a
    u = uniform(base, label, visit)
    if dist.family == Family.EXPONENTIAL:
        return -dist.a * math.log(u)
    return transform(dist, u, base, label, visit, world.samples)


@part
def transform(dist, u, base, label, visit, samples):
    """Return the value of distribution row `dist` at u.

    CONSTANT a; EXPONENTIAL mean a; LOGNORMAL exp(a + b z); UNIFORM a to b; BIMODAL a or,
    with probability c, b (exponential with these means if `count` is 1); EMPIRICAL
    `count` sorted samples from `first`, linear between them; ERLANG mean a in `count`
    exponential phases.
    """
    if dist.family == Family.LOGNORMAL:
        return math.exp(dist.a + dist.b * normal_quantile(u))
    if dist.family == Family.UNIFORM:
        return dist.a + (dist.b - dist.a) * u
    if dist.family == Family.BIMODAL:
        mean = dist.a if u >= dist.c else dist.b
        if dist.count == 1:
            return -mean * math.log(uniform(base, label + FIRST, visit))
        return mean
    if dist.family == Family.ERLANG:
        total = math.log(u)
        for phase in range(1, dist.count):
            total += math.log(uniform(base, label + np.uint64(phase) * SECOND, visit))
        return -dist.a / dist.count * total
    place = u * (dist.count - 1)
    low = int(place)
    here = samples[dist.first + low]
    return here + (samples[dist.first + low + 1] - here) * (place - low)


@part
def normal_quantile(p):
    """Return the standard normal quantile (Acklam 2003; relative error below 1.2e-9).

    One uniform makes one value, monotonically, which keeps common random numbers common.
    """
    if p < 0.02425:
        q = math.sqrt(-2.0 * math.log(p))
        return tail_quantile(q)
    if p > 0.97575:
        q = math.sqrt(-2.0 * math.log(1.0 - p))
        return -tail_quantile(q)
    q = p - 0.5
    r = q * q
    above = -3.969683028665376e1 * r + 2.209460984245205e2
    above = (above * r - 2.759285104469687e2) * r + 1.383577518672690e2
    above = (above * r - 3.066479806614716e1) * r + 2.506628277459239
    below = -5.447609879822406e1 * r + 1.615858368580409e2
    below = (below * r - 1.556989798598866e2) * r + 6.680131188771972e1
    below = (below * r - 1.328068155288572e1) * r + 1.0
    return above * q / below


@part
def tail_quantile(q):
    """Return Acklam's quantile in a tail, for q = sqrt(-2 ln p)."""
    above = -7.784894002430293e-3 * q - 3.223964580411365e-1
    above = (above * q - 2.400758277161838) * q - 2.549732539343734
    above = (above * q + 4.374664141464968) * q + 2.938163982698783
    below = 7.784695709041462e-3 * q + 3.224671290700398e-1
    below = (below * q + 2.445134137142996) * q + 3.754408661907416
    return above / (below * q + 1.0)
