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
from engine.study.candidates import FRESH, Candidate, Changes, Search, cost
from engine.study.candidates import key_of as _key
from engine.study.goal import Goal
from engine.study.lab import Lab
from engine.study.sweep import Axis, combinations, knob_of

RUNS = 3  # of each candidate
GRID_MAX = 2000  # configurations that are all priced; beyond them some are proposed
BATCH = 8  # candidates that are tried side by side
PROPOSALS = 120
RUNNERS_UP = 3

Tell = Callable[[Sequence[Candidate]], None]


def tell_nobody(tried: Sequence[Candidate]) -> None:
    """Tell nobody what has been tried."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was found."""

    winner: Candidate | None
    runners_up: tuple[Candidate, ...]
    tried: tuple[Candidate, ...]  # the cheapest first
    configurations: int  # in all
    exact: bool  # whether nothing cheaper can have been missed
    sentence: str
    verified: Candidate | None = None  # the winner, on seeds that no choice was made by

    @property
    def cheaper(self) -> list[Candidate]:
        """What is cheaper than the winner, and breaks the promise."""
        limit = self.winner.cost_usd_per_hour if self.winner else math.inf
        return [each for each in self.tried if each.cost_usd_per_hour < limit and not each.keeps]

    @property
    def front(self) -> list[Candidate]:
        """The Pareto front of cost and P99: who is dearer has to be faster."""
        return front_of(self.tried)

    @property
    def table(self) -> pd.DataFrame:
        """One row a candidate, the cheapest first."""
        return pd.DataFrame(
            {
                **each.changes,
                "cost_usd_per_hour": each.cost_usd_per_hour,
                "latency_ms_p99": each.latency_ms_p99,
                "latency_ms_p99_half_width": each.days[0].latency_half_width,
                "error_ratio": each.error_ratio,
                "error_ratio_half_width": each.days[0].error_half_width,
                "keeps": each.keeps,
                "why": each.broken,
            }
            for each in self.tried
        )


def front_of(tried: Sequence[Candidate]) -> list[Candidate]:
    """Return those than which nothing is both cheaper and faster at P99, the cheapest first."""
    found: list[Candidate] = []
    for each in sorted(tried, key=lambda c: (cost(c), c.latency_ms_p99)):
        if math.isnan(each.latency_ms_p99):
            continue
        if not found or each.latency_ms_p99 < found[-1].latency_ms_p99:
            found.append(each)
    return found


def plan(
    scenario: Scenario,
    goal: Goal,
    axes: Sequence[Axis],
    lab: Lab,
    runs: int = RUNS,
    tell: Tell = tell_nobody,
) -> Plan:
    """Return the cheapest configuration that keeps the promise, verified on seeds not seen before.

    `tell` hears of what has been tried as it goes; the lab's report counts configurations.
    Raises ScenarioError, StoppedError.
    """
    if not axes:
        raise ScenarioError("a plan needs knobs to turn; name at least one and its values")
    goal.loaded(scenario)  # or say that so much load cannot be
    count = math.prod(len(each.points) for each in axes)
    exact = count <= GRID_MAX
    search = Search(scenario, goal, lab, runs, count if exact else PROPOSALS, tell)
    winner = _cheapest_first(search, combinations(axes)) if exact else _proposed(search, axes)
    return _told(search, winner, count, axes, exact=exact)


def _cheapest_first(search: Search, grid: Sequence[Changes]) -> Candidate | None:
    """Try configurations from the cheapest on until enough of them keep the promise.

    Of those that cost the same, the fastest wins.  A few of the next ones are always tried along,
    so that nobody of the crew stands idle.
    """
    prices = ((search.price(changes), index) for index, changes in enumerate(grid))
    priced = sorted(each for each in prices if not math.isnan(each[0]))
    winner: Candidate | None = None
    good = begin = 0
    for _, group in itertools.groupby(priced, key=lambda each: each[0]):
        if winner is not None and good >= RUNNERS_UP:
            break
        alike = [grid[index] for _, index in group]
        # Several at once, lest the answer hang on how many cost the same.
        ahead = [grid[index] for _, index in priced[begin : begin + max(len(alike), BATCH)]]
        new = [each for each in ahead if _key(each) not in search.tried]
        if any(_key(each) not in search.tried for each in alike):
            for first in range(0, len(new), BATCH):
                search.look(new[first : first + BATCH])
        begin += len(alike)
        for each in sorted(search.look(alike), key=lambda c: c.latency_ms_p99):
            if not each.keeps:
                continue
            if winner is None and search.holds(each.changes):
                winner = each
            elif winner is not None:
                good += 1
    return winner


