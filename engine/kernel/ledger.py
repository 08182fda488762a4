"""Ledgers: when each key was last written.

MARK   site: the ledger in which the token's key is written now.
CHECK  site: the ledger; dist: a lag.  Counts a stale read if the key was written within it.

One ledger tells which reads of a lagging replica are stale; another is a write buffer, which
knows how many writes, and of how many distinct keys, have come since it was last opened.
"""

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
