"""The books of a run: what has to add up at any instant, read off the tables themselves."""

from collections import Counter

import numpy as np

from engine import Simulation
from engine.kernel.tables import HOLDS, NOBODY, Op, State
from engine.kernel.world import World
from engine.plane import Plane

ABSENT = -2


def check_books(run: Simulation) -> None:
    """Assert that nothing is lost, doubled or negative, right now."""
    plane = run.plane
    check_requests(plane)
    check_tokens(plane)
    check_pools(plane)
    check_messages(plane)
    check_stores(plane)
    check_time(plane.world)


def check_drained(plane: Plane) -> None:
    """Assert that a system whose users have stopped long ago is empty."""
    world = plane.world
    assert world.journeys["in_flight"].tolist() == [0] * len(world.journeys)
    assert set(world.tokens["state"].tolist()) == {int(State.FREE)}
    assert world.clock["spare"][0] == len(world.tokens)
    assert world.clock["spare_messages"][0] == len(world.messages)
    for table, field in (("pools", "busy"), ("pools", "waiting"), ("channels", "waiting"),
                         ("channels", "delayed"), ("partitions", "waiting")):  # fmt: skip
        assert not getattr(world, table)[field].any(), f"{table}.{field}"
    assert (rows(plane, "lanes")["head"] == NOBODY).all()


def rows(plane: Plane, table: str) -> np.ndarray:
    """Return the rows of a table that the program has laid out; an empty table has one blank."""
    found: np.ndarray = getattr(plane.world, table)
    return found[: len(plane.program._rows[table])]


# ---------------------------------------------------------------- requests and tokens


def check_requests(plane: Plane) -> None:
    """Started = answered + failed by reason + in flight, per journey; histograms agree."""
    world = plane.world
    table = world.journeys
    for name in ("started", "answered", "failed", "in_flight"):
        assert (table[name] >= 0).all(), name
    assert np.array_equal(
        table["started"], table["answered"] + table["failed"] + table["in_flight"]
    )
    assert np.array_equal(table["failed"], world.reasons.sum(axis=1))
    assert not world.reasons[:, 0].any(), "a request failed without a reason"
    assert np.array_equal(table["answered"], world.latency.sum(axis=1))


def in_use(world: World) -> np.ndarray:
    """Return the indices of tokens in use."""
    return np.flatnonzero(world.tokens["state"] != State.FREE)


def check_tokens(plane: Plane) -> None:
    """Every request in flight is one token; what is free is free once, what is used is used."""
    world = plane.world
    tokens = world.tokens[in_use(world)]
    assert world.clock["spare"][0] == len(world.tokens) - len(tokens)
    chain, place = set(), int(world.clock["free"][0])
    while place != NOBODY:
        assert place not in chain, "a free token is chained twice"
        chain.add(place)
        place = int(world.tokens["behind"][place])
    assert len(chain) == world.clock["spare"][0]
    owners = tokens[
        (tokens["orphan"] == NOBODY) & (tokens["channel"] == NOBODY)
        & (tokens["parent"] == NOBODY) & (tokens["source"] != NOBODY)
    ]  # fmt: skip
    source = world.sources[0]
    if source["rate"] < 0:
        assert len(owners) == source["users"], "a closed user is lost or doubled"
    else:
        assert len(owners) == world.journeys["in_flight"].sum()
        assert len(set(owners["request"].tolist())) == len(owners)
    for field, most in (("holds", HOLDS), ("depth", world.scopes.shape[1])):
        assert tokens[field].min(initial=0) >= 0
        assert tokens[field].max(initial=0) <= most


# ---------------------------------------------------------------- pools


def check_pools(plane: Plane) -> None:
    """Busy is what tokens hold, waiting is who stands in line; nobody waits for a free slot."""
    world = plane.world
    pools = rows(plane, "pools")
    used = in_use(world)
    held: Counter[int] = Counter()
    for who in used:
        held.update(world.holds["pool"][who, : world.tokens["holds"][who]].tolist())
    queued = Counter(
        world.tokens["queue"][used][world.tokens["state"][used] == State.QUEUED].tolist()
    )
    shared = set(rows(plane, "processors")["pool"].tolist())
    scaled = {plane.sizes.station(name).pools[0] for name in plane.sizes.wanted}
    for index, pool in enumerate(pools):
        if index in shared:  # nobody holds a part of a processor, and nobody stands in line
            continue
        assert pool["busy"] == held[index], f"pool {index}: busy"
        assert pool["waiting"] == queued[index] == line(world, index), f"pool {index}: waiting"
        assert pool["busy"] >= 0
        assert pool["waiting"] == 0 or pool["busy"] >= pool["slots"]
        if not plane.gates.is_shut(index):  # who was there before it was shut may stay
            # … and of workers at one line that became fewer, each ends the message that it has.
            assert pool["busy"] <= pool["slots"] or index in scaled
            assert pool["room"] == NOBODY or pool["waiting"] <= pool["room"]
        assert pool["busy_area"] >= 0.0
        assert pool["waiting_area"] >= 0.0


