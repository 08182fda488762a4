"""Choices: which server, which of several ways, which key, which shard.

ROUTE  site + register[by]: the group; register: where to note the pick, as an offset from
       pool `jump`; reason: when no server is eligible; number: the register that remembers
       which servers of a watched group were tried.
SPLIT  site: the choice; register: where to note the index drawn.
KEY    site: the keyspace to draw the token's key from; register: an About; jump: how many keys
       there are where they are not drawn.
SET    register: which to set to `number`.
LOOKUP site: first row of a table by key; register: where to note what stands there.

The algorithms of nginx 1.31.5 (ngx_http_upstream_round_robin.c, _least_conn_module.c,
_ip_hash_module.c) and HAProxy's random(draws), which draws with replacement.
"""

import numpy as np

from engine.kernel.compile import aside, part
from engine.kernel.randomness import uniform
from engine.kernel.tables import NOBODY, TRIED, About, Policy, Verdict
from engine.kernel.watch import hide, unhide

IP_HASH_TRIES = 20


@part
def route(step, who, world):
    """Pick a server of a group and note it."""
    group_index = step.site + world.registers[who, step.by]
    token = world.tokens[who]
    if world.groups[group_index].watched:
        picked = pick_watched(group_index, step, who, world)
    else:
        picked = pick(group_index, token.user, token.root, step.label, token.visit, world)
    if picked == NOBODY:
        token.reason = step.reason
        return Verdict.FAILED
    world.registers[who, step.register] = picked - step.jump
    return Verdict.NEXT


@part
def pick(group_index, client, base, label, visit, world):
    """Return the pool that the group's policy picks, or NOBODY; backups when all else is full."""
    group = world.groups[group_index]
    if group.policy == Policy.ROUND_ROBIN:
        picked = round_robin(group, 0, world)
    elif group.policy == Policy.LEAST:
        picked = least_connections(group, 0, world)
    elif group.policy == Policy.WEIGHTED:
        picked = smooth_weighted(group, 0, world)
    elif group.policy == Policy.IP_HASH:
        picked = ip_hash(group, client, world)
    else:
        picked = random_draws(group, base, label, visit, world)
    if picked == NOBODY:
        picked = smooth_weighted(group, 1, world)
    return picked


@aside
def pick_watched(group_index, step, who, world):
    """Return the pick among servers that neither rest nor were tried for this request."""
    group, token, memory = world.groups[group_index], world.tokens[who], int(step.number)
    tried = world.registers[who, memory]
    hidden = hide(group, tried, world)
    if group.policy == Policy.ROUND_ROBIN:
        picked = smooth_weighted(group, 0, world)
    else:
        picked = pick(group_index, token.user, token.root, step.label, token.visit, world)
    unhide(group, hidden, picked, world)
    if picked != NOBODY and memory > 0 and picked - group.first < TRIED:
        world.registers[who, memory] = tried | 1 << (picked - group.first)
    return picked


@part
def connections(pool):
    """Return how many requests a server has in hand, those in its line included."""
    return pool.busy + pool.waiting


@part
def eligible(pool, backup):
    """Return whether a server may be picked: up, of this class, below its max_conns."""
    return (
        pool.up == 1
        and pool.backup == backup
        and (pool.ceiling == 0 or connections(pool) < pool.ceiling)
    )


@part
def round_robin(group, backup, world):
    """Return the next server in turn."""
    for _ in range(group.count):
        index = group.first + group.turn % group.count
        group.turn = (group.turn + 1) % group.count
        if eligible(world.pools[index], backup):
            return index
    return NOBODY


@aside
def smooth_weighted(group, backup, world):
    """Return nginx's smooth weighted round robin pick: 5:1:1 gives a a b a c a a."""
    best, total = NOBODY, 0
    for index in range(group.first, group.first + group.count):
        pool = world.pools[index]
        if not eligible(pool, backup):
            continue
        pool.current += pool.effective
        total += pool.effective
        if pool.effective < pool.weight:
            pool.effective += 1
        if best == NOBODY or pool.current > world.pools[best].current:
            best = index
    if best != NOBODY:
        world.pools[best].current -= total
    return best


