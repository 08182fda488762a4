"""Metrics as OpenMetrics text: what a Prometheus that watched the run would have.

By the OpenMetrics specification, version 1.0 (2020): families in one piece, units in names, label
values escaped, `# EOF` at the end.  Samples over time carry simulated seconds as timestamps, and
are those that were scraped; the rest is as of the run's end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from engine.buckets import bucketed
from engine.record import BIN_EDGES
from engine.result import Result
from engine.version import VERSION

TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Sample(NamedTuple):
    """One value: of a family, with labels, perhaps at a time."""

    labels: Mapping[str, str]
    value: float
    time: float = math.nan  # simulated seconds
    suffix: str = ""


class Family(NamedTuple):
    """A metric family."""

    name: str
    kind: str
    unit: str
    help: str
    samples: Iterable[Sample]


def to_openmetrics(result: Result) -> bytes:
    """Return a run's metrics as OpenMetrics text."""
    lines = [line for family in _families(result) for line in _told(family)]
    return "\n".join([*lines, "# EOF", ""]).encode()


def _told(family: Family) -> Iterator[str]:
    """Yield a family's lines; none if it has no sample."""
    samples = [sample for sample in family.samples if not math.isnan(sample.value)]
    if not samples:
        return
    yield f"# TYPE {family.name} {family.kind}"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {escaped(family.help)}"
    for sample in samples:
        labels = ",".join(f'{name}="{escaped(value)}"' for name, value in sample.labels.items())
        held = f"{{{labels}}}" if labels else ""
        at = "" if math.isnan(sample.time) else f" {number(sample.time)}"
        yield f"{family.name}{sample.suffix}{held} {number(sample.value)}{at}"


def escaped(text: str) -> str:
    r"""Return text as a label's value or a help has it.

    >>> print(escaped('a "b"\n\\'))
    a \"b\"\n\\
    """
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def number(value: float) -> str:
    """Return a number as it is read back exactly.

    >>> number(3.0), number(0.1), number(float("inf"))
    ('3', '0.1', '+Inf')
    """
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def _families(result: Result) -> Iterator[Family]:
    yield Family("strata_run", "info", "", "Which run this is.", [_about(result)])
    yield Family(
        "strata_requests",
        "counter",
        "",
        "Requests since the start, by journey and outcome; those in flight have none yet.",
        _requests(result),
    )
    yield Family(
        "strata_failures", "counter", "", "Requests that failed, by reason.", _failures(result)
    )
    yield Family(
        "strata_request_duration_seconds",
        "histogram",
        "seconds",
        "Latency of answered requests, without the warm-up.",
        _latency(result),
    )
    yield from _over_time(result)
    yield from _scraped(result)
    messages = result.messages
    yield Family(
        "strata_messages",
        "gauge",
        "",
        "Messages of a topic, by what has become of them.",
        [
            Sample({"station": str(station), "state": state}, float(row[state]))
            for station, row in messages.iterrows()
            for state in messages.columns
        ],
    )
    yield Family(
        "strata_cost_usd_per_hour",
        "gauge",
        "",
        "The bill, in US dollars an hour.",
        [
            Sample({"item": str(row.item), "station": str(row.station)}, float(row.usd_per_hour))
            for row in _merged(result)
        ],
    )


def _about(result: Result) -> Sample:
    scenario = result.scenario
    labels = {"title": scenario.title, "digest": scenario.digest(), "seed": str(result.seed)}
    return Sample({**labels, "version": VERSION}, 1.0, suffix="_info")


class _Bill(NamedTuple):
    item: str
    station: str
    usd_per_hour: float


def _merged(result: Result) -> list[_Bill]:
    """Return the bill with equal lines added up: a sample is told by its labels."""
    found: dict[tuple[str, str], float] = {}
    for line in result.bill():
        place = line.item, line.station
        found[place] = found.get(place, 0.0) + line.usd_per_hour
    return [_Bill(*place, value) for place, value in found.items()]


def _requests(result: Result) -> Iterator[Sample]:
    for journey, row in result.accounting.iterrows():
        for outcome in ("answered", "failed"):
            labels = {"journey": str(journey), "outcome": outcome}
            yield Sample(labels, float(row[outcome]), suffix="_total")