def line(world: World, index: int) -> int:
    """Return how many stand in a pool's line, walked from its head."""
    count, place, before = 0, int(world.pools["head"][index]), NOBODY
    while place != NOBODY:
        assert world.tokens["before"][place] == before
        count, before, place = count + 1, place, int(world.tokens["behind"][place])
    assert world.pools["tail"][index] == before or (
        count == 0 and world.pools["waiting"][index] == 0
    )
    return count


def check_time(world: World) -> None:
    """Waits, stays and works are of those who came; time spent adds up to latency."""
    meters = world.meters
    for name in ("asked", "served", "failed", "wait", "stay", "work"):
        assert (meters[name] >= 0).all(), name
    assert np.array_equal(world.stays.sum(axis=1), meters["served"])
    spent, took = world.shares.sum(axis=(1, 2)), world.journeys["seconds"]
    assert np.allclose(spent, took, rtol=1e-3, atol=1e-6), (spent, took)
    assert (world.shares >= -1e-4).all()


# ---------------------------------------------------------------- messages and stores


def check_messages(plane: Plane) -> None:
    """Published = processed + dead + waiting + in progress + delayed + expired."""
    world = plane.world
    for index, row in enumerate(plane.program.channels):
        channel = world.channels[index]
        places = slice(int(row[0]), int(row[0]) + int(row[1]))
        own = [station for station in plane.program.stations.values() if station.channel == index]
        blocks = {station.pools[0]: plane.program.laid[station.pools[0]] for station in own}
        workers = {first + at for first, laid in blocks.items() for at in range(laid)}
        busy = int(world.pools["busy"][sorted(workers)].sum()) - int(channel["lapsed"])
        for name in (
            "processed",
            "dead",
            "waiting",
            "delayed",
            "expired",
            "redelivered",
            "refused",
        ):
            assert channel[name] >= 0, name
        assert channel["waiting"] == world.partitions["waiting"][places].sum()
        assert channel["published"] == (
            channel["processed"]
            + channel["dead"]
            + channel["waiting"]
            + busy
            + channel["delayed"]
            + channel["expired"]
        )
        owner = world.partitions["worker"][places]
        idle = world.pools["busy"][owner] < world.pools["slots"][owner]
        idle &= owner != NOBODY  # during a rebalance nobody reads
        assert not world.partitions["waiting"][places][idle].any(), (
            "a message waits for an idle worker"
        )


def check_stores(plane: Plane) -> None:
    """Gets = hits + misses + bypassed; a store holds what its entries say, up to its capacity."""
    world, program = plane.world, plane.program
    asked = np.array([r for r in range(program.here) if program.op_of(r) == Op.GET], np.int64)
    gets, hits = int(world.stores["gets"].sum()), int(world.stores["hits"].sum())
    assert gets == world.visits[asked].sum()
    misses = int(world.visits[asked + 1].sum())
    gone_to = world.steps["jump"][world.steps["op"] == Op.GO]
    tried = world.steps["op"][asked + 1] == Op.TRY
    if np.isin(asked + 1, asked).any() and plane.disturbances.any_ever:
        assert hits <= gets  # who waits or is lost before a second look-up is in neither
    elif tried.any() or np.isin(asked + 1, gone_to).any():  # others come by there too
        assert hits <= gets <= hits + misses
    else:
        assert gets == hits + misses
    for store in rows(plane, "stores"):
        assert 0 <= store["bypassed"] <= store["gets"] - store["hits"]
        first, keys = int(store["first"]), int(store["keys"])
        there = world.entries["before"][first : first + keys] != ABSENT
        assert store["count"] == there.sum() <= store["capacity"]
        assert 0 <= store["hits"] <= store["gets"]
