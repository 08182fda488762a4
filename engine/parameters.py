"""Parameters: what a change may touch while a run goes on, and what it may not."""

import numpy as np

from engine.kernel.world import World

# What a change may touch: parameters, never state.
PARAMETERS = {
    "steps": ("number", "dist", "jump"),
    "dists": ("family", "first", "count", "a", "b", "c"),
    "pools": ("slots", "room", "weight", "ceiling", "backup"),
    "groups": ("policy", "count", "draws"),
    "peers": ("max_fails", "timeout", "row_max", "rest", "most"),
    "stores": ("capacity", "ttl", "sliding", "sample", "samples", "early", "fancy"),
    "retries": ("attempts", "cancels", "jitter", "keeps", "rest", "cap"),
    "limits": ("rate", "burst", "window"),
    "breakers": ("failures", "probes", "rest"),
    "processors": ("cores",),
    "channels": ("workers", "again", "attempts", "room", "prefetch", "retention", "travel"),
    "partitions": ("worker",),
}

# What a change may not touch: state is laid out by it.
LAYOUT = {
    "keyspaces": ("first", "count", "guides"),
    "choices": ("first", "count"),
    "stores": ("first", "keys", "bounded", "personal", "residents", "victims"),
    "ledgers": ("first",),
    "groups": ("first", "watched"),
    "pools": ("meter",),
    "retries": ("budget",),
    "processors": ("pool",),
    "channels": ("first", "partitions", "start", "meter"),
    "sources": ("users", "journeys", "starts", "arrive"),
}
SHARED = ("lookups", "popularity", "starts")


def laid_out_alike(world: World, fresh: World) -> bool:
    """Return whether two worlds have the same places in the same tables."""
    return (
        all(np.array_equal(getattr(world, n), getattr(fresh, n)) for n in SHARED)
        and all(len(getattr(world, n)) == len(getattr(fresh, n)) for n in PARAMETERS)
        and (world.sources["rate"] < 0).tolist() == (fresh.sources["rate"] < 0).tolist()
        and all(
            np.array_equal(getattr(world, name)[field], getattr(fresh, name)[field])
            for name, fields in LAYOUT.items()
            for field in fields
        )
    )
