"""Candidates: configurations that a plan tries, and how each stands to the goal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from engine.errors import ScenarioError
from engine.scenario import Scenario
from engine.study.figures import Outcome, Task
from engine.study.goal import Goal
from engine.study.headroom import Objective, breaks_first
from engine.study.lab import Lab, nobody, seeds, values_of
from engine.study.statistics import interval

FRESH = 5  # further seeds on which the winner has to hold
FRESH_FIRST = 1001
HOPELESS = 1e3  # by how much who answers nobody breaks a promise

Changes = dict[str, Any]


class Day(NamedTuple):
    """How a configuration fared in one circumstance; means over its runs."""

    name: str  # "" is the ordinary day
    latency_ms_p99: float
    latency_half_width: float  # of its 95 % interval, ms; NaN of a single run
    error_ratio: float
    error_half_width: float
    runs: int
    broken: str  # how it breaks the promise; "" if it keeps it
    excess: float  # by how much, as a share of the limit; 0 if it keeps it


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A configuration that was tried."""

    changes: Changes
    cost_usd_per_hour: float
    days: tuple[Day, ...]  # the ordinary one first; bad ones only if that one keeps its promise
    fresh: bool = False  # whether these are the runs that no choice was made by

    @property
    def latency_ms_p99(self) -> float:
        """On an ordinary day, with the headroom's load."""
        return self.days[0].latency_ms_p99

    @property
    def error_ratio(self) -> float:
        """On an ordinary day, with the headroom's load."""
        return self.days[0].error_ratio

    @property
    def broken(self) -> str:
        """How it breaks the promise; "" if it keeps it."""
        named = (f"{day.name}: {day.broken}" if day.name else day.broken for day in self._failing)
        return "; ".join(named) + (", on other seeds" if self.fresh and self._failing else "")

    @property
    def _failing(self) -> list[Day]:
        return [day for day in self.days if day.broken]

    @property
    def excess(self) -> float:
        """By how much it breaks the promise at worst, as a share of the limit."""
        return max(day.excess for day in self.days)

    @property
    def keeps(self) -> bool:
        """Whether it keeps the promise."""
        return not self._failing


