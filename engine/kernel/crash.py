"""Crashes: those whom a dead server had in hand fail, all at once.

Who holds a slot of it, or stands in its line, is unwound to the innermost try that was opened
before: tries within a dead server die with it.  A message goes back to its partition.
"""

from engine.kernel.agenda import wake
from engine.kernel.channel import put_back
from engine.kernel.compile import aside, door
from engine.kernel.pool import leave_line, unwind
from engine.kernel.scope import cut_short, die, disarm
from engine.kernel.share import break_off
from engine.kernel.tables import NOBODY, State


@door
def crash(doomed, floors, reason, redelivers, world):
    """Let tokens fail, each down to the holds that it keeps."""
    for index in range(len(doomed)):
        step_out(doomed[index], world)
    for index in range(len(doomed)):
        strike(doomed[index], floors[index], reason, redelivers, world)


@aside
def step_out(who, world):
    """Take a token out of what it waits for; the time that it was at it is booked."""
    token = world.tokens[who]
    cut_short(who, who, world)
    if token.state == State.QUEUED:
        world.meters[world.pools[token.queue].meter].failed += 1
        leave_line(who, world)
    elif token.state == State.SHARING:
        break_off(who, world)
    token.state, token.order, token.needed = State.EVENT, NOBODY, 0


@aside
def strike(who, floor, reason, redelivers, world):
    """Let a token fail at the next turn of the loop, without the tries and slots above a floor."""
    token, now = world.tokens[who], world.clock[0].now
    back = now
    while token.depth > 0 and world.scopes[who, token.depth - 1].holds > floor:
        token.depth -= 1
        scope = world.scopes[who, token.depth]
        if scope.lane != NOBODY and world.retries[world.steps[scope.step].jump].keeps:
            back = scope.due  # nobody else sees the message before
        disarm(who, token.depth, world)
    unwind(who, floor, world)
    if token.orphan >= token.depth:  # the try that it was an orphan of is gone
        die(who, world)
        return
    token.reason = reason
    if redelivers and floor == 0 and token.channel != NOBODY and token.orphan == NOBODY:
        put_back(who, back, world)
        return
    token.step = len(world.steps) - 1
    wake(who, now, world)
