"""Impact: what users felt, from when to when, and what it cost of the error budget.

Read from the time series alone, so the finest thing that is seen is one of its windows: a
120th of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.component import knob
from engine.distribution import Frozen

if TYPE_CHECKING:
    import pandas as pd

    from engine.result import Result

SLOWER = 2.0  # times what was usual: slow, where the usual is slow already
FEW = 3  # failed requests in a window are chance
STUCK = 0.5  # share of requests answered below which nobody gets on
ALERTS = ("alert",)
REACTIONS = ("server_down", "ejection", "failover", "promotion", "scale", "throttle", "panic")


class Objective(Frozen):
    """What users were promised, and from what on they are harmed."""

    availability: float = knob(
        0.999,
        "Availability objective",
        low=0.5,
        high=0.999999,
        help="Share of requests that is to be answered; the rest is the error budget (Google SRE"
        " book, chapter 3, 'Embracing Risk').",
    )
    error_ratio: float = knob(
        0.01,
        "Harm from errors of",
        low=0,
        high=1,
        help="Users are harmed while so large a share of requests fails: ten times what 99.9 %"
        " allows, between the burn rates of 14.4 and 6 that the SRE workbook pages for.",
    )
    latency_ms: float = knob(
        500.0,
        "Harm from a P95 of",
        unit="ms",
        low=0,
        high=600_000,
        help="Users are harmed while one request in twenty takes so long, or twice as long as"
        " usual if that is more.",
    )
    calm_seconds: float = knob(
        30.0,
        "Recovered after",
        unit="s",
        low=0,
        high=86_400,
        help="It is over once nobody was harmed for so long.",
    )


class Impact(Frozen):
    """What users felt."""

    began_seconds: float
    ended_seconds: float | None  # None: not within the run
    harmed_seconds: float  # all windows in which users were harmed
    failed: int
    reasons: dict[str, int]  # of all that failed, the commonest first
    error_ratio_worst: float  # of a window
    latency_ms_p99_worst: float | None  # of a window; None if nothing was answered
    latency_worst_at_seconds: float
    budget_spent: float  # failed requests as a multiple of those that the objective allows
    detected_at_seconds: float | None  # when somebody, or something, noticed
    detected_by: str  # what the log says of that

    @property
    def lasted_seconds(self) -> float | None:
        """From the first harm to the last; None if it was not over when the run ended."""
        return None if self.ended_seconds is None else self.ended_seconds - self.began_seconds

    @property
    def detected_after_seconds(self) -> float | None:
        """How long it took until it was noticed; None if nobody did."""
        if self.detected_at_seconds is None:
            return None
        return max(0.0, self.detected_at_seconds - self.began_seconds)


def harmed(result: Result, objective: Objective) -> pd.Series[bool]:
    """Return for each window of the time series whether users were harmed in it."""
    series = result.timeseries
    seconds = np.diff(series["time_s"], prepend=0.0)
    failing = (series["error_ratio"] >= objective.error_ratio) & (
        series["failed_per_s"] * seconds >= FEW
    )
    stuck = (series["answered_per_s"] < STUCK * series["started_per_s"]) & (
        series["started_per_s"] * seconds >= FEW
    )
    slow = series["latency_ms_p95"] > slow_from(result, objective)
    found: pd.Series[bool] = (failing | stuck | slow) & (
        series["time_s"] - seconds >= result.scenario.warm_up_seconds - 1e-9
    )
    return found


def slow_from(result: Result, objective: Objective) -> float:
    """Return from what P95 on it is slow, ms: more than was promised, and than was usual.

    Usual is the median before the first thing that went wrong.
    """
    series, events = result.timeseries, result.events
    first = events.loc[events["kind"].isin(CAUSES), "time_s"].min()
    quiet = series[(series["time_s"] <= first) | np.isnan(first)]
    quiet = quiet[quiet["time_s"] > result.scenario.warm_up_seconds]
    usual = float(quiet["latency_ms_p95"].median()) if len(quiet) else np.nan
    return max(objective.latency_ms, SLOWER * usual) if usual > 0 else objective.latency_ms


CAUSES = ("fault", "change", "deploy", "region", "outage", "crash", "breakdown", "pause", "offline")


def impact(result: Result, objective: Objective) -> Impact | None:
    """Return what users felt; None if nobody was harmed."""
    series = result.timeseries
    bad = harmed(result, objective).to_numpy()
    if not bad.any():
        return None
    seconds = np.diff(series["time_s"], prepend=0.0)
    places = np.flatnonzero(bad)
    began = float(series["time_s"].iloc[places[0]] - seconds[places[0]])
    last, end = float(series["time_s"].iloc[places[-1]]), float(series["time_s"].iloc[-1])
    summary = result.summary
    slowest = series["latency_ms_p99"].where(bad).to_numpy()
    worst = int(np.nanargmax(slowest)) if not np.isnan(slowest).all() else int(places[0])
    noticed = noticed_at(result, began)
    return Impact(
        began_seconds=began,
        ended_seconds=last if end - last >= objective.calm_seconds - 1e-9 else None,
        harmed_seconds=float(seconds[bad].sum()),
        failed=summary.failed,
        reasons=dict(sorted(summary.failures.items(), key=lambda item: -item[1])),
        error_ratio_worst=float(series["error_ratio"][bad].max()),
        latency_ms_p99_worst=None if np.isnan(slowest[worst]) else float(slowest[worst]),
        latency_worst_at_seconds=float(series["time_s"].iloc[worst]),
        budget_spent=summary.failed / max(1e-9, (1 - objective.availability) * summary.started),
        detected_at_seconds=noticed[0],
        detected_by=noticed[1],
    )


def noticed_at(result: Result, began: float) -> tuple[float | None, str]:
    """Return when the first alert came after the first harm, else the first reaction."""
    events = result.events
    for kinds in (ALERTS, REACTIONS):
        found = events[events["kind"].isin(kinds) & (events["time_s"] >= began)]
        if len(found):
            return float(found["time_s"].iloc[0]), str(found["text"].iloc[0])
    return None, ""
