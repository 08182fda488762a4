"""Plan: the cheapest configuration that keeps a promise, and why the cheaper ones do not.

What a configuration costs is known without playing it, so candidates are tried from the cheapest
on: the first that keeps the promise is the cheapest of all, without trying the dearer ones.  Where
there are too many for that, Optuna's tree-structured Parzen estimator (Bergstra et al. 2011, with
constraints) proposes which to try, and each cheaper neighbour of what it finds is tried after it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from engine.errors import ScenarioError
from engine.scenario import Scenario
from engine.study.explain import Objective, breaks_first, load_knob
from engine.study.figures import Outcome, Task
from engine.study.lab import Lab, seeds
from engine.study.sweep import Axis, combinations

RUNS = 3  # of each candidate
FRESH = 5  # further seeds on which the winner has to hold
FRESH_FIRST = 1001
GRID_MAX = 2000  # configurations that are all priced; beyond them some are proposed
BATCH = 4  # candidates that are tried side by side
PROPOSALS = 120
RUNNERS_UP = 3


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is promised, and under which circumstances."""

    objective: Objective = dataclasses.field(default_factory=Objective)
    headroom: float = 0.0  # share of load above today's that it must take as well
    # By name: changes that make a bad day, such as faults on the timeline, and the share of errors
    # that is allowed on it.
    bad_days: Mapping[str, tuple[Mapping[str, Any], float]] = dataclasses.field(
        default_factory=dict
    )

    def days(self, scenario: Scenario) -> Iterator[tuple[str, Scenario, Objective]]:
        """Yield (name, scenario, objective) of every circumstance."""
        path = load_knob(scenario)
        load = scenario.get(path) * (1 + self.headroom)
        loaded = scenario.change({path: math.ceil(load) if path.endswith("users") else load})
        yield "with its headroom" if self.headroom else "", loaded, self.objective
        for name, (changes, errors) in self.bad_days.items():
            yield name, scenario.change(changes), Objective(math.inf, errors)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A configuration that was tried."""

    changes: dict[str, Any]
    cost_usd_per_hour: float
    latency_ms_p99: float
    error_ratio: float
    broken: str  # how it breaks the promise; "" if it keeps it
    excess: float  # by how much, as a share of the limit; 0 if it keeps it

    @property
    def keeps(self) -> bool:
        """Whether it keeps the promise."""
        return not self.broken


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was found."""

    winner: Candidate | None
    runners_up: tuple[Candidate, ...]
    tried: tuple[Candidate, ...]  # the cheapest first
    configurations: int  # in all
    exact: bool  # whether nothing cheaper can have been missed
    sentence: str

    @property
    def cheaper(self) -> list[Candidate]:
        """What is cheaper than the winner, and breaks the promise."""
        limit = self.winner.cost_usd_per_hour if self.winner else math.inf
        return [each for each in self.tried if each.cost_usd_per_hour < limit and not each.keeps]

    @property
    def front(self) -> list[Candidate]:
        """The Pareto front of cost and P99: who is dearer has to be faster."""
        found: list[Candidate] = []
        for each in sorted(self.tried, key=lambda c: (c.cost_usd_per_hour, c.latency_ms_p99)):
            if math.isnan(each.latency_ms_p99):
                continue
            if not found or each.latency_ms_p99 < found[-1].latency_ms_p99:
                found.append(each)
        return found

    @property
    def table(self) -> pd.DataFrame:
        """One row a candidate, the cheapest first."""
        return pd.DataFrame(
            {
                **each.changes,
                "cost_usd_per_hour": each.cost_usd_per_hour,
                "latency_ms_p99": each.latency_ms_p99,
                "error_ratio": each.error_ratio,
                "keeps": each.keeps,
                "why": each.broken,
            }
            for each in self.tried
        )


def plan(scenario: Scenario, goal: Goal, axes: Sequence[Axis], lab: Lab, runs: int = RUNS) -> Plan:
    """Return the cheapest configuration that keeps the promise, verified on seeds not seen before.

    Raises ScenarioError, StoppedError.
    """
    if not axes:
        raise ScenarioError("a plan needs knobs to turn; name at least one and its values")
    count = math.prod(len(each.points) for each in axes)
    search = _Search(scenario, goal, lab, runs)
    if count <= GRID_MAX:
        exact = True
        winner = _cheapest_first(search, combinations(axes))
    else:
        exact = False
        winner = _proposed(search, axes)
    return _told(search, winner, count, exact, goal)


