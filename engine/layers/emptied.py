"""Emptied stores: a cache that restarts, a server that forgets the sessions in its memory."""

from __future__ import annotations

from engine.component import ControlPlane
from engine.kernel.tables import NOBODY

ABSENT = -2  # `before` of a key that a store does not hold


def empty(run: ControlPlane, index: int) -> int:
    """Forget all that a store holds, now; return how many entries that were."""
    world = run.plane.world
    store = world.stores[index]
    first, count = int(store["first"]), int(store["count"])
    entries = world.entries[first : first + int(store["keys"])]
    entries["until"] = 0.0
    entries["before"] = entries["behind"] = ABSENT
    store["count"], store["head"], store["tail"] = 0, NOBODY, NOBODY
    store["drops"] += count
    return count
