"""The write-behind buffer: counts in memory now, in the database at the next flush."""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from engine.component import Component, ControlPlane, knob
from engine.kernel.tables import Op
from engine.program import Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

FLUSHES_MAX, FLUSH_REST_SECONDS = 1000, 5.0  # of a batch that the database does not take


class WriteBuffer(Component):
    """A write-behind buffer: counts in memory now, in the database at the next flush.

    What has not been flushed when the cache crashes is lost.
    """

    flush_seconds: float = knob(
        5.0,
        "Flush every",
        unit="s",
        low=0.1,
        high=3600,
        step=1,
        help="How often the buffer is written to the database.",
    )
    batch: int = knob(
        500,
        "Rows a write",
        low=1,
        high=100_000,
        step=100,
        help="Keys that one database write takes.",
    )

    def remember(
        self, program: Program, scenario: Scenario, dataset: str, what: str, wait: bool
    ) -> None:
        """Emit that the token's key is written into the buffer, and what a flush does."""
        cache = scenario.cache
        cache.agree_on_crash(program)
        keys = scenario.datasets[dataset].keys
        station = program.station("cache.buffer", "Write buffer", "store", cache.nodes)
        with program.at(station, what):
            cache.choose_node(program, dataset, keys)
            cache.command(program, station, "incr", wait)
            program.step(Op.MARK, site=program.ledger(f"buffer {dataset}", keys))
        name = f"flush {dataset}"
        if name not in program.named:
            program.named[name] = -1
            program.later(lambda: self._emit(program, scenario, dataset))

    def _emit(self, program: Program, scenario: Scenario, dataset: str) -> None:
        """Emit what one batch of a flush does: a write, outside of any journey."""
        program.named[f"flush {dataset}"] = program.here
        with program.at(program.stations["cache.buffer"], "flush", background=True):
            write = functools.partial(
                scenario.data.write, program, scenario, dataset, "flush", mark=False
            )
            # A database that is down gets its batch when it is back.
            program.attempt(
                write,
                attempts=FLUSHES_MAX,
                base=1.0,
                cap=FLUSH_REST_SECONDS,
                jitter="none",
                otherwise=lambda: None,
                what="flush",
            )
            program.step(Op.LEAVE)

    def flush(self, run: ControlPlane, dataset: str) -> Generator[Any, Any, Any]:
        """Write what has been counted to the database, every so often."""
        while True:
            yield run.env.timeout(run.scenario.cache.buffer.flush_seconds)
            writes, keys = run.plane.open_ledger(f"buffer {dataset}")
            if not keys:
                continue
            batches = -(-keys // run.scenario.cache.buffer.batch)
            run.plane.launch(f"flush {dataset}", batches)
            text = f"wrote {writes:,} counted {dataset} under {keys:,} keys as {batches} batches"
            run.note("flush", "cache.buffer", text)
