"""Sources: where requests come from.

An open source makes them at a rate, whatever the system does; `left` is what remains of a
gap drawn for rate 1, so a rate that changes on the way stretches the rest of the gap: exact
inversion of a piecewise constant rate.  A closed source is a number of users, each of whom
waits for the answer, thinks, and asks again (Op.ARRIVE, site: the source).
"""

from engine.kernel.agenda import put, wake
from engine.kernel.choice import weighted_index
from engine.kernel.compile import aside, part
from engine.kernel.randomness import FIRST, SECOND, base_of, draw, uniform
from engine.kernel.tables import Kind, Verdict
from engine.kernel.tokens import fresh

TURNS = 1 << 32  # a closed user's requests are numbered user * TURNS + turn


@part
def arrive(index, world):
    """Make the next request of an open source, and plan the one after it."""
    source = world.sources[index]
    who = fresh(world)
    token = world.tokens[who]
    token.request, token.source = source.count, index
    begin(who, world)
    source.count += 1
    plan(index, world)
    return who


@part
def plan(index, world):
    """Draw the gap before an open source's next request and put that on the agenda."""
    source, clock = world.sources[index], world.clock[0]
    base = base_of(clock.seed, source.count)
    source.left = draw(world.dists[source.gap], base, source.label + FIRST, 0, world)
    source.since = clock.now
    if source.rate > 0.0:
        due = clock.now + source.left / source.rate
        source.order = put(due, index * 4 + Kind.SOURCE, world)


@part
def begin(who, world):
    """Start a request: who asks, and for what."""
    clock, token = world.clock[0], world.tokens[who]
    source = world.sources[token.source]
    token.root = base_of(clock.seed, token.request)
    token.born = clock.now
    token.visit = token.leaves = token.reason = 0
    u = uniform(token.root, source.label, 0)
    chosen = weighted_index(world.choices[source.journeys], u, world)
    token.journey = chosen
    token.step = world.starts[source.starts + chosen]
    token.user = int(uniform(token.root, source.label + SECOND, 0) * source.users)
    journey = world.journeys[token.journey]
    journey.started += 1
    journey.in_flight += 1


@part
def ask(who, world):
    """Start a closed user's next request."""
    token = world.tokens[who]
    user = token.request // TURNS
    begin(who, world)
    token.user = user
    return Verdict.NEXT


@aside
def think(who, world):
    """Let a closed user think before the next request."""
    token, clock = world.tokens[who], world.clock[0]
    source = world.sources[token.source]
    token.request += 1
    base = base_of(clock.seed, token.request)
    pause = draw(world.dists[source.think], base, source.label + FIRST, 0, world)
    token.step = source.arrive
    for account in range(world.spent.shape[1]):
        world.spent[who, account] = 0.0
    wake(who, clock.now + pause, world)
