"""Prometheus: a scenario's alerts as rules, and what the gauges are that they look at.

Every figure is a gauge `strata_<figure>{station, window}`: no station is the whole system, no
window is from one scrape to the next.  `recording.yml` says how to come by those that follow from
counters and histograms of requests; the others are exported as they are.
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ and recording_rules/.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from engine.deploy.site import PORT, Site
from engine.deploy.words import Note, as_yaml, line, number, seconds
from engine.layers.alerts import SPEEDS, Alerts, BurnRate, Metric, Rule, spelled_time
from engine.promql import BURNS

METRICS: tuple[str, ...] = get_args(Metric)
BUDGET = "error_budget_ratio"  # error_ratio, with the time before the run counted as free of errors
RULES_FILE, RECORDING_FILE = "prometheus/alerts.yml", "prometheus/recording.yml"
QUANTILES = {"latency_p50_seconds": 0.5, "latency_p95_seconds": 0.95, "latency_p99_seconds": 0.99}
COUNTED = ("requests_per_second", "error_ratio", BUDGET, *QUANTILES)  # follow from counters
LATEST = ("replica_lag_seconds", "servers_up")  # are what they were last, whatever the window
TOGETHER = {  # what a figure of all stations is of the whole system; of loads, the busiest's
    "cpu_utilisation": "max",
    "utilisation": "max",
    "waiting": "sum",
    "queue_depth": "sum",
    "hit_ratio": "max",
    "replica_lag_seconds": "max",
    "servers_up": "sum",
}
MEANINGS = {
    "cpu_utilisation": "share of a service's cores that is busy, 0 to 1",
    "utilisation": "share of a station's slots that is busy, 0 to 1",
    "requests_per_second": "requests that came, a second",
    "error_ratio": "requests that failed, of those that ended, 0 to 1",
    "latency_p50_seconds": "half of all answers are faster",
    "latency_p95_seconds": "95 of 100 answers are faster",
    "latency_p99_seconds": "99 of 100 answers are faster",
    "waiting": "requests in line",
    "queue_depth": "messages that wait",
    "hit_ratio": "look-ups that found their key, 0 to 1",
    "replica_lag_seconds": "how far replicas are behind",
    "servers_up": "servers that are alive and not marked down",
    BUDGET: "as error_ratio; before the beginning there were no errors",
}


@dataclass(frozen=True)
class Alarm:
    """One rule of Prometheus, and which figures it looks at."""

    key: str  # the rule's name in the scenario, or "burn 1" and so on
    alert: str
    expr: str
    severity: str
    summary: str
    for_seconds: float = 0.0
    keep_seconds: float = 0.0

    def rule(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it; labels and annotations are Go templates."""
        said: dict[str, Any] = {"alert": self.alert, "expr": self.expr}
        if self.for_seconds:
            said["for"] = seconds(self.for_seconds)
        if self.keep_seconds:
            said["keep_firing_for"] = seconds(self.keep_seconds)
        said["labels"] = {"severity": self.severity}
        said["annotations"] = {"summary": untemplated(self.summary)}
        return said


def watches(site: Site) -> bool:
    """Return whether the scenario has alerts."""
    return site.scenario.observability.enabled and site.scenario.observability.alerts.on


def alarms(alerts: Alerts) -> list[Alarm]:
    """Return all rules, each under a name of its own."""
    rules = {name: rule for name, rule in alerts.rules.items() if rule.on}
    titles = [rule.title or name for name, rule in rules.items()]
    found = []
    for (name, rule), title in zip(rules.items(), titles, strict=True):
        alert = line(title) if titles.count(title) == 1 else f"{line(title)} ({line(name)})"
        found.append(_alarm(name, alert, rule))
    return found + (list(_burns(alerts.burn)) if alerts.burn.on else [])


def _alarm(name: str, alert: str, rule: Rule) -> Alarm:
    over = f" over {spelled_time(rule.window_seconds)}" if rule.window_seconds else ""
    gauge = selector(rule.metric, rule.station, rule.window_seconds)
    return Alarm(
        name,
        alert or "Alert",
        f"{gauge} {rule.comparison} {number(rule.threshold)}",
        rule.severity,
        f"{MEANINGS[rule.metric]}{over}: {rule.comparison} {number(rule.threshold)}",
        rule.for_seconds,
        rule.keep_firing_seconds,
    )


