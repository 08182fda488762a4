"""Limits: how many may pass in a time.

LIMIT   site: the limit, or the first of `number` limits, one of which is the user's own;
        reason: when there is nothing left.
CREDIT  site: the limit that gets `number` more to spend, up to its burst.

A token bucket of `burst` is filled at `rate` (J. Turner, "New directions in communications",
IEEE Communications Magazine, 1986; Envoy's local rate limit).  With a window a limit counts
in two fixed ones and weighs the older by what of it still lies within (Cloudflare, "How we
built rate limiting capable of scaling to millions of domains", 2017).
"""

import math

from engine.kernel.compile import aside
from engine.kernel.tables import Verdict


@aside
def limit(step, who, world):
    """Let a token pass, or fail it because its limit is used up."""
    token = world.tokens[who]
    index = step.site
    if step.number > 1.0:
        index += token.user % int(step.number)
    if spend(world.limits[index], world.clock[0].now):
        return Verdict.NEXT
    world.limits[index].refused += 1
    token.reason = step.reason
    return Verdict.FAILED


@aside
def spend(row, now):
    """Return whether a limit has one left, and take it."""
    if row.window > 0.0:
        return in_window(row, now)
    row.level = min(row.burst, row.level + (now - row.last) * row.rate)
    row.last = now
    if row.level < 1.0:
        return False
    row.level -= 1.0
    return True


@aside
def in_window(row, now):
    """Return whether a sliding window has room for one more, and count it."""
    start = math.floor(now / row.window) * row.window
    if start > row.last:
        row.before = row.count if start - row.last < 1.5 * row.window else 0.0
        row.count, row.last = 0.0, start
    inside = 1.0 - (now - start) / row.window
    if row.before * inside + row.count + 1.0 > row.rate * row.window:
        return False
    row.count += 1.0
    return True


@aside
def credit(step, world):
    """Put more into a limit."""
    row = world.limits[step.site]
    row.level = min(row.burst, row.level + step.number)
    return Verdict.NEXT
