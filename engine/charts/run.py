"""All pictures of a run, by name."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from engine import words
from engine.charts.colours import ANSWERED, BAD, LAYERS, MUTED, PERCENTILES
from engine.charts.picture import Picture
from engine.charts.plots import Curve, Part, Plot, bars, hill, lines
from engine.charts.seven import architecture
from engine.charts.waterfall import waterfall
from engine.program import LAYERS as NAMES
from engine.result import Result
from engine.traces import Which

BUSIEST = 3
EVENTS_MAX = 40
ROUTINE = {"flush"}
DASHES = ("solid", "dashed", "dotted")
LOOKS = {"working": "solid", "waiting": "striped", "network": "dotted"}
WHICH: dict[Which, str] = {"p50": "Typical", "p99": "Slow: P99", "failed": "Failed"}


def pictures(result: Result) -> dict[str, Picture]:
    """Return every chart of a run, in the order in which one reads them."""
    found = [
        architecture(result),
        latency(result),
        requests(result),
        busy(result),
        in_flight(result),
        distribution(result),
        shares(result),
        *waterfalls(result),
    ]
    return {picture.name: picture for picture in found}


def latency(result: Result) -> Picture:
    """Return how long answers took over time."""
    series, summary = result.timeseries, result.summary
    p50, p99 = (
        words.milliseconds(math.nan if each is None else each)
        for each in (summary.latency_ms_p50, summary.latency_ms_p99)
    )
    curves = [
        Curve(name, colour, series[f"latency_ms_{name}"].tolist())
        for name, colour in PERCENTILES.items()
    ]
    told = f"Half of all answers take under {p50}; one in a hundred takes over {p99}."
    return lines(_plot(result, "latency", "Latency, ms", told), curves)


def requests(result: Result) -> Picture:
    """Return what was asked, answered and failed over time."""
    series, summary = result.timeseries, result.summary
    looks = (
        ("asked", "started", MUTED, "dashed"),
        ("answered", "answered", ANSWERED, "solid"),
        ("failed", "failed", BAD, "dotted"),
    )
    curves = [
        Curve(name, colour, series[f"{column}_per_s"].tolist(), dash)
        for name, column, colour, dash in looks
    ]
    told = (
        f"People send {words.per_second(summary.requests_per_second)};"
        f" {words.percent(summary.error_ratio)} of them fail."
    )
    return lines(_plot(result, "requests", "Requests per second", told), curves)


def busy(result: Result) -> Picture:
    """Return how busy the busiest parts were over time."""
    table = result.stations.dropna(subset=["utilisation"]).nlargest(BUSIEST, "utilisation")
    curves = [
        Curve(
            str(row["title"]),
            LAYERS[str(row["layer"])],
            (100 * result.windows[str(name)]["utilisation"]).tolist(),
            DASHES[place],
        )
        for place, (name, row) in enumerate(table.iterrows())
    ]
    told = "No part here has limits, so none is ever busy."
    if len(table):
        first = table.iloc[0]
        told = f"{first['title']} is the busiest, {words.percent(first['utilisation'])} on average."
    return lines(_plot(result, "busy", "Busy, %", told)._replace(top=100.0), curves)


def in_flight(result: Result) -> Picture:
    """Return how many requests waited for their answers over time."""
    series = result.timeseries["in_flight"].tolist()
    told = f"At most {max(series, default=0):,} requests at a time waited for their answers."
    curves = [Curve("in flight", LAYERS["application"], series)]
    return lines(_plot(result, "in_flight", "Requests in flight", told), curves)


def _plot(result: Result, name: str, title: str, caption: str) -> Plot:
    """Return what all charts over time share."""
    scenario, events = result.scenario, result.events
    marks = events.loc[~events["kind"].isin(ROUTINE), "time_s"].tolist()[:EVENTS_MAX]
    shaded = f"{caption} Grey: the warm-up; dotted: what the log tells." if marks else caption
    return Plot(
        name,
        title,
        shaded,
        result.timeseries["time_s"].tolist(),
        (0.0, scenario.duration_seconds),
        shades=[(0.0, scenario.warm_up_seconds)],
        marks=marks,
    )


def distribution(result: Result) -> Picture:
    """Return how many answers took how long."""
    table, summary = result.latency(), result.summary
    quantiles = {
        name: getattr(summary, f"latency_ms_{name}") or math.nan for name in ("p50", "p95", "p99")
    }
    return hill(
        "distribution",
        "How long answers take",
        table["latency_ms"].to_numpy(np.float64),
        table["requests"].to_numpy(np.float64),
        quantiles,
        "Each step along the axis multiplies the time; the tail to the right is what few get.",
    )


def shares(result: Result) -> Picture:
    """Return whose time latency is: by layer, working, waiting or on the network."""
    table = result.shares[result.shares["journey"] == "all"]
    rows = {
        title: _parts(table[table["of"] == of])
        for title, of in (("Mean of all", "mean"), ("P99 of all", "p99"))
    }
    used = {part.label for parts in rows.values() for part in parts}
    legend = [(name.capitalize(), LAYERS[name]) for name in NAMES if name in used]
    return bars(
        "shares",
        "Whose time it is",
        rows,
        legend,
        "Each bar is a whole latency. Solid is working, striped is waiting in line, dotted is the"
        " network.",
    )


def _parts(table: pd.DataFrame) -> list[Part]:
    return [
        Part(row.layer, LAYERS[row.layer], LOOKS[row.kind], row.share, words.milliseconds(row.ms))
        for row in table.itertuples()
        if row.ms > 0
    ]


def waterfalls(result: Result) -> list[Picture]:
    """Return a typical, a slow and a failed request of each journey, as far as there are any."""
    found = []
    for place, journey in enumerate(result.program.journeys, 1):
        for which, title in WHICH.items():
            trace = result.trace(journey, which)
            if trace is not None:
                name = f"trace_{place}_{which}"
                found.append(waterfall(name, f"{title} request: {trace.title}", trace))
    return found
