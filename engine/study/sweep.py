"""Sweep: one or two knobs over ranges, and what the curves say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from engine.errors import ScenarioError, close_to, shown
from engine.knobs import Knob, knobs
from engine.scenario import Scenario
from engine.study.figures import METRICS, Outcome, Task
from engine.study.lab import SEEDS_MAX, Lab, metric_of, seeds, values_of
from engine.study.statistics import Interval, interval, runs_needed
from engine.theory import Usl, usl_fit

RUNS = 3
CELLS_MAX = 10_000
Scale = Literal["linear", "log"]


class Axis(NamedTuple):
    """A knob's path and the points that it stands at, in order."""

    path: str
    points: tuple[Any, ...]


def axis(scenario: Scenario, path: str, values: Sequence[Any]) -> Axis:
    """Return an axis over a list of values.  Raises ScenarioError for what a knob cannot take."""
    knob = knob_of(scenario, path)
    if not values:
        raise ScenarioError(f"{path} has no values to take; give at least one")
    given = [_as(knob, value) for value in values]
    for value in given:
        scenario.change({path: value})
    return Axis(path, tuple(dict.fromkeys(given)))


def ranged(
    scenario: Scenario, path: str, low: float, high: float, count: int, scale: Scale = "linear"
) -> Axis:
    """Return an axis of evenly or logarithmically spaced values.  Raises ScenarioError."""
    knob = knob_of(scenario, path)
    if knob.kind not in {"int", "float", "time"}:
        raise ScenarioError(f"{path} is no number; list the values that it shall take")
    if low >= high:
        raise ScenarioError(
            f"{path} goes from {low:g} to {high:g}; the first has to be the smaller: turn them"
            " around"
        )
    if count < 2:
        raise ScenarioError(f"{path} has {count} steps; a range needs at least 2")
    if scale == "log" and low <= 0:
        raise ScenarioError(f"{path} begins at {low:g}; a logarithmic range begins above 0")
    space = np.geomspace if scale == "log" else np.linspace
    return axis(scenario, path, [float(value) for value in space(low, high, count)])


def knob_of(scenario: Scenario, path: str) -> Knob:
    """Return the knob at a path.  Raises ScenarioError if there is none."""
    known = {knob.path: knob for knob in knobs(scenario)}
    if path not in known:
        raise ScenarioError(f"there is no knob {shown(path)}{close_to(path, known)}")
    return known[path]


def _as(knob: Knob, value: Any) -> Any:
    """Return a value in the knob's own type."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if knob.kind == "int" and number:
        return round(value)
    return float(f"{value:.6g}") if number and isinstance(value, float) else value


@dataclasses.dataclass(frozen=True)
class Cell:
    """One point of a sweep: where the knobs stood, and what came out, one outcome a seed."""

    changes: dict[str, Any]
    outcomes: tuple[Outcome, ...]

    @property
    def problem(self) -> str:
        """Why it could not be played; "" if it could."""
        return next((outcome.problem for outcome in self.outcomes if outcome.problem), "")

    def interval(self, metric: str) -> Interval:
        """Return a figure with its uncertainty."""
        return interval(values_of(self.outcomes, metric))


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What came out of a sweep, as far as it was played."""

    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    total: int  # cells in all

    @property
    def whole(self) -> bool:
        """Whether every cell was played."""
        return len(self.cells) == self.total

    def curve(self, metric: str) -> pd.DataFrame:
        """One row a cell: the knobs, the figure and the ends of its interval."""
        rows = []
        for cell in self.cells:
            found = cell.interval(metric)
            row = {"value": found.mean, "low": found.low, "high": found.high}
            rows.append({**cell.changes, **row, "runs": found.runs, "problem": cell.problem})
        return pd.DataFrame(rows)

    @property
    def table(self) -> pd.DataFrame:
        """One row a cell, with every figure's mean and half-width."""
        rows = []
        for cell in self.cells:
            row: dict[str, Any] = dict(cell.changes)
            for name in METRICS:
                found = cell.interval(name)
                row |= {name: found.mean, f"{name}_half_width": found.half_width}
            rows.append(row)
        return pd.DataFrame(rows)


class Precision(NamedTuple):
    """How sure a sweep has to be of one metric before it stops."""

    metric: str
    relative: float  # half-width of the interval, as a share of the mean
    most: int = SEEDS_MAX  # runs of one cell


def sweep(
    scenario: Scenario,
    axes: Sequence[Axis],
    lab: Lab,
    runs: int = RUNS,
    until: Precision | None = None,
) -> Sweep:
    """Play every combination; return what was played, all of it unless it was called off."""
    found = Sweep(tuple(axes), (), 1)
    for found in streamed(scenario, axes, lab, runs, until):  # noqa: B007 (the last one counts)
        pass
    return found


