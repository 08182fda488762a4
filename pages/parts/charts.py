"""The one module that draws metrics, so that each looks the same on every page.

Charts over time are plain data for `static/timechart.js`, which draws them in the browser: the
next run's numbers replace the last one's within a frame.  Figures one explores are Plotly's.
Every chart's words name the run it shows, for readers of screens and for whoever waits until it
has been drawn.
"""

import math
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from engine import LAYERS, Result
from pages.parts import palette, words
from pages.parts.grids import Grid, grids
from pages.parts.palette import Colour
from pages.parts.state import Run

BUSIEST = 3  # lines in the chart of busy parts
EVENTS_MAX = 40  # lines in a chart
BARS = 48  # of the distribution of latency
TICKS_MAX = 6  # on its axis
ROUTINE = {"flush"}  # kinds of events that need no line in every chart


class Line(TypedDict):
    """One line of a chart over time, as `timechart.js` takes it."""

    name: str
    colour: str  # of CSS
    dash: str  # solid, dashed or dotted
    width: float  # pixels
    fill: bool  # whether the room below is tinted


class Chart(TypedDict):
    """A chart over time, as `timechart.js` takes it."""

    title: str
    unit: str  # after the numbers of the tooltip
    label: str  # what it says to those who cannot see it; names the run
    caption: str  # a sentence for everybody
    lines: list[Line]
    data: list[list[float | None]]  # seconds, then each line's values; None is a gap
    span: tuple[float, float]  # seconds of the axis
    top: float | None  # of the scale; None: whatever holds all values
    step: float | None  # of the scale; None: a round number
    shades: list[tuple[float, float]]  # seconds from and to
    marks: list[float]  # seconds


# ---------------------------------------------------------------- over time


def over_time(run: Run, selected: str | None) -> list[Chart]:
    """Return the charts below the map; a selected part has a line of its own."""
    return [latency_over_time(run), rate_over_time(run), busy_over_time(run, selected)]


def latency_over_time(run: Run) -> Chart:
    """Return how long answers took, as percentiles."""
    series, summary = run.result.timeseries, run.result.summary
    p50, p99 = (
        words.milliseconds(each) if each else "–"
        for each in (summary.latency_ms_p50, summary.latency_ms_p99)
    )
    return _over_time(
        run,
        "Latency, ms",
        "ms",
        [_line(name, colour, width=1.6) for name, colour in palette.PERCENTILES.items()],
        [series[f"latency_ms_{name}"].to_numpy() for name in palette.PERCENTILES],
        label=f"Latency over time: p50 {p50}, p99 {p99}.",
        caption=f"Half of all answers take under {p50}; one in a hundred takes over {p99}.",
    )


def rate_over_time(run: Run) -> Chart:
    """Return what people ask for, what they get and what fails."""
    series, summary = run.result.timeseries, run.result.summary
    sent = words.per_second(summary.requests_per_second)
    errors = words.percent(summary.error_ratio)
    told = f"{errors} of them fail" if summary.failed else "none of them fails"
    return _over_time(
        run,
        "Requests per second",
        "/s",
        [
            _line("asked", palette.MUTED, dash="dashed"),
            _line("answered", palette.ANSWERED),
            _line("failed", palette.BAD, fill=True),
        ],
        [series[f"{name}_per_s"].to_numpy() for name in ("started", "answered", "failed")],
        label=f"Requests over time: {sent} asked, {errors} failed.",
        caption=f"People send {sent}; {told}.",
    )


def busy_over_time(run: Run, selected: str | None) -> Chart:
    """Return how busy the busiest parts are and the selected one."""
    parts, found = _limited(run.result), grids(run.id, run)
    top = sorted(parts, key=lambda name: -parts[name].busy)[:BUSIEST]
    told = "No part here has limits, so none is ever busy."
    if top:
        busiest = parts[top[0]]
        told = f"{busiest.title} is the busiest, {words.percent(busiest.busy)} on average."
        told += " Lines grow long from about 75 % on."
    if selected in parts and selected not in top:
        top = [*top[: BUSIEST - 1], selected]
    return _over_time(
        run,
        "Busy, %",
        "%",
        [
            _line(
                parts[name].title,
                palette.LAYERS[parts[name].layer],
                # Parts of one layer share its colour, so the dashes tell them apart.
                dash=("solid", "dashed", "dotted")[place],
                width=2.4 if name == selected else 1.6,
            )
            for place, name in enumerate(top)
        ],
        [100 * found.station["utilisation"][found.stations.index(name)] for name in top],
        label=f"How busy parts are over time. {told}",
        caption=told,
        top=100,
        step=25,
    )


