"""Firing: unit tests of the alerting rules, from what a run's scrapes saw and its alerts did.

`promtool test rules` plays the series and holds every rule, at every evaluation, to what the
simulation's alert did: the same states, from the same pure function (`promql.Alert`) that the run
used.  Tests are written only if that function, fed with the series, gives the run's own log.
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/.
"""

from __future__ import annotations

import bisect
import fnmatch
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine import promql
from engine.deploy.prometheus import (
    BUDGET,
    RULES_FILE,
    Alarm,
    alarms,
    burn_windows,
    quoted,
    watches,
)
from engine.deploy.site import Site
from engine.deploy.words import Note, as_yaml, line, seconds
from engine.layers.alerts import SPEEDS, BurnRate, Rule
from engine.record import SCRAPES_KEPT

if TYPE_CHECKING:
    from engine.result import Result

FILE = "prometheus/alerts_test.yml"
NOTED = {"pending": "alert_pending", "firing": "alert", "inactive": "alert_resolved"}
Labels = tuple[tuple[str, str], ...]


@dataclass
class Played:
    """One alert of one rule, over all evaluations."""

    alarm: Alarm
    station: str
    title: str  # as the run's log has it
    labels: Labels  # besides severity
    firing: list[bool] = field(default_factory=list)
    log: list[tuple[float, str]] = field(default_factory=list)  # what became of it, and when
    exact: bool = True  # whether whole milliseconds give the same states


@dataclass
class Replay:
    """All evaluations of a run: what was seen at each, and what fired."""

    times: list[float]  # of evaluations, in seconds of the run
    alerts: list[Played] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)


def files(site: Site, result: Result) -> dict[str, str]:
    """Return the unit tests of a run's alerts, or a file that says why there are none."""
    if not watches(site):
        return {}
    played = replay(result)
    why = _why_not(result, played)
    tests = [] if why else [_test(site, played)]
    cannot = [
        (
            "what Prometheus makes of counters and buckets: series are gauges, as the run's"
            " controllers read them (recording.yml has the way there)"
        ),
        "times below a millisecond",
    ]
    if why:
        cannot.insert(0, f"this run: {why}")
    note = Note(
        "promtool unit tests",
        (
            (
                f"what was scraped in the run with seed {result.seed}, as each evaluation saw it;"
                f" the first evaluation, at {_at(played)}, is 0 s here"
            ),
            "which alerts fire at every evaluation of that run, and no others",
            "to be run as: promtool test rules alerts_test.yml",
        ),
        tuple(cannot),
    )
    every = seconds(site.scenario.observability.alerts.evaluation_seconds)
    tree = {"rule_files": ["alerts.yml"], "evaluation_interval": every, "tests": tests}
    assert RULES_FILE.endswith("/alerts.yml")
    return {FILE: note.comment(site.scenario.title) + as_yaml(tree)}


def _at(played: Replay) -> str:
    return f"{played.times[0]:g} s" if played.times else "no time"


def _why_not(result: Result, played: Replay) -> str:
    """Return why a run cannot be said in unit tests; empty if it can."""
    watch = result.scenario.observability
    if not played.times:
        return "it was over before anything was scraped"
    if len(result.metrics.series("error_ratio")) >= SCRAPES_KEPT:
        return f"it has more scrapes than are kept, {SCRAPES_KEPT}; use a longer scrape interval"
    if (watch.alerts.evaluation_seconds * 1e3) % 1:
        return "its evaluation interval is not of whole milliseconds"
    if any(
        path.startswith("observability") for each in result.scenario.changes for path in each.set
    ):
        return "a change turns knobs of observability while it runs"
    if not all(each.exact for each in played.alerts):
        return "when its alerts fire hangs on fractions of a millisecond"
    told = Counter((note.time, note.kind, note.title, note.station) for note in result.alert_notes)
    ours = Counter(
        (time, kind, each.title, each.station) for each in played.alerts for time, kind in each.log
    )
    return "" if told == ours else "its rules were not the same all the time"


# ---------------------------------------------------------------- playing a run's alerts again


def replay(result: Result) -> Replay:
    """Return what each evaluation of a run saw, and what its alerts then did."""
    scraped = [time for time, _ in result.metrics.series("error_ratio")]
    alerts = result.scenario.observability.alerts
    every = result.scenario.observability.scrape_interval_seconds
    end = result.timeseries["time_s"].iloc[-1]
    played = Replay(_times(scraped, alerts.evaluation_seconds, float(end)))
    seen = [_seen(scraped, at, every, alerts.evaluation_seconds) for at in played.times]
    found = {each.key: each for each in alarms(alerts)}
    for name, rule in alerts.rules.items():
        for station in _stations(result, rule.station) if rule.on else ():
            _play_rule(result, played, found[name], rule, station, seen)
    for index in range(len(promql.BURNS) if alerts.burn.on else 0):
        _play_burn(result, played, found[f"burn {index + 1}"], alerts.burn, index, seen)
    return played