def streamed(
    scenario: Scenario,
    axes: Sequence[Axis],
    lab: Lab,
    runs: int = RUNS,
    until: Precision | None = None,
) -> Iterator[Sweep]:
    """Yield the sweep as it fills, a cell at a time.  Raises ScenarioError.

    With `until`, each cell gets further seeds until its interval is as narrow as asked, or it has
    as many as it may have: Law 2015, section 9.4.1, as `Lab.precise`.
    """
    grid = combinations(axes)
    if len(grid) > CELLS_MAX:
        raise ScenarioError(
            f"the sweep has {len(grid):,} cells, more than {CELLS_MAX:,}; take fewer values"
        )
    if until is not None:
        metric_of(until.metric)
    systems = [scenario.change(changes) for changes in grid]
    slots: list[dict[int, Outcome]] = [{} for _ in grid]
    wanted = dict.fromkeys(range(len(grid)), runs if until is None else max(runs, 2))
    cells: dict[int, Cell] = {}
    played = 0
    while wanted:
        places = [
            (index, seed)
            for index, count in wanted.items()
            for seed in seeds(count)[len(slots[index]) :]
        ]
        counted = _counted(lab, played)
        for place, outcome in counted.stream([Task.of(systems[i], seed) for i, seed in places]):
            index, seed = places[place]
            slots[index][seed] = outcome
            if len(slots[index]) == wanted[index]:
                ordered = tuple(slots[index][key] for key in sorted(slots[index]))
                cells[index] = Cell(grid[index], ordered)
                yield Sweep(tuple(axes), tuple(cells[key] for key in sorted(cells)), len(grid))
        if any(len(slots[index]) < count for index, count in wanted.items()):
            return  # called off
        played += len(places)
        wanted = _unsure(cells, until) if until else {}


def _counted(lab: Lab, before: int) -> Lab:
    """Return a lab that counts on from what was played before."""
    return dataclasses.replace(
        lab, report=lambda done, total: lab.report(before + done, before + total)
    )


def _unsure(cells: dict[int, Cell], until: Precision) -> dict[int, int]:
    """Return how many runs each cell needs that is not as sure as it should be, by its place."""
    wanted = {}
    for index, cell in cells.items():
        found, count = cell.interval(until.metric), len(cell.outcomes)
        known = found.runs > 1 and not math.isnan(found.half_width)
        if not known or found.within(until.relative) or count >= until.most:
            continue  # what has no value gets none by more luck
        values = values_of(cell.outcomes, until.metric)
        needed = runs_needed(values, until.relative * abs(found.mean))
        wanted[index] = min(until.most, max(count + 1, min(needed, 3 * count)))
    return wanted


def combinations(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return every combination of the axes' values, the last axis fastest."""
    found: list[dict[str, Any]] = [{}]
    for each in axes:
        found = [{**before, each.path: value} for before in found for value in each.points]
    return found


# ---------------------------------------------------------------- what the curves say


def knee(load: Sequence[float], throughput: Sequence[float], latency: Sequence[float]) -> int:
    """Return the index of the knee of a throughput–latency curve: where power is greatest.

    Power is throughput / latency (Kleinrock, "Power and deterministic rules of thumb for
    probabilistic problems in computer communications", ICC 1979).

    >>> knee([1, 2, 3], [100, 200, 210], [10, 12, 90])
    1
    """
    power = np.asarray(throughput, float) / np.asarray(latency, float)
    return int(np.nanargmax(power))


class Law(NamedTuple):
    """The universal scalability law as fitted, and how sure its coefficients are."""

    fit: Usl  # to the means of all runs
    alpha: Interval  # contention: of one fit to each seed's own curve
    beta: Interval  # coherency delay


def law(found: Sweep) -> Law | None:
    """Return the law with its uncertainty, by a fit to each seed's curve; None if there is none."""
    fit = scalability(found)
    if fit is None:
        return None
    path, runs = found.axes[0].path, min(len(cell.outcomes) for cell in found.cells)
    fits = []
    for run in range(runs):
        flows = [cell.outcomes[run].get("answered_per_second") for cell in found.cells]
        known = [
            (float(cell.changes[path]), flow)
            for cell, flow in zip(found.cells, flows, strict=True)
            if not math.isnan(flow)
        ]
        fits.append(usl_fit([n for n, _ in known], [flow for _, flow in known]))
    return Law(fit, interval([f.alpha for f in fits]), interval([f.beta for f in fits]))


def scalability(found: Sweep) -> Usl | None:
    """Fit the universal scalability law to throughput over the first axis; None if it cannot be."""
    curve = found.curve("answered_per_second").dropna(subset=["value"])
    if not found.axes or len(curve) < 4:
        return None
    load = curve[found.axes[0].path]
    if not all(isinstance(each, int | float) and each > 0 for each in load):
        return None
    fit = usl_fit([float(each) for each in load], curve["value"].tolist())
    return fit if all(math.isfinite(each) for each in fit) else None
