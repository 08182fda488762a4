"""Disturbances: what is wrong with a step for a while.

DISTURBED  a HOLD, SHARE, GET, PUT, DROP or PUBLISH while row `row` of the disturbances says so:
           its `op` is what the step does else, and from its `behind` on stand the disturbances.

Each makes what takes time take `factor` times as long and `extra` longer, and lets it fail
after that with probability `loss`; with `resend`, it is sent again after so many seconds, then
after twice as long, as TCP does it.  Or, with a `store`, the step passes that store by.  It may be
confined to tokens that hold a slot of certain pools, or whose register `by` has a `value`.
The draws of the step itself stay the same draws.
"""

import numpy as np

from engine.kernel.agenda import wake
from engine.kernel.channel import publish
from engine.kernel.compile import aside, part
from engine.kernel.randomness import GOLDEN, draw, uniform
from engine.kernel.record import leaf
from engine.kernel.share import begin_job
from engine.kernel.store import drop, get, put
from engine.kernel.tables import DOOMED, NOBODY, Op, Verdict

RESENDS, LONGEST = 15, 120.0  # Linux: tcp_retries2; TCP_RTO_MAX, seconds
LOSS = np.uint64(0xD6E8FEB86659FD93)  # sets a step's loss apart from its other draws


@aside
def disturbed(step, row, who, world):
    """Do a step with which something is wrong."""
    op = world.disturbances[row].op
    if op == Op.HOLD or op == Op.SHARE:  # noqa: PLR1714
        return take_longer(op, step, row, who, world)
    if op == Op.PUT or op == Op.DROP:  # noqa: PLR1714
        if passed_by(step, row, who, world):
            return Verdict.NEXT
        return put(step, who, world) if op == Op.PUT else drop(step, who, world)
    token = world.tokens[who]
    if token.needed == -2 - row:  # it has waited here
        token.needed = 0
    else:
        verdict = wait_before(op, step, row, who, world)
        if verdict != Verdict.NEXT:
            return verdict
    if op == Op.PUBLISH:
        return publish(step, who, world)
    if passed_by(step, row, who, world):
        store = world.stores[step.site + world.registers[who, step.by]]
        store.gets += 1
        store.bypassed += 1
        return Verdict.NEXT
    return get(step, who, world)


@aside
def take_longer(op, step, row, who, world):
    """Let time pass, or compute, for longer; perhaps in vain."""
    token, now = world.tokens[who], world.clock[0].now
    dist = world.dists[step.dist]
    if op == Op.HOLD:
        dist = world.dists[step.dist + world.registers[who, step.by]]
    factor, extra, reason = trouble(step, row, who, world)
    took = draw(dist, token.root, step.label, token.visit, world) * factor + extra
    if reason:
        token.reason = reason
    if op == Op.SHARE:
        token.needed = DOOMED if reason else 0
        return begin_job(step, took, who, world)
    leaf(who, now, now + took, row, step.account, world)
    if reason:
        token.step = len(world.steps) - 1
    wake(who, now + took, world)
    return Verdict.WAIT


@aside
def wait_before(op, step, row, who, world):
    """Let time pass before a step that takes none; perhaps in vain."""
    token, now = world.tokens[who], world.clock[0].now
    _, extra, reason = trouble(step, row, who, world)
    if reason:
        token.reason = reason
        token.step = len(world.steps) - 1
        if op == Op.GET:
            world.visits[row] -= 1  # nothing was looked up
    elif extra > 0.0:
        token.step, token.needed = row, -2 - row
        world.visits[row] -= 1  # it comes here again
    else:
        return Verdict.NEXT
    if extra > 0.0:
        leaf(who, now, now + extra, row, step.account, world)
    wake(who, now + extra, world)
    return Verdict.WAIT


@aside
def trouble(step, row, who, world):
    """Return what all disturbances of a step come to: factor, extra seconds, reason to fail or 0.

    The same request is lost at a higher loss if it is lost at a lower one; what is lost `always` is
    lost at every visit, as with a poison message.  What is sent again is late.
    """
    token = world.tokens[who]
    label = step.label
    if label == np.uint64(0):
        label = np.uint64(row + 1) * GOLDEN
    u = uniform(token.root, label ^ LOSS, token.visit)
    alike = uniform(token.root, label ^ LOSS, 0)
    factor, extra, kept, reason = 1.0, 0.0, 1.0, 0
    index = world.disturbances[row].behind
    while index != NOBODY:
        entry = world.disturbances[index]
        if entry.store == NOBODY and concerned(entry, who, world):
            factor *= entry.factor
            extra += entry.extra
            lost = entry.always == 1 and alike > 1.0 - entry.loss
            if entry.resend > 0.0:
                extra += resending(entry, 1.0 - u)
                lost = 1.0 - u < entry.loss ** (RESENDS + 1)
            elif entry.always == 0:
                kept *= 1.0 - entry.loss
                lost = u > kept
            if reason == 0 and lost:
                reason = entry.reason
        index = entry.behind
    return factor, extra, reason


@part
def resending(entry, luck):
    """Return the seconds until what may be lost time and again is there, or is given up."""
    late, rest, chance = 0.0, entry.resend, entry.loss
    for _ in range(RESENDS + 1):
        if luck >= chance:
            break
        late += rest
        rest = min(2.0 * rest, LONGEST)
        chance *= entry.loss
    return late


@aside
def concerned(entry, who, world):
    """Return whether a token is on one of the servers that a disturbance is confined to."""
    if entry.count == NOBODY:
        return True
    for place in range(world.tokens[who].holds):
        pool = world.holds[who, place].pool
        for target in range(entry.first, entry.first + entry.count):
            if world.targets[target] == pool:
                return True
    return False


@aside
def passed_by(step, row, who, world):
    """Return whether a step passes its store by."""
    store = step.site + world.registers[who, step.by]
    index = world.disturbances[row].behind
    while index != NOBODY:
        entry = world.disturbances[index]
        if entry.store == store and world.registers[who, entry.by] == entry.value:
            return True
        index = entry.behind
    return False