class _Search:
    """What has been tried so far."""

    def __init__(self, scenario: Scenario, goal: Goal, lab: Lab, runs: int) -> None:
        self.scenario, self.goal, self.lab, self.runs = scenario, goal, lab, runs
        self.tried: dict[tuple[tuple[str, Any], ...], Candidate] = {}

    def system(self, changes: Mapping[str, Any]) -> Scenario | None:
        """Return a configuration; None where the knobs do not go together."""
        try:
            return self.scenario.change(changes)
        except ScenarioError:
            return None

    def price(self, changes: Mapping[str, Any]) -> float:
        """Return what a configuration costs an hour, before it is played; NaN if it cannot be."""
        system = self.system(changes)
        if system is None:
            return math.nan
        return round(sum(line.usd_per_hour for line in system.bill()), 6)  # or sums would not tie

    def look(self, many: Sequence[dict[str, Any]]) -> list[Candidate]:
        """Try configurations side by side, those that were not tried before."""
        new = [each for each in many if _key(each) not in self.tried]
        played = self._play(new, seeds(self.runs))
        self.tried |= {_key(each): found for each, found in zip(new, played, strict=True)}
        return [self.tried[_key(each)] for each in many]

    def holds(self, changes: dict[str, Any]) -> bool:
        """Return whether a configuration keeps the promise with fresh luck, too; note it if not."""
        fresh = list(range(FRESH_FIRST, FRESH_FIRST + FRESH))
        found = self._play([changes], fresh)[0]
        if not found.keeps:
            self.tried[_key(changes)] = dataclasses.replace(
                found, broken=f"{found.broken}, on other seeds"
            )
        return found.keeps

    def _play(self, many: Sequence[dict[str, Any]], luck: list[int]) -> list[Candidate]:
        days = [list(self.goal.days(self.scenario.change(changes))) for changes in many]
        tasks = [Task.of(system, seed) for each in days for _, system, _ in each for seed in luck]
        outcomes = iter(self.lab.outcomes(tasks))
        found = []
        for changes, each in zip(many, days, strict=True):
            sets = [(name, promise, [next(outcomes) for _ in luck]) for name, _, promise in each]
            found.append(_candidate(changes, self.price(changes), sets))
        return found


def _candidate(
    changes: dict[str, Any], cost: float, sets: Sequence[tuple[str, Objective, list[Outcome]]]
) -> Candidate:
    """Return a configuration with what came out of it: means over seeds, the worst day's word."""
    broken, excess = [], 0.0
    first = mean(sets[0][2])
    for name, promise, outcomes in sets:
        whole = mean(outcomes)
        how = promise.broken(whole)
        if how:
            where = breaks_first(whole)
            full = f"; {where} is {whole.get(f'busy {where}'):.0%} busy" if where else ""
            broken.append(f"{f'{name}: ' if name else ''}{how}{full}")
        excess = max(excess, _excess(promise, whole))
    slow, errors = first.get("latency_ms_p99"), first.get("error_ratio")
    return Candidate(changes, cost, slow, errors, "; ".join(broken), excess)


