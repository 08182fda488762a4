"""Stores: keys with a time to live and, if bounded, eviction of the least recently used.

GET   site + register[by]: the store; jump: where a hit goes on.
PUT   store the token's key for the store's time to live.
DROP  forget the token's key.

A key that has expired stays in place until it is asked for, overwritten or evicted, as in
Redis.  The list of recency is kept only where eviction can happen at all.
"""

from engine.kernel.compile import aside, part
from engine.kernel.randomness import draw
from engine.kernel.tables import NOBODY, Verdict

ABSENT = -2


@part
def get(step, who, world):
    """Look the token's key up; on a hit jump."""
    store, token = world.stores[step.site + world.registers[who, step.by]], world.tokens[who]
    entry = world.entries[store.first + token.key]
    store.gets += 1
    if entry.until > world.clock[0].now:
        store.hits += 1
        if store.bounded and store.head != token.key:
            unlink(store, token.key, world)
            to_front(store, token.key, world)
        token.step = step.jump
    elif entry.before != ABSENT:
        store.expired += 1
    return Verdict.NEXT


@aside
def put(step, who, world):
    """Store the token's key, evicting the least recently used if the store is full."""
    store, token = world.stores[step.site + world.registers[who, step.by]], world.tokens[who]
    entry = world.entries[store.first + token.key]
    lives = draw(world.dists[store.ttl], token.root, step.label, token.visit, world)
    if lives <= 0.0 or store.capacity == 0:
        return Verdict.NEXT
    if entry.before == ABSENT:
        while store.bounded and store.count >= store.capacity:
            remove(store, store.tail, world)
            store.evicted += 1
        store.count += 1
        if not store.bounded:
            entry.before = NOBODY
    elif store.bounded:
        unlink(store, token.key, world)
    if store.bounded:
        to_front(store, token.key, world)
    entry.until = world.clock[0].now + lives
    return Verdict.NEXT


@aside
def drop(step, who, world):
    """Forget the token's key."""
    store, token = world.stores[step.site + world.registers[who, step.by]], world.tokens[who]
    if world.entries[store.first + token.key].before != ABSENT:
        remove(store, token.key, world)
        store.drops += 1
    return Verdict.NEXT


@part
def remove(store, key, world):
    """Take a key out of a store."""
    entry = world.entries[store.first + key]
    if store.bounded:
        unlink(store, key, world)
    entry.until = 0.0
    entry.before = entry.behind = ABSENT
    store.count -= 1


@part
def unlink(store, key, world):
    """Take a key out of the list of recency."""
    entry = world.entries[store.first + key]
    if entry.before == NOBODY:
        store.head = entry.behind
    else:
        world.entries[store.first + entry.before].behind = entry.behind
    if entry.behind == NOBODY:
        store.tail = entry.before
    else:
        world.entries[store.first + entry.behind].before = entry.before


@part
def to_front(store, key, world):
    """Make a key the most recently used."""
    entry = world.entries[store.first + key]
    entry.before, entry.behind = NOBODY, store.head
    if store.head == NOBODY:
        store.tail = key
    else:
        world.entries[store.first + store.head].before = key
    store.head = key
