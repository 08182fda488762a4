"""The one module that draws metrics, so that each looks the same on every page.

Charts that follow the sliders are ECharts options: Streamlit updates them in place.  Figures one
explores are Plotly's.  Every option's `alt` names the run it shows, for readers of screens and for
whoever waits until a chart has been drawn.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from engine import LAYERS, Result
from pages.parts import palette, words
from pages.parts.grids import Grid, grids
from pages.parts.state import Run

HEIGHT = 174
# Pixels around the plot.
PLOT = {"left": 42, "right": 14, "top": 40, "bottom": 20}
BUSIEST = 3  # lines in the chart of busy parts
EVENTS_MAX = 40  # lines in a chart
BARS = 48  # of the distribution of latency
TICKS_MAX = 6  # on its axis
ROUTINE = {"flush"}  # kinds of events that need no line in every chart


class Chart(NamedTuple):
    """An ECharts option, what it says to those who cannot see it, and a line for everybody."""

    key: str
    option: dict[str, Any]
    alt: str
    caption: str


def variables() -> str:
    """Return CSS variables for where the plots are: page.css draws one time cursor over all."""
    return ":root{" + "".join(f"--plot-{side}:{size}px;" for side, size in PLOT.items()) + "}"


def show(chart: Chart, run: Run) -> None:
    """Draw a chart of a run, with its words below."""
    alt = f"{chart.alt} Run {run.id}."
    st.echarts_chart(chart.option, height=HEIGHT, key=chart.key, alt=alt)
    st.caption(chart.caption)


# ---------------------------------------------------------------- over time


def latency_over_time(run: Run) -> Chart:
    """Return how long answers took, as percentiles."""
    series, summary = run.result.timeseries, run.result.summary
    times = series["time_s"].to_numpy()
    lines = [
        _line(name, times, series[f"latency_ms_{name}"].to_numpy(), colour.here(), width=1.6)
        for name, colour in palette.PERCENTILES.items()
    ]
    p50, p99 = (
        words.milliseconds(each) if each else "–"
        for each in (summary.latency_ms_p50, summary.latency_ms_p99)
    )
    return Chart(
        "chart-latency",
        _over_time("Latency, ms", lines, run, tooltip="%.0f ms"),
        f"Latency over time: p50 {p50}, p99 {p99}.",
        f"Half of all answers take under {p50}; one in a hundred takes over {p99}.",
    )


def rate_over_time(run: Run) -> Chart:
    """Return what people ask for, what they get and what fails."""
    series, summary = run.result.timeseries, run.result.summary
    times, columns = series["time_s"].to_numpy(), ("started", "answered", "failed")
    asked, answered, failed = (series[f"{name}_per_s"].to_numpy() for name in columns)
    lines = [
        _line("asked", times, asked, palette.MUTED.here(), dash="dashed"),
        _line("answered", times, answered, palette.ANSWERED.here()),
        _line("failed", times, failed, palette.BAD.here(), fill=True),
    ]
    sent = words.per_second(summary.requests_per_second)
    errors = words.percent(summary.error_ratio)
    told = f"{errors} of them fail" if summary.failed else "none of them fails"
    return Chart(
        "chart-rate",
        _over_time("Requests per second", lines, run, tooltip="%.0f /s"),
        f"Requests over time: {sent} asked, {errors} failed.",
        f"People send {sent}; {told}.",
    )


def busy_over_time(run: Run, selected: str | None) -> Chart:
    """Return how busy the busiest parts are and the selected one."""
    stations, found = run.result.stations, grids(run.id, run)
    busy = stations["utilisation"].dropna().sort_values(ascending=False, kind="stable")
    top = [str(name) for name in busy.index[:BUSIEST]]
    if selected in busy.index and selected not in top:
        top = [*top[: BUSIEST - 1], str(selected)]
    lines = [
        _line(
            str(stations.at[name, "title"]),
            found.times,
            100 * found.station["utilisation"][found.stations.index(name)],
            palette.LAYERS[str(stations.at[name, "layer"])].here(),
            # Parts of one layer share its colour, so the dashes tell them apart.
            dash=("solid", "dashed", "dotted")[place],
            width=2.4 if name == selected else 1.6,
        )
        for place, name in enumerate(top)
    ]
    told = "No part here has limits, so none is ever busy."
    if top:
        busiest = f"{stations.at[top[0], 'title']} is the busiest, {words.percent(busy.max())}"
        told = f"{busiest} on average. Lines grow long from about 75 % on."
    return Chart(
        "chart-busy",
        _over_time("Busy, %", lines, run, tooltip="%.0f %%", top_of_scale=100),
        f"How busy parts are over time. {told}",
        told,
    )


def _line(
    name: str,
    times: Grid,
    values: Grid,
    colour: str,
    *,
    dash: str = "solid",
    width: float = 1.8,
    fill: bool = False,
) -> dict[str, Any]:
    """Return one line; a moment at which nothing was measured is a gap in it."""
    digits = np.where(np.abs(values) >= 100, np.rint(values), np.round(values, 1))
    line: dict[str, Any] = {
        "type": "line",
        "name": name,
        "data": [
            [at, None if math.isnan(value) else value]
            for at, value in zip(np.round(times, 2).tolist(), digits.tolist(), strict=True)
        ],
        "symbol": "none",
        "color": colour,
        "lineStyle": {"width": width, "type": dash},
    }
    return line | ({"areaStyle": {"opacity": 0.22}} if fill else {})


def _over_time(
    title: str,
    lines: list[dict[str, Any]],
    run: Run,
    *,
    tooltip: str,
    top_of_scale: float | None = None,
) -> dict[str, Any]:
    """Return the option that all charts over time share."""
    muted = palette.MUTED.here()
    small = {"fontSize": 11, "color": muted}
    grid_line = {"lineStyle": {"color": muted, "opacity": 0.16}}
    if lines:
        lines[0] |= {"markArea": _warm_up(run, muted), "markLine": _events(run.result, muted)}
    scale = {"min": 0} | ({} if top_of_scale is None else {"max": top_of_scale, "interval": 25})
    return {
        "animation": False,  # the next run is there at once; a morph would show what never was
        "title": {
            "text": title,
            "left": 0,
            "top": 2,
            "padding": 0,
            "textStyle": {"fontSize": 13, "fontWeight": 600},
        },
        "legend": {
            "top": 20,
            "left": 0,
            "padding": 0,
            "itemWidth": 18,
            "itemHeight": 8,
            "itemGap": 10,
            "textStyle": {"fontSize": 11},
        },
        "tooltip": {"trigger": "axis", "valueFormatter": tooltip, "confine": True},
        "grid": {**PLOT, "outerBoundsMode": "none"},
        "xAxis": {
            "type": "value",
            "min": 0,
            "max": run.scenario.duration_seconds,
            "axisLabel": {**small, "formatter": "{value} s"},
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            **scale,
            "splitNumber": 3,
            "axisLabel": small,
            "splitLine": grid_line,
        },
        "series": lines,
    }


def _warm_up(run: Run, colour: str) -> dict[str, Any]:
    """Return the shade over the start of a run that the key numbers leave out."""
    return {
        "silent": True,
        "itemStyle": {"color": colour, "opacity": 0.1},
        "data": [[{"xAxis": 0}, {"xAxis": run.scenario.warm_up_seconds}]],
    }


def _events(result: Result, colour: str) -> dict[str, Any]:
    """Return a thin line at each moment at which something happened."""
    return {
        "silent": True,
        "symbol": "none",
        "label": {"show": False},
        "lineStyle": {"color": colour, "type": "dotted", "width": 1, "opacity": 0.7},
        "data": [
            {"xAxis": round(at, 2)}
            for at, kind in zip(result.events["time_s"], result.events["kind"], strict=True)
            if kind not in ROUTINE
        ][:EVENTS_MAX],
    }


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
    ticks = _ticks(low, high)
    figure.update_layout(
        height=206,
        margin={"l": 0, "r": 8, "t": 50, "b": 0},
        xaxis={
            "type": "log",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": ticks,
            "ticktext": [words.milliseconds(tick) for tick in ticks],
            "fixedrange": True,
        },
        yaxis={"ticksuffix": " %", "rangemode": "tozero", "fixedrange": True},
    )
    return figure


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers for a logarithmic axis, as many as fit side by side.

    >>> _ticks(18, 700), _ticks(2_000, 4_500)
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
