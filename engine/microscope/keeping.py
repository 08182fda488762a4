"""Keeping: GET, PUT and DROP of keys with a time to live; twin of kernel/store.py.

Whether a key is there, its shelf says: a Redis that expires keys by the simulated clock.
Which key goes when a store is full is decided here, by the kernel's rule: embedded Redis has
no `maxmemory`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from engine.hashing import scattered
from engine.kernel.tables import Keep, Verdict
from engine.microscope.luck import MASK, mix, uniform
from engine.microscope.sampling import Sampler

if TYPE_CHECKING:
    from engine.microscope.scene import Scene, Token
    from engine.microscope.script import Step
    from engine.microscope.shelves import Shelf


@dataclass(slots=True, eq=False)
class Store:
    """Who has a place in a store, the least recently used first, and its shelf."""

    name: str
    station: str
    keys: int
    capacity: int
    ttl: int
    bounded: int
    personal: int
    sliding: int
    early: float
    shelf: Shelf
    sampler: Sampler | None
    places: dict[int, float] = field(default_factory=dict)  # key -> until when
    unloaded: dict[int, float] = field(default_factory=dict)  # warm, and not asked for yet
    gets: int = 0
    hits: int = 0
    expired: int = 0
    evicted: int = 0
    refreshed: int = 0
    drops: int = 0

    def warm(self, ttl_seconds: float) -> None:
        """Begin with the most popular keys, their remaining lives spread evenly."""
        count = self.capacity
        spread = _spread(count)
        if self.bounded == Keep.STATIC:
            self.places = dict.fromkeys(range(count - 1, -1, -1), math.inf)
        else:
            self.places = {key: ttl_seconds * spread[key] for key in range(count - 1, -1, -1)}
        self.unloaded = dict(self.places)
        if self.sampler is not None:
            self.sampler.fill(count)

    def take_over(self, other: Store) -> None:
        """Go on with what another store of this name keeps."""
        for name in ("shelf", "sampler", "places", "unloaded", "gets", "hits", "expired", "evicted",
                     "refreshed", "drops"):  # fmt: skip
            setattr(self, name, getattr(other, name))

    def touch(self, key: int) -> None:
        """Make a key the most recently used."""
        self.places[key] = self.places.pop(key)

    def empty(self) -> int:
        """Forget every key; return how many there were."""
        held = len(self.places)
        self.places.clear()
        self.unloaded.clear()
        self.shelf.clear()
        if self.sampler is not None:
            self.sampler.clear()
        return held


@functools.lru_cache(maxsize=4)
def _spread(count: int) -> tuple[float, ...]:
    """Return how the remaining lives of warm keys are spread, between 0 and 1."""
    return tuple((scattered(np.arange(count)).astype(float) / 2.0**64).tolist())


def _place(step: Step, token: Token, scene: Scene) -> tuple[Store, int]:
    """Return the store that a step means, and where the token's key stands in it."""
    store = scene.parts.stores[step.site + token.registers[step.by]]
    key = token.key
    if store.personal:
        key = (mix((token.user << 32) ^ key) >> 1) % store.keys
    if key in store.unloaded:
        until = store.unloaded.pop(key)
        if until > scene.now:
            store.shelf.load(key, until)
    return store, key


def get(step: Step, token: Token, scene: Scene) -> int:
    """Look the token's key up; on a hit jump."""
    store, key = _place(step, token, scene)
    hit, done = store.shelf.look(key)
    store.gets += 1
    verdict = "hit" if hit else "miss"
    if hit and store.early > 0.0 and _refreshes(step, store, key, token, scene):
        store.refreshed += 1
        hit, verdict = False, "refresh"
    telemetry = scene.parts.telemetry
    metric = telemetry.count(telemetry.lookups, store=store.name, result=verdict)
    scene.journal.say(scene, token, step, f"{store.name}: {verdict}", done, metric=metric)
    if hit:
        _on_hit(step, store, key, token, scene)
    elif verdict == "miss" and key in store.places:
        store.expired += 1
    return Verdict.NEXT


def _refreshes(step: Step, store: Store, key: int, token: Token, scene: Scene) -> bool:
    """Return whether a hit counts as a miss: XFetch."""
    u = uniform(token.root, step.label, token.visit)
    return store.places[key] - scene.now <= -store.early * math.log(u)


def _on_hit(step: Step, store: Store, key: int, token: Token, scene: Scene) -> None:
    store.hits += 1
    if store.sampler is not None:
        u = uniform(token.root, (step.label + 1) & MASK, token.visit)
        store.sampler.touch(key, u, scene.now)
    if store.sliding:
        lives = scene.draw(store.ttl, token, step.label)
        done = store.shelf.renew(key, lives)
        store.places[key] = scene.now + lives
        if done is not None:
            scene.journal.say(scene, token, step, f"{store.name}: lives on", done, minor=True)
    if store.bounded == Keep.RECENT:
        store.touch(key)
    token.step = step.jump


def put(step: Step, token: Token, scene: Scene) -> int:
    """Store the token's key; a full store lets another go first, or does not take it."""
    store, key = _place(step, token, scene)
    lives = scene.draw(store.ttl, token, step.label)
    if lives <= 0.0 or store.capacity == 0:
        return Verdict.NEXT
    if key not in store.places:
        if store.bounded == Keep.STATIC and len(store.places) >= store.capacity:
            return Verdict.NEXT
        while store.bounded != Keep.ALL and len(store.places) >= store.capacity:
            _evict(step, store, token, scene)
        if store.sampler is not None:
            store.sampler.move_in(key, scene.now)
    elif store.bounded == Keep.RECENT:
        store.touch(key)
    store.places[key] = scene.now + lives
    done = store.shelf.put(key, lives, scene.parts.value_of(step, token))
    scene.journal.say(scene, token, step, f"{store.name}: kept for {lives:g} s", done)
    return Verdict.NEXT


def _evict(step: Step, store: Store, token: Token, scene: Scene) -> None:
    """Let the oldest go, by last use or by age; or the worst of a sample."""
    if store.sampler is None:
        victim = next(iter(store.places))
    else:
        victim = store.sampler.victim(token.root, step.label, token.visit, scene.now)
    del store.places[victim]
    store.unloaded.pop(victim, None)
    done = store.shelf.drop(victim)
    store.evicted += 1
    scene.journal.say(scene, token, step, f"{store.name} is full: one goes", done)


def drop(step: Step, token: Token, scene: Scene) -> int:
    """Forget the token's key."""
    store, key = _place(step, token, scene)
    done = store.shelf.drop(key)
    if key in store.places:
        del store.places[key]
        store.drops += 1
        if store.sampler is not None:
            store.sampler.move_out(key)
    scene.journal.say(scene, token, step, f"{store.name}: forgotten", done)
    return Verdict.NEXT
