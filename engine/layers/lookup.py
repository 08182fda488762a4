"""Reading through the cache, and writing into its buffer, as steps of a journey.

A miss that everybody has at once is a stampede: `Lookup` knows three cures for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.assembly import Station
from engine.component import Inner, Step
from engine.distribution import Distribution
from engine.kernel.tables import NOBODY, Op
from engine.layers.cachenodes import goes_on
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.component import AnyStep
    from engine.scenario import Scenario

STRIPES = 512  # locks that keys share: two keys in 512 wait for one another without need


class Lookup(Step):
    """Read through the cache: a hit is the answer, a miss does the steps within and keeps it."""

    do: Literal["lookup"] = "lookup"
    dataset: str
    then: tuple[AnyStep, ...] = ()

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit GET, and behind a miss the steps within and SETEX (cache-aside)."""
        cache = scenario.cache
        scenario.draw_key(program, self.dataset)
        if not cache.enabled:
            inner()
            return
        near = cache.near.look(program, scenario, self.dataset)
        with program.at(cache.station(program), f"get {self.dataset}"):
            _, store = cache.store_of(program, scenario, self.dataset)
            absent = self._absent(program, scenario, inner)
            start = program.here
            past = cache.ask(program, cache.station(program), "get")
            hit = program.step(Op.GET, "luck" if cache.draws_on_hits else "", site=store)
            if cache.stampede == "single_flight" and not self._within_itself(program):
                self._alone(program, scenario, store, inner)
            elif cache.stampede == "lease":
                self._leased(program, scenario, store, inner, start)
            else:
                goes_on(program, past)
                past = []
                self._fetch(program, scenario, store, inner)
            program.patch(hit, jump=program.here)
            if past:
                self._uncached(program, past, inner)
            program.forget_key()
        if near is not None:
            absent.append(near.look)
            scenario.draw_key(program, self.dataset)
            near.keep(program)
            program.forget_key()
        for row in absent:
            program.patch(row, jump=program.here)

    def _fetch(self, program: Program, scenario: Scenario, store: int, inner: Inner) -> None:
        """Emit the steps within, and that what came of them is kept."""
        inner()
        scenario.draw_key(program, self.dataset)
        program.hold("set", scenario.cache.hop, NETWORK)
        program.step(Op.PUT, "keep", site=store)

    def _uncached(self, program: Program, past: list[int], inner: Inner) -> None:
        """Emit the steps within for those who have gone past a cache that does not answer."""
        over = program.step(Op.GO)
        goes_on(program, past)
        inner()
        program.patch(over, jump=program.here)

    def _alone(self, program: Program, scenario: Scenario, store: int, inner: Inner) -> None:
        """Emit a fetch under the key's lock; who had to wait for it looks again (single flight).

        That look is a GET in the books and takes no time: it shares what the first one fetched.
        Who has waited too long fetches without the lock.
        """
        keys = scenario.datasets[self.dataset].keys
        name, stripe = f"cache locks {self.dataset}", program.register("lock")
        if name not in program.laid_out:
            count = min(keys, STRIPES)
            unseen = Station(name, name, "cache", "store")
            locks = program.pools(unseen, count, 1, -1, 0, (1,), program.meter())
            program.laid_out[name] = locks, program.lookup(np.arange(keys) % count)
        locks, table = program.laid_out[name]
        patience = program.dist(Distribution(constant=scenario.cache.flight_seconds * 1e3))
        rule = program.retry(cancels=True)
        program.step(Op.LOOKUP, site=table, register=stripe)
        program.step(Op.TRY, "lock", WAITING, site=program.lane(), dist=patience, jump=rule)
        program.step(Op.SEIZE, kind=WAITING, site=locks, by=stripe)
        program.step(Op.DONE)
        again = program.step(Op.GET, site=store)
        self._fetch(program, scenario, store, inner)
        program.patch(again, jump=program.here)
        program.step(Op.RELEASE)
        over = program.step(Op.GO)
        program.say_otherwise(rule, program.here)
        self._fetch(program, scenario, store, inner)
        program.patch(over, jump=program.here)

    def _within_itself(self, program: Program) -> bool:
        """Return whether this stands within a look-up of the same dataset, whose lock it has."""
        node = program.nodes[program.node].parent
        while node != NOBODY:
            if program.nodes[node].operation == f"get {self.dataset}":
                return True
            node = program.nodes[node].parent
        return False

    def _leased(
        self, program: Program, scenario: Scenario, store: int, inner: Inner, start: int
    ) -> None:
        """Emit a fetch for whom the cache gives a lease, and for others a wait and the way back.

        Who fails keeps the lease until it runs out, and so keeps the others waiting.
        """
        cache, keys = scenario.cache, scenario.datasets[self.dataset].keys
        name = f"leases {self.dataset}"
        if name not in program.named:
            unseen = Station(name, name, "cache", "store", meter=program.meter())
            life = Distribution(constant=cache.lease_seconds * 1e3)
            program.named[name] = program.store(unseen, keys, keys, life)
        taken = program.step(Op.GET, site=program.named[name])
        program.step(Op.PUT, "lease", site=program.named[name])
        self._fetch(program, scenario, store, inner)
        program.step(Op.DROP, site=program.named[name])
        fetched = program.step(Op.GO)
        program.patch(taken, jump=program.here)
        program.hold("wait", Distribution(constant=cache.lease_wait_ms), WAITING)
        program.step(Op.GO, jump=start)
        program.patch(fetched, jump=program.here)

    def _absent(self, program: Program, scenario: Scenario, inner: Inner) -> list[int]:
        """Emit the look-up of what does not exist; return the rows that jump behind it all."""
        cache, data = scenario.cache, scenario.datasets[self.dataset]
        ends: list[int] = []

        def ask_in_vain() -> None:
            name = f"absent {self.dataset}"
            if name not in program.named:
                room = scenario.room_for(self.dataset, "lookup", cache.capacity)
                life = Distribution(constant=cache.negative_ttl_seconds * 1e3)
                program.named[name] = program.store(
                    cache.station(program), data.keys, room if cache.negative else 0, life
                )
            past = cache.ask(program, cache.station(program), "get absent")
            ends.append(program.step(Op.GET, site=program.named[name]))
            goes_on(program, past)
            inner()
            if cache.negative:
                scenario.draw_key(program, self.dataset)
                program.hold("set absent", cache.hop, NETWORK)
                program.step(Op.PUT, "keep absent", site=program.named[name])
            ends.append(program.step(Op.GO))
            scenario.draw_key(program, self.dataset)  # only said: nobody comes by here

        program.chance("absent", data.missing_share, ask_in_vain)
        return ends


class Count(Step):
    """Count something, such as a view, in the write-behind buffer."""

    do: Literal["count"] = "count"
    dataset: str

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit INCR into the buffer; without a cache, a write to the database."""
        scenario.draw_key(program, self.dataset)
        if scenario.cache.enabled:
            scenario.cache.buffer.remember(program, scenario, self.dataset, "count", wait=False)
        else:
            scenario.data.write(program, scenario, self.dataset, "count")
