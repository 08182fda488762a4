"""Expectations: the figures that a scenario says come out of it, and whether they do.

A figure is one of the summary; a layer's own (`Result.figures`); `station:column` of the table
of stations; `events:kind`, how many such lines the log has; `impact:field` of a post-mortem,
1e300 where that never came, 0 where nobody was harmed.  Between two times it is read
from the time series: of requests, or `station:column` of a station.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ScenarioError, close_to
from engine.postmortem.impact import Impact, Objective, impact

if TYPE_CHECKING:
    import pandas as pd

    from engine.result import Result
    from engine.scenario import Expectation


def missed(result: Result) -> Iterator[str]:
    """Yield a sentence for every expectation of the scenario that did not come true."""
    for name, expectation in result.scenario.expect.items():
        value = measured(result, name, expectation)
        if not expectation.low <= value <= expectation.high:
            bounds = [
                f"at least {expectation.low:g}" if expectation.low > -1e300 else "",
                f"at most {expectation.high:g}" if expectation.high < 1e300 else "",
            ]
            yield f"{name} is {value:,.6g}, not {' and '.join(filter(None, bounds))}"


def measured(result: Result, name: str, expectation: Expectation) -> float:
    """Return the figure that an expectation is about; NaN if there was nothing to measure.

    Raises ScenarioError in one line if there is no figure of this name.
    """
    figure = expectation.of or name
    start, end = expectation.from_seconds, expectation.to_seconds
    if start is not None or end is not None:
        return _between(result, figure, start or 0.0, math.inf if end is None else end)
    kind, _, what = figure.partition(":")
    if kind == "events" and what:
        return float((result.events["kind"] == what).sum())
    if kind == "impact" and what in IMPACT:
        return _impact(result, what)
    if what and kind in result.stations.index and what in result.stations.columns:
        return float(result.stations.at[kind, what])
    if figure in result.figures.index:
        return float(result.figures["value"][figure])
    value = getattr(result.summary, figure, None)
    if value is None:
        known = [*type(result.summary).model_fields, *result.figures.index]
        raise ScenarioError(f"expect.{name}: there is no {figure!r} here{close_to(figure, known)}")
    return float(value)


NEVER = 1e300  # s; what an expectation allows at most, as it cannot say that there is no limit
IMPACT = (*Impact.model_fields, "lasted_seconds", "detected_after_seconds")


def _impact(result: Result, field: str) -> float:
    """Return a figure of what users felt."""
    found = impact(result, Objective())
    if found is None:
        return 0.0
    value = getattr(found, field)
    return NEVER if value is None else float(value)


def _between(result: Result, figure: str, start: float, end: float) -> float:
    """Return a figure of the windows that lie within [start, end] seconds.

    A ratio of errors is that of all requests of these windows; all else is the mean over time.
    """
    station, _, column = figure.rpartition(":")
    series = result.timeseries
    if station:
        series = result.station_series
        series = series[series["station"] == station]
    if column not in series.columns or not len(series):
        names = list(series.columns)
        raise ScenarioError(f"expect: there is no {figure!r} over time{close_to(column, names)}")
    seconds = np.diff(series["time_s"], prepend=0.0)
    inside = (series["time_s"] - seconds >= start - 1e-6) & (series["time_s"] <= end + 1e-6)
    if column == "error_ratio":
        failed = float((series["failed_per_s"] * seconds)[inside].sum())
        answered = float((series["answered_per_s"] * seconds)[inside].sum())
        return failed / (failed + answered) if failed + answered else 0.0
    return _mean(series[column][inside], seconds[inside])


def _mean(values: pd.Series[float], seconds: np.ndarray) -> float:
    """Return the mean over time of what was measured."""
    known = ~np.isnan(values.to_numpy())
    if not known.any():
        return math.nan
    return float(np.average(values.to_numpy()[known], weights=seconds[known]))
