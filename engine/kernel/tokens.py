"""Tokens: what walks a program, one for each try of a request, leg of a fork, message."""

from engine.kernel.compile import part
from engine.kernel.tables import ACCOUNTS, NOBODY, State


@part
def fresh(world):
    """Take a token off the free list; the loop has made sure that there is one."""
    clock = world.clock[0]
    who = clock.free
    token = world.tokens[who]
    clock.free = token.behind
    clock.spare -= 1
    token.state = State.EVENT
    token.visit = token.depth = token.holds = token.leaves = token.reason = token.legs = 0
    token.orphan = token.parent = token.channel = token.queue = NOBODY
    for account in range(ACCOUNTS):
        world.spent[who, account] = 0.0
    return who


@part
def free(who, world):
    """Give a token back."""
    clock, token = world.clock[0], world.tokens[who]
    token.state = State.FREE
    token.order = NOBODY
    token.behind = clock.free
    clock.free = who
    clock.spare += 1