class Search:
    """What has been tried so far."""

    def __init__(
        self,
        scenario: Scenario,
        goal: Goal,
        lab: Lab,
        runs: int,
        most: int,
        tell: Callable[[Sequence[Candidate]], None],
    ) -> None:
        """`most`: configurations that there may be; `tell` hears of those tried so far."""
        self.scenario, self.goal, self.runs, self.most, self.tell = scenario, goal, runs, most, tell
        self.report = lab.report
        self.lab = dataclasses.replace(lab, report=nobody)
        self.tried: dict[tuple[tuple[str, Any], ...], Candidate] = {}
        self.verified: dict[tuple[tuple[str, Any], ...], Candidate] = {}
        self.titles = {name: s.title for name, s in scenario.program().stations.items()}
        self.report(0, most)

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

    def look(self, many: Sequence[Changes]) -> list[Candidate]:
        """Try configurations side by side, those that were not tried before."""
        new = list({key_of(each): each for each in many if key_of(each) not in self.tried}.values())
        if new:
            played = self._play(new, seeds(self.runs))
            self.tried |= {key_of(each): found for each, found in zip(new, played, strict=True)}
            self.report(min(len(self.tried), self.most), self.most)
            self.tell(self.sorted())
        return [self.tried[key_of(each)] for each in many]

    def holds(self, changes: Changes) -> bool:
        """Return whether a configuration keeps the promise with fresh luck, too; note how."""
        luck = list(range(FRESH_FIRST, FRESH_FIRST + FRESH))
        found = dataclasses.replace(self._play([changes], luck)[0], fresh=True)
        (self.verified if found.keeps else self.tried)[key_of(changes)] = found
        return found.keeps

    def sorted(self) -> tuple[Candidate, ...]:
        """Return what has been tried, the cheapest first."""
        return tuple(sorted(self.tried.values(), key=lambda c: (cost(c), str(key_of(c.changes)))))

    def _play(self, many: Sequence[Changes], luck: Sequence[int]) -> list[Candidate]:
        """Play every circumstance, but none that can no longer change the verdict.

        One run whose P99 is above as many times the limit as there are runs, or whose errors are,
        breaks the promise of their mean, whatever the others say; and who fails on an ordinary day
        need not be tried on bad ones.
        """
        days = [list(self.goal.days(self.scenario.change(changes))) for changes in many]
        ordinary = self._runs([(each[0][1], luck[:1]) for each in days])
        promise = self.goal.objective
        loose = Objective(promise.latency_ms_p99 * len(luck), promise.error_ratio * len(luck))
        rest = [[] if loose.broken(first[0]) else luck[1:] for first in ordinary]
        more = self._runs([(each[0][1], seeds) for each, seeds in zip(days, rest, strict=True)])
        played = [
            [self._day(each[0][0], promise, first + others)]
            for each, first, others in zip(days, ordinary, more, strict=True)
        ]
        bad = [
            (place, name, system, limit)
            for place, each in enumerate(days)
            if not played[place][0].broken
            for name, system, limit in each[1:]
        ]
        outcomes = self._runs([(system, luck) for _, _, system, _ in bad])
        for (place, name, _, limit), found in zip(bad, outcomes, strict=True):
            played[place].append(self._day(name, limit, found))
        return [
            Candidate(changes, self.price(changes), tuple(each))
            for changes, each in zip(many, played, strict=True)
        ]

    def _runs(self, wanted: Sequence[tuple[Scenario, Sequence[int]]]) -> list[list[Outcome]]:
        tasks = [Task.of(system, seed) for system, luck in wanted for seed in luck]
        outcomes = iter(self.lab.outcomes(tasks) if tasks else [])
        return [[next(outcomes) for _ in luck] for _, luck in wanted]

    def _day(self, name: str, promise: Objective, outcomes: Sequence[Outcome]) -> Day:
        """Return how one circumstance went; with what is full, where the promise is broken."""
        whole, how = mean(outcomes), promise.broken(mean(outcomes))
        slow, errors = (
            interval(values_of(outcomes, metric)) for metric in ("latency_ms_p99", "error_ratio")
        )
        where = breaks_first(_felt(whole)) if how and not whole.problem else ""
        full = whole.get(f"busy {where}")
        if where and full > 0:
            how += f"; {self.titles.get(where, where)} is {full:.0%} busy"
        return Day(
            name,
            whole.get("latency_ms_p99"),
            slow.half_width,
            whole.get("error_ratio"),
            errors.half_width,
            len(outcomes),
            how,
            excess_of(promise, whole),
        )


def key_of(changes: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return what a configuration is known by."""
    return tuple(sorted(changes.items()))


def cost(candidate: Candidate) -> float:
    """Return what a candidate costs an hour, $."""
    return candidate.cost_usd_per_hour


def mean(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the mean of several runs' figures; or the problem that one of them has."""
    problem = next((outcome.problem for outcome in outcomes if outcome.problem), "")
    if problem:
        return Outcome({}, problem)
    names = outcomes[0].figures
    return Outcome({name: sum(o.get(name) for o in outcomes) / len(outcomes) for name in names})


def _felt(outcome: Outcome) -> Outcome:
    """Return what users feel: nobody waits for work that goes on behind an answer."""
    return Outcome(
        {name: value for name, value in outcome.figures.items() if " asynchronous." not in name}
    )


def excess_of(promise: Objective, outcome: Outcome) -> float:
    """Return by how much a promise is broken, as a share of its limit."""
    if not promise.broken(outcome):
        return 0.0
    slow, errors = outcome.get("latency_ms_p99"), outcome.get("error_ratio")
    if outcome.problem or math.isnan(slow):
        return HOPELESS
    late = slow / promise.latency_ms_p99 - 1 if math.isfinite(promise.latency_ms_p99) else 0.0
    return max(late, (errors - promise.error_ratio) / max(promise.error_ratio, 1e-3), 1e-9)
