"""Disturbances: steps that take longer or fail for a while, laid over what the program says."""

from __future__ import annotations

from dataclasses import dataclass

from engine.kernel.world import World
from engine.program import DISTURBABLE, Program


@dataclass(frozen=True)
class Disturbance:
    """What happens to some steps: (seconds · factor + extra), then failure with probability."""

    rows: tuple[int, ...]
    factor: float
    extra_seconds: float
    loss: float
    reason: int
    servers: tuple[int, ...] | None

    def __post_init__(self) -> None:
        """Refuse what cannot be, and say what can."""
        if self.factor < 0 or self.extra_seconds < 0:
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
        self.lasting: dict[int, Disturbance] = {}
        self._handles = 0

    def add(self, disturbance: Disturbance) -> int:
        """Begin a disturbance; return its handle."""
        for row in disturbance.rows:
            if self.program.op_of(row) not in DISTURBABLE:
                raise ValueError(f"row {row} cannot be disturbed; take rows of Program.rows")
        self._handles += 1
        self.lasting[self._handles] = disturbance
        self._lay_out()
        return self._handles

    def remove(self, handle: int) -> None:
        """End a disturbance."""
        del self.lasting[handle]
        self._lay_out()

    def _lay_out(self) -> None:
        """Write the table and mark the steps."""
