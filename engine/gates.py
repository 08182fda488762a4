"""Gates: pools that give no slot for a while, laid over what the program says of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engine.kernel.world import World


class Gates:
    """Which pools are shut, how often, and what they go back to when they are opened again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.slots = world.pools["slots"].copy()  # what the program says
        self.room = world.pools["room"].copy()
        # Of each pool, each time it was shut: whether who comes is refused, and why (a code).
        self.shuttings: dict[int, list[tuple[bool, int]]] = {}

    def shut(self, pools: Iterable[int], *, refuses: bool, reason: int) -> None:
        """Shut pools once more."""
        for pool in pools:
            self.shuttings.setdefault(pool, []).append((refuses, reason))
            self.settle(pool)

    def reopen(self, pools: Iterable[int], *, refuses: bool | None) -> list[int]:
        """Take one shutting of each pool back; return which are open now."""
        opened = []
        for pool in pools:
            shuttings = self.shuttings.get(pool, [])
            such = [at for at, (kind, _) in enumerate(shuttings) if refuses in {None, kind}]
            if not such:
                raise ValueError(f"pool {pool} is not shut so; shut it before it is reopened")
            del shuttings[such[-1]]
            self.settle(pool)
            if not shuttings:
                opened.append(pool)
        return opened

    def is_shut(self, pool: int) -> bool:
        """Return whether a pool gives no slots."""
        return bool(self.shuttings.get(pool))

    def resize(self, pool: int, slots: int) -> None:
        """Give a pool another number of slots, at once or when it is opened again."""
        self.slots[pool] = slots
        self.settle(pool)

    def settle(self, pool: int) -> None:
        """Write what holds for a pool into its row."""
        shuttings, pools = self.shuttings.get(pool, []), self.world.pools
        refused = [reason for refuses, reason in shuttings if refuses]
        pools["slots"][pool] = 0 if shuttings else self.slots[pool]
        pools["room"][pool] = 0 if refused else self.room[pool]
        pools["reason"][pool] = refused[-1] if refused else 0

    def take_over(self, fresh: World) -> None:
        """Learn what the program says now; what is shut stays shut."""
        self.slots = fresh.pools["slots"].copy()
        self.room = fresh.pools["room"].copy()
        for pool, shuttings in self.shuttings.items():
            if shuttings:
                self.settle(pool)

    def nominal(self, pools: np.ndarray) -> np.ndarray:
        """Give a copy of the pools' rows the slots that they have when they are not shut."""
        for pool, shuttings in self.shuttings.items():
            if shuttings:
                pools["slots"][pool], pools["room"][pool] = self.slots[pool], self.room[pool]
        return pools
