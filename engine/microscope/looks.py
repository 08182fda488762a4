"""Looks: the state of every real part as plain values, for a page or a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.microscope.shelves import MemoryShelf

if TYPE_CHECKING:
    from engine.microscope.scene import Scene

ROWS_MAX = 50


def state(scene: Scene) -> dict[str, Any]:
    """Return all that is kept, queued, written and not yet written."""
    keys = _redis(scene)
    return {
        "now_seconds": scene.now,
        "on": {
            "redis": scene.parts.behind.redis_name,
            "database": scene.parts.behind.database_name,
        },
        "redis": keys,
        "caches": _caches(scene),
        "queues": _queues(scene),
        "shards": _shards(scene),
        "buffer": {
            name: scene.parts.buffer.held(name)
            for name in scene.script.scenario.datasets
            if f"buffer {name}" in scene.script.named
        },
        "sessions": [row for row in keys if row["key"].startswith("session:")],
        "effects": scene.parts.effects.all(),
        "in_flight": [scene.journal.who(token) for token in scene.walking.values()],
    }


def _redis(scene: Scene) -> list[dict[str, Any]]:
    """Return the keys of the cache's Redis with what they have left to live, seconds."""
    redis: Any = scene.parts.cache
    found = []
    for name in sorted(redis.execute_command("KEYS", "*")):
        kind = redis.execute_command("TYPE", name)
        left = redis.execute_command("PTTL", name)
        value = redis.execute_command("GET", name) if kind == "string" else f"({kind})"
        ttl = left / 1e3 if left >= 0 else None
        found.append({"key": name, "type": kind, "ttl_seconds": ttl, "value": value})
    return found


def _caches(scene: Scene) -> list[dict[str, Any]]:
    """Return the stores, how full they are and how look-ups went."""
    return [
        {
            "store": store.name,
            "station": store.station,
            "entries": len(store.places),
            "capacity": store.capacity,
            "gets": store.gets,
            "hits": store.hits,
            "evicted": store.evicted,
            "redis": not isinstance(store.shelf, MemoryShelf),
        }
        for store in scene.parts.stores
    ]


def _queues(scene: Scene) -> dict[str, Any]:
    """Return what waits and what is pending with whom, by kind of worker."""
    broker, found = scene.parts.broker, {}
    for channel in scene.channels:
        pending, waiting = [], []
        for kind, partition in list(broker.streams):
            if kind == channel.kind:
                where = {"partition": partition}
                pending += [where | row for row in broker.pending(kind, partition)]
                waiting += [where | row for row in broker.waiting(kind, partition)]
        found[channel.kind] = {
            "waiting": waiting,
            "pending": pending,
            "dead": broker.dead(channel.kind),
            "processed": channel.processed,
            "redelivered": channel.redelivered,
        }
    return found


def _shards(scene: Scene) -> list[dict[str, Any]]:
    """Return each shard's rows, and of each replica what it has not applied yet.

    What that is at this moment is told by the mean lag; a query draws its own.
    """
    lag = scene.script.scenario.data.lag.mean_ms / 1e3
    found = []
    for number, shard in enumerate(scene.parts.shards):
        horizon = shard.horizon(scene.now, lag)
        behind = [
            {"lsn": each.lsn, "row": f"{each.dataset} {each.key}", "version": each.version}
            for each in shard.behind(0, horizon)
        ]
        found.append(
            {
                "shard": number,
                "log": len(shard.log),
                "rows": {name: shard.rows(name, ROWS_MAX) for name in shard.datasets},
                "replicas": [
                    {"replica": replica, "applied": horizon, "behind": behind}
                    for replica in range(len(shard.replicas))
                ],
            }
        )
    return found
