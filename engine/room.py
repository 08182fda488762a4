"""Room: a world's tables while they grow, and calls of the kernel on them."""

from collections.abc import Callable

import numpy as np

from engine.kernel.tables import HOLDS
from engine.kernel.world import World
from engine.layout import chained
from engine.program import Program

TOKENS_MAX = 1 << 22  # requests in flight; beyond it the run stops with a clear word
BY_TOKEN = ("tokens", "registers", "holds", "scopes", "spent", "leaves")


class TooManyInFlightError(Exception):
    """More requests are in the system at once than the simulator holds."""


class Room:
    """A world, and how it gets room for more tokens, messages and events."""

    def __init__(self, program: Program, world: World) -> None:
        self.program = program
        self.world = world

    def _call(self, function: Callable[..., object], *arguments: object) -> object:
        # Wrapping 64-bit products are what a generator is made of; interpreted, numpy warns.
        with np.errstate(over="ignore"):
            return function(*arguments, self.world)

    def _need(self, count: int) -> None:
        while self.world.clock["spare"][0] < count + self.program.reserve:
            self._make_room(tokens=True)
        self._room_on_agenda(count)

    def _need_for_crash(self, count: int) -> None:
        """Make room for so many who fail, and for whom they let in."""
        self._need(count)
        self._room_on_agenda(count * (HOLDS + 2))
        while self.world.clock["spare_messages"][0] < count + self.program.reserve:
            self._more_messages()

    def _make_room(self, tokens: bool = False) -> None:
        """Double the tables of tokens or messages, whichever is short."""
        world, clock = self.world, self.world.clock[0]
        if not tokens and clock["pending"] + self.program.reserve > len(world.due):
            self._room_on_agenda()
        elif tokens or clock["spare"] < self.program.reserve:
            size = len(world.tokens)
            if size >= TOKENS_MAX:
                raise TooManyInFlightError
            for name in BY_TOKEN:
                world.replace(name, grown(getattr(world, name), 2 * size))
            chained(world.tokens[size:], size)
            world.tokens["behind"][-1] = clock["free"]
            clock["free"] = np.int32(size)
            clock["spare"] += size
        else:
            self._more_messages()

    def _more_messages(self) -> None:
        """Double the table of messages."""
        world, clock = self.world, self.world.clock[0]
        size = len(world.messages)
        world.replace("messages", grown(world.messages, 2 * size))
        chained(world.messages[size:], size)
        world.messages["behind"][-1] = clock["free_message"]
        clock["free_message"] = size
        clock["spare_messages"] += size

    def _room_on_agenda(self, count: int = 0) -> None:
        """Make the agenda hold `count` more: besides an event a token it has stale ones."""
        world = self.world
        while world.clock["pending"][0] + count + self.program.reserve > len(world.due):
            for name in ("due", "order", "who"):
                table = getattr(world, name)
                world.replace(name, grown(table, 2 * len(table)))


def grown(table: np.ndarray, size: int) -> np.ndarray:
    """Return a table with the same rows and room for more."""
    new = np.zeros((size, *table.shape[1:]), table.dtype)
    new[: len(table)] = table
    return new
