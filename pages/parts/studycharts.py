"""Figures of studies that one explores: tornadoes, headroom, latencies over one another."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from engine import METRICS, Headroom, Objective, Trial
from pages.parts import charts, palette, words
from pages.parts.palette import Colour

BARS = 48  # of a distribution of latency
ROW, FRAME = 21, 64  # pixels of a tornado's bar, and of all around them
WIDTHS = 42  # characters of a label

# Scenarios have no layer: the baseline is ink, the others have the palette's strongest colours.
SCENARIOS = (
    palette.MUTED,
    Colour("#0072B2", "#56B4E9"),
    Colour("#CC79A7", "#D68FB7"),
    Colour("#009E73", "#1BB58A"),
    Colour("#E69F00", "#E69F00"),
)
DASHES = ("dashed", "solid", "solid", "dotted", "dotted")


def tornado(trials: Sequence[Trial], metric: str) -> go.Figure:
    """Return what each trial does to a figure, with its interval; better is blue, worse is red.

    The trials come in the order in which they are drawn, from the top.
    """
    what = METRICS[metric]
    scale = 100.0 if what.unit == "share" else 1.0
    unit = {"share": "%", "$": "$/h"}.get(what.unit, what.unit)
    changes = [trial.verdicts[metric].change for trial in trials]
    good = [(change.mean < 0) == (what.better == "lower") for change in changes]
    colours = [
        palette.LAYERS["application"].here() if each else palette.BAD.here() for each in good
    ]
    figure = go.Figure()
    figure.add_bar(
        orientation="h",
        y=list(range(len(trials))),
        x=[scale * change.mean for change in changes],
        marker={"color": colours, "line": {"width": 0}},
        error_x={
            "type": "data",
            "array": [scale * change.half_width for change in changes],
            "color": palette.INK.here(),
            "thickness": 1.2,
            "width": 3,
        },
        customdata=[trial.sentence for trial in trials],
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    figure.add_vline(x=0, line={"width": 1, "color": palette.INK.here()})
    figure.update_layout(
        height=FRAME + ROW * max(1, len(trials)),
        margin={"l": 0, "r": 8, "t": 4, "b": 0},
        bargap=0.25,
        xaxis={"title": f"Change of {what.title}, {unit}", "fixedrange": True},
        yaxis={
            "autorange": "reversed",
            "fixedrange": True,
            "tickvals": list(range(len(trials))),
            "ticktext": [_short(trial.label) for trial in trials],
            "ticklabelstandoff": 4,
        },
    )
    return figure


def _short(label: str) -> str:
    """Return a label that leaves room for the bars."""
    return label if len(label) <= WIDTHS else f"{label[: WIDTHS - 1]}…"


def headroom_curve(found: Headroom, promise: Objective, now: float) -> go.Figure:
    """Return the P99 at each load that was tried, the promise, and where it breaks."""
    played = [probe for probe in found.tried if not math.isnan(probe.latency_ms_p99)]
    ink, bad = palette.INK.here(), palette.BAD.here()
    figure = go.Figure()
    figure.add_scatter(
        x=[probe.rate for probe in played],
        y=[probe.latency_ms_p99 for probe in played],
        mode="lines+markers",
        line={"width": 1.6, "color": palette.LAYERS["application"].here()},
        marker={
            "size": 8,
            "symbol": ["x" if probe.broken else "circle" for probe in played],
            "color": [
                bad if probe.broken else palette.LAYERS["application"].here() for probe in played
            ],
        },
        customdata=[
            f"errors {words.percent(probe.error_ratio)}<br>{probe.broken or '✓ keeps the promise'}"
            for probe in played
        ],
        hovertemplate=f"%{{x:,.0f}} {found.unit}: P99 %{{y:,.0f}} ms<br>%{{customdata}}"
        "<extra></extra>",
        showlegend=False,
    )
    figure.add_hline(
        y=promise.latency_ms_p99,
        line={"width": 1.2, "dash": "dash", "color": bad},
        annotation={"text": "promised P99", "font": {"size": 11, "color": bad}},
        annotation_position="top left",
    )
    figure.add_vline(
        x=now,
        line={"width": 1.2, "dash": "dot", "color": ink},
        annotation={"text": "now", "font": {"size": 11, "color": ink}},
        annotation_position="top right",
    )
    heights = [probe.latency_ms_p99 for probe in played] + [promise.latency_ms_p99]
    low, high = 0.8 * min(heights), 1.25 * max(heights)
    marks = charts.ticks(low, high)
    figure.update_layout(
        height=190,
        margin={"l": 0, "r": 8, "t": 18, "b": 0},
        xaxis={"title": f"Load, {found.unit}", "rangemode": "tozero", "fixedrange": True},
        yaxis={
            "title": "P99",
            "type": "log",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": marks,
            "ticktext": [words.milliseconds(each) for each in marks],
            "fixedrange": True,
        },
    )
    return figure


def latencies(tables: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Return distributions of latency over one another, on one logarithmic axis.

    Each table has latency_ms and requests in fine logarithmic buckets.
    """
    all_ms = np.concatenate([table["latency_ms"].to_numpy() for table in tables.values()])
    all_ms = all_ms[all_ms > 0]
    low, high = (all_ms.min() * 0.9, all_ms.max() * 1.1) if len(all_ms) else (1.0, 1000.0)
    edges, marks = np.geomspace(low, high, BARS + 1), charts.ticks(low, high)
    figure = go.Figure()
    for place, (name, table) in enumerate(tables.items()):
        counts, _ = np.histogram(table["latency_ms"], bins=edges, weights=table["requests"])
        share = 100 * counts / max(1, counts.sum())
        figure.add_scatter(
            x=np.sqrt(edges[:-1] * edges[1:]),
            y=share,
            name=name,
            mode="lines",
            line={
                "shape": "hvh",
                "width": 1.8,
                "color": SCENARIOS[place % len(SCENARIOS)].here(),
                "dash": {"dashed": "dash", "dotted": "dot"}.get(
                    DASHES[place % len(DASHES)], "solid"
                ),
            },
            customdata=np.cumsum(share),
            hovertemplate="about %{x:.3~s} ms: %{y:.1f} %<br>%{customdata:.1f} % are faster"
            "<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        height=280,
        margin={"l": 0, "r": 8, "t": 26, "b": 0},
        xaxis={
            "type": "log",
            "title": "Latency",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": marks,
            "ticktext": [words.milliseconds(each) for each in marks],
            "fixedrange": True,
        },
        yaxis={
            "ticksuffix": " %",
            "rangemode": "tozero",
            "fixedrange": True,
            "title": "of all answers",
        },
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    return figure
