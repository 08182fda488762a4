"""Samples: how a store finds a key to let go without knowing the order of all.

The rules of Redis 7.0 (evict.c, object.c): some keys are drawn at random, the worst of them
join a pool of 16 that outlives the draw, and the worst of the pool goes.  Worst is what was
not asked for the longest, by a clock of whole seconds (LRU), or what is asked for least, by a
counter that grows with the logarithm of the hits and loses one a minute (LFU).

Of an entry of such a store, `before` is its place among the residents and `behind` what the
rule remembers: the second of the last hit, or minute * 256 + counter.
"""

import numpy as np

from engine.kernel.compile import aside, part
from engine.kernel.randomness import uniform
from engine.kernel.tables import NOBODY, VICTIMS, Sample

ABSENT = -2
FIRST_COUNT = 5  # LFU_INIT_VAL
LOG_FACTOR = 10  # lfu-log-factor
COUNT_MAX = 255
MINUTE = 60.0  # lfu-decay-time 1


@part
def touch(store, entry, u, now):
    """Note a hit."""
    if store.sample == Sample.LRU:
        entry.behind = int(now)
    elif store.sample == Sample.LFU:
        count = faded(entry.behind, now)
        if count < COUNT_MAX:
            count += u < 1.0 / (max(0, count - FIRST_COUNT) * LOG_FACTOR + 1.0)
        entry.behind = int(now / MINUTE) * 256 + count


@aside
def faded(memory, now):
    """Return a counter, less one for each minute since it was last touched."""
    return max(0, memory % 256 - (int(now / MINUTE) - memory // 256))


@aside
def move_in(store, key, world):
    """Put a key among the residents; its store has counted it already."""
    entry, now = world.entries[store.first + key], world.clock[0].now
    entry.before = store.count - 1
    world.residents[store.residents + entry.before] = key
    entry.behind = int(now)
    if store.sample == Sample.LFU:
        entry.behind = int(now / MINUTE) * 256 + FIRST_COUNT


@aside
def move_out(store, key, world):
    """Take a key from among the residents; its store counts it out afterwards."""
    entry = world.entries[store.first + key]
    last = world.residents[store.residents + store.count - 1]
    world.residents[store.residents + entry.before] = last
    world.entries[store.first + last].before = entry.before


@aside
def evict_worst(store, step, token, world):
    """Let go of one key."""
    if store.sample == Sample.RANDOM:
        let_go(store, some_key(store, step, token, 1, world), world)
        return
    for attempt in range(64):
        for number in range(store.samples):
            turn = attempt * store.samples + number + 1
            candidate(store, some_key(store, step, token, turn, world), world)
        for place in range(VICTIMS - 1, -1, -1):
            victim = world.victims[store.victims + place]
            key = victim.key
            if key == NOBODY:
                continue
            victim.key = NOBODY
            if world.entries[store.first + key].before != ABSENT:
                let_go(store, key, world)
                close_gap(store, place, world)
                return
            close_gap(store, place, world)
    let_go(store, world.residents[store.residents], world)


@aside
def some_key(store, step, token, turn, world):
    """Return a resident key drawn at random."""
    u = uniform(token.root, step.label + np.uint64(turn), token.visit)
    return world.residents[store.residents + int(u * store.count)]


@aside
def let_go(store, key, world):
    """Take a key out."""
    move_out(store, key, world)
    entry = world.entries[store.first + key]
    entry.until = 0.0
    entry.before = entry.behind = ABSENT
    store.count -= 1


@aside
def candidate(store, key, world):
    """Let a key into the pool, which is sorted, the worst last, if it is bad enough."""
    memory, now = world.entries[store.first + key].behind, world.clock[0].now
    score = int(now) - memory
    if store.sample == Sample.LFU:
        score = COUNT_MAX - faded(memory, now)
    first, held = store.victims, 0
    while held < VICTIMS and world.victims[first + held].key != NOBODY:
        held += 1
    place = 0
    while place < held and world.victims[first + place].score < score:
        place += 1
    if held == VICTIMS:
        if place == 0:
            return
        place -= 1
        for index in range(place):
            world.victims[first + index].key = world.victims[first + index + 1].key
            world.victims[first + index].score = world.victims[first + index + 1].score
    else:
        for index in range(held, place, -1):
            world.victims[first + index].key = world.victims[first + index - 1].key
            world.victims[first + index].score = world.victims[first + index - 1].score
    world.victims[first + place].key = key
    world.victims[first + place].score = score


@aside
def close_gap(store, place, world):
    """Move what stood behind an emptied place of the pool up."""
    first = store.victims
    while place + 1 < VICTIMS and world.victims[first + place + 1].key != NOBODY:
        world.victims[first + place].key = world.victims[first + place + 1].key
        world.victims[first + place].score = world.victims[first + place + 1].score
        world.victims[first + place + 1].key = NOBODY
        place += 1