@part
def least_connections(group, backup, world):
    """Return the server with fewest connections for its weight; ties by weighted round robin."""
    best, many = NOBODY, False
    best_load, best_weight = 0, 1
    for index in range(group.first, group.first + group.count):
        pool = world.pools[index]
        if not eligible(pool, backup):
            continue
        load = connections(pool)
        if best == NOBODY or load * best_weight < best_load * pool.weight:
            best, best_load, best_weight, many = index, load, pool.weight, False
        elif load * best_weight == best_load * pool.weight:
            many = True
    if not many:
        return best
    total, winner = 0, NOBODY
    for index in range(group.first, group.first + group.count):
        pool = world.pools[index]
        if not eligible(pool, backup):
            continue
        if connections(pool) * best_weight != best_load * pool.weight:
            continue
        pool.current += pool.effective
        total += pool.effective
        if pool.effective < pool.weight:
            pool.effective += 1
        if winner == NOBODY or pool.current > world.pools[winner].current:
            winner = index
    world.pools[winner].current -= total
    return winner


@aside
def ip_hash(group, client, world):
    """Return nginx's pick by the first three octets of the client's address.

    `client` is those 24 bits.  After twenty bad picks, weighted round robin decides.
    """
    weights = 0
    for index in range(group.first, group.first + group.count):
        weights += world.pools[index].weight
    octets = np.int64(client)
    hashed = np.int64(89)
    for _ in range(IP_HASH_TRIES + 1):
        for shift in range(16, -1, -8):
            hashed = (hashed * 113 + ((octets >> shift) & 255)) % 6271
        left, index = hashed % weights, group.first
        while left >= world.pools[index].weight:
            left -= world.pools[index].weight
            index += 1
        if eligible(world.pools[index], 0):
            return index
    return smooth_weighted(group, 0, world)


@aside
def random_draws(group, base, label, visit, world):
    """Return the least busy of `draws` servers drawn at random (one draw: plain random)."""
    best = NOBODY
    for turn in range(group.draws):
        u = uniform(base, label + np.uint64(turn), visit)
        index = group.first + int(u * group.count)
        if not eligible(world.pools[index], 0):
            continue
        if best == NOBODY or connections(world.pools[index]) < connections(world.pools[best]):
            best = index
    if best == NOBODY:
        return round_robin(group, 0, world)
    return best


@part
def weighted_index(choice, u, world):
    """Return which of a choice's cumulated weights the number u falls under."""
    index = 0
    while index < choice.count - 1 and world.chances[choice.first + index] < u:
        index += 1
    return index


@part
def split(step, who, world):
    """Draw one of several ways by weight."""
    token = world.tokens[who]
    u = uniform(token.root, step.label, token.visit)
    world.registers[who, step.register] = weighted_index(world.choices[step.site], u, world)
    return Verdict.NEXT


@part
def draw_key(step, who, world):
    """Draw the token's key by popularity: inverse transform, from a guide table on."""
    token = world.tokens[who]
    if step.register != About.POPULARITY:
        return take_key(step, who, world)
    space = world.keyspaces[step.site]
    u = uniform(token.root, step.label, 0)  # a retry asks for the same thing
    if space.guides == 0:  # all alike
        token.key = int(u * space.count)
        return Verdict.NEXT
    key = world.guides[space.guide + int(u * space.guides)]
    while world.popularity[space.first + key] < u:
        key += 1
    token.key = key
    return Verdict.NEXT


@part
def take_key(step, who, world):
    """Take the token's key from who asks, from the request's number, or the newest there is."""
    token = world.tokens[who]
    if step.register == About.USER:
        token.key = token.user % step.jump
    elif step.register == About.REQUEST:
        token.key = token.request % step.jump
    else:
        token.key = step.jump - 1
    return Verdict.NEXT


@aside
def set_register(step, who, world):
    """Set a register."""
    world.registers[who, step.register] = int(step.number)
    return Verdict.NEXT


@aside
def look_up(step, who, world):
    """Note what a table holds for the token's key."""
    token = world.tokens[who]
    world.registers[who, step.register] = world.lookups[step.site + token.key]
    return Verdict.NEXT
