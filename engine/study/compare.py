"""Compare: whether the difference between two systems is real, and how large it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from engine.errors import ScenarioError
from engine.scenario import Scenario
from engine.study.figures import METRICS, Outcome
from engine.study.lab import Lab, differences, seeds, values_of
from engine.study.statistics import Interval, difference, interval

RUNS = 8


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One figure of one scenario beside the baseline's, paired by seed."""

    scenario: str
    metric: str
    baseline: Interval
    value: Interval
    change: Interval
    sentence: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What came out of a comparison; the first scenario is the baseline."""

    names: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    differs: dict[str, list[tuple[str, Any, Any]]]  # by scenario: (path, baseline's, its)
    outcomes: dict[str, list[Outcome]]
    runs: int

    def of(self, scenario: str, metric: str) -> Verdict:
        """Return the verdict on one figure."""
        return next(v for v in self.verdicts if (v.scenario, v.metric) == (scenario, metric))

    @property
    def table(self) -> pd.DataFrame:
        """One row a scenario and figure."""
        return pd.DataFrame(
            {
                "scenario": verdict.scenario,
                "metric": verdict.metric,
                "unit": METRICS[verdict.metric].unit,
                "baseline": verdict.baseline.mean,
                "value": verdict.value.mean,
                "change": verdict.change.mean,
                "change_low": verdict.change.low,
                "change_high": verdict.change.high,
                "real": verdict.change.real,
                "says": verdict.sentence,
            }
            for verdict in self.verdicts
        )


def compare(scenarios: Mapping[str, Scenario], lab: Lab, runs: int = RUNS) -> Comparison:
    """Play two or more scenarios with the same seeds; the first is the baseline.

    Raises ScenarioError if one cannot be played, StoppedError if it is called off.
    """
    *_, found = comparisons(scenarios, lab, runs)
    return found


def comparisons(
    scenarios: Mapping[str, Scenario], lab: Lab, runs: int = RUNS
) -> Iterator[Comparison]:
    """Yield what is known so far, from two runs each on; the last has all of them.

    Raises ScenarioError if a scenario cannot be played, StoppedError if it is called off.
    """
    if len(scenarios) < 2:
        raise ScenarioError("a comparison needs at least two scenarios; add another")
    if runs < 2:
        raise ScenarioError(f"runs is {runs}; one run says nothing of noise: use at least 2")
    for found in lab.rounds(list(scenarios.values()), seeds(runs)):
        outcomes = dict(zip(scenarios, found, strict=True))
        for name, played in outcomes.items():
            for outcome in played:
                if outcome.problem:
                    raise ScenarioError(f"{name}: {outcome.problem}")
        yield _told(scenarios, outcomes)


def _told(scenarios: Mapping[str, Scenario], outcomes: dict[str, list[Outcome]]) -> Comparison:
    """Return what outcomes, paired by seed, say."""
    base, *others = scenarios
    verdicts = [
        judge(name, metric, outcomes[base], outcomes[name]) for name in others for metric in METRICS
    ]
    differs = {name: differences(scenarios[base], scenarios[name]) for name in others}
    return Comparison(tuple(scenarios), tuple(verdicts), differs, outcomes, len(outcomes[base]))


def judge(name: str, metric: str, before: list[Outcome], after: list[Outcome]) -> Verdict:
    """Return what one figure of a scenario is beside the baseline's."""
    old, new = values_of(before, metric), values_of(after, metric)
    change = difference(old, new)
    was, now = interval(old), interval(new)
    return Verdict(name, metric, was, now, change, sentence(metric, was, change))


def sentence(metric: str, was: Interval, change: Interval) -> str:
    """Say in words how a figure has changed, or that it has not beyond noise."""
    what = METRICS[metric]
    if change.runs == 0:
        return f"{what.title}: not measured in both"
    if not change.real or abs(change.mean) < what.floor:
        return f"{what.title}: no difference beyond noise (±{what.by(abs(change.half_width))})"
    better = (change.mean < 0) == (what.better == "lower")
    word = "" if what.better == "neither" else ", better" if better else ", worse"
    sign = "+" if change.mean > 0 else "−"
    by = f"{sign}{what.by(abs(change.mean))} ± {what.by(change.half_width)}"
    if was.mean and what.unit not in {"$", "share"}:
        by = (
            f"{sign}{abs(change.mean / was.mean):.1%} ± {change.half_width / abs(was.mean):.1%}"
            f" ({by})"
        )
    return f"{what.title}: {by}{word}"
