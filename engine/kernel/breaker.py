"""Breakers: stop calling what keeps failing.

PASS    site + register[by]: the breaker; reason: while it is open.
REPORT  site + register[by]: the breaker; number: 1 if the call went well, else 0.

Closed, it opens after `failures` in a row; open, it refuses for `rest`; half open, it lets
`probes` calls through, and closes when all go well (M. Nygard, "Release It!", 2007; the
consecutive rule is that of Envoy's outlier detection and of Polly).
"""

from engine.kernel.compile import aside
from engine.kernel.tables import Guard, Verdict


@aside
def pass_breaker(step, who, world):
    """Let a call through, or refuse it while the breaker is open."""
    breaker = world.breakers[step.site + world.registers[who, step.by]]
    if breaker.state == Guard.OPEN and world.clock[0].now - breaker.opened >= breaker.rest:
        breaker.state, breaker.sent, breaker.good = Guard.HALF_OPEN, 0, 0
    if breaker.state == Guard.CLOSED:
        return Verdict.NEXT
    if breaker.state == Guard.HALF_OPEN and breaker.sent < breaker.probes:
        breaker.sent += 1
        return Verdict.NEXT
    breaker.refused += 1
    world.tokens[who].reason = step.reason
    return Verdict.FAILED


@aside
def report(step, who, world):
    """Note how a call went; what was sent before the breaker opened counts no more."""
    breaker = world.breakers[step.site + world.registers[who, step.by]]
    if breaker.state == Guard.OPEN:
        return Verdict.NEXT
    if step.number > 0.0:
        breaker.bad = 0
        if breaker.state == Guard.HALF_OPEN:
            breaker.good += 1
            if breaker.good >= breaker.probes:
                breaker.state = Guard.CLOSED
        return Verdict.NEXT
    breaker.bad += 1
    if breaker.state == Guard.HALF_OPEN or breaker.bad >= breaker.failures:
        breaker.state, breaker.bad = Guard.OPEN, 0
        breaker.opened = world.clock[0].now
        breaker.trips += 1
    return Verdict.NEXT