class _Part(NamedTuple):
    """A part that can be busy."""

    title: str
    layer: str
    busy: float  # mean utilisation


def _limited(result: Result) -> dict[str, _Part]:
    """Return the parts that have limits, and so can be busy, by name."""
    columns = ("title", "layer", "utilisation")
    rows = zip(*(result.stations[column].tolist() for column in columns), strict=True)
    parts = zip(result.stations.index.tolist(), map(_Part._make, rows), strict=True)
    return {name: part for name, part in parts if not math.isnan(part.busy)}


def _line(
    name: str, colour: Colour, *, dash: str = "solid", width: float = 1.8, fill: bool = False
) -> Line:
    """Return how one line looks."""
    return {"name": name, "colour": colour.css(), "dash": dash, "width": width, "fill": fill}


def _over_time(
    run: Run,
    title: str,
    unit: str,
    lines: list[Line],
    values: list[Grid],
    *,
    label: str,
    caption: str,
    top: float | None = None,
    step: float | None = None,
) -> Chart:
    """Return what all charts over time share, around these lines and their values."""
    times = run.result.timeseries["time_s"].to_numpy()
    return {
        "title": title,
        "unit": unit,
        "label": f"{label} Run {run.id}.",
        "caption": caption,
        "lines": lines,
        "data": [np.round(times, 2).tolist(), *(_column(each) for each in values)],
        "span": (0.0, run.scenario.duration_seconds),
        "top": top,
        "step": step,
        "shades": [(0.0, run.scenario.warm_up_seconds)],  # what the key numbers leave out
        "marks": _marks(run.result),
    }


def _column(values: Grid) -> list[float | None]:
    """Return values in three figures; a moment at which nothing was measured is a gap."""
    digits = np.where(np.abs(values) >= 100, np.rint(values), np.round(values, 1))
    return [None if math.isnan(value) else value for value in digits.tolist()]


def _marks(result: Result) -> list[float]:
    """Return the moments at which something happened."""
    return [
        round(at, 2)
        for at, kind in zip(result.events["time_s"], result.events["kind"], strict=True)
        if kind not in ROUTINE
    ][:EVENTS_MAX]


def overlay(
    runs: dict[str, Run], title: str, unit: str, column: str, looks: list[tuple[Colour, str]]
) -> Chart:
    """Return one figure of several runs over one another; `looks`: colour and dash of each."""
    lines, data = [], []
    longest = max(runs.values(), key=lambda run: len(run.result.timeseries))
    times = longest.result.timeseries["time_s"].to_numpy()
    for (name, run), (colour, dash) in zip(runs.items(), looks, strict=False):
        lines.append(_line(name, colour, dash=dash))
        series = run.result.timeseries
        # Runs of other lengths have other windows.
        data.append(
            np.interp(times, series["time_s"], series[column], left=math.nan, right=math.nan)
        )
    return _over_time(
        longest,
        title,
        unit,
        lines,
        data,
        label=f"{title} over time: {', '.join(runs)}.",
        caption="",
    )


# ---------------------------------------------------------------- where the time goes

# Solid is working, striped is waiting, dotted is the network, here as in the waterfall.
_PATTERNS = {"working": "", "waiting": "/", "network": "."}


def shares(bars: dict[str, pd.DataFrame]) -> go.Figure:
    """Return one bar a name: how much each layer contributes, by waiting, working and network.

    Each table has the columns layer, kind and ms; a bar is 100 % of its table's ms.
    """
    figure = go.Figure()
    whole = [float(table["ms"].sum()) or 1.0 for table in bars.values()]
    for layer in LAYERS:
        parts = {kind: [_sum(table, layer, kind) for table in bars.values()] for kind in _PATTERNS}
        used = [kind for kind, ms in parts.items() if any(ms)]
        for kind in used:
            share = [100 * ms / total for ms, total in zip(parts[kind], whole, strict=True)]
            figure.add_bar(
                orientation="h",
                y=list(bars),
                x=share,
                name=layer.capitalize(),
                legendgroup=layer,
                showlegend=kind == used[0],
                marker=_marker(palette.LAYERS[layer].here(), _PATTERNS[kind]),
                customdata=[words.milliseconds(ms) for ms in parts[kind]],
                hovertemplate=(
                    f"<b>{layer.capitalize()}, {kind}</b><br>%{{x:.1f}} %, %{{customdata}}"
                    "<extra>%{y}</extra>"
                ),
            )
    figure.update_layout(
        barmode="stack",
        height=60 + 42 * len(bars),
        margin={"l": 0, "r": 8, "t": 28, "b": 0},
        bargap=0.34,
        xaxis={"range": [0, 100], "ticksuffix": " %", "fixedrange": True},
        yaxis={"autorange": "reversed", "fixedrange": True, "ticklabelstandoff": 6},
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "traceorder": "normal",
            "font": {"size": 11},
            "itemwidth": 30,
        },
    )
    return figure