def _burns(burn: BurnRate) -> Iterator[Alarm]:
    for index, each in enumerate(BURNS):
        threshold = number(each.threshold(burn.objective))
        long, short = (
            f"strata_{BUDGET}{{{matched('station', '')},window={quoted(seconds(window))}}}"
            for window in burn_windows(burn, index)
        )
        yield Alarm(
            f"burn {index + 1}",
            f"Error budget ({SPEEDS[index]})",
            f"{long} > {threshold} and ignoring (window) {short} > {threshold}",
            "page" if each.severity == "page" else "warn",
            f"burns more than {each.rate():g} times as fast as it may,"
            f" for an objective of {number(burn.objective)}",
        )


def burn_windows(burn: BurnRate, index: int) -> tuple[float, float]:
    """Return the long and the short window of a burn rate, in seconds of this scenario."""
    each = BURNS[index]
    return each.long_seconds * burn.time_scale, each.short_seconds * burn.time_scale


# ---------------------------------------------------------------- gauges


def selector(metric: str, station: str, window_seconds: float | None) -> str:
    """Return a selector of PromQL.

    >>> selector("error_ratio", "", 30.0), selector("queue_depth", "asynchronous.*", None)
    ('strata_error_ratio{station="",window="30s"}', \
'strata_queue_depth{station=~"asynchronous[.].*",window=""}')
    """
    window = "" if window_seconds is None else seconds(window_seconds)
    return f"strata_{metric}{{{matched('station', station)},window={quoted(window)}}}"


def matched(label: str, pattern: str) -> str:
    """Return a matcher for a name, or for a pattern as shells have them (fnmatch)."""
    if "*" not in pattern:
        return f"{label}={quoted(pattern)}"
    return f"{label}=~{quoted(translated(pattern))}"


def translated(pattern: str) -> str:
    r"""Return a shell's pattern as a regular expression that RE2 knows, anchored by Prometheus.

    >>> translated("application.*"), translated("data.[!ab]?[]*")
    ('application[.].*', 'data[.][^ab].\\[\\].*')
    """
    text, place = "", 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter in "*?":
            text += ".*" if letter == "*" else "."
            continue
        end = pattern.find("]", place + 1 + pattern.startswith("!", place))
        if letter != "[" or end < 0:
            text += "[.]" if letter == "." else re.escape(letter)
            continue
        among = pattern[place:end]
        sign = "^" if among.startswith("!") else ""
        among = among.removeprefix("!")
        kept = re.sub(r"([\\\[\]^&~|])", r"\\\1", among)
        text += f"[{sign}{kept}]"
        place = end + 1
    return text


def quoted(text: str) -> str:
    r"""Return a string literal of PromQL, which has Go's escapes.

    >>> quoted('a"} or vector(1) #'), quoted("a\\b")
    ('"a\\"} or vector(1) #"', '"a\\\\b"')
    """
    shown = "".join(
        letter
        if letter.isprintable() and letter not in '"\\'
        else f"\\{letter}"
        if letter in '"\\'
        else f"\\U{ord(letter):08x}"
        for letter in text
    )
    return f'"{shown}"'


def untemplated(text: str) -> str:
    """Return a text that Go's template engine leaves as it is."""
    return text.replace("{{", '{{ "{{" }}')


# ---------------------------------------------------------------- files


def files(site: Site) -> dict[str, str]:
    """Return the configuration, the recording rules, and the alerting rules if there are any."""
    title, made = site.scenario.title, {}
    made["prometheus/prometheus.yml"] = _configuration(site)
    made[RECORDING_FILE] = RECORDING.comment(title) + as_yaml({"groups": _recording(site)})
    if watches(site):
        alerts = site.scenario.observability.alerts
        group = {
            "name": "strata",
            "interval": seconds(alerts.evaluation_seconds),
            "rules": [each.rule() for each in alarms(alerts)],
        }
        groups = [group] if group["rules"] else []
        made[RULES_FILE] = _alerts_note(site).comment(title) + as_yaml({"groups": groups})
    return made


def _alerts_note(site: Site) -> Note:
    rules = site.scenario.observability.alerts
    cannot = ["times below a millisecond: Prometheus knows none", "who is told: see Alertmanager"]
    if rules.burn.on:
        cannot.append(
            f"the book's windows of burn rates: here they are {rules.burn.time_scale:g} times as"
            " long (observability.alerts.burn.time_scale; 1 is the book's own)"
        )
    return Note(
        "Prometheus alerting rules",
        (
            (
                "rules: figure, station, comparison, threshold, window, for, keep_firing_for,"
                " severity (observability.alerts.rules)"
            ),
            "burn rates of the error budget (observability.alerts.burn)",
            "how often they are evaluated (observability.alerts.evaluation_seconds)",
        ),
        tuple(cannot),
    )


