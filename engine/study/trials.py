"""What next: turn every lever one step up and down, and rank what that does."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from engine.errors import ScenarioError
from engine.inspect import inspect
from engine.knobs import Knob, knobs
from engine.run import simulate
from engine.scenario import Scenario
from engine.study.compare import Verdict, judge
from engine.study.figures import METRICS, Outcome
from engine.study.lab import Lab, seeds

RUNS = 4
FACTOR = 1.25  # of a step of what has no steps of its own
LOAD = ("client.requests_per_second", "client.users")  # no lever: whoever asks, asks
SHOWN = ("latency_ms_p99", "latency_ms_mean", "error_ratio", "cost_usd_per_hour")
# What one of a thing is called; what has no name of its own is known by its title.
ONE = {
    "application.cores": "CPU core per app server",
    "application.replicas": "app server",
    "application.threads": "worker thread per app server",
    "asynchronous.partitions": "partition per topic",
    "asynchronous.workers": "queue worker of each kind",
    "client.attempts": "attempt per request",
    "data.connections": "database connection",
    "data.read_replicas": "read replica",
    "data.search.slots": "search thread",
    "data.shards": "shard",
}
# What says too little without the part that it belongs to.
TITLES = {
    "application.autoscaler.on": "App autoscaler",
    "asynchronous.autoscaler.on": "Worker autoscaler",
    "asynchronous.partitions": "Partitions per topic",
    "client.timeout_seconds": "Users' time-out",
    "data.connections": "Database connections",
    "edge.balancer.policy": "Balancer policy",
}
# Levers that operators reach for besides the main knobs, as far as the scenario has them.
USUAL = (
    "application.cores",
    "asynchronous.partitions",
    "client.attempts",
    "client.timeout_seconds",
    "data.connections",
    "data.search.slots",
    "edge.balancer.policy",
    "edge.cdn.capacity",
    "edge.cdn.ttl_seconds",
)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One lever turned by one step, and what that did."""

    label: str
    changes: dict[str, Any]
    verdicts: dict[str, Verdict]
    problem: str = ""

    def effect(self, metric: str) -> float:
        """Return the change of a figure; 0 where it is within noise."""
        change = self.verdicts[metric].change
        return change.mean if change.real else 0.0

    @property
    def sentence(self) -> str:
        """What it does, in one line."""
        if self.problem:
            return f"{self.label}: cannot be tried: {self.problem}"
        said = [_short(self.verdicts[name]) for name in SHOWN if self._matters(name)]
        return f"{self.label}: {', '.join(said) if said else 'no effect beyond noise'}"

    def _matters(self, name: str) -> bool:
        change = self.verdicts[name].change
        return change.real and abs(change.mean) >= METRICS[name].floor


def what_next(
    scenario: Scenario, lab: Lab, metric: str = "latency_ms_p99", runs: int = RUNS
) -> list[Trial]:
    """Return every lever's trials, the most helpful for `metric` first.

    All have the same seeds, so that differences are the lever's.  Raises ScenarioError if the
    scenario itself cannot be played, StoppedError if it is called off.
    """
    *_, found = rankings(scenario, lab, metric, runs)
    return found


def rankings(
    scenario: Scenario, lab: Lab, metric: str = "latency_ms_p99", runs: int = RUNS
) -> Iterator[list[Trial]]:
    """Yield the trials as they are known so far, from two runs each on; see `what_next`."""
    if runs < 2:
        raise ScenarioError(f"runs is {runs}; one run says nothing of noise: use at least 2")
    tried = candidates(scenario)
    for base, *found in lab.rounds([scenario, *(each for _, _, each in tried)], seeds(runs)):
        for outcome in base:
            if outcome.problem:
                raise ScenarioError(outcome.problem)
        trials = [
            _trial(label, changes, base, played)
            for (label, changes, _), played in zip(tried, found, strict=True)
        ]
        yield ranked(trials, metric)


def ranked(trials: Iterable[Trial], metric: str) -> list[Trial]:
    """Return trials in order, the most helpful for a metric first."""
    return sorted(trials, key=lambda trial: _rank(trial, metric))


def candidates(scenario: Scenario) -> list[tuple[str, dict[str, Any], Scenario]]:
    """Return (label, changes, scenario) for a step up and down of every lever."""
    found = []
    for knob in levers(scenario):
        for label, value in steps(knob):
            changes = {knob.path: value}
            try:
                found.append((label, changes, scenario.change(changes)))
            except ScenarioError:
                continue  # beyond what the knob takes: there is no such step
    return found


