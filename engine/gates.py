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
        self.shuttings: dict[int, list[bool]] = {}  # of each pool: whether each of them refuses

    def shut(self, pools: Iterable[int], *, refuses: bool) -> None:
        """Shut pools once more."""
        for pool in pools:
            self.shuttings.setdefault(pool, []).append(refuses)
            self.settle(pool)

    def reopen(self, pools: Iterable[int], *, refuses: bool | None) -> list[int]:
        """Take one shutting of each pool back; return which are open now."""
        opened = []
        for pool in pools:
            shuttings = self.shuttings.get(pool, [])
            if not shuttings or (refuses is not None and refuses not in shuttings):
                raise ValueError(f"pool {pool} is not shut so; shut it before it is reopened")
            kind = shuttings[-1] if refuses is None else refuses
            shuttings.remove(kind)
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
        shuttings, pools = self.shuttings.get(pool, ()), self.world.pools
        pools["slots"][pool] = 0 if shuttings else self.slots[pool]
        pools["room"][pool] = 0 if any(shuttings) else self.room[pool]

    def take_over(self, fresh: World) -> None:
        """Learn what the program says now; what is shut stays shut."""
        self.slots = fresh.pools["slots"].copy()
        self.room = fresh.pools["room"].copy()
        for pool in self.shuttings:
            self.settle(pool)

    def nominal(self, pools: np.ndarray) -> np.ndarray:
        """Give a copy of the pools' rows the slots that they have when they are not shut."""
        for pool in self.shuttings:
            pools["slots"][pool], pools["room"][pool] = self.slots[pool], self.room[pool]
        return pools