RECORDING = Note(
    "Prometheus recording rules",
    (
        "how the gauges strata_… that alerts and the dashboard look at come about",
        (
            "requests, errors and latency: from strata_requests_total,"
            " strata_requests_failed_total and strata_request_duration_seconds_bucket with the"
            ' label station, which the system exports; station="system" is all requests, and has no'
            " station in the gauges"
        ),
        "others: over a window, and of the whole system, from gauges that the system exports",
        *(
            f"exported by the system, with the label station: strata_{name}, {MEANINGS[name]}"
            for name in METRICS
            if name not in COUNTED
        ),
    ),
    (
        (
            "the exact quantiles of a simulation: Prometheus guesses them from buckets"
            " (observability.bucket_seconds)"
        ),
        "the share of a whole window: where a share is exported, it is the mean of its samples",
    ),
)


def windows(site: Site) -> dict[str, set[float | None]]:
    """Return the windows that each figure is looked at over; None: the last scrape interval."""
    found: dict[str, set[float | None]] = {name: {None} for name in METRICS}
    alerts = site.scenario.observability.alerts
    if watches(site):
        for rule in alerts.rules.values():
            if rule.on:
                found[rule.metric].add(rule.window_seconds)
        if alerts.burn.on:
            both = [burn_windows(alerts.burn, index) for index in range(len(BURNS))]
            found[BUDGET] = {window for pair in both for window in pair}
    return found


def _recording(site: Site) -> list[dict[str, Any]]:
    every = site.scenario.observability.scrape_interval_seconds
    rules: list[dict[str, Any]] = []
    for name, over in windows(site).items():
        for window in sorted(over, key=lambda each: each or 0.0):
            for expr in _expressions(name, window, every):
                said: dict[str, Any] = {"record": f"strata_{name}", "expr": expr}
                if window is not None:
                    said["labels"] = {"window": seconds(window)}
                rules.append(said)
    return [{"name": "strata gauges", "interval": seconds(every), "rules": rules}]


def _expressions(name: str, window: float | None, every: float) -> Iterator[str]:
    """Yield the PromQL of a figure for all stations, and for the system, which has no station.

    `rate` needs two samples: without a window it looks back over two scrape intervals.
    """
    reach = seconds(max(0.001, 2 * every if window is None else window))
    if name in COUNTED:
        if name != BUDGET:
            yield _counted(name, reach, 'station!="system"', "station")
        yield _counted(name, reach, 'station="system"', "")
        return
    gauge = f'strata_{name}{{station!="",window=""}}'
    if window is not None:
        over = "avg_over_time" if name not in LATEST else "last_over_time"
        gauge = f"{over}({gauge}[{reach}])"
        yield gauge
    yield f"{TOGETHER[name]}({gauge})"


def _counted(name: str, reach: str, matcher: str, by: str) -> str:
    """Return the PromQL of a figure that follows from counters or the histogram."""
    if name in QUANTILES:
        labels = f"{by}, le" if by else "le"
        bucket = f"rate(strata_request_duration_seconds_bucket{{{matcher}}}[{reach}])"
        return f"histogram_quantile({QUANTILES[name]}, sum by ({labels}) ({bucket}))"
    came = f"sum by ({by}) (rate(strata_requests_total{{{matcher}}}[{reach}]))"
    if name == "requests_per_second":
        return came
    failed = f"sum by ({by}) (rate(strata_requests_failed_total{{{matcher}}}[{reach}]))"
    return f"{failed} / {came}"


def _configuration(site: Site) -> str:
    watch = site.scenario.observability
    note = Note(
        "Prometheus configuration",
        (
            "the scrape interval (observability.scrape_interval_seconds)",
            "the evaluation interval (observability.alerts.evaluation_seconds)",
            "services and kinds of workers, each a job",
        ),
        ("where they are: names are those of compose/ and kubernetes/",),
    )
    names = [*site.services.values(), *site.kinds.values()]
    every = watch.scrape_interval_seconds
    evaluated = watch.alerts.evaluation_seconds if watches(site) else every
    tree: dict[str, Any] = {
        "global": {
            "scrape_interval": seconds(every),
            "scrape_timeout": seconds(min(10.0, math.floor(every * 1e3) / 1e3)),
            "evaluation_interval": seconds(evaluated),
        },
        "rule_files": ["recording.yml", *(["alerts.yml"] if watches(site) else [])],
        "scrape_configs": [
            {"job_name": name, "dns_sd_configs": [{"names": [name], "type": "A", "port": PORT}]}
            for name in names
        ],
    }
    return note.comment(site.scenario.title) + as_yaml(tree)
