"""Pools: a number of equal slots and one line, first come, first served.

SEIZE  site + register[by]: the pool; account: of the wait; reason: when the line is full, but for
       a pool that has a reason of its own.
RELEASE  the slot that the token took last.
SHED  site + register[by]: the pool; number: the line at which to fail; reason: why.
"""

from engine.kernel.agenda import wake
from engine.kernel.compile import aside, part
from engine.kernel.record import bin_of, leaf
from engine.kernel.tables import NOBODY, State, Verdict


@part
def settle(pool, now):
    """Bring the time integrals of a pool up to now."""
    elapsed = now - pool.last
    pool.busy_area += pool.busy * elapsed
    pool.waiting_area += pool.waiting * elapsed
    pool.last = now


@part
def seize(step, who, world):
    """Take a slot, or stand in line for one, or be refused because the line is full."""
    index = step.site + world.registers[who, step.by]
    pool, now = world.pools[index], world.clock[0].now
    world.meters[pool.meter].asked += 1
    if pool.busy < pool.slots:
        settle(pool, now)
        pool.busy += 1
        grant(who, index, now, now, world)
        return Verdict.NEXT
    if 0 <= pool.room <= pool.waiting:
        world.meters[pool.meter].failed += 1
        world.tokens[who].reason = pool.reason or step.reason
        return Verdict.FAILED
    settle(pool, now)
    token = world.tokens[who]
    token.state, token.queue, token.began = State.QUEUED, index, now
    token.before, token.behind = pool.tail, NOBODY
    if pool.tail == NOBODY:
        pool.head = who
    else:
        world.tokens[pool.tail].behind = who
    pool.tail = who
    pool.waiting += 1
    return Verdict.WAIT


@aside
def shed(step, who, world):
    """Fail a token before it joins a line that is too long for it."""
    pool = world.pools[step.site + world.registers[who, step.by]]
    if pool.busy < pool.slots or pool.waiting < step.number:
        return Verdict.NEXT
    world.tokens[who].reason = step.reason
    return Verdict.FAILED


@part
def grant(who, index, asked, now, world):
    """Note that a token holds a slot which it asked for at `asked`."""
    token = world.tokens[who]
    hold = world.holds[who, token.holds]
    hold.pool, hold.asked, hold.got = index, asked, now
    token.holds += 1
    meter = world.pools[index].meter
    world.meters[meter].wait += now - asked
    world.waits[meter, bin_of(now - asked)] += 1


@part
def leave_line(who, world):
    """Take a token out of the line that it stands in."""
    token = world.tokens[who]
    pool = world.pools[token.queue]
    settle(pool, world.clock[0].now)
    if token.before == NOBODY:
        pool.head = token.behind
    else:
        world.tokens[token.before].behind = token.behind
    if token.behind == NOBODY:
        pool.tail = token.before
    else:
        world.tokens[token.behind].before = token.before
    pool.waiting -= 1
    token.queue = NOBODY


@part
def admit(index, world):
    """Give a free slot to the first in line and let it walk on."""
    pool, now = world.pools[index], world.clock[0].now
    lucky = pool.head
    token = world.tokens[lucky]
    leave_line(lucky, world)
    pool.busy += 1
    grant(lucky, index, token.began, now, world)
    row = token.step - 1
    leaf(lucky, token.began, now, row, world.steps[row].account, world)
    wake(lucky, now, world)


@part
def release(who, well, world):
    """Give back the slot taken last; `well` says whether the work was done or broken off."""
    token, now = world.tokens[who], world.clock[0].now
    token.holds -= 1
    hold = world.holds[who, token.holds]
    index = hold.pool
    if index == NOBODY:  # its heir holds it
        return
    pool = world.pools[index]
    meter = world.meters[pool.meter]
    stay = now - hold.asked
    if well:
        meter.served += 1
        meter.stay += stay
        world.stays[pool.meter, bin_of(stay)] += 1
    else:
        meter.failed += 1
    meter.work += now - hold.got
    settle(pool, now)
    pool.busy -= 1
    if pool.head != NOBODY and pool.busy < pool.slots:
        admit(index, world)


@aside
def unwind(who, down_to, world):
    """Give back every slot above `down_to`, as a failure does."""
    while world.tokens[who].holds > down_to:
        release(who, False, world)
