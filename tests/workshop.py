"""Small programs for tests of mechanisms: one source, one place, and the steps a test emits.

Requests come like a metronome unless a test says otherwise: request n at (n + 1) / rate.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine import Scenario
from engine.assembly import Station
from engine.distribution import Distribution
from engine.kernel.tables import LEAVES, NOBODY, STRATA, Op, State
from engine.kernel.world import World
from engine.plane import Plane
from engine.program import WAITING, Program

Emit = Callable[[Program, Station], None]

METRONOME = Distribution(constant=1000)
POISSON = Distribution(exponential=1000)
FAR = 1e6  # seconds: long after everything has ended


def constant(milliseconds: float) -> Distribution:
    """Return a constant time."""
    return Distribution(constant=milliseconds)


def exponential(milliseconds: float) -> Distribution:
    """Return an exponential time with this mean."""
    return Distribution(exponential=milliseconds)


def program_of(
    emit: Emit,
    rate: float = 10.0,
    gap: Distribution = METRONOME,
    users: int = 0,
    think: Distribution = METRONOME,
) -> Program:
    """Return a program of one journey at one station; closed if there are users."""
    program = Program()
    place = program.station("application.place", "Place", "service")
    with program.at(place, "ask"):
        program.step(Op.ARRIVE)
    start = program.begin("visit")
    program.journeys.append("visit")
    with program.at(place, "visit"):
        emit(program, place)
        program.step(Op.FINISH)
    program.flush()
    program.source(
        "users", [1.0], [start], -1.0 if users else rate, gap, think, users or 1 << 24, 0
    )
    return program


def plane_of(
    emit: Emit,
    rate: float = 10.0,
    gap: Distribution = METRONOME,
    users: int = 0,
    think: Distribution = METRONOME,
    seed: int = 7,
) -> Plane:
    """Return a run of such a program that has not begun."""
    return Plane(program_of(emit, rate, gap, users, think), seed)


def play(emit: Emit, requests: int, rate: float = 10.0, seed: int = 7) -> Plane:
    """Return the run of a number of requests, one every 1 / rate seconds, after all has ended."""
    plane = plane_of(emit, rate, seed=seed)
    plane.advance((requests + 0.5) / rate)
    plane.set_rate(0.0)
    plane.advance(FAR)
    return plane


def events(plane: Plane, until: float) -> Iterator[float]:
    """Advance from event to event; yield the time of each."""
    clock = plane.world.clock[0]
    while clock["pending"] and plane.world.due[0] <= until:
        plane.advance(float(plane.world.due[0]))
        yield plane.now


class Outcome(NamedTuple):
    """How the requests of a journey have fared."""

    started: int
    answered: int
    failed: int
    in_flight: int


def outcome(plane: Plane) -> Outcome:
    """Return how the requests of all journeys have fared."""
    journeys = plane.world.journeys
    return Outcome(*(int(journeys[name].sum()) for name in Outcome._fields))


def reasons(plane: Plane) -> dict[str, int]:
    """Return how many requests failed, by reason."""
    counts = plane.world.reasons.sum(axis=0)
    return {text: int(counts[code]) for text, code in plane.program.reasons.items() if counts[code]}


def mean_latency(plane: Plane) -> float:
    """Return the mean latency of answered requests in seconds."""
    journeys = plane.world.journeys
    return float(journeys["seconds"].sum() / journeys["answered"].sum())


def visits(plane: Plane, op: Op) -> int:
    """Return how often steps of a kind were walked."""
    world = plane.world
    return int(world.visits[world.steps["op"] == op].sum())


def register_of(plane: Plane, name: str) -> np.ndarray:
    """Return a register of every token, used or free."""
    registers: np.ndarray = plane.world.registers
    return registers[:, plane.program.register(name)]


class Spell(NamedTuple):
    """What a kept trace says of a step: what it is, from when to when, since its request began."""

    op: Op
    label: int
    start: float
    end: float


def spells(world: World) -> dict[int, list[Spell]]:
    """Return what every kept trace remembers, by request; the tail of a long one is cut."""
    found = {}
    width = world.traces.shape[1]
    for place, trace in enumerate(world.traces.reshape(-1)):
        if trace["request"] == NOBODY:
            continue
        count = min(int(trace["leaves"]), LEAVES)
        leaves = world.trace_leaves[place, :count]
        found[int(trace["request"])] = [
            Spell(
                Op(world.steps["op"][leaf["step"]]),
                int(world.steps["label"][leaf["step"]]),
                float(leaf["start"]),
                float(leaf["end"]),
            )
            for leaf in leaves
        ]
    assert len(world.trace_leaves) == width * len(world.traces)
    return found


def failed_latency(plane: Plane) -> float:
    """Return how long the first request that failed took, seconds."""
    rows = plane.world.traces[0, STRATA:]
    return float(rows["latency"][rows["request"] != NOBODY][0])


def tables(world: World) -> dict[str, bytes]:
    """Return the contents of every table, field by field: padding between fields is no state."""
    return {name: contents(array) for name, array in vars(world).items() if name not in HEADS}


HEADS = {"heads", "address"}


def contents(array: np.ndarray) -> bytes:
    """Return what an array holds, as bytes."""
    if array.dtype.names is None:
        return np.ascontiguousarray(array).tobytes()
    return b"".join(np.ascontiguousarray(array[name]).tobytes() for name in array.dtype.names)


def alike(one: World, other: World) -> list[str]:
    """Return the tables in which two worlds differ."""
    left, right = tables(one), tables(other)
    assert left.keys() == right.keys()
    return [name for name, held in left.items() if held != right[name]]


def idle(plane: Plane) -> bool:
    """Return whether no token is in use, and none is lost."""
    world = plane.world
    spare = int(world.clock["spare"][0])
    return spare == len(world.tokens) == int((world.tokens["state"] == State.FREE).sum())


# ---------------------------------------------------------------- pieces of programs


def work(program: Program, pool: int, time: Distribution, reason: str = "queue full") -> None:
    """Emit: take a slot of a pool, hold it for a time, give it back."""
    program.step(Op.SEIZE, kind=WAITING, site=pool, reason=program.reason(reason))
    program.hold("work", time)
    program.step(Op.RELEASE)


def attempt(
    program: Program,
    body: Callable[[], None],
    *,
    patience: Distribution | None = None,
    attempts: int = 1,
    rest: Sequence[float] = (0.0, 0.0),
    jitter: int = 0,
    cancels: bool = False,
    otherwise: int = NOBODY,
) -> int:
    """Emit a try around `body`; rests (first, longest) in seconds.  Return the row of its rule."""
    rule = program.retry(attempts, rest[0], rest[1], jitter, cancels=cancels, otherwise=otherwise)
    lane = NOBODY if patience is None else program.lane()
    dist = 0 if patience is None else program.dist(patience)
    program.step(Op.TRY, "try", WAITING, site=lane, dist=dist, jump=rule)
    body()
    program.step(Op.DONE)
    return rule


def shop(**application: Any) -> Scenario:
    """Return a shop of two servers, with a queue of two workers behind it."""
    return Scenario.model_validate({
        "duration_seconds": 20, "warm_up_seconds": 0,
        "client": {"enabled": False, "requests_per_second": 100},
        "application": {"replicas": 2, "threads": 4, "cores": 2, **application,
                        "services": {"server": {"cpu_time": {"exponential": 10}}}},
        "asynchronous": {"workers": 2, "partitions": 6,
                         "kinds": {"mail": {"service_time": 50}}},
        "journeys": {"visit": {"steps": [
            {"do": "call", "service": "server"}, {"do": "publish", "to": ["mail"]}]}},
    })  # fmt: skip
