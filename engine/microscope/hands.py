"""Hands: what a person can break under the microscope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ScenarioError, close_to
from engine.kernel.tables import NOBODY
from engine.layout import label_hash
from engine.microscope.crash import crash
from engine.microscope.done import Done
from engine.microscope.luck import Dist
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
    text = f"{scene.consumer(pools[index], kind)} is killed, and started anew"
    scene.lives[pools[index]] = scene.lives.get(pools[index], 1) + 1
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
    """Make a replica the primary; what it had not applied by now is lost."""
    scene, shards = scope.scene, scope.parts.shards
    if not 0 <= shard < len(shards):
        raise ScenarioError(f"there are {len(shards)} shards: none has number {shard}")
    replicas = len(shards[shard].replicas)
    if not 0 <= replica < replicas:
        raise ScenarioError(f"shard {shard} has {replicas} replicas: none has number {replica}")
    lag = _lag(scope)
    horizon = shards[shard].horizon(scene.now, lag)
    lost = [
        f"{change.dataset} {change.key}: version {change.version} is lost"
        for change in shards[shard].promote(replica, horizon)
    ]
    text = f"replica {replica + 1}, {lag * 1e3:.1f} ms behind, is the primary of shard {shard + 1}"
    done = Done("SELECT pg_promote()", f"log up to entry {horizon}", tuple(lost))
    scene.journal.note(scene.now, "data.primary", f"{text}: {len(lost)} writes are lost", done)
    return lost


def _lag(scope: Microscope) -> float:
    """Draw how far a replica is behind at this moment, seconds."""
    (family, count, a, b, c), samples = scope.scenario.data.lag.row()
    dist = Dist(int(family), count, a, b, c, tuple(samples))
    return dist.draw(scope.scene.base(len(scope.journal)), label_hash("promotion"), 0)


def split_shard(scope: Microscope) -> list[str]:
    """Add a shard, and move the rows that it owns from now on."""
    scene, parts = scope.scene, scope.parts
    if scope.busy or scope.traffic:
        raise ScenarioError("a shard is split while nobody is on the way: play to the end first")
    before = {
        (name, row["id"]): number
        for number, shard in enumerate(parts.shards)
        for name in shard.datasets
        for row in shard.rows(name, limit=None)
    }
    scope.scenario = scope.scenario.change({"data.shards": len(parts.shards) + 1})
    script = scope.script_of(scope.scenario)
    scope.script = scene.journal.script = script
    parts.take_on(script)
    scene.take_on(script)
    parts.shards.append(parts.shard(len(parts.shards)))
    moved = []
    for (name, key), old in before.items():
        new = parts.shard_of(name, key)
        if new != old:
            parts.shards[old].move(name, key, parts.shards[new])
            moved.append(f"{name} {key}: shard {old + 1} → {new + 1}")
    text = f"there are {len(parts.shards)} shards: {len(moved)} of {len(before)} rows have moved"
    done = Done("INSERT INTO … SELECT …; DELETE FROM …", "", tuple(moved))
    scene.journal.note(scene.now, "data.primary", text, done)
    return moved
