"""Hands: what a person can break under the microscope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ScenarioError, close_to
from engine.kernel.tables import NOBODY
from engine.microscope.crash import crash
from engine.microscope.names import key_name

if TYPE_CHECKING:
    from engine.microscope.microscope import Microscope

CACHE_STATIONS = ("cache.read", "cache.sessions")


def kill_worker(scope: Microscope, kind: str, index: int) -> int:
    """Kill a worker; what it had in hand is delivered again."""
    scene, program = scope.scene, scope.script.program
    known = [channel.kind for channel in scene.channels]
    if kind not in known:
        raise ScenarioError(f"there is no worker {kind!r}{close_to(kind, known)}")
    pools = program.stations[f"asynchronous.{kind}"].pools
    if not 0 <= index < len(pools):
        raise ScenarioError(f"there are {len(pools)} workers of {kind}: none has number {index}")
    reason = program.reason("worker killed")
    scope.script.reasons[reason] = "worker killed"
    text = f"{kind}-{index + 1} is killed"
    scene.journal.note(scene.now, f"asynchronous.{kind}", text)
    struck = crash([pools[index]], reason, scene)
    return sum(token.channel != NOBODY for token in struck)


def crash_cache(scope: Microscope) -> dict[str, dict[str, int]]:
    """Restart the cache, empty; return what was counted and not written yet, by dataset."""
    scene, parts = scope.scene, scope.parts
    lost: dict[str, dict[str, int]] = {}
    for ledger in parts.ledgers:
        what, _, dataset = ledger.name.partition(" ")
        if what == "buffer":
            ledger.open(scene.now)
            held = parts.buffer.held(dataset)
            lost[dataset] = {key_name(dataset, key): count for key, count in held.items()}
    gone = sum(store.empty() for store in parts.stores if store.station in CACHE_STATIONS)
    parts.cache.flushall()
    counts = sum(sum(counted.values()) for counted in lost.values())
    text = f"the cache restarts empty: {gone} entries are gone, {counts} counts are lost for good"
    scene.journal.note(scene.now, "cache.read", text)
    return lost


def promote(scope: Microscope, replica: int, shard: int) -> list[str]:
    """Make a replica the primary; what it had not applied is lost."""
    raise ScenarioError("a replica cannot be promoted yet")


def split_shard(scope: Microscope) -> list[str]:
    """Add a shard."""
    raise ScenarioError("a shard cannot be split yet")