def _marker(colour: str, pattern: str) -> dict[str, Any]:
    """Return how a bar of a layer's colour is filled."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return {
        "color": colour,
        "line": {"width": 0},
        "pattern": {
            "shape": pattern,
            "fgcolor": colour,
            "bgcolor": f"rgba({red},{green},{blue},0.2)",
            "size": 5,
            "solidity": 0.35,
        },
    }


def _sum(table: pd.DataFrame, layer: str, kind: str) -> float:
    """Return the milliseconds of one layer and kind."""
    return float(table.loc[(table["layer"] == layer) & (table["kind"] == kind), "ms"].sum())


# ---------------------------------------------------------------- how long answers take


def latency_distribution(table: pd.DataFrame, marks: dict[str, float]) -> go.Figure:
    """Return how many requests took how long, on a logarithmic scale, with lines at `marks` (ms).

    `table` has latency_ms and requests in fine logarithmic buckets; they are gathered into bars
    wide enough that chance does not make the shape.
    """
    low, high = _ends(table["latency_ms"].to_numpy())
    edges = np.geomspace(low, high, num=BARS + 1)
    counts, _ = np.histogram(table["latency_ms"], bins=edges, weights=table["requests"])
    share = 100 * counts / max(1, counts.sum())
    figure = go.Figure()
    figure.add_scatter(
        x=np.sqrt(edges[:-1] * edges[1:]),
        y=share,
        mode="lines",
        line={"shape": "hvh", "width": 1.4, "color": palette.LAYERS["edge"].here()},
        fill="tozeroy",
        customdata=np.cumsum(share),
        hovertemplate="about %{x:.3~s} ms: %{y:.1f} %<br>%{customdata:.1f} % are faster"
        "<extra></extra>",
        showlegend=False,
    )
    middle = math.sqrt(low * high)
    for row, (name, at) in enumerate(marks.items()):
        if at > 0:
            _mark(figure, at, f"{name} {words.milliseconds(at)}", len(marks) - 1 - row, middle)
    marks_at = ticks(low, high)
    figure.update_layout(
        height=206,
        margin={"l": 0, "r": 8, "t": 50, "b": 0},
        xaxis={
            "type": "log",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": marks_at,
            "ticktext": [words.milliseconds(tick) for tick in marks_at],
            "fixedrange": True,
        },
        yaxis={"ticksuffix": " %", "rangemode": "tozero", "fixedrange": True},
    )
    return figure


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers for a logarithmic axis, as many as fit side by side.

    >>> ticks(18, 700), ticks(2_000, 4_500)
    ([20.0, 50.0, 100.0, 200.0, 500.0], [2000.0, 3000.0, 4000.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for bases in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,)):
        ticks = [base * 10.0**power for power in powers for base in bases]
        fitting = [tick for tick in ticks if low <= tick <= high]
        if len(fitting) <= TICKS_MAX:
            return fitting
    return fitting[:: len(fitting) // TICKS_MAX + 1]


def _ends(values: Grid) -> tuple[float, float]:
    """Return ends for the axis, a little wider than the values."""
    positive = values[values > 0]
    return (positive.min() * 0.9, positive.max() * 1.1) if len(positive) else (1.0, 1000.0)


def _mark(figure: go.Figure, at: float, text: str, row: int, middle: float) -> None:
    """Draw a line at a latency; its words stand in one of the rows above the plot."""
    ink = palette.INK.here()
    figure.add_vline(x=at, line={"width": 1.4, "dash": "dot", "color": ink})
    figure.add_annotation(
        x=float(np.log10(at)),
        y=1 + 0.115 * row,
        yref="paper",
        yanchor="bottom",
        text=text,
        showarrow=False,
        # The tail's marks stand near the right end, so their words go to the left.
        xanchor="left" if at < middle else "right",
        xshift=-2 if at < middle else 2,
        font={"size": 11, "color": ink},
    )