def _times(scraped: list[float], every: float, end: float) -> list[float]:
    """Return when rules are evaluated: right behind the first scrape, and so on."""
    times: list[float] = []
    now = scraped[0] if scraped else math.inf
    while now < end or (times and now == end and now <= scraped[-1]):
        times.append(now)
        now += every
    return times


def _seen(scraped: list[float], at: float, every: float, evaluated: float) -> int:
    """Return how many scrapes an evaluation has seen.

    Of a scrape and an evaluation at one instant, what was due for longer comes later in the
    agenda's order: an evaluation that comes seldom was entered first.
    """
    count = bisect.bisect_right(scraped, at)
    late = evaluated > every and count > 1 and scraped[count - 1] == at
    return count - late


def _stations(result: Result, wanted: str) -> list[str]:
    return fnmatch.filter(result.program.stations, wanted) if "*" in wanted else [wanted]


def _play_rule(
    result: Result, played: Replay, alarm: Alarm, rule: Rule, station: str, seen: list[int]
) -> None:
    values = [v for _, v in result.metrics.series(rule.metric, station, rule.window_seconds)]
    labels = _labels(station, rule.window_seconds)
    read = [values[count - 1] for count in seen]
    played.series[_series(rule.metric, labels)] = read
    each = Played(alarm, station, rule.title or alarm.key, labels)
    _step(each, played.times, [rule.holds(value) for value in read])
    played.alerts.append(each)


def _play_burn(
    result: Result, played: Replay, alarm: Alarm, burn: BurnRate, index: int, seen: list[int]
) -> None:
    reads = []
    for window in burn_windows(burn, index):
        values = [v for _, v in result.metrics.series("error_ratio", "", window)]
        read = [
            values[count - 1] * min(1.0, at / window)
            for count, at in zip(seen, played.times, strict=True)
        ]
        played.series[_series(BUDGET, _labels("", window))] = read
        reads.append(read)
    each = Played(
        alarm, "", f"Error budget ({SPEEDS[index]})", _labels("", burn_windows(burn, index)[0])
    )
    rule = promql.BURNS[index]
    held = [rule.fires(long, short, burn.objective) for long, short in zip(*reads, strict=True)]
    _step(each, played.times, held)
    played.alerts.append(each)


def _step(each: Played, times: list[float], held: list[bool]) -> None:
    """Take an alert through all evaluations, by the run's clock and by Prometheus's.

    Prometheus counts whole milliseconds; what hangs on less than that is not said in a test.
    """
    said, whole = each.alarm, [float(round(time * 1e3)) for time in times]
    states = _states(times, held, said.for_seconds, said.keep_seconds)
    theirs = _states(whole, held, round(said.for_seconds * 1e3), round(said.keep_seconds * 1e3))
    each.firing = [state == "firing" for state in states]
    each.exact = states == theirs
    for now, before, after in zip(times, ["inactive", *states], states, strict=False):
        if after != before and (after != "inactive" or before == "firing"):
            each.log.append((now, NOTED[after]))


def _states(
    times: list[float], held: list[bool], for_seconds: float, keep_seconds: float
) -> list[promql.State]:
    """Return an alert's state after each evaluation."""
    alert, states = promql.Alert(), []
    for now, true in zip(times, held, strict=True):
        alert = alert.after(true=true, now=now, for_seconds=for_seconds, keep_seconds=keep_seconds)
        states.append(alert.state)
        if alert.state == "inactive":
            alert = promql.Alert()
    return states


# ---------------------------------------------------------------- the file


def _labels(station: str, window: float | None) -> Labels:
    labels = {"station": station, "window": "" if window is None else seconds(window)}
    return tuple((name, value) for name, value in labels.items() if value)


def _series(metric: str, labels: Labels) -> str:
    inner = ",".join(f"{name}={quoted(value)}" for name, value in labels)
    return f"strata_{metric}{{{inner}}}"


def _test(site: Site, played: Replay) -> dict[str, Any]:
    every = seconds(site.scenario.observability.alerts.evaluation_seconds)
    names = {each.alarm.alert: each.alarm for each in played.alerts}
    checks = []
    for index, at in enumerate(played.times):
        since = round((at - played.times[0]) * 1e3) / 1e3
        for name in names:
            expected = [
                _expected(each)
                for each in played.alerts
                if each.alarm.alert == name and each.firing[index]
            ]
            checks.append({"eval_time": seconds(since), "alertname": name, "exp_alerts": expected})
    series = [
        {"series": name, "values": " ".join(map(_value, values))}
        for name, values in played.series.items()
    ]
    name = line(site.scenario.title)
    return {"name": name, "interval": every, "input_series": series, "alert_rule_test": checks}


def _expected(each: Played) -> dict[str, Any]:
    return {
        "exp_labels": {"severity": each.alarm.severity, **dict(each.labels)},
        "exp_annotations": {"summary": each.alarm.summary},
    }


def _value(value: float) -> str:
    """Return a value exactly; NaN is one, as no alert's condition holds for it."""
    return "NaN" if math.isnan(value) else repr(float(value))
