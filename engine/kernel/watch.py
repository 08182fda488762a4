"""Watches: passive health checks of servers, by how calls to them go.

OUTCOME  site + register[by]: the pool of the server; number: 1 if the call went well, else 0;
         jump: how many servers there are from `site` on.

The rules of nginx (ngx_http_upstream_round_robin.c, 1.31.5): after `max_fails` failures a
server is left alone for `fail_timeout`, then gets one live request as a probe; every failure
takes weight / max_fails off its effective weight, which grows back pick by pick; a server
that was tried for a request is not picked for it again.

And those of Envoy's outlier detection: a server is ejected after `row_max` failures in a row,
for `rest` times how often it was lately, if not too many are; where over half are, nobody counts
as ejected (its panic threshold).
"""

from engine.kernel.compile import aside
from engine.kernel.tables import NOBODY, TRIED, Verdict

EJECTION_MAX = 300.0  # seconds: Envoy's max_ejection_time


@aside
def outcome(step, who, world):
    """Note how a call to a server went."""
    index = step.site + world.registers[who, step.by]
    peer, pool, now = world.peers[index], world.pools[index], world.clock[0].now
    peer.calls += 1
    if step.number > 0.0:
        peer.in_a_row = 0
        if peer.accessed < peer.checked:
            peer.fails = 0
        return Verdict.NEXT
    peer.bad += 1
    peer.in_a_row += 1
    if 0 < peer.row_max <= peer.in_a_row:
        eject(index, step.site, step.jump, world)
    peer.fails += 1
    peer.accessed = peer.checked = now
    if peer.max_fails > 0:
        pool.effective = max(0, pool.effective - pool.weight // peer.max_fails)
    return Verdict.NEXT


@aside
def eject(index, first, count, world):
    """Eject a server unless too many are already; the first may always go."""
    peer, now, out = world.peers[index], world.clock[0].now, 0
    peer.in_a_row = 0
    for other in range(first, first + count):
        out += world.peers[other].until > now
    if peer.until > now or (out > 0 and out + 1 > peer.most * count):
        return
    peer.times += 1
    peer.until = now + min(EJECTION_MAX, peer.rest * peer.times)


@aside
def panics(group, world):
    """Return whether so many servers are ejected that nobody counts as ejected."""
    out = 0
    for index in range(group.first, group.first + group.count):
        out += world.peers[index].until > world.clock[0].now
    return 2 * out > group.count


@aside
def hide(group, tried, world):
    """Take servers that rest or were tried out of the choice; return which, a bit each."""
    hidden, now = 0, world.clock[0].now
    panic = panics(group, world)
    for place in range(group.count):
        pool, peer = world.pools[group.first + place], world.peers[group.first + place]
        resting = (
            peer.max_fails > 0
            and peer.fails >= peer.max_fails
            and now - peer.checked <= peer.timeout
        )
        if not panic and now < peer.until:
            resting = True
        again = place < TRIED and (tried >> place) & 1 == 1
        if pool.up == 1 and (resting or again):
            pool.up = 0
            hidden |= 1 << place
    return hidden


@aside
def unhide(group, hidden, picked, world):
    """Put servers back; one that is picked after its rest is on probation from now on."""
    now = world.clock[0].now
    for place in range(group.count):
        if (hidden >> place) & 1 == 1:
            world.pools[group.first + place].up = 1
    if picked != NOBODY and now - world.peers[picked].checked > world.peers[picked].timeout:
        world.peers[picked].checked = now
