"""Forks: legs that run side by side; the parent goes on when enough of them have come in.

FORK    site: first of its legs' starts; jump: how many starts; register: how often each;
        number: how many must succeed, 0 for all; by: a register that gets each leg's number.
JOIN    the end of a leg.
GATHER  behind FORK: the parent fails if too many legs have failed.
STILL   ends a token for whose answer nobody waits any more.

Where all legs count, the parent waits for all.  Where some are enough (a hedge: one of two;
a quorum: w of n), it goes on as soon as these have come in, and the others run on for nothing.
"""

import numpy as np

from engine.kernel.agenda import wake
from engine.kernel.compile import aside, part
from engine.kernel.pool import unwind
from engine.kernel.scope import die, disarm
from engine.kernel.tables import ACCOUNTS, LEAVES, NOBODY, REGISTERS, State, Verdict
from engine.kernel.tokens import free, fresh


@aside
def fork(step, who, world):
    """Send the legs off."""
    parent, clock = world.tokens[who], world.clock[0]
    parent.legs = step.jump * step.register
    parent.needed = int(step.number) if step.number > 0.0 else parent.legs
    parent.state, parent.began, parent.reason = State.JOINING, clock.now, 0
    clock.tickets += 1
    parent.ticket = clock.tickets & 0x7FFFFFFF
    number = 0
    for _ in range(step.register):
        for start in range(step.site, step.site + step.jump):
            number += 1
            leg = fresh(world)
            token = world.tokens[leg]
            token.root, token.request, token.born = parent.root, parent.request, clock.now
            token.key, token.journey, token.user = parent.key, parent.journey, parent.user
            token.source, token.parent, token.bound = parent.source, who, parent.ticket
            # A prime, so that the legs of forks within legs draw numbers of their own.
            token.visit = (np.int64(parent.visit) * 1000003 + number * 4096) & 0x7FFFFFFF
            token.step = world.starts[start]
            for index in range(REGISTERS):
                world.registers[leg, index] = world.registers[who, index]
            if step.by:
                world.registers[leg, step.by] = number - 1
            wake(leg, clock.now, world)
    return Verdict.WAIT


@part
def awaited(token, world):
    """Return whether the parent of a leg still waits for it."""
    parent = world.tokens[token.parent]
    return parent.state == State.JOINING and parent.ticket == token.bound


@aside
def join(who, well, world):
    """End a leg, well or not; the one that decides wakes its parent and charges it its time."""
    token = world.tokens[who]
    parent = world.tokens[token.parent]
    if not awaited(token, world):
        world.clock[0].wasted += 1
        free(who, world)
        return Verdict.OVER
    parent.legs -= 1
    if well:
        parent.needed -= 1
    else:
        parent.reason = token.reason
    for index in range(min(token.leaves, LEAVES)):
        if parent.leaves < LEAVES:
            span, copy = world.leaves[who, index], world.leaves[token.parent, parent.leaves]
            later = token.born - parent.born
            copy.start, copy.end, copy.step = span.start + later, span.end + later, span.step
            parent.leaves += 1
    some = world.steps[parent.step - 1].number > 0.0
    enough = parent.needed == 0
    if some and enough:
        parent.reason = 0
    if parent.legs == 0 or (some and (enough or parent.legs < parent.needed)):
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


@aside
def still(who, world):
    """Go on only while somebody waits for the answer."""
    token = world.tokens[who]
    orphan = token.orphan != NOBODY
    if not orphan and (token.parent == NOBODY or awaited(token, world)):
        return Verdict.NEXT
    while token.depth > 0:
        token.depth -= 1
        disarm(who, token.depth, world)
    if orphan:
        die(who, world)
    else:
        unwind(who, 0, world)
        free(who, world)
    return Verdict.OVER
