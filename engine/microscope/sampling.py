"""Sampling: how a store finds a key to let go without knowing the order of all.

Twin of kernel/sample.py, which says whose rules these are: Redis's, with a pool of sixteen
candidates that outlives the draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.kernel.sample import COUNT_MAX, FIRST_COUNT, LOG_FACTOR, MINUTE
from engine.kernel.tables import VICTIMS, Sample
from engine.microscope.luck import MASK, uniform


@dataclass(slots=True, eq=False)
class Sampler:
    """The keys of a store in no order, what is remembered of each, and the worst so far."""

    rule: int
    samples: int
    keys: list[int] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    memory: dict[int, int] = field(default_factory=dict)
    worst: list[tuple[int, int]] = field(default_factory=list)  # (key, score), the worst last

    def fill(self, count: int) -> None:
        """Begin with the most popular keys."""
        self.keys = list(range(count))
        self.places = {key: key for key in self.keys}
        self.memory = dict.fromkeys(self.keys, FIRST_COUNT if self.rule == Sample.LFU else 0)

    def move_in(self, key: int, now: float) -> None:
        """Put a key among the others."""
        self.places[key] = len(self.keys)
        self.keys.append(key)
        self.memory[key] = int(now)
        if self.rule == Sample.LFU:
            self.memory[key] = int(now / MINUTE) * 256 + FIRST_COUNT

    def move_out(self, key: int) -> None:
        """Take a key from among the others: the last takes its place."""
        place, last = self.places.pop(key), self.keys.pop()
        if last != key:
            self.keys[place], self.places[last] = last, place

    def clear(self) -> None:
        """Forget all."""
        self.keys.clear()
        self.places.clear()
        self.worst.clear()

    def touch(self, key: int, u: float, now: float) -> None:
        """Note a hit."""
        if self.rule == Sample.LRU:
            self.memory[key] = int(now)
        elif self.rule == Sample.LFU:
            count = self._faded(key, now)
            if count < COUNT_MAX:
                count += u < 1.0 / (max(0, count - FIRST_COUNT) * LOG_FACTOR + 1.0)
            self.memory[key] = int(now / MINUTE) * 256 + count

    def _faded(self, key: int, now: float) -> int:
        """Return a counter, less one for each minute since it was last touched."""
        memory = self.memory[key]
        return max(0, memory % 256 - (int(now / MINUTE) - memory // 256))

    def victim(self, root: int, label: int, visit: int, now: float) -> int:
        """Return the key that goes, and take it out."""
        if self.rule == Sample.RANDOM:
            return self._let_go(self._some(root, label, visit, 1))
        for attempt in range(64):
            for number in range(self.samples):
                turn = attempt * self.samples + number + 1
                self._consider(self._some(root, label, visit, turn), now)
            while self.worst:
                key, _ = self.worst.pop()
                if key in self.places:
                    return self._let_go(key)
        return self._let_go(self.keys[0])

    def _some(self, root: int, label: int, visit: int, turn: int) -> int:
        """Return a key drawn at random."""
        return self.keys[int(uniform(root, (label + turn) & MASK, visit) * len(self.keys))]

    def _let_go(self, key: int) -> int:
        self.move_out(key)
        return key

    def _consider(self, key: int, now: float) -> None:
        """Let a key into the pool of the worst if it is bad enough."""
        score = int(now) - self.memory[key]
        if self.rule == Sample.LFU:
            score = COUNT_MAX - self._faded(key, now)
        place = sum(other < score for _, other in self.worst)
        if len(self.worst) == VICTIMS:
            if place == 0:
                return
            self.worst.pop(0)
            place -= 1
        self.worst.insert(place, (key, score))
