"""Alerts: rules over what was scraped, evaluated as Prometheus does, and who is told."""

from __future__ import annotations

import fnmatch
import math
import operator
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from engine import promql
from engine.component import Component, ControlPlane, knob
from engine.errors import close_to, shown
from engine.program import LAYERS

if TYPE_CHECKING:
    from engine.layers.observability import Observability

Metric = Literal[
    "cpu_utilisation",
    "utilisation",
    "requests_per_second",
    "error_ratio",
    "latency_p50_seconds",
    "latency_p95_seconds",
    "latency_p99_seconds",
    "waiting",
    "queue_depth",
    "hit_ratio",
    "replica_lag_seconds",
    "servers_up",
]
Comparison = Literal[">", ">=", "<", "<="]
Severity = Literal["page", "warn"]
COMPARES: dict[Comparison, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
SIDE: dict[Comparison, str] = {">": "above", ">=": "at least", "<": "below", "<=": "at most"}
EVERYWHERE = "observability.metrics"  # where alerts about the whole system are noted
SPEEDS = ("fast", "slow", "creeping")  # of promql.BURNS
RULES_MAX = 50
DAY_SECONDS = 86_400.0


class Rule(Component):
    """One alerting rule: a figure, a threshold, and for how long before somebody is told."""

    title: str = Field(default="", max_length=60)
    on: bool = knob(True, "Rule", help="Evaluate this rule.")
    metric: Metric = knob("error_ratio", "Figure", help="The figure that is watched, as scraped.")
    station: str = Field(
        default="",
        max_length=100,
        title="Station",
        description="Where; empty: the whole system. With a * in it, every station that it fits,"
        " each an alert of its own.",
    )
    comparison: Comparison = knob(">", "Comparison", help="On which side of the threshold.")
    threshold: float = knob(
        0.01,
        "Threshold",
        low=0,
        high=1e9,
        step=0.01,
        slider_high=1,
        help="In the figure's own unit: a share from 0 to 1, seconds, requests/s, or a number.",
    )
    window_seconds: float | None = knob(
        30.0,
        "Window",
        unit="s",
        low=0.1,
        high=DAY_SECONDS,
        step=5,
        help="What the figure is taken over; empty: from one scrape to the next.",
    )
    for_seconds: float = knob(
        15.0,
        "For",
        unit="s",
        low=0,
        high=DAY_SECONDS,
        step=5,
        slider_high=600,
        help="How long it has to be so before the alert fires: Prometheus's `for`.",
    )
    keep_firing_seconds: float = knob(
        0.0,
        "Keep firing",
        unit="s",
        low=0,
        high=DAY_SECONDS,
        step=5,
        slider_high=600,
        help="How long it goes on firing when it is no longer so: `keep_firing_for`.",
    )
    severity: Severity = knob(
        "warn", "Severity", help="Page: somebody is woken up. Warn: somebody reads it later."
    )

    @field_validator("station")
    @classmethod
    def layer_exists(cls, station: str) -> str:
        """A station begins with its layer; a rule with another could never fire."""
        layer = station.partition(".")[0]
        if station and not any(fnmatch.fnmatchcase(known, layer) for known in LAYERS):
            raise ValueError(
                f"no station's name begins with {shown(layer)}{close_to(layer, LAYERS)}; stations"
                " are called application.gateway, data.primary and so on"
            )
        return station

    def holds(self, value: float) -> bool:
        """Return whether a value is on the wrong side of the threshold; NaN never is."""
        return COMPARES[self.comparison](value, self.threshold)


# What the thresholds are: those that the usual advice begins with, to be made one's own.
RULES: dict[str, Rule] = {
    "errors": Rule(title="Error rate", metric="error_ratio", threshold=0.01, severity="page"),
    "latency": Rule(title="P99 latency", metric="latency_p99_seconds", threshold=0.5),
    "cpu": Rule(
        title="CPU",
        metric="cpu_utilisation",
        station="application.*",
        threshold=0.9,
        for_seconds=30,
    ),
    "queue": Rule(
        title="Queue depth",
        metric="queue_depth",
        station="asynchronous.*",
        threshold=10_000,
        window_seconds=None,
    ),
    "lag": Rule(
        title="Replica lag",
        metric="replica_lag_seconds",
        station="data.replicas",
        threshold=1.0,
        window_seconds=None,
    ),
    "hits": Rule(
        title="Cache hit rate",
        metric="hit_ratio",
        station="cache.read",
        comparison="<",
        threshold=0.2,
        for_seconds=30,
    ),
}


class BurnRate(Component):
    """Alerts on how fast the error budget of an objective goes, over several windows.

    The Site Reliability Workbook, chapter 5: 14.4 times as fast as it may over 1 h and 5 min, or
    6 times over 6 h and 30 min, pages; once over 3 days and 6 h is a ticket, here a warning.  Where
    a window reaches back beyond the run's beginning, there were as many requests and no errors.
    """

    on: bool = knob(True, "Burn rates", help="Watch the error budget.")
    objective: float = knob(
        0.999,
        "Objective",
        low=0.5,
        high=0.999999,
        step=0.0005,
        slider_low=0.95,
        slider_high=0.9999,
        help="Share of requests that are to be answered: the service level objective.",
    )
    time_scale: float = knob(
        0.05,
        "Time scale",
        low=0.0001,
        high=1,
        step=0.01,
        help="Windows are this much shorter than the book's, because runs are minutes: with 0.05"
        " an hour is 3 minutes. 1: the book's own. No window sees more than 720 scrapes.",
    )


class Alerts(Component):
    """Rules that are evaluated now and then; who is on call is told of those that fire."""

    on: bool = knob(False, "Alerts", help="Evaluate rules over what was scraped.")
    evaluation_seconds: float = knob(
        5.0,
        "Evaluation interval",
        unit="s",
        low=0.1,
        high=3600,
        step=1,
        slider_high=60,
        help="How often rules are evaluated; Prometheus's default is 60 s, 15 s are usual. What is"
        " over between two evaluations was never there.",
    )
    rules: dict[str, Rule] = Field(
        default=RULES,
        max_length=RULES_MAX,
        title="Rules",
        description="Rules by name. A rule of a known name alters that one, any other is added.",
    )
    burn: BurnRate = BurnRate()

    @field_validator("rules", mode="before")
    @classmethod
    def defaults_stay(cls, rules: Any) -> Any:
        """What is said of a rule that ships alters it and leaves the others as they are."""
        if not isinstance(rules, Mapping):
            return rules
        said = {
            name: {**RULES[name].model_dump(), **rule}
            if name in RULES and isinstance(rule, Mapping)
            else rule
            for name, rule in rules.items()
        }
        return {**RULES, **said}

    def watch(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Evaluate all rules, time and again, until alerts are switched off."""
        book = Book(run)
        while (rules := alerts_of(run)).on:
            book.evaluate(rules)
            yield run.env.timeout(rules.evaluation_seconds)
        book.close()


def alerts_of(run: ControlPlane) -> Alerts:
    """Return the rules as they are now; a knob may have been turned."""
    watch: Observability = run.scenario.observability
    return watch.alerts


class Book:
    """What is known of every alert from one evaluation to the next."""

    def __init__(self, run: ControlPlane) -> None:
        self.run = run
        self.alerts: dict[tuple[str, str], promql.Alert] = {}
        self.said: dict[tuple[str, str], tuple[str, Severity]] = {}  # title and severity
        self._program: object = None
        self._places: dict[str, tuple[str, ...]] = {}
        self._in_vain: set[tuple[str, str]] = set()  # rules about no station: said once

    def evaluate(self, alerts: Alerts) -> None:
        """Look at every rule once."""
        seen: set[tuple[str, str]] = set()
        for name, rule in alerts.rules.items():
            self._say_if_in_vain(name, rule)
            for station in self._stations(rule.station) if rule.on else ():
                seen.add((name, station))
                self._apply(name, rule, station)
        if alerts.burn.on:
            seen |= set(self._burns(alerts.burn))
        for key in self.alerts.keys() - seen:
            self._forget(key)

    def close(self) -> None:
        """Take every alert back: nobody evaluates them any more."""
        for key in list(self.alerts):
            self._forget(key)

    def _stations(self, wanted: str) -> tuple[str, ...]:
        """Return the stations that a rule is about."""
        if "*" not in wanted:
            return (wanted,)
        program = self.run.plane.program
        if program is not self._program:
            self._program, self._places = program, {}
        if wanted not in self._places:
            self._places[wanted] = tuple(fnmatch.filter(program.stations, wanted))
        return self._places[wanted]

    def _say_if_in_vain(self, name: str, rule: Rule) -> None:
        """Note that a rule somebody wrote watches a station that this system has not."""
        shipped = name in RULES and RULES[name].station == rule.station
        if not rule.on or not rule.station or shipped or (name, rule.station) in self._in_vain:
            return
        known = self.run.plane.program.stations
        if not fnmatch.filter(known, rule.station):
            self._in_vain.add((name, rule.station))
            near = close_to(rule.station, known)
            text = f"the rule {name} can never fire: there is no station {shown(rule.station)}"
            self.run.note("refused", EVERYWHERE, text + near)

    def _apply(self, name: str, rule: Rule, station: str) -> None:
        """Evaluate a rule at one place."""
        value = self.run.metrics.value(rule.metric, station, rule.window_seconds)
        true = rule.holds(value)
        if not true and (name, station) not in self.alerts:
            return
        over = f" over {spelled_time(rule.window_seconds)}" if rule.window_seconds else ""
        limit = f"{SIDE[rule.comparison]} {spelled(rule.metric, rule.threshold)}"
        self._step(
            (name, station),
            rule.title or name,
            rule.severity,
            true=true,
            value=value,
            text=f"{spelled(rule.metric, value)}{over}, {limit}",
            now_text=f"{spelled(rule.metric, value)}{over}",
            for_seconds=rule.for_seconds,
            keep_seconds=rule.keep_firing_seconds,
        )

    def _burns(self, burn: BurnRate) -> Iterator[tuple[str, str]]:
        """Evaluate the burn rates; yield their keys."""
        metrics, budget = self.run.metrics, 1.0 - burn.objective
        now = float(self.run.env.now)
        for index, each in enumerate(promql.BURNS):
            key = f"burn {index + 1}", ""
            yield key
            windows = each.long_seconds * burn.time_scale, each.short_seconds * burn.time_scale
            ratios = [
                metrics.value("error_ratio", "", window) * min(1.0, now / window)
                for window in windows
            ]
            true = each.fires(ratios[0], ratios[1], burn.objective)
            if not true and key not in self.alerts:
                continue
            over = " and ".join(spelled_time(window) for window in windows)
            fast = " and ".join(f"{ratio / budget:.1f}" for ratio in ratios)
            self._step(
                key,
                f"Error budget ({SPEEDS[index]})",
                "page" if each.severity == "page" else "warn",
                true=true,
                value=ratios[0],
                text=f"burns {fast} times as fast as it may over {over}, above {each.rate():g}",
                now_text=f"burns {fast} times as fast as it may over {over}",
            )

    def _step(
        self,
        key: tuple[str, str],
        title: str,
        severity: Severity,
        *,
        true: bool,
        value: float,
        text: str,
        now_text: str,
        for_seconds: float = 0.0,
        keep_seconds: float = 0.0,
    ) -> None:
        """Take an alert through one evaluation, and note what has become of it."""
        now = float(self.run.env.now)
        before = self.alerts.get(key, promql.Alert())
        after = before.after(true=true, now=now, for_seconds=for_seconds, keep_seconds=keep_seconds)
        self.said[key] = title, severity
        self.alerts[key] = after
        if after.state == "inactive":
            del self.alerts[key]
        if after.state == before.state:
            return
        if after.state == "pending":
            self._note(key, "alert_pending", value, f"{text}; fires after {for_seconds:g} s")
        elif after.state == "firing":
            verb = "pages" if severity == "page" else "warns"
            lasted = f", for {now - after.pending_at:g} s" if now > after.pending_at else ""
            self._note(key, "alert", value, f"{verb}: {text}{lasted}", after.pending_at)
        elif before.state == "firing":
            lasted = f"resolved after {now - before.fired_at:g} s: {now_text}"
            self._note(key, "alert_resolved", value, lasted)

    def _forget(self, key: tuple[str, str]) -> None:
        """Drop an alert whose rule is gone; one that fires is taken back."""
        alert = self.alerts.pop(key)
        if alert.state == "firing":
            lasted = float(self.run.env.now) - alert.fired_at
            self._note(key, "alert_resolved", math.nan, f"rule taken away after {lasted:g} s")

    def _note(
        self, key: tuple[str, str], kind: str, value: float, text: str, since: float = math.nan
    ) -> None:
        """Write an event in the log, and in the book of alerts."""
        (_, station), (title, severity) = key, self.said[key]
        at = f" at {station}" if station else ""
        self.run.note(kind, station or EVERYWHERE, f"{title}{at} {text}")
        self.run.recorder.note_alert(kind, title, station, severity, value, since)


def spelled(metric: str, value: float) -> str:
    """Return a figure with its unit.

    >>> spelled("error_ratio", 0.0123), spelled("latency_p99_seconds", 0.734)
    ('1.23 %', '734 ms')
    """
    if math.isnan(value):
        return "nothing seen"
    if metric.endswith(("_ratio", "utilisation")):
        return f"{value * 100:.3g} %"
    if metric.endswith("_seconds"):
        return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
    if metric.endswith("_per_second"):
        return f"{value:,.0f} requests/s"
    return f"{value:,.0f}"


def spelled_time(seconds: float) -> str:
    """Return a length of time in a unit that suits it.

    >>> spelled_time(15), spelled_time(180), spelled_time(12_960)
    ('15 s', '3 min', '3.6 h')
    """
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 7200 else f"{seconds / 3600:g} h"
