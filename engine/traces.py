"""Traces: what one request did, as a tree of spans, from the leaves that the kernel kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from engine.distribution import Frozen
from engine.kernel.tables import LEAVES, NOBODY, STRATA, Op
from engine.program import NETWORK, WAITING

if TYPE_CHECKING:
    from engine.kernel.world import World
    from engine.program import Program

Which = Literal["p50", "p95", "p99", "slowest", "failed"]


class Span(Frozen):
    """A visit to a station: how long, how much of it waiting."""

    id: int
    parent: int | None
    station: str
    title: str
    operation: str
    layer: str
    start_ms: float
    wait_ms: float
    network_ms: float
    duration_ms: float
    critical: bool
    background: bool
    error: str
    tags: dict[str, str]


class Trace(Frozen):
    """One request: what it did and how it ended."""

    journey: str
    title: str
    request: int
    trace_id: str
    latency_ms: float
    started_s: float
    outcome: Literal["answered", "failed"]
    reason: str
    spans: tuple[Span, ...]


class Kept(NamedTuple):
    """The sampled requests of a run, copied from its world: journey × place, and their leaves."""

    traces: np.ndarray
    leaves: np.ndarray

    @classmethod
    def of(cls, world: World) -> Kept:
        """Return a copy of what a world has sampled so far."""
        return cls(world.traces.copy(), world.trace_leaves.copy())


def trace_id(seed: int, request: int) -> str:
    """Return a request's trace id: 32 hexadecimal digits, as W3C Trace Context wants them.

    >>> trace_id(7, 1)
    '56efb734cba7a74c12e3bb7a18a8d896'
    """
    return hashlib.blake2b(f"{seed} {request}".encode(), digest_size=16).hexdigest()


def span_id(trace: str, span: int) -> str:
    """Return a span's id: 16 hexadecimal digits."""
    return hashlib.blake2b(f"{trace} {span}".encode(), digest_size=8).hexdigest()


def sampled(trace: str, share: float) -> bool:
    """Return whether a trace is among a share of all, decided by its id alone.

    So every program on its way decides alike (OpenTelemetry's TraceIdRatioBased).
    """
    return int(trace[-14:], 16) < share * (1 << 56)


def pick(kept: Kept, journey: int, which: Which, latency_s: float) -> int | None:
    """Return the place of the kept trace that shows best what is asked for."""
    rows = kept.traces[journey]
    if which == "failed":
        places = np.flatnonzero(rows["request"][STRATA:] != NOBODY) + STRATA
        return int(places[0]) if len(places) else None
    places = np.flatnonzero(rows["request"][:STRATA] != NOBODY)
    if not len(places):
        return None
    if which == "slowest":
        return int(places[np.argmax(rows["latency"][places])])
    return int(places[np.argmin(np.abs(np.log(rows["latency"][places] / latency_s)))])


def head_sampled(kept: Kept, counts: np.ndarray, share: float, seed: int) -> Kept:
    """Return what head sampling would have kept: a share of all, whatever came of them.

    A kept trace stands for the `counts` of its kind; it is there if one of them was sampled.
    """
    rows = kept.traces.copy()
    chances = 1.0 - (1.0 - share) ** counts
    for journey, place in np.argwhere(rows["request"] != NOBODY).tolist():
        identity = trace_id(seed, int(rows["request"][journey, place]))
        if not sampled(identity, float(chances[journey, place])):
            rows["request"][journey, place] = NOBODY
    return Kept(rows, kept.leaves)


def read(kept: Kept, program: Program, journey: int, place: int, title: str, seed: int) -> Trace:
    """Return the trace kept at a place."""
    row = kept.traces[journey, place]
    leaves = kept.leaves[journey * kept.traces.shape[1] + place]
    front = leaves[: min(int(row["leaves"]), LEAVES)]
    behind = leaves[LEAVES : LEAVES + int(row["background"])]
    reasons = {code: text for text, code in program.reasons.items()}
    failed = place >= STRATA
    reason = reasons.get(int(row["reason"]), "") if failed else ""
    born = float(row["born"])
    spans = _spans(
        program,
        [*front, *behind],
        born,
        float(row["latency"]),
        reason,
        truncated=int(row["leaves"]) > LEAVES,
    )
    return Trace(
        journey=program.journeys[journey],
        title=title,
        request=int(row["request"]),
        trace_id=trace_id(seed, int(row["request"])),
        latency_ms=float(row["latency"]) * 1e3,
        started_s=born,
        outcome="failed" if failed else "answered",
        reason=reason,
        spans=tuple(spans),
    )


class _Visit:
    """A node of the program visited once: gathers its leaves and its children's."""

    def __init__(self, node: int, start: float) -> None:
        self.node, self.start, self.end = node, start, start
        self.wait = self.network = 0.0
        self.tags: dict[str, str] = {}

    def spend(self, kind: int, op: int, seconds: float) -> None:
        """Book time spent here; working is what is left."""
        if kind == NETWORK:
            self.network += seconds
        elif kind == WAITING:
            self.wait += seconds
            if op == Op.TRY:
                self.tags["rest between tries"] = f"{seconds * 1e3:.1f} ms"


def _spans(
    program: Program,
    leaves: Sequence[np.void],
    born: float,
    latency: float,
    reason: str,
    truncated: bool,
) -> list[Span]:
    """Build the tree: a leaf opens the visits on its way up, and stretches those that are open.

    A visit is opened again when the program comes back to an earlier step of it: a retry.
    """
    visits: list[_Visit] = []
    parents: list[int | None] = []
    open_at: dict[int, int] = {}  # node -> visit
    last_row: dict[int, int] = {}
    critical: set[int] = set()
    for leaf in leaves:
        row, start, end = int(leaf["step"]), born + float(leaf["start"]), born + float(leaf["end"])
        path = program.way_up(row)
        again = row <= last_row.get(path[0], -1) and len(path) > 1
        for depth, node in enumerate(reversed(path)):
            if node not in open_at or (again and depth == len(path) - 1):
                parent = open_at[path[len(path) - depth]] if depth else None
                open_at[node] = len(visits)
                visits.append(_Visit(node, start))
                parents.append(parent)
            visit = visits[open_at[node]]
            visit.start, visit.end = min(visit.start, start), max(visit.end, end)
        last_row[path[0]] = row
        here = visits[open_at[path[0]]]
        here.spend(program.kind_of(row), program.op_of(row), end - start)
        if not program.nodes[path[0]].background:
            critical.update(open_at[node] for node in path)
    spans = []
    if visits and not program.nodes[visits[0].node].background:
        visits[0].start, visits[0].end = born, born + latency
    deepest = max(
        (i for i in range(len(visits)) if i in critical), key=lambda i: visits[i].end, default=0
    )
    for index, visit in enumerate(visits):
        here_node = program.nodes[visit.node]
        station = program.stations[here_node.station]
        if truncated and index == 0:
            visit.tags["spans"] = f"only the first {LEAVES} are kept"
        spans.append(
            Span(
                id=index,
                parent=parents[index],
                station=station.name,
                title="Client" if station.kind == "source" else station.title,
                operation=here_node.operation,
                layer=station.layer,
                start_ms=(visit.start - born) * 1e3,
                wait_ms=visit.wait * 1e3,
                network_ms=visit.network * 1e3,
                duration_ms=(visit.end - visit.start) * 1e3,
                critical=index in critical,
                background=here_node.background,
                tags=visit.tags,
                error=reason if reason and index in {0, deepest} else "",
            )
        )
    return spans