def _proposed(search: Search, axes: Sequence[Axis]) -> Candidate | None:
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
        best = min(good, key=cost, default=None)
        if best is None:
            return None
        before = len(search.tried)
        _known(search, list(_neighbours(best, axes, search.price)))
        cheaper = [e for e in search.tried.values() if e.keeps and cost(e) < cost(best)]
        if cheaper and len(search.tried) > before:
            continue
        if search.holds(best.changes):
            return best


def _known(search: Search, many: list[dict[str, Any]]) -> list[Candidate | None]:
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
            if price(one) < cost(best):
                yield one
            for other in axes:
                if other.path == axis.path:
                    continue
                stand = other.points.index(best.changes[other.path])
                for beside in (stand - 1, stand + 1):
                    if 0 <= beside < len(other.points):
                        two = {**one, other.path: other.points[beside]}
                        if price(two) < cost(best):
                            yield two


# ---------------------------------------------------------------- in words


def _told(
    search: Search, winner: Candidate | None, count: int, axes: Sequence[Axis], *, exact: bool
) -> Plan:
    tried = search.sorted()
    if winner is None:
        text = f"Nothing that was tried keeps the promise. {_binds(search, axes)}"
        near = min(tried, key=lambda c: c.excess, default=None)
        if near is not None:
            said = _said(search.scenario, near.changes)
            text += f" The nearest is {said}, at ${cost(near):,.2f} an hour: {near.broken}."
        return Plan(None, (), tried, count, exact, text)
    others = [each for each in tried if each.keeps and each is not winner]
    cheaper = sum(1 for each in tried if cost(each) < cost(winner) and not each.keeps)
    text = (
        f"The cheapest of {count:,} configurations that keeps the promise costs"
        f" ${cost(winner):,.2f} an hour: {_said(search.scenario, winner.changes)}. It also keeps it"
        f" on {FRESH} seeds that no choice was made by."
    )
    if cheaper:
        text += f" {cheaper} cheaper {'one was' if cheaper == 1 else 'ones were'} played and"
        text += f" {'breaks' if cheaper == 1 else 'break'} it."
    if not exact:
        text += " Not all were tried; a cheaper one may exist."
    verified = search.verified[_key(winner.changes)]
    return Plan(winner, tuple(others[:RUNNERS_UP]), tried, count, exact, text, verified)


def _said(scenario: Scenario, changes: Mapping[str, Any]) -> str:
    """Return a configuration in words."""
    return ", ".join(
        f"{knob_of(scenario, path).title} {str(value).replace('_', ' ')}"
        for path, value in changes.items()
    )


def _binds(search: Search, axes: Sequence[Axis]) -> str:
    """Say which limit nothing meets, or that none meets them all at once."""
    tried, promise = list(search.tried.values()), search.goal.objective
    answered = [each for each in tried if not math.isnan(each.latency_ms_p99)]
    if not answered:
        return "Nobody is answered in any of them."
    fast = min(answered, key=lambda c: c.latency_ms_p99)
    sound = min(answered, key=lambda c: c.error_ratio)
    if fast.latency_ms_p99 > promise.latency_ms_p99:
        text = (
            f"The limit that binds is P99 ≤ {promise.latency_ms_p99:,.0f} ms: the fastest has"
            f" {fast.latency_ms_p99:,.0f} ms."
        )
        return text + _ends(search.scenario, fast, axes)
    if sound.error_ratio > promise.error_ratio:
        text = (
            f"The limit that binds is errors ≤ {promise.error_ratio:.2%}: the best has"
            f" {sound.error_ratio:.2%}."
        )
        return text + _ends(search.scenario, sound, axes)
    for bad in search.goal.bad_days:
        lived = [
            (d.error_ratio, i) for i, c in enumerate(tried) for d in c.days if d.name == bad.name
        ]
        if lived and min(lived)[0] > bad.error_ratio:
            text = (
                f"The limit that binds is “{bad.name}”: even the best loses {min(lived)[0]:.2%} of"
                f" its requests meanwhile, and {bad.error_ratio:.2%} are allowed."
            )
            return text + _ends(search.scenario, tried[min(lived)[1]], axes)
    return "Each limit is met by something that was tried, but nothing meets all of them at once."


def _ends(scenario: Scenario, best: Candidate, axes: Sequence[Axis]) -> str:
    """Say which knobs are at the last of the values they may take."""
    ends = [
        f"{knob_of(scenario, axis.path).title} {axis.points[-1]}"
        for axis in axes
        if len(axis.points) > 1 and best.changes[axis.path] == axis.points[-1]
    ]
    if not ends:
        return ""
    return f" It has all that it was allowed ({', '.join(ends)}): allow more, or promise less."
