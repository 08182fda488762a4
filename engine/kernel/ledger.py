"""Ledgers: when each key was last written.

MARK   site: the ledger in which the token's key is written now.
CHECK  site: the ledger; dist: a lag.  Counts a stale read if the key was written within it.
RECENT site: the ledger; number: seconds; jump: where to go on if the key was not written in them.
STAMP  site: the ledger; register: where to note the key's version.
VERIFY site: the ledger; register: the version noted; reason: when the key has another by now.

One ledger tells which reads of a lagging replica are stale; another is a write buffer, which
knows how many writes, and of how many distinct keys, have come since it was last opened.
"""

import numpy as np

from engine.kernel.compile import aside
from engine.kernel.randomness import draw
from engine.kernel.tables import Verdict


@aside
def mark(step, who, world):
    """Write the token's key."""
    ledger, key = world.ledgers[step.site], world.tokens[who].key
    if world.marks[ledger.first + key] < ledger.opened:
        ledger.distinct += 1
    ledger.marks += 1
    world.marks[ledger.first + key] = world.clock[0].now
    return Verdict.NEXT


@aside
def check(step, who, world):
    """Count a read, and whether it came before the last write had arrived."""
    ledger, token = world.ledgers[step.site], world.tokens[who]
    dist = world.dists[step.dist + world.registers[who, step.by]]
    lag = draw(dist, token.root, step.label, token.visit, world)
    ledger.checks += 1
    if world.clock[0].now - world.marks[ledger.first + token.key] < lag:
        ledger.stale += 1
    return Verdict.NEXT


@aside
def recent(step, who, world):
    """Jump unless the token's key was written a short time ago."""
    ledger, token = world.ledgers[step.site], world.tokens[who]
    if world.clock[0].now - world.marks[ledger.first + token.key] > step.number:
        token.step = step.jump
    return Verdict.NEXT


@aside
def version(ledger, key, world):
    """Return a number that is another after each write of a key: the time of it, folded."""
    bits = np.float64(world.marks[ledger.first + key]).view(np.int64)
    return (bits ^ (bits >> 32)) & 0x7FFFFFFF


@aside
def stamp(step, who, world):
    """Note the version of the token's key."""
    found = version(world.ledgers[step.site], world.tokens[who].key, world)
    world.registers[who, step.register] = found
    return Verdict.NEXT


@aside
def verify(step, who, world):
    """Fail if the token's key was written since its version was noted."""
    token = world.tokens[who]
    found = version(world.ledgers[step.site], token.key, world)
    if world.registers[who, step.register] == found:
        return Verdict.NEXT
    token.reason = step.reason
    return Verdict.FAILED
