"""Connections: how an application server comes by one, and what it does when there is none."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.component import Component, Figure, Inner, knob
from engine.distribution import Distribution
from engine.kernel.tables import NOBODY, Op
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.layers.data import Data
    from engine.measured import Measured

POOLED = ("data.primary", "data.replicas", "data.quorum")  # what servers keep connections to

NO_PRIMARY = "no primary"  # of a shard: whoever comes now is refused
DATABASE_DOWN = "database down"  # whoever had a connection to it has lost it


class ServerPool(Component):
    """A pool of connections in each application server, such as HikariCP's.

    Its queries wait in the server for a connection of its own, however idle the database is.
    """

    size: int = knob(
        0,
        "Connections a server",
        low=0,
        high=10_000,
        step=1,
        slider_high=100,
        help="That each server keeps to primaries, and as many to replicas; 0: no limit but the"
        " database's. HikariCP: 10.",
    )

    def seize(self, program: Program) -> bool:
        """Emit the wait for a connection of the server at hand; return whether there is a pool."""
        found = caller(program)
        if not self.size or found is None:
            return False
        service, server = found
        name = f"connections of {service} to {program.nodes[program.node].station}"
        if name not in program.laid_out:
            meter, servers = program.meter(), program.laid_out[service]
            program.laid_out[name] = program.pools(
                servers.station, servers.laid, self.size, NOBODY, 0, (1,), meter
            )
            program.laid_out.setdefault("connection meters", []).append(meter)
        program.step(Op.SEIZE, kind=WAITING, site=program.laid_out[name], by=server)
        return True

    def figures(self, result: Measured) -> Iterator[Figure]:
        """How long queries wait in their server."""
        meters = result.program.laid_out.get("connection meters", [])
        if meters:
            grown = result.grown("meters")
            count = max(1, int(grown["served"][meters].sum()))
            yield Figure(
                name="Wait for a connection of the server's own",
                station="data.primary",
                value=float(grown["wait"][meters].sum()) / count * 1e3,
                unit="ms",
                help="Mean over queries, before they go to the database at all.",
            )


def caller(program: Program) -> tuple[str, int] | None:
    """Return the service that asks a pooled database, and the register of its server."""
    node = program.node
    if program.nodes[node].station not in POOLED:
        return None
    while node != NOBODY:
        layer, _, name = program.nodes[node].station.partition(".")
        if layer == "application" and name in program.laid_out:
            return name, program.register(f"server {program.depth('application') - 1}")
        node = program.nodes[node].parent
    return None


def database_down(program: Program) -> int:
    """Return why a query of the database at hand fails while that does not answer."""
    primary = program.nodes[program.node].station == "data.primary"
    crashed = program.reason(DATABASE_DOWN)
    return program.reason(NO_PRIMARY) if primary else crashed


def query(program: Program, data: Data, what: str, place: tuple[int, int], work: Inner) -> None:
    """Emit the way to a database, work while a connection to it is held, and the way back.

    The place is a pool, and the register that says which one behind it.
    """
    site, by = place
    own = False
    down = database_down(program)

    def connect() -> None:
        nonlocal own
        own = data.server_pool.seize(program)
        if not own:
            program.step(Op.SEIZE, kind=WAITING, site=site, by=by, reason=down)

    if not data.server_pool.size:
        program.hold(f"{what} hop", data.hop, NETWORK)
    if data.pool_timeout:
        program.attempt(
            connect,
            timeout=Distribution(constant=data.pool_timeout_ms),
            cancels=True,
            otherwise=functools.partial(program.fail, "no connection in time"),
            what="connection",
        )
    else:
        connect()
    if data.server_pool.size:
        program.hold(f"{what} hop", data.hop, NETWORK)
    if own:
        program.step(Op.SEIZE, kind=WAITING, site=site, by=by, reason=down)
    work()
    program.step(Op.RELEASE)
    if own:
        program.step(Op.RELEASE)
