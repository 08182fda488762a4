"""Chaos: faults at random, drawn from the seed, as Netflix's Chaos Monkey brings them.

A. Basiri et al., "Chaos Engineering", IEEE Software 2016: inject what happens in the world, in a
steady state, and see whether users notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import field_validator

from engine.component import knob
from engine.distribution import Frozen
from engine.errors import close_to, shown
from engine.faults.fault import SECONDS_MAX, Fault
from engine.layout import label_hash

if TYPE_CHECKING:
    from engine.scenario import Scenario

FAULTS_MAX = 1000


class Chaos(Frozen):
    """Faults at random times, of random kinds, at random places; the same with the same seed."""

    on: bool = knob(False, "Chaos", help="Let things go wrong at random.")
    every_seconds: float = knob(
        60.0,
        "A fault every",
        unit="s",
        low=0.1,
        high=SECONDS_MAX,
        step=5,
        slider_high=600,
        help="On average; the gaps are exponential, so that nobody can wait for the next.",
    )
    length_seconds: float = knob(
        20.0,
        "For",
        unit="s",
        low=0.1,
        high=SECONDS_MAX,
        step=5,
        slider_high=300,
        help="How long each lasts, unless it is over at once.",
    )
    begin_seconds: float = knob(
        0.0,
        "Not before",
        unit="s",
        low=0,
        high=SECONDS_MAX,
        step=5,
        slider_high=300,
        help="Let the system become steady first.",
    )
    kinds: tuple[str, ...] = knob(
        (),
        "Kinds",
        help="Kinds of faults to choose from, such as kill_server; empty: all that can be.",
        max_length=100,
    )

    @field_validator("kinds")
    @classmethod
    def kinds_exist(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        """Every kind is one of the catalogue's."""
        for kind in kinds:
            if kind not in Fault.kinds:
                raise ValueError(f"{shown(kind)} is no kind of fault{close_to(kind, Fault.kinds)}")
        return kinds

    def faults(self, scenario: Scenario, seed: int) -> list[Fault]:
        """Return all that it brings to a run of a scenario, in the order of time."""
        if not self.on:
            return []
        kinds = [kind for kind in Fault.kinds if kind in (self.kinds or Fault.kinds)]
        kinds = [kind for kind in kinds if not Fault.kinds[kind].usual(scenario).refuse(scenario)]
        if not kinds:
            return []
        rng = np.random.default_rng([seed, label_hash("chaos")])
        found: list[Fault] = []
        at = self.begin_seconds
        while len(found) < FAULTS_MAX:
            at += rng.exponential(self.every_seconds)
            if at >= scenario.duration_seconds:
                break
            kind = Fault.kinds[kinds[int(rng.integers(len(kinds)))]]
            fields: dict[str, Any] = {"at_seconds": at, **kind.drawn(scenario, rng)}
            if "length_seconds" in kind.model_fields:
                fields["length_seconds"] = self.length_seconds
            found.append(kind(**fields))
        return found
