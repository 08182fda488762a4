"""What a study notes of each run: a few dozen numbers, the same wherever it was played."""

from __future__ import annotations

import json
import math
from typing import Any, Literal, NamedTuple

from engine.errors import ScenarioError
from engine.run import simulate
from engine.scenario import Scenario, parse

Better = Literal["lower", "higher", "neither"]


class Metric(NamedTuple):
    """A figure that a study can be about."""

    name: str
    title: str
    unit: str
    better: Better
    floor: float  # a difference smaller than this interests nobody, in the unit

    def say(self, value: float) -> str:
        """Return a value with its unit, as a person reads it.

        >>> METRICS["latency_ms_p99"].say(1234.5), METRICS["error_ratio"].say(0.0123)
        ('1,234 ms', '1.23 %')
        """
        if math.isnan(value):
            return "–"
        if self.unit == "share":
            return f"{100 * value:.3g} %"
        if self.unit == "$":
            return f"${value:,.2f}"
        return f"{value:,.{0 if abs(value) >= 100 else 1}f} {self.unit}"

    def by(self, value: float) -> str:
        """Return a difference with its unit; that of two shares is in points.

        >>> METRICS["error_ratio"].by(0.132), METRICS["cost_usd_per_hour"].by(0.36)
        ('13.2 points', '$0.36')
        """
        if self.unit == "share" and not math.isnan(value):
            return f"{100 * value:.3g} points"
        return self.say(value)

    def half(self, half_width: float) -> str:
        """Return " ± " and half an interval, to stand behind a value; "" where there is none.

        >>> METRICS["latency_ms_p99"].half(3.3), METRICS["error_ratio"].half(0.00012)
        (' ± 3.3', ' ± 0.012')
        >>> METRICS["cost_usd_per_hour"].half(0.0), METRICS["cost_usd_per_hour"].half(0.02)
        ('', ' ± $0.02')
        """
        if math.isnan(half_width) or half_width == 0:
            return ""
        if self.unit == "share":
            return f" ± {100 * half_width:.2g}"
        if self.unit == "$":
            return f" ± {self.say(half_width)}" if half_width >= self.floor else ""
        return f" ± {self.say(half_width).removesuffix(f' {self.unit}')}"


_ALL = (
    Metric("latency_ms_mean", "Mean latency", "ms", "lower", 0.05),
    Metric("latency_ms_p50", "P50 latency", "ms", "lower", 0.05),
    Metric("latency_ms_p95", "P95 latency", "ms", "lower", 0.1),
    Metric("latency_ms_p99", "P99 latency", "ms", "lower", 0.1),
    Metric("error_ratio", "Errors", "share", "lower", 1e-6),
    Metric("answered_per_second", "Throughput", "/s", "higher", 0.1),
    Metric("requests_per_second", "Requests", "/s", "neither", 0.1),
    Metric("cost_usd_per_hour", "Cost an hour", "$", "lower", 0.005),
    Metric("cost_usd_per_million_requests", "Cost a million answers", "$", "lower", 0.005),
    Metric("cache_hit_ratio", "Cache hits", "share", "higher", 1e-4),
    Metric("cdn_hit_ratio", "CDN hits", "share", "higher", 1e-4),
    Metric("stale_read_ratio", "Stale reads", "share", "lower", 1e-5),
)
METRICS = {metric.name: metric for metric in _ALL}
# Before a station's name: how busy its cores are (its slots where it has no cores of its own), how
# many of its slots are held, how many a second fail there.
BUSY, HELD, REFUSED = "busy ", "held ", "refused "


class Outcome(NamedTuple):
    """What came out of one run: figures by name, or why it could not be played."""

    figures: dict[str, float]
    problem: str = ""

    def get(self, name: str) -> float:
        """Return a figure; NaN if the run has none of this name."""
        return self.figures.get(name, math.nan)

    def by_station(self, what: str) -> dict[str, float]:
        """Return `BUSY`, `HELD` or `REFUSED` of each station that has it."""
        return {
            name.removeprefix(what): value
            for name, value in self.figures.items()
            if name.startswith(what) and not math.isnan(value)
        }


class Task(NamedTuple):
    """One run to be played: the scenario as text, and a seed."""

    scenario: str
    seed: int

    @classmethod
    def of(cls, scenario: Scenario, seed: int) -> Task:
        """Return the task of playing a scenario."""
        tree = scenario.model_dump(mode="json", exclude_defaults=True)
        return cls(json.dumps(tree, sort_keys=True, separators=(",", ":")), seed)


def play(task: Task) -> Outcome:
    """Play one task here and now: a pure function, whatever process it runs in."""
    try:
        return measure(parse(json.loads(task.scenario)), task.seed)
    except ScenarioError as error:
        return Outcome({}, str(error))


def measure(scenario: Scenario, seed: int) -> Outcome:
    """Return a run's figures.  Raises ScenarioError if it cannot be played to its end."""
    result = simulate(scenario, seed)
    summary = result.summary
    found: dict[str, float] = {}
    for name in METRICS:
        value: Any = getattr(summary, name)
        found[name] = math.nan if value is None else float(value)
    stations = result.stations
    columns = {
        BUSY: stations["cpu_utilisation"].fillna(stations["utilisation"]),
        HELD: stations["thread_utilisation"],
        REFUSED: stations["failed_per_s"],
    }
    for what, column in columns.items():
        found |= {f"{what}{name}": float(value) for name, value in column.items()}
    return Outcome(found)
