"""Tries: a piece of program that may fail, be given up after a time, and be tried again.

TRY   site: the lane of its timer or NOBODY; dist: how long until given up; jump: its Retry
      row; account: of the time between tries.  A piece runs from here to DONE.
DONE  the end of the piece.
FAIL  reason: why.

A server does not know that its client has gone.  When a timer runs out, the token that is
on its way goes on as an *orphan* that holds what it holds and dies at its DONE; an *heir*
takes over the request and what was held before the piece began, and tries again or fails.
Where the rule `keeps`, the orphan keeps all it holds: a worker stays busy with a message that
has been given to another.
Timers of one length stand in a lane, in order, so that starting one and stopping it costs
no event.
"""

import math

from engine.kernel.agenda import put, wake
from engine.kernel.channel import go_on
from engine.kernel.compile import aside, part
from engine.kernel.limit import spend
from engine.kernel.pool import leave_line, unwind
from engine.kernel.randomness import draw, uniform
from engine.kernel.record import leaf
from engine.kernel.tables import (
    ACCOUNTS,
    LEAVES,
    NOBODY,
    REGISTERS,
    SCOPES,
    Kind,
    Reason,
    State,
    Verdict,
)
from engine.kernel.tokens import free, fresh

NO_JITTER, FULL_JITTER, EQUAL_JITTER, DECORRELATED = 0, 1, 2, 3


@part
def open_try(step, who, world):
    """Begin a try, or begin it again after a rest."""
    token = world.tokens[who]
    row = token.step - 1
    depth = token.depth
    if (
        depth > 0
        and world.scopes[who, depth - 1].resting
        and world.scopes[who, depth - 1].step == row
    ):
        depth -= 1
        world.scopes[who, depth].resting = 0
    else:
        scope = world.scopes[who, depth]
        scope.step, scope.holds, scope.attempt, scope.resting = row, token.holds, 0, 0
        scope.lane = NOBODY
        token.depth = depth + 1
    if step.site != NOBODY:
        patience = draw(world.dists[step.dist], token.root, step.label, token.visit, world)
        arm(who, depth, step.site, world.clock[0].now + patience, world)
    return Verdict.NEXT


@part
def close_try(who, world):
    """End a try well; an orphan of this try dies here."""
    token = world.tokens[who]
    token.depth -= 1
    depth = token.depth
    disarm(who, depth, world)
    if token.orphan == depth:
        die(who, world)
        return Verdict.OVER
    return Verdict.NEXT


@aside
def die(who, world):
    """End an orphan: its work was for nothing."""
    channel, worker = world.tokens[who].channel, world.holds[who, 0].pool
    unwind(who, 0, world)
    world.clock[0].wasted += 1
    free(who, world)
    if channel != NOBODY:  # a worker whose message has long been given to another
        world.channels[channel].lapsed -= 1
        go_on(channel, worker, world)


@aside
def retry_or_fail(who, world):
    """Unwind a failed token to its innermost try and try again; else FAILED: the end of it."""
    token = world.tokens[who]
    if token.reason == Reason.NONE:
        token.reason = Reason.REFUSED
    while token.depth > 0:
        depth = token.depth - 1
        scope = world.scopes[who, depth]
        unwind(who, scope.holds, world)
        disarm(who, depth, world)
        if token.orphan == depth:
            die(who, world)
            return Verdict.OVER
        step = world.steps[scope.step]
        policy = world.retries[step.jump]
        if scope.attempt + 1 < policy.attempts and affordable(policy, world):
            scope.attempt += 1
            scope.resting = 1
            token.visit += 1
            token.step = scope.step
            rest = backoff(policy, scope.attempt, token, step)
            if rest <= 0.0:
                return Verdict.NEXT
            now = world.clock[0].now
            leaf(who, now, now + rest, scope.step, step.account, world)
            wake(who, now + rest, world)
            return Verdict.WAIT
        token.depth = depth
        if policy.otherwise != NOBODY:
            token.step = policy.otherwise
            return Verdict.NEXT
    unwind(who, 0, world)
    return Verdict.FAILED


@aside
def affordable(policy, world):
    """Return whether the retry budget has one left, and take it."""
    return policy.budget == NOBODY or spend(world.limits[policy.budget], world.clock[0].now)


@aside
def backoff(policy, attempt, token, step):
    """Return the rest before retry number `attempt`: exponential, capped, with jitter.

    M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """
    if policy.jitter == DECORRELATED:
        return decorrelated(policy, attempt, token, step)
    rest = policy.rest
    for _ in range(attempt - 1):
        rest = min(policy.cap, rest * 2.0)
    if policy.jitter == NO_JITTER or rest <= 0.0:
        return rest
    u = uniform(token.root, step.label, token.visit)
    if policy.jitter == FULL_JITTER:
        return rest * u
    return rest * (0.5 + 0.5 * u)


@aside
def decorrelated(policy, attempt, token, step):
    """Return a rest between the shortest and three times the one before (Brooker 2015)."""
    rest = policy.rest
    for number in range(1, attempt + 1):
        u = uniform(token.root, step.label, token.visit - (attempt - number))
        rest = min(policy.cap, policy.rest + u * (3.0 * rest - policy.rest))
    return rest


# ---------------------------------------------------------------- timers


