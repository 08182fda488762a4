"""Forks: legs that run side by side; the parent goes on when the last has come in.

FORK    site: first of its legs' starts; jump: how many starts; register: how often each.
JOIN    the end of a leg.
GATHER  behind FORK: the parent fails if a leg has failed.
"""

import numpy as np

from engine.kernel.agenda import wake
from engine.kernel.compile import aside, part
from engine.kernel.tables import ACCOUNTS, LEAVES, REGISTERS, State, Verdict
from engine.kernel.tokens import free, fresh


@aside
def fork(step, who, world):
    """Send the legs off."""
    parent, clock = world.tokens[who], world.clock[0]
    parent.legs = step.jump * step.register
    parent.state, parent.began, parent.reason = State.JOINING, clock.now, 0
    number = 0
    for _ in range(step.register):
        for start in range(step.site, step.site + step.jump):
            number += 1
            leg = fresh(world)
            token = world.tokens[leg]
            token.root, token.request, token.born = parent.root, parent.request, clock.now
            token.key, token.journey, token.user = parent.key, parent.journey, parent.user
            token.source, token.parent = parent.source, who
            # A prime, so that the legs of forks within legs draw numbers of their own.
            token.visit = (np.int64(parent.visit) * 1000003 + number * 4096) & 0x7FFFFFFF
            token.step = world.starts[start]
            for index in range(REGISTERS):
                world.registers[leg, index] = world.registers[who, index]
            wake(leg, clock.now, world)
    return Verdict.WAIT


@aside
def join(who, world):
    """End a leg; the last one wakes the parent and charges it with its own time."""
    token = world.tokens[who]
    parent = world.tokens[token.parent]
    parent.legs -= 1
    if token.reason:
        parent.reason = token.reason
    for index in range(min(token.leaves, LEAVES)):
        if parent.leaves < LEAVES:
            span, copy = world.leaves[who, index], world.leaves[token.parent, parent.leaves]
            later = token.born - parent.born
            copy.start, copy.end, copy.step = span.start + later, span.end + later, span.step
            parent.leaves += 1
    if parent.legs == 0:
        for account in range(ACCOUNTS):
            world.spent[token.parent, account] += world.spent[who, account]
        wake(token.parent, world.clock[0].now, world)
    free(who, world)
    return Verdict.OVER


@part
def gather(who, world):
    """Go on after the last leg, or fail with it."""
    if world.tokens[who].reason:
        return Verdict.FAILED
    return Verdict.NEXT