def mean(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the mean of several runs' figures; or the problem that one of them has."""
    problem = next((outcome.problem for outcome in outcomes if outcome.problem), "")
    if problem:
        return Outcome({}, problem)
    names = outcomes[0].figures
    return Outcome({name: sum(o.get(name) for o in outcomes) / len(outcomes) for name in names})


def _excess(promise: Objective, outcome: Outcome) -> float:
    """Return by how much a promise is broken, as a share of its limit."""
    if not promise.broken(outcome):
        return 0.0
    slow, errors = outcome.get("latency_ms_p99"), outcome.get("error_ratio")
    if outcome.problem or math.isnan(slow):
        return 1e3
    late = slow / promise.latency_ms_p99 - 1 if math.isfinite(promise.latency_ms_p99) else 0.0
    return max(late, (errors - promise.error_ratio) / max(promise.error_ratio, 1e-3), 1e-9)


def _key(changes: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(changes.items()))


def _cheapest_first(search: _Search, grid: Sequence[dict[str, Any]]) -> Candidate | None:
    """Try configurations from the cheapest on until enough of them keep the promise.

    Of those that cost the same, the fastest wins.
    """
    prices = ((search.price(changes), index) for index, changes in enumerate(grid))
    priced = [each for each in prices if not math.isnan(each[0])]
    winner: Candidate | None = None
    good = 0
    for _, group in itertools.groupby(sorted(priced), key=lambda each: each[0]):
        if winner is not None and good >= RUNNERS_UP:
            break
        alike = [grid[index] for _, index in group]
        found: list[Candidate] = []
        for first in range(0, len(alike), BATCH):
            found += search.look(alike[first : first + BATCH])
        for each in sorted(found, key=lambda c: c.latency_ms_p99):
            if not each.keeps:
                continue
            if winner is None and search.holds(each.changes):
                winner = each
            elif winner is not None:
                good += 1
    return winner


def _proposed(search: _Search, axes: Sequence[Axis]) -> Candidate | None:
    """Let Optuna propose, then try every cheaper neighbour until none keeps the promise."""
    import optuna  # noqa: PLC0415 (a third of a second that only large plans need)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=7, n_startup_trials=20)
    study = optuna.create_study(sampler=sampler)
    ends = {each.path: len(each.points) - 1 for each in axes}
    for share in (1.0, 0.5, 0.0):
        study.enqueue_trial({path: round(last * share) for path, last in ends.items()})
    for _ in range(PROPOSALS // BATCH):
        trials = [study.ask() for _ in range(BATCH)]
        asked = [
            {
                axis.path: axis.points[trial.suggest_int(axis.path, 0, ends[axis.path])]
                for axis in axes
            }
            for trial in trials
        ]
        for trial, found in zip(trials, _known(search, asked), strict=True):
            trial.set_constraint("excess", found.excess if found else 1e3)
            study.tell(trial, found.cost_usd_per_hour if found else 1e9)
    while True:
        good = [each for each in search.tried.values() if each.keeps]
        best = min(good, key=_cost, default=None)
        if best is None:
            return None
        before = len(search.tried)
        _known(search, list(_neighbours(best, axes, search.price)))
        cheaper = [e for e in search.tried.values() if e.keeps and _cost(e) < _cost(best)]
        if cheaper and len(search.tried) > before:
            continue
        if search.holds(best.changes):
            return best


def _known(search: _Search, many: list[dict[str, Any]]) -> list[Candidate | None]:
    """Try those configurations whose knobs go together."""
    fits = [each for each in many if search.system(each) is not None]
    found = dict(zip(map(_key, fits), search.look(fits), strict=True))
    return [found.get(_key(each)) for each in many]


def _neighbours(
    best: Candidate, axes: Sequence[Axis], price: Callable[[Mapping[str, Any]], float]
) -> Iterator[dict[str, Any]]:
    """Yield what is one step away along one or two knobs, and cheaper."""
    for axis in axes:
        place = axis.points.index(best.changes[axis.path])
        for near in (place - 1, place + 1):
            if not 0 <= near < len(axis.points):
                continue
            one = {**best.changes, axis.path: axis.points[near]}
            if price(one) < _cost(best):
                yield one
            for other in axes:
                if other.path == axis.path:
                    continue
                stand = other.points.index(best.changes[other.path])
                for beside in (stand - 1, stand + 1):
                    if 0 <= beside < len(other.points):
                        two = {**one, other.path: other.points[beside]}
                        if price(two) < _cost(best):
                            yield two


def _cost(candidate: Candidate) -> float:
    return candidate.cost_usd_per_hour


def _told(search: _Search, winner: Candidate | None, count: int, exact: bool, goal: Goal) -> Plan:
    tried = tuple(sorted(search.tried.values(), key=lambda c: (_cost(c), str(_key(c.changes)))))
    if winner is None:
        near = min(tried, key=lambda c: c.excess, default=None)
        text = "Nothing that was tried keeps the promise."
        if near is not None:
            text += f" The nearest costs ${_cost(near):,.2f} an hour and breaks it: {near.broken}."
        return Plan(None, (), tried, count, exact, text)
    others = [each for each in tried if each.keeps and each is not winner]
    said = ", ".join(f"{path} {value}" for path, value in winner.changes.items())
    cheaper = sum(1 for each in tried if _cost(each) < _cost(winner) and not each.keeps)
    text = (
        f"The cheapest of {count:,} configurations that keeps the promise costs"
        f" ${_cost(winner):,.2f} an hour: {said}. {cheaper} cheaper ones were played and break it."
    )
    if not exact:
        text += " Not all were tried; a cheaper one may exist."
    return Plan(winner, tuple(others[:RUNNERS_UP]), tried, count, exact, text)
