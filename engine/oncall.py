"""On call: every alert that fired, how long that took, and what users saw meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.record import AlertNote

CAUSES = ("fault", "change", "deploy", "outage", "region", "breakdown")  # kinds of events
LOOK_BACK_SECONDS = 600.0  # who is on call looks no further for a cause
COLUMNS = [
    "alert",
    "station",
    "severity",
    "cause",
    "cause_s",
    "pending_s",
    "fired_s",
    "detected_after_s",
    "fired_after_s",
    "resolved_s",
    "resolved_after_s",
    "requests_failed",
    "error_ratio",
    "latency_ms_p99_worst",
]


class Incident(NamedTuple):
    """An alert that fired."""

    alert: str
    station: str
    severity: str
    pending: float
    fired: float
    resolved: float  # NaN: it still fires


def incidents(notes: Sequence[AlertNote]) -> Iterator[Incident]:
    """Yield the alerts that fired, in the order in which they did."""
    for index, note in enumerate(notes):
        if note.kind == "alert":
            ends = (
                later.time
                for later in notes[index + 1 :]
                if later.kind == "alert_resolved"
                and (later.title, later.station) == (note.title, note.station)
            )
            yield Incident(
                note.title, note.station, note.severity, note.since, note.time, next(ends, math.nan)
            )


def on_call(
    notes: Sequence[AlertNote],
    events: Sequence[tuple[float, str, str, str]],
    timeseries: pd.DataFrame,
) -> pd.DataFrame:
    """Return a row an incident; times are seconds since the start, NaN where there is none yet.

    The cause is the last event in the ten minutes before it of a kind that can be one, which is
    what somebody on call would look at first.  `detected_after_s` counts from there,
    `fired_after_s` from when the alert began to wait, `resolved_after_s` from when it fired.  What
    users saw is from when it began to wait to when it was resolved, from the windows of the
    time series.
    """
    rows = []
    for incident in incidents(notes):
        known = [
            event
            for event in events
            if event[1] in CAUSES and 0 <= incident.pending - event[0] <= LOOK_BACK_SECONDS
        ]
        at, _, _, text = known[-1] if known else (math.nan, "", "", "")
        end = incident.resolved
        rows.append(
            [
                incident.alert,
                incident.station,
                incident.severity,
                text,
                at,
                incident.pending,
                incident.fired,
                incident.fired - at,
                incident.fired - incident.pending,
                end,
                end - incident.fired,
                *seen(timeseries, incident.pending, math.inf if math.isnan(end) else end),
            ]
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def seen(timeseries: pd.DataFrame, begin: float, end: float) -> tuple[float, float, float]:
    """Return (requests failed, error ratio, worst P99 in ms) of a part of a run."""
    ends = timeseries["time_s"].to_numpy()
    begins = np.concatenate([[0.0], ends[:-1]])
    inside = np.clip(np.minimum(ends, end) - np.maximum(begins, begin), 0.0, None)
    failed = float((timeseries["failed_per_s"].to_numpy() * inside).sum())
    answered = float((timeseries["answered_per_s"].to_numpy() * inside).sum())
    worst = timeseries["latency_ms_p99"].to_numpy()[inside > 0]
    worst = worst[~np.isnan(worst)]
    return (
        round(failed),
        failed / (failed + answered) if failed + answered else math.nan,
        float(worst.max()) if len(worst) else math.nan,
    )
