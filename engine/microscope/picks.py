"""Picks: which server, which way, which key, which shard; twin of kernel/choice.py and watch.py."""

from __future__ import annotations

from engine.kernel.tables import NOBODY, TRIED, About, Policy, Verdict
from engine.microscope.luck import MASK, uniform
from engine.microscope.scene import Group, Pool, Scene, Token
from engine.microscope.script import Step

IP_HASH_TRIES = 20
EJECTION_MAX = 300.0


def route(step: Step, token: Token, scene: Scene) -> int:
    """Pick a server of a group and note it."""
    group = scene.groups[step.site + token.registers[step.by]]
    if group.watched:
        picked = _pick_watched(group, step, token, scene)
    else:
        picked = _pick(group, step, token, scene)
    if picked == NOBODY:
        token.reason = step.reason
        why = scene.script.reasons.get(step.reason, "")
        scene.journal.say(scene, token, step, f"nobody to pick: {why}", level="warning")
        return Verdict.FAILED
    token.registers[step.register] = picked - step.jump
    name = scene.script.pool_names.get(picked, f"{step.station} {picked - step.jump + 1}")
    policy = Policy(group.policy).name.lower().replace("_", " ")
    scene.journal.say(scene, token, step, f"{policy} picks {name} of {group.count}")
    return Verdict.NEXT


def _pick(group: Group, step: Step, token: Token, scene: Scene) -> int:
    """Return the pool that the group's policy picks, or NOBODY; backups when all else is full."""
    if group.policy == Policy.ROUND_ROBIN:
        picked = _round_robin(group, scene)
    elif group.policy == Policy.LEAST:
        picked = _least_connections(group, scene)
    elif group.policy == Policy.WEIGHTED:
        picked = _smooth_weighted(group, 0, scene)
    elif group.policy == Policy.IP_HASH:
        picked = _ip_hash(group, token.user, scene)
    else:
        picked = _random_draws(group, step, token, scene)
    return _smooth_weighted(group, 1, scene) if picked == NOBODY else picked


def _connections(pool: Pool) -> int:
    return pool.busy + pool.waiting


def _eligible(pool: Pool, backup: int) -> bool:
    """Return whether a server may be picked: up, of this class, below its max_conns."""
    return (
        pool.up == 1
        and pool.backup == backup
        and (pool.ceiling == 0 or _connections(pool) < pool.ceiling)
    )


def _members(group: Group) -> range:
    return range(group.first, group.first + group.count)


def _round_robin(group: Group, scene: Scene) -> int:
    for _ in range(group.count):
        index = group.first + group.turn % group.count
        group.turn = (group.turn + 1) % group.count
        if _eligible(scene.pools[index], 0):
            return index
    return NOBODY


def _in_turn(candidates: list[int], scene: Scene) -> int:
    """Return nginx's smooth weighted pick among these."""
    best, total = NOBODY, 0
    for index in candidates:
        pool = scene.pools[index]
        pool.current += pool.effective
        total += pool.effective
        if pool.effective < pool.weight:
            pool.effective += 1
        if best == NOBODY or pool.current > scene.pools[best].current:
            best = index
    if best != NOBODY:
        scene.pools[best].current -= total
    return best


def _smooth_weighted(group: Group, backup: int, scene: Scene) -> int:
    return _in_turn([i for i in _members(group) if _eligible(scene.pools[i], backup)], scene)


def _least_connections(group: Group, scene: Scene) -> int:
    """Return the server with fewest connections for its weight; ties by weighted round robin."""
    fit = [index for index in _members(group) if _eligible(scene.pools[index], 0)]
    if not fit:
        return NOBODY
    best = fit[0]
    for index in fit:
        pool, least = scene.pools[index], scene.pools[best]
        if _connections(pool) * least.weight < _connections(least) * pool.weight:
            best = index
    least = scene.pools[best]
    ties = [
        index
        for index in fit
        if _connections(scene.pools[index]) * least.weight
        == _connections(least) * scene.pools[index].weight
    ]
    return best if len(ties) == 1 else _in_turn(ties, scene)


def _ip_hash(group: Group, client: int, scene: Scene) -> int:
    """Return nginx's pick by the first three octets of the client's address."""
    weights = sum(scene.pools[index].weight for index in _members(group))
    hashed = 89
    for _ in range(IP_HASH_TRIES + 1):
        for shift in (16, 8, 0):
            hashed = (hashed * 113 + ((client >> shift) & 255)) % 6271
        left, index = hashed % weights, group.first
        while left >= scene.pools[index].weight:
            left -= scene.pools[index].weight
            index += 1
        if _eligible(scene.pools[index], 0):
            return index
    return _smooth_weighted(group, 0, scene)


def _random_draws(group: Group, step: Step, token: Token, scene: Scene) -> int:
    """Return the least busy of `draws` servers drawn at random."""
    best = NOBODY
    for turn in range(group.draws):
        u = uniform(token.root, (step.label + turn) & MASK, token.visit)
        index = group.first + int(u * group.count)
        pool = scene.pools[index]
        if _eligible(pool, 0) and (
            best == NOBODY or _connections(pool) < _connections(scene.pools[best])
        ):
            best = index
    return _round_robin(group, scene) if best == NOBODY else best


