"""Stores: keys with a time to live and a rule for which goes when the store is full.

GET   site + register[by]: the store; jump: where a hit goes on.
PUT   store the token's key for the store's time to live.
DROP  forget the token's key.

A key that has expired stays in place until it is asked for, overwritten or evicted, as in
Redis.  The list of recency, which is also that of age, is kept only where eviction can happen
at all; stores that sample (`sample.py`) keep their keys in no order.
"""

import math

import numpy as np

from engine.kernel.compile import aside, part
from engine.kernel.randomness import draw, mix, uniform
from engine.kernel.sample import evict_worst, move_in, move_out, touch
from engine.kernel.tables import NOBODY, Keep, Verdict

ABSENT = -2


@part
def get(step, who, world):
    """Look the token's key up; on a hit jump."""
    store, token = world.stores[step.site + world.registers[who, step.by]], world.tokens[who]
    key = token.key if store.personal == 0 else own(store, token)
    entry = world.entries[store.first + key]
    store.gets += 1
    if entry.until > world.clock[0].now:
        if store.fancy and not fancy_hit(step, store, key, token, world):
            return Verdict.NEXT
        store.hits += 1
        if store.bounded == Keep.RECENT and store.head != key:
            unlink(store, key, world)
            to_front(store, key, world)
        token.step = step.jump
    elif entry.before != ABSENT:
        store.expired += 1
    return Verdict.NEXT


@part
def own(store, token):
    """Return where a user's own copy of a key stands: users and keys are hashed together."""
    bits = mix((np.uint64(token.user) << np.uint64(32)) ^ np.uint64(token.key))
    return int(np.int64(bits >> np.uint64(1)) % store.keys)


@aside
def fancy_hit(step, store, key, token, world):
    """Do what only some stores do on a hit; return False where it shall count as a miss.

    Early expiry is XFetch (A. Vattani, F. Chierichetti, K. Lowenstein, "Optimal Probabilistic
    Cache Stampede Prevention", VLDB 2015): the nearer the end, the likelier a refresh.
    """
    entry, now = world.entries[store.first + key], world.clock[0].now
    if store.early > 0.0:
        u = uniform(token.root, step.label, token.visit)
        if entry.until - now <= -store.early * math.log(u):
            store.refreshed += 1
            return False
    if store.bounded == Keep.SAMPLED:
        u = uniform(token.root, step.label + np.uint64(1), token.visit)
        touch(store, entry, u, now)
    if store.sliding:
        lives = draw(world.dists[store.ttl], token.root, step.label, token.visit, world)
        entry.until = now + lives
    return True


@aside
def put(step, who, world):
    """Store the token's key; a full store lets another go first, or does not take it."""
    store, token = world.stores[step.site + world.registers[who, step.by]], world.tokens[who]
    key = token.key if store.personal == 0 else own(store, token)
    entry = world.entries[store.first + key]
    lives = draw(world.dists[store.ttl], token.root, step.label, token.visit, world)
    if lives <= 0.0 or store.capacity == 0:
        return Verdict.NEXT
    listed = store.bounded == Keep.RECENT or store.bounded == Keep.OLDEST  # noqa: PLR1714
    if entry.before == ABSENT:
        if store.bounded == Keep.STATIC and store.count >= store.capacity:
            return Verdict.NEXT
        while store.bounded != Keep.ALL and store.count >= store.capacity:
            if store.bounded == Keep.SAMPLED:
                evict_worst(store, step, token, world)
            else:
                remove(store, store.tail, world)
            store.evicted += 1
        store.count += 1
        if listed:
            to_front(store, key, world)
        elif store.bounded == Keep.SAMPLED:
            move_in(store, key, world)
        else:
            entry.before = NOBODY
    elif store.bounded == Keep.RECENT:
        unlink(store, key, world)
        to_front(store, key, world)
    entry.until = world.clock[0].now + lives
    return Verdict.NEXT


@aside
def drop(step, who, world):
    """Forget the token's key."""
    store, token = world.stores[step.site + world.registers[who, step.by]], world.tokens[who]
    key = token.key if store.personal == 0 else own(store, token)
    if world.entries[store.first + key].before != ABSENT:
        remove(store, key, world)
        store.drops += 1
    return Verdict.NEXT


@part
def remove(store, key, world):
    """Take a key out of a store."""
    entry = world.entries[store.first + key]
    if store.bounded == Keep.RECENT or store.bounded == Keep.OLDEST:  # noqa: PLR1714
        unlink(store, key, world)
    elif store.bounded == Keep.SAMPLED:
        move_out(store, key, world)
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
