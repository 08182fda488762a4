"""Disturbances: steps that take longer or fail for a while, laid over what the program says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.kernel.tables import NOBODY, Op
from engine.kernel.tables import Disturbance as Row
from engine.kernel.world import World
from engine.program import DISTURBABLE, Program

OF_STORES = (Op.GET, Op.PUT, Op.DROP)


@dataclass(frozen=True)
class Disturbance:
    """What happens to some steps: (seconds · factor + extra), then failure with probability.

    With `resend_seconds`, what is lost is sent again after that time, as TCP does it.
    """

    rows: tuple[int, ...]
    factor: float = 1.0
    extra_seconds: float = 0.0
    loss: float = 0.0
    reason: int = 0
    servers: tuple[int, ...] | None = None  # pools
    store: int = NOBODY  # that is passed by, instead
    register: int = 0
    value: int = 0
    always: bool = False  # who is lost is lost at every visit
    resend_seconds: float = 0.0  # 0: it is lost for good

    def __post_init__(self) -> None:
        """Refuse what cannot be, and say what can."""
        if min(self.factor, self.extra_seconds, self.resend_seconds) < 0:
            raise ValueError("a step cannot take less than no time; use a factor and seconds >= 0")
        if not 0 <= self.loss <= 1:
            raise ValueError(f"a loss of {self.loss} is no probability; use 0 to 1")
        if self.loss > 0 and not self.reason:
            raise ValueError("what is lost fails for a reason; give one")


class Disturbances:
    """All disturbances that last, and the table that the kernel reads of them."""

    def __init__(self, world: World, program: Program) -> None:
        self.world = world
        self.program = program
        self.lasting: dict[int, list[Disturbance]] = {}
        self._handles = 0

    @property
    def any_ever(self) -> bool:
        """Return whether anything has been disturbed in this run."""
        return self._handles > 0

    def add(self, *disturbances: Disturbance) -> int:
        """Begin disturbances that end together; return their handle."""
        for disturbance in disturbances:
            able = DISTURBABLE if disturbance.store == NOBODY else OF_STORES
            for row in disturbance.rows:
                if self.program.op_of(row) not in able:
                    raise ValueError(f"row {row} cannot be disturbed; take rows of Program.rows")
        self._handles += 1
        self.lasting[self._handles] = list(disturbances)
        self._lay_out()
        return self._handles

    def remove(self, handle: int) -> None:
        """End what began under a handle."""
        del self.lasting[handle]
        self._lay_out()

    def rows_of(self, store: int) -> tuple[int, ...]:
        """Return the rows that may look into a store, store in it or forget."""
        steps = self.world.steps[:-1]
        program = self.program
        ops = np.array([program.op_of(row) for row in range(len(steps))])
        chosen = np.isin(ops, OF_STORES) & (steps["site"] <= store)
        chosen &= (steps["by"] != 0) | (steps["site"] == store)
        return tuple(np.flatnonzero(chosen).tolist())

    def _entries(self) -> Iterator[tuple[int, Disturbance]]:
        """Yield every disturbed row with what is wrong there, the earliest first."""
        for disturbances in self.lasting.values():
            for disturbance in disturbances:
                for row in disturbance.rows:
                    yield row, disturbance

    def _lay_out(self) -> None:
        """Write the table: a head for every step, then the disturbances, each behind another."""
        world, program = self.world, self.program
        for at in np.flatnonzero(world.steps["op"] == Op.DISTURBED).tolist():
            world.steps["op"][at] = program.op_of(at)
        entries, targets = list(self._entries()), [0]
        heads = len(world.steps)
        table = np.zeros(heads + len(entries) if entries else 1, Row)
        if entries:
            table["behind"] = table["count"] = table["store"] = NOBODY
        last: dict[int, int] = {}
        for index, (row, what) in enumerate(entries, heads):
            if row not in last:
                table["op"][row] = program.op_of(row)
                world.steps["op"][row] = Op.DISTURBED
            table["behind"][last.get(row, row)] = index
            last[row] = index
            if what.servers is not None:
                table["first"][index], table["count"][index] = len(targets), len(what.servers)
                targets += what.servers
            table["store"][index], table["by"][index] = what.store, what.register
            table["value"][index], table["reason"][index] = what.value, what.reason
            table["factor"][index], table["extra"][index] = what.factor, what.extra_seconds
            table["loss"][index], table["always"][index] = what.loss, what.always
            table["resend"][index] = what.resend_seconds
        world.replace("disturbances", table)
        world.replace("targets", np.array(targets, np.int32))
        self._forget_who_has_waited()

    def _forget_who_has_waited(self) -> None:
        """Let tokens that wait before a step that is disturbed no more do it as any other."""
        needed = self.world.tokens["needed"]
        for who in np.flatnonzero(needed <= -2):
            if self.world.steps["op"][-2 - needed[who]] != Op.DISTURBED:
                needed[who] = 0