def _failures(result: Result) -> Iterator[Sample]:
    for journey, row in result.accounting.iterrows():
        for name, count in row.items():
            reason = str(name).removeprefix("failed: ")
            if reason != name and count:
                labels = {"journey": str(journey), "reason": reason}
                yield Sample(labels, float(count), suffix="_total")


def _latency(result: Result) -> Iterator[Sample]:
    """Yield the histogram of each journey in the buckets that the scenario has."""
    bounds = sorted({*result.scenario.observability.bucket_seconds, math.inf})
    for journey, row in result.journeys.iterrows():
        told = result.latency(str(journey))
        counts = np.zeros(len(BIN_EDGES) - 1)
        places = np.searchsorted(BIN_EDGES, told["latency_ms"].to_numpy() / 1e3) - 1
        counts[places] = told["requests"].to_numpy()
        held = dict(bucketed(counts, [bound for bound in bounds if math.isfinite(bound)]))
        below = 0.0
        for bound in bounds:
            below = max(below, round(held.get(bound, float(counts.sum()))))
            labels = {"journey": str(journey), "le": "+Inf" if math.isinf(bound) else repr(bound)}
            yield Sample(labels, below, suffix="_bucket")
        count = float(counts.sum())
        yield Sample({"journey": str(journey)}, count, suffix="_count")
        mean = 0.0 if math.isnan(row["latency_ms_mean"]) else float(row["latency_ms_mean"])
        yield Sample({"journey": str(journey)}, mean / 1e3 * count, suffix="_sum")


OVER_TIME = {
    "started_per_s": ("strata_started_per_second", 1.0, "Requests that were begun."),
    "answered_per_s": ("strata_answered_per_second", 1.0, "Requests that were answered."),
    "failed_per_s": ("strata_failed_per_second", 1.0, "Requests that failed."),
    "in_flight": ("strata_in_flight", 1.0, "Requests that wait for their answer."),
}


def _over_time(result: Result) -> Iterator[Family]:
    """Yield the time series of the whole system, a sample a window, at its end."""
    series = result.timeseries
    times = series["time_s"].tolist()
    for column, (name, factor, about) in OVER_TIME.items():
        values = (series[column] * factor).tolist()
        samples = [Sample({}, v, t) for t, v in zip(times, values, strict=True)]
        yield Family(name, "gauge", "", about, samples)
    quantiles = []
    for name, q in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")):
        values = (series[f"latency_ms_{name}"] / 1e3).tolist()
        quantiles += [Sample({"quantile": q}, v, t) for t, v in zip(times, values, strict=True)]
    about = "Latency of a window, exactly."
    yield Family("strata_latency_seconds", "gauge", "seconds", about, quantiles)


SCRAPED = {
    "rate_per_s": ("strata_station_requests_per_second", "Requests a second at a station."),
    "error_ratio": ("strata_station_error_ratio", "Share of them that failed there."),
    "cpu_ratio": ("strata_station_cpu_ratio", "How busy its cores are, or its slots."),
    "hit_ratio": ("strata_station_hit_ratio", "Share of look-ups that find what they want."),
    "queue_depth": ("strata_station_queue_depth", "How many wait."),
    "connections": ("strata_station_connections", "How many are served at once."),
}


def _scraped(result: Result) -> Iterator[Family]:
    """Yield what was scraped of stations, each series in order of time."""
    seen = result.scrapes
    if not len(seen):
        return
    seen = seen.sort_values(["station", "time_s"], kind="stable")
    stations, times = seen["station"].tolist(), seen["time_s"].tolist()
    for column, (name, about) in SCRAPED.items():
        rows = zip(stations, times, seen[column].tolist(), strict=True)
        yield Family(name, "gauge", "", about, [Sample({"station": s}, v, t) for s, t, v in rows])
    quantiles = [
        Sample({"station": station, "quantile": q}, value / 1e3, time)
        for name, q in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99"))
        for station, time, value in zip(
            stations, times, seen[f"latency_ms_{name}"].tolist(), strict=True
        )
    ]
    about = "How long requests stay at a station, as scraped."
    yield Family("strata_station_stay_seconds", "gauge", "seconds", about, quantiles)
