"""The timeline of a run: what is planned comes at its time, what is done by hand is written down.

Everything here happens before all else of its instant, because a hand that acts in a pause acts
then too.  So a run with hands on it and the same run from its record are the same, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from simpy.events import URGENT, Event

from engine.component import ControlPlane
from engine.errors import ScenarioError
from engine.faults.fault import Fault, Lasting, seconds
from engine.faults.plan import (
    FAULT,
    Change,
    Entry,
    Force,
    contradiction,
    entries,
    force,
    placed,
    walk,
)

if TYPE_CHECKING:
    from engine.scenario import Scenario

CHAOS = -1  # the index of what chaos brings
Turn = Callable[[Mapping[str, Any]], None]


class Due(Event):
    """An event that happens by itself after so many seconds, before all that is not urgent then."""

    def __init__(self, run: ControlPlane, seconds_from_now: float) -> None:
        super().__init__(run.env)
        self._ok, self._value = True, None  # as `simpy.Environment.run` does it
        run.env.schedule(self, URGENT, seconds_from_now)


class Happening(NamedTuple):
    """A fault in force, how to undo it, and where it stands in the record."""

    force: Force
    acting: Iterator[tuple[str, str]]
    place: int


class Timeline:
    """What is to come, what is in force, and what has been done so far."""

    def __init__(self, run: ControlPlane, scenario: Scenario, turn: Turn) -> None:
        self.run = run
        self.started = scenario
        self.turn = turn  # turns knobs, without a word in the record
        self.faults: list[Fault] = list(scenario.faults)  # the record
        self.changes: list[Change] = list(scenario.changes)
        seed = int(run.plane.world.clock["seed"][0])
        drawn = scenario.chaos.faults(scenario, seed)
        chaos = [Entry(f.at_seconds, f.order, FAULT, CHAOS, f) for f in drawn]
        self.to_come = sorted([*chaos, *entries(scenario)], key=lambda entry: entry[:2])
        self.happening: list[Happening] = []
        self._order = (0.0, -1)  # of the last thing done: the instant, and its order there
        for time in walk(self.to_come):
            self._call(time)  # from 0 on, so that it is exact

    @property
    def in_force(self) -> list[Force]:
        """The faults in force now, in the order in which they began."""
        return [each.force for each in self.happening]

    def recorded(self) -> Scenario:
        """Return the scenario as it started, with all that was done since on its timeline."""
        record = {"faults": tuple(self.faults), "changes": tuple(self.changes)}
        return self.started.model_copy(update=record)

    # ------------------------------------------------------------ by hand

    def inject(self, fault: Fault) -> Fault:
        """Let something go wrong now, and write it down."""
        self.catch_up()
        fault = fault.model_copy(update={"at_seconds": self._now, "order": self._next_order()})
        why_not = self._why_not(fault, fault.kind, self._planned)
        if why_not:
            raise ScenarioError(why_not)
        self._begin(fault, len(self.faults), fault.kind)
        self.faults.append(fault)
        self._did(fault.order)
        self._settle()
        return fault

    def change(self, values: Mapping[str, Any]) -> None:
        """Turn knobs now, and write it down."""
        self.catch_up()
        order = self._next_order()
        self.turn(values)
        self.changes.append(Change(at_seconds=self._now, order=order, set=dict(values)))
        self._did(order)
        self._settle()

    def mend(self, number: int) -> None:
        """End one of the faults in force now: the `number`-th of them, from 0 on.

        If something else was done at this very instant, it ends right after that instant, so
        that the record can say in which order things happened.
        """
        self.catch_up()
        if not 0 <= number < len(self.happening):
            raise ScenarioError(f"there is no fault number {number} in force now")
        found = self.happening[number]
        if found.place == CHAOS:
            raise ScenarioError(f"{found.force.fault.kind} was brought by chaos; it ends by itself")
        at_once = self._order[0] < self._now and found.force.since < self._now
        end = self._now if at_once else math.nextafter(self._now, math.inf)
        fault = found.force.fault
        length = length_to(fault.at_seconds, end)
        self.faults[found.place] = fault.model_copy(update={"length_seconds": length})
        self.happening[number] = found._replace(force=found.force._replace(until=end))
        if at_once:
            self._order = self._now, -1  # what ends at an instant ends before what begins
            self._end(self.happening[number])
            self._settle()
        else:
            self._call(end - self._now)  # exact: they are neighbours

    # ------------------------------------------------------------ at its time

    def _settle(self) -> None:
        """Play what follows at this instant from what was done: a crash unwinds its calls.

        So what is done next finds the same state in a pause and in a plan.
        """
        self.run.plane.advance(self._now)

    def catch_up(self, _: Event | None = None) -> None:
        """Let all be over that is over by now, then let all happen that is due by now."""
        self._settle()
        over = [each for each in self.happening if each.force.until <= self._now]
        for each in over:
            self._end(each)
        if over and self._order[0] < self._now:
            self._did(-1)
        wrong = ""
        while self.to_come and self.to_come[0].at <= self._now:
            entry = self.to_come.pop(0)
            self._did(entry.order)
            if isinstance(entry.item, Change):
                wrong = wrong or self._planned_change(entry.item, entry.place)
            else:
                self._planned_fault(entry.item, entry.place)
        if wrong:
            raise ScenarioError(wrong)

    def _planned_change(self, change: Change, index: int) -> str:
        """Turn knobs as planned; return why they cannot be turned, if they cannot."""
        self._settle()
        try:
            self.turn(change.set)
        except ScenarioError as error:
            return f"changes[{index}] at {seconds(change.at_seconds)}: {error}"
        return ""

    def _planned_fault(self, fault: Fault, index: int) -> None:
        """Begin a fault that was planned; if it cannot be any more, the log says why."""
        name = fault.kind if index == CHAOS else f"faults[{index}]"
        others = self._planned if index == CHAOS else lambda: self.in_force
        why_not = self._why_not(fault, name, others)
        if not why_not:
            try:
                self._begin(fault, index, name)
            except ScenarioError as error:
                why_not = str(error)
        if why_not and index != CHAOS:
            self.run.note("refused", "", why_not)

    def _begin(self, fault: Fault, index: int, name: str) -> None:
        new = force(fault, self.run.scenario, name)
        acting = iter(fault.act(self.run))
        self._settle()
        try:
            station, text = next(acting)
        except ScenarioError as error:  # it is only known now
            raise ScenarioError(f"{name}: {error}") from None
        self.run.note("fault", station, text)
        each = Happening(new, acting, index)
        self.happening.append(each)
        if new.until <= self._now:
            self._end(each)
        elif isinstance(fault, Lasting) and fault.length_seconds is not None:
            self._call(fault.length_seconds)

    def _end(self, each: Happening) -> None:
        self.happening = [other for other in self.happening if other is not each]
        self._settle()
        said = next(each.acting, None)
        if said is not None:
            self.run.note("fault_over", *said)

    # ------------------------------------------------------------ parts

    @property
    def _now(self) -> float:
        return float(self.run.env.now)

    def _planned(self) -> list[Force]:
        """Return what is in force and what is planned to be; not what chaos may bring."""
        scenario = self.run.scenario
        return self.in_force + [
            force(entry.item, scenario, f"faults[{entry.place}]")
            for entry in self.to_come
            if isinstance(entry.item, Fault) and entry.place != CHAOS
            if not entry.item.refuse(scenario)
        ]

    def _why_not(self, fault: Fault, name: str, others: Callable[[], list[Force]]) -> str:
        """Return the one line why a fault cannot begin now beside others, or nothing."""
        line = fault.refuse(self.run.scenario)
        if line:
            return placed(name, fault, line)
        line = contradiction(force(fault, self.run.scenario), others())
        return f"{name}: {line}" if line else ""

    def _next_order(self) -> int:
        """Return the order of the next thing done at this instant."""
        at, order = self._order
        return order + 1 if at == self._now else 0

    def _did(self, order: int) -> None:
        self._order = self._now, order

    def _call(self, seconds_from_now: float) -> None:
        """Have `catch_up` called then."""
        callbacks = Due(self.run, seconds_from_now).callbacks
        assert callbacks is not None
        callbacks.append(self.catch_up)


def length_to(start: float, end: float) -> float:
    """Return the length that added to `start` gives `end` to the last bit.

    >>> 0.1 + length_to(0.1, 0.3) == 0.3
    True
    """
    length = end - start
    while start + length < end:
        length = math.nextafter(length, math.inf)
    while start + length > end:
        length = math.nextafter(length, 0.0)
    assert start + length == end
    return length
