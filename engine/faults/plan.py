"""Plans: what a scenario says will happen when, and whether that can be.

The order of one instant is the same played live and from a plan: first what is over, then by
`order`, then changes before faults, then as written.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from engine.component import knob
from engine.distribution import Frozen
from engine.errors import ScenarioError, plain, shown
from engine.faults.fault import SECONDS_MAX, Fault, seconds

if TYPE_CHECKING:
    from engine.scenario import Scenario

CHANGES_MAX = 10_000
FAULTS_MAX = 1000
CHANGE, FAULT = 0, 1
FIXED = ("faults", "changes", "chaos")  # a plan cannot change the plan


class Change(Frozen):
    """Knobs that are turned while the system runs."""

    at_seconds: float = knob(
        0.0,
        "At",
        unit="s",
        low=0,
        high=SECONDS_MAX,
        step=1,
        slider_high=600,
        help="When they are turned, in simulated seconds since the start.",
    )
    order: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        title="Order",
        description="Among what happens at the same instant: lower first.",
    )
    set: dict[str, Any] = Field(
        min_length=1,
        title="Knobs",
        description="New values by path, such as application.replicas: 6.",
    )


class Entry(NamedTuple):
    """One thing of a plan; entries sort in the order in which they happen."""

    at: float
    order: int
    what: int  # CHANGE or FAULT
    place: int  # in the scenario's list; -1 for what chaos brings
    item: Change | Fault


class Force(NamedTuple):
    """A fault while it is in force: what it has for itself, and until when."""

    fault: Fault
    targets: frozenset[str]
    since: float
    until: float
    place: str  # how a person calls it: faults[2]

    def at(self, start: float, end: float) -> bool:
        """Return whether it is in force at some time of [start, end)."""
        return self.since < end and start < self.until


def entries(scenario: Scenario) -> list[Entry]:
    """Return all that a scenario plans, in the order in which it happens."""
    found = [Entry(c.at_seconds, c.order, CHANGE, i, c) for i, c in enumerate(scenario.changes)]
    found += [Entry(f.at_seconds, f.order, FAULT, i, f) for i, f in enumerate(scenario.faults)]
    return sorted(found, key=lambda entry: entry[:4])


def force(fault: Fault, scenario: Scenario, place: str = "") -> Force:
    """Return what a fault of a scenario has for itself, and when."""
    targets = frozenset(fault.targets(scenario))
    return Force(fault, targets, fault.at_seconds, fault.until, place or fault.kind)


def contradiction(new: Force, others: Iterable[Force]) -> str:
    """Return the one line why a fault cannot be beside others, or nothing."""
    for other in others:
        both = new.targets & other.targets
        if both and other.at(new.since, max(new.until, math.nextafter(new.since, math.inf))):
            what = f"{min(both)} is {other.fault.state} already"
            when = f"from {seconds(other.since)} to {seconds(other.until)}"
            return f"{what}, {when} ({other.place}); choose another target or time"
    return ""


def check(scenario: Scenario) -> None:
    """Raise ValueError, one line with the place, if what a scenario plans cannot be."""
    view, planned = scenario, list[Force]()
    for entry in entries(scenario):
        if isinstance(entry.item, Change):
            view = changed(view, entry.item, f"changes[{entry.place}]")
            continue
        fault, name = entry.item, f"faults[{entry.place}]"
        line = fault.refuse(view)
        if line and (view is scenario or fault.refuse(scenario)):
            raise ValueError(placed(name, fault, line))
        if line:
            continue  # it was possible at the start: the run will say that it is so no more
        new = force(fault, view, name)
        line = contradiction(new, planned)
        if line:
            raise ValueError(f"{name}: {line}")
        planned.append(new)


def changed(scenario: Scenario, change: Change, name: str) -> Scenario:
    """Return a scenario after a change; ValueError with the place if that cannot be."""
    try:
        return turned(scenario, change.set)
    except ScenarioError as error:
        raise ValueError(f"{name}.set: {error}") from None


def turned(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """Return a scenario with knobs turned, without its plan: that was checked before."""
    for path in values:
        if path.split(".")[0] in FIXED:
            raise ScenarioError(f"{path} is part of the plan and cannot be changed by it")
    return without_plan(scenario).change(values)


def without_plan(scenario: Scenario) -> Scenario:
    """Return the scenario at rest: nothing is planned."""
    if not (scenario.faults or scenario.changes):
        return scenario
    return scenario.model_copy(update={"faults": (), "changes": ()})


def placed(name: str, fault: Fault, line: str) -> str:
    """Return a fault's line with the name of the place before it."""
    field = line.split(maxsplit=1)[0]
    return f"{name}.{line}" if field in type(fault).model_fields else f"{name}: {line}"


def parse_fault(tree: Fault | Mapping[str, Any]) -> Fault:
    """Return the fault that plain values say; ScenarioError in one line if they say none."""
    if isinstance(tree, Fault):
        return tree
    if not isinstance(tree, Mapping):
        raise ScenarioError(f"a fault is a mapping of names to values; this is {shown(tree)}")
    try:
        fault: Fault = reader().validate_python(dict(tree))
    except ValidationError as error:
        line = plain(error, fields_at, kind="fault")
        raise ScenarioError(line.replace("the scenario", "the fault", 1)) from None
    return fault


def fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Return the fields of the kind of fault that a place begins with."""
    kind = Fault.kinds.get(str(loc[0])) if loc else None
    return list(kind.model_fields) if kind else []


@functools.cache
def reader() -> TypeAdapter[Any]:
    """Return what reads a fault of whichever kind `do` names."""
    kinds: Any = functools.reduce(operator.or_, Fault.kinds.values())
    return TypeAdapter(Annotated[kinds, Field(discriminator="do")])


def walk(found: Iterable[Entry]) -> Iterator[float]:
    """Yield the times at which something happens, each once."""
    yield from dict.fromkeys(entry.at for entry in found)