@part
def arm(who, depth, lane_index, due, world):
    """Start a try's timer: join the lane, from its end, in order of time."""
    lane = world.lanes[lane_index]
    node = who * SCOPES + depth
    scope = world.scopes[who, depth]
    scope.due, scope.lane = due, lane_index
    before = lane.tail
    while before != NOBODY and world.scopes[before // SCOPES, before % SCOPES].due > due:
        before = world.scopes[before // SCOPES, before % SCOPES].before
    if before == NOBODY:
        behind = lane.head
        lane.head = node
    else:
        ahead = world.scopes[before // SCOPES, before % SCOPES]
        behind = ahead.behind
        ahead.behind = node
    scope.before, scope.behind = before, behind
    if behind == NOBODY:
        lane.tail = node
    else:
        world.scopes[behind // SCOPES, behind % SCOPES].before = node
    if due < lane.armed:
        alarm(lane_index, due, world)


@part
def alarm(lane_index, due, world):
    """Put the lane's earliest timer on the agenda; what was there before counts no more."""
    lane = world.lanes[lane_index]
    lane.armed = due
    lane.order = put(due, lane_index * 4 + Kind.LANE, world)


@part
def disarm(who, depth, world):
    """Stop a try's timer, if it has one."""
    scope = world.scopes[who, depth]
    if scope.lane == NOBODY:
        return
    lane = world.lanes[scope.lane]
    if scope.before == NOBODY:
        lane.head = scope.behind
    else:
        world.scopes[scope.before // SCOPES, scope.before % SCOPES].behind = scope.behind
    if scope.behind == NOBODY:
        lane.tail = scope.before
    else:
        world.scopes[scope.behind // SCOPES, scope.behind % SCOPES].before = scope.before
    scope.lane = NOBODY


@aside
def due_timer(lane_index, world):
    """Return the heir of the lane's first try if its time is up; set the alarm for the next."""
    lane, now = world.lanes[lane_index], world.clock[0].now
    heir = NOBODY
    if lane.head != NOBODY:
        first = lane.head
        if world.scopes[first // SCOPES, first % SCOPES].due <= now:
            heir = give_up(first // SCOPES, first % SCOPES, world)
    if lane.head == NOBODY:
        lane.armed = math.inf
        lane.order = NOBODY
    else:
        due = world.scopes[lane.head // SCOPES, lane.head % SCOPES].due
        alarm(lane_index, max(due, now), world)
    return heir


@aside
def give_up(who, depth, world):
    """Split a token whose time is up into an orphan and its heir; return the heir."""
    disarm(who, depth, world)
    heir = fresh(world)
    token = world.tokens[who]
    spare_behind = world.tokens[heir].behind
    world.tokens[heir] = world.tokens[who]
    new = world.tokens[heir]
    new.behind = spare_behind
    for index in range(REGISTERS):
        world.registers[heir, index] = world.registers[who, index]
    for account in range(ACCOUNTS):
        world.spent[heir, account] = world.spent[who, account]
    for index in range(min(token.leaves, LEAVES)):
        world.leaves[heir, index] = world.leaves[who, index]
    policy = world.retries[world.steps[world.scopes[who, depth].step].jump]
    kept = 0 if policy.keeps else world.scopes[who, depth].holds
    if policy.keeps:
        world.holds[heir, 0].pool = NOBODY
    for index in range(kept):
        world.holds[heir, index] = world.holds[who, index]
        world.holds[who, index].pool = NOBODY
    for outer in range(depth + 1):
        inherit_scope(who, heir, outer, world)
    new.holds, new.depth, new.reason = kept, depth + 1, Reason.TIMED_OUT
    new.queue, new.legs, new.needed = NOBODY, 0, 0
    cut_short(who, heir, world)
    token.orphan, token.parent = depth, NOBODY
    if not policy.keeps:
        token.channel = NOBODY
    elif token.channel != NOBODY:
        world.channels[token.channel].lapsed += 1
    if policy.cancels and token.state == State.QUEUED:
        world.meters[world.pools[token.queue].meter].failed += 1
        leave_line(who, world)
        while token.depth > depth:
            token.depth -= 1
            disarm(who, token.depth, world)
        die(who, world)
    return heir


@aside
def inherit_scope(who, heir, depth, world):
    """Move an outer try, and its running timer, from a token to its heir."""
    old = world.scopes[who, depth]
    world.scopes[heir, depth] = world.scopes[who, depth]
    if old.lane == NOBODY:
        return
    node = heir * SCOPES + depth
    lane = world.lanes[old.lane]
    if old.before == NOBODY:
        lane.head = node
    else:
        world.scopes[old.before // SCOPES, old.before % SCOPES].behind = node
    if old.behind == NOBODY:
        lane.tail = node
    else:
        world.scopes[old.behind // SCOPES, old.behind % SCOPES].before = node
    old.lane = NOBODY


@aside
def cut_short(who, heir, world):
    """Charge the heir for what its predecessor was at, up to now and no further."""
    token, new, now = world.tokens[who], world.tokens[heir], world.clock[0].now
    row = token.step - 1
    if token.state != State.EVENT:  # in a line, waiting for legs, or on a processor it shares
        leaf(heir, token.began, now, row, world.steps[row].account, world)
        return
    index = min(new.leaves, LEAVES) - 1
    since = now - new.born
    while index >= 0 and world.leaves[heir, index].end > since:
        span = world.leaves[heir, index]
        account = world.steps[span.step].account
        world.spent[heir, account] -= span.end - max(span.start, since)
        span.start, span.end = min(span.start, since), since
        index -= 1