# ---------------------------------------------------------------- watched servers


def _pick_watched(group: Group, step: Step, token: Token, scene: Scene) -> int:
    """Return the pick among servers that neither rest nor were tried for this request."""
    memory = int(step.number)
    tried = token.registers[memory]
    hidden = _hide(group, tried, scene)
    if group.policy == Policy.ROUND_ROBIN:
        picked = _smooth_weighted(group, 0, scene)
    else:
        picked = _pick(group, step, token, scene)
    for index in hidden:
        scene.pools[index].up = 1
    if picked == NOBODY:
        return picked
    peer = scene.peers[picked]
    if scene.now - peer.checked > peer.timeout:
        peer.checked = scene.now
    if memory > 0 and picked - group.first < TRIED:
        token.registers[memory] = tried | 1 << (picked - group.first)
    return picked


def _hide(group: Group, tried: int, scene: Scene) -> list[int]:
    """Take servers that rest or were tried out of the choice; return which."""
    now, hidden = scene.now, []
    out = sum(scene.peers[index].until > now for index in _members(group))
    panic = 2 * out > group.count
    for place, index in enumerate(_members(group)):
        peer = scene.peers[index]
        resting = 0 < peer.max_fails <= peer.fails and now - peer.checked <= peer.timeout
        resting = resting or (not panic and now < peer.until)
        again = place < TRIED and (tried >> place) & 1 == 1
        if scene.pools[index].up == 1 and (resting or again):
            scene.pools[index].up = 0
            hidden.append(index)
    return hidden


def outcome(step: Step, token: Token, scene: Scene) -> int:
    """Note how a call to a server went."""
    index = step.site + token.registers[step.by]
    peer, pool, now = scene.peers[index], scene.pools[index], scene.now
    if step.number > 0.0:
        peer.in_a_row = 0
        if peer.accessed < peer.checked:
            peer.fails = 0
        return Verdict.NEXT
    peer.in_a_row += 1
    if 0 < peer.row_max <= peer.in_a_row:
        _eject(index, step, scene)
    peer.fails += 1
    peer.accessed = peer.checked = now
    if peer.max_fails > 0:
        pool.effective = max(0, pool.effective - pool.weight // peer.max_fails)
    return Verdict.NEXT


def _eject(index: int, step: Step, scene: Scene) -> None:
    """Eject a server unless too many are already; the first may always go."""
    peer, now = scene.peers[index], scene.now
    peer.in_a_row = 0
    out = sum(scene.peers[other].until > now for other in range(step.site, step.site + step.jump))
    if peer.until > now or (out > 0 and out + 1 > peer.most * step.jump):
        return
    peer.times += 1
    peer.until = now + min(EJECTION_MAX, peer.rest * peer.times)


# ---------------------------------------------------------------- ways and keys


def weighted_index(first: int, count: int, u: float, scene: Scene) -> int:
    """Return which of a choice's cumulated weights the number u falls under."""
    chances, index = scene.script.world.chances, 0
    while index < count - 1 and chances[first + index] < u:
        index += 1
    return index


def split(step: Step, token: Token, scene: Scene) -> int:
    """Draw one of several ways by weight."""
    u = uniform(token.root, step.label, token.visit)
    first, count = scene.script.world.choices[step.site].item()
    token.registers[step.register] = weighted_index(first, count, u, scene)
    text = scene.parts.names.way(step, token.registers[step.register], scene)
    scene.journal.say(scene, token, step, text, minor=True)
    return Verdict.NEXT


def draw_key(step: Step, token: Token, scene: Scene) -> int:
    """Draw the token's key by popularity, or take it from who asks, or when."""
    if step.register == About.USER:
        token.key = token.user % step.jump
    elif step.register == About.REQUEST:
        token.key = token.request % step.jump
    elif step.register == About.NEWEST:
        token.key = step.jump - 1
    else:
        token.key = _popular(step, token, scene)
    return Verdict.NEXT


def _popular(step: Step, token: Token, scene: Scene) -> int:
    """Draw a key by inverse transform; or it is what somebody has asked for by name."""
    dataset = scene.script.about.get(step.label, "")
    if dataset in token.asked:
        return token.asked[dataset]
    world = scene.script.world
    first, count, guide, guides = world.keyspaces[step.site].item()
    u = uniform(token.root, step.label, 0)
    if guides == 0:  # all alike
        return int(u * count)
    key = int(world.guides[guide + int(u * guides)])
    while world.popularity[first + key] < u:
        key += 1
    return key


def set_register(step: Step, token: Token, scene: Scene) -> int:
    """Set a register."""
    token.registers[step.register] = int(step.number)
    return Verdict.NEXT


def look_up(step: Step, token: Token, scene: Scene) -> int:
    """Note what a table holds for the token's key."""
    place = int(scene.script.world.lookups[step.site + token.key])
    token.registers[step.register] = place
    name = scene.script.registers.get(step.register, "place")
    scene.journal.say(scene, token, step, f"{name} {place + 1} has this key", minor=True)
    return Verdict.NEXT