def levers(scenario: Scenario) -> list[Knob]:
    """Return the knobs worth trying: main ones, usual ones, and what the busiest ask for."""
    by_path = {knob.path: knob for knob in knobs(scenario)}
    wanted = [path for path, knob in by_path.items() if not knob.advanced]
    wanted += [path for path in USUAL if path in by_path]
    result = simulate(scenario.change({"duration_seconds": _short_run(scenario)}))
    busiest = result.stations.dropna(subset=["utilisation"]).nlargest(4, "utilisation")
    for station in busiest.index:
        for remedy in inspect(result, str(station)).remedies:
            wanted += [path for path in remedy.changes if path in by_path]
    on = [path for path in dict.fromkeys(wanted) if path not in LOAD]
    return [by_path[path] for path in on if scenario.get(f"{path.split('.')[0]}.enabled")]


def _short_run(scenario: Scenario) -> float:
    """Return how long to look for the busiest parts."""
    return min(scenario.duration_seconds, scenario.warm_up_seconds + 20.0)


def steps(knob: Knob) -> list[tuple[str, Any]]:
    """Return (label, value) of each step that a knob can take from where it stands."""
    value = knob.value
    if knob.kind == "bool":
        return [(f"{title_of(knob)}: {'off' if value else 'on'}", not value)]
    if knob.kind == "choice":
        others = [each for each in knob.choices if each != value]
        return [(f"{title_of(knob)}: {each.replace('_', ' ')}", each) for each in others]
    if not isinstance(value, int | float) or value == 0:
        return []
    if knob.kind == "int" and value < 1 / (FACTOR - 1) * 4:
        step = 1
        return [(_label(knob, step), value + step), (_label(knob, -step), value - step)]
    up, down = value * FACTOR, value / FACTOR
    if knob.kind == "int":
        up, down = math.ceil(up), math.floor(down)
    return [(_to(knob, number), number) for number in (up, down)]


def title_of(knob: Knob) -> str:
    """Return a knob's title, with its part where the title alone leaves that open."""
    if knob.path in TITLES:
        return TITLES[knob.path]
    _, *owners, _ = knob.path.split(".")
    owner = owners[-1].replace("_", " ").capitalize() if owners else ""
    return knob.title if owner.lower() in knob.title.lower() else f"{owner}: {knob.title}"


def _label(knob: Knob, step: int) -> str:
    """Return what one more or one fewer is called; there is always but one.

    >>> from engine.reading import load
    >>> from engine.knobs import knobs
    >>> known = {knob.path: knob for knob in knobs(load("amazon"))}
    >>> _label(known["application.replicas"], 1), _label(known["data.read_replicas"], -1)
    ('+1 app server', '−1 read replica')
    """
    one = ONE.get(knob.path)
    if one is None:
        title = title_of(knob)
        return f"{title} {knob.value} → {knob.value + step}"  # type: ignore[operator]
    return f"{'+' if step > 0 else '−'}{abs(step)} {one}"


def _to(knob: Knob, number: float) -> str:
    unit = f" {knob.unit}" if knob.unit else ""
    return f"{title_of(knob)} {knob.value:,.6g} → {number:,.6g}{unit}"


def _trial(
    label: str, changes: dict[str, Any], base: list[Outcome], played: list[Outcome]
) -> Trial:
    problem = next((outcome.problem for outcome in played if outcome.problem), "")
    verdicts = {name: judge(label, name, base, played) for name in METRICS}
    return Trial(label, changes, verdicts, problem)


def _rank(trial: Trial, metric: str) -> tuple[float, ...]:
    """Return what trials are sorted by: the wanted figure first, then errors, then cost."""
    if trial.problem:
        return (math.inf, 0.0, 0.0)
    sign = 1.0 if METRICS[metric].better == "lower" else -1.0
    return sign * trial.effect(metric), trial.effect("error_ratio"), _cost(trial)


def _cost(trial: Trial) -> float:
    change = trial.verdicts["cost_usd_per_hour"].change.mean
    return 0.0 if math.isnan(change) else change


def _short(verdict: Verdict) -> str:
    what, change, was = METRICS[verdict.metric], verdict.change, verdict.baseline.mean
    sign = "+" if change.mean > 0 else "−"
    sure = what.half(change.half_width)
    if what.unit == "$":
        return f"{sign}{what.by(abs(change.mean))}{sure}/h"
    name = what.title.removesuffix(" latency")
    if what.unit == "share" or not was:
        return f"{name} {sign}{what.by(abs(change.mean))}{sure}"
    return f"{name} {sign}{abs(change.mean / was):.0%} ± {change.half_width / abs(was):.0%}"


def table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row a trial: label and each shown figure's change with its interval."""
    rows = []
    for trial in trials:
        row: dict[str, Any] = {"label": trial.label, "says": trial.sentence}
        for name in SHOWN:
            change = trial.verdicts[name].change
            row |= {name: change.mean, f"{name}_low": change.low, f"{name}_high": change.high}
        rows.append(row)
    return pd.DataFrame(rows)
