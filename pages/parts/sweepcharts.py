"""The pictures of a sweep: curve, map, hockey stick and the universal scalability law."""

import math
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from engine import Cell, Knob, Metric, Sweep, Usl, knee
from pages.parts import palette, words
from pages.parts.axisform import said, titled

HEIGHT = 300
FINE = 60  # points of a fitted curve


class View(NamedTuple):
    """What of a sweep is shown."""

    found: Sweep
    knobs: tuple[Knob, ...]  # of the axes
    metric: Metric
    limit: float  # in the metric's unit; NaN: none
    log: tuple[bool, ...]  # whether the axes are logarithmic

    def value(self, cell: Cell) -> float:
        """Return the metric of a cell as the charts show it: shares in percent."""
        return scaled(self.metric, cell.interval(self.metric.name).mean)

    def bad(self, value: float) -> bool:
        """Return whether a shown value is beyond the limit."""
        limit = scaled(self.metric, self.limit)
        worse = value < limit if self.metric.better == "higher" else value > limit
        return not math.isnan(limit) and worse


def scaled(metric: Metric, value: float) -> float:
    """Return a value as an axis shows it."""
    return 100.0 * value if metric.unit == "share" else value


def unit(metric: Metric) -> str:
    """Return what stands behind a shown value."""
    return {"share": "%", "$": "$"}.get(metric.unit, metric.unit)


def heading(metric: Metric) -> str:
    """Return the title of an axis of this metric."""
    return f"{metric.title}, {unit(metric)}"


# ---------------------------------------------------------------- one knob


def curve(view: View) -> go.Figure:
    """Return the metric over one knob, with the band that holds its mean at 95 %."""
    knob, metric = view.knobs[0], view.metric
    cells = [cell for cell in view.found.cells if not math.isnan(view.value(cell))]
    at = [_place(cell.changes[knob.path], knob) for cell in cells]
    ranges = [cell.interval(metric.name) for cell in cells]
    mean = [scaled(metric, each.mean) for each in ranges]
    low = [scaled(metric, max(0.0, _or(each.low, each.mean))) for each in ranges]
    high = [scaled(metric, _or(each.high, each.mean)) for each in ranges]
    colour = palette.PERCENTILES["p95"].here()
    figure = go.Figure()
    if _numeric(knob):
        figure.add_scatter(
            x=[*at, *at[::-1]],
            y=[*high, *low[::-1]],
            mode="lines",
            fill="toself",
            fillcolor=_tint(colour, 0.22),
            line={"width": 0},
            hoverinfo="skip",
            name="95 % band",
        )
    marks = [view.bad(value) for value in mean]
    figure.add_scatter(
        x=at,
        y=mean,
        mode="lines+markers" if _numeric(knob) else "markers",
        error_y=None if _numeric(knob) else _bars(mean, low, high),
        line={"color": colour, "width": 2},
        marker={
            "size": 11,
            "symbol": ["x" if bad else "circle" for bad in marks],
            "color": [palette.BAD.here() if bad else colour for bad in marks],
        },
        customdata=[
            [
                metric.say(each.mean),
                "" if math.isnan(each.half_width) else f" ± {metric.say(each.half_width)}",
                each.runs,
                said(knob, cell.changes[knob.path]),
                view.found.cells.index(cell),
            ]
            for each, cell in zip(ranges, cells, strict=True)
        ],
        hovertemplate=f"<b>{knob.title} %{{customdata[3]}}</b><br>{metric.title}"
        " %{customdata[0]}%{customdata[1]}, %{customdata[2]} runs<br>click: open in the Playground"
        "<extra></extra>",
        name="mean",
    )
    _limit_line(figure, view)
    now = knob.value
    if _numeric(knob) and isinstance(now, int | float) and at and min(at) <= now <= max(at):
        _mark(figure, float(now), "now", log=view.log[0])
    figure.update_layout(
        **layout(titled(knob), heading(metric)), xaxis_type=_type(knob, log=view.log[0])
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def _limit_line(figure: go.Figure, view: View) -> None:
    """Draw the limit, with a word."""
    if not math.isnan(view.limit):
        figure.add_hline(
            y=scaled(view.metric, view.limit),
            line={"width": 1.4, "dash": "dash", "color": palette.BAD.here()},
            annotation={
                "text": f"limit {view.metric.say(view.limit)}",
                "font": {"size": 11, "color": palette.BAD.here()},
            },
            annotation_position="top left",
        )


# ---------------------------------------------------------------- load


def hockey(view: View) -> go.Figure:
    """Return latency over throughput, as load grows, with the knee marked."""
    knob = view.knobs[0]
    flow, slow, late = (
        [cell.interval(name).mean for cell in view.found.cells]
        for name in ("answered_per_second", "latency_ms_mean", "latency_ms_p99")
    )
    asked = [said(knob, cell.changes[knob.path]) for cell in view.found.cells]
    figure = go.Figure()
    halves = {
        "P99": [cell.interval("latency_ms_p99").half_width for cell in view.found.cells],
        "mean": [cell.interval("latency_ms_mean").half_width for cell in view.found.cells],
    }
    for name, values, colour in (("P99", late, "p99"), ("mean", slow, "p95")):
        figure.add_scatter(
            x=flow,
            y=values,
            mode="lines+markers",
            name=name,
            line={"color": palette.PERCENTILES[colour].here(), "width": 2},
            marker={"size": 8},
            error_y=_thin(halves[name]),
            text=asked,
            customdata=[
                ["" if math.isnan(half) else f" ± {words.figures(half)}", place]
                for place, half in enumerate(halves[name])
            ],
            hovertemplate=f"<b>%{{text}} {_what(knob)} asked</b><br>%{{x:,.0f}}/s answered,"
            f" {name} %{{y:,.0f}}%{{customdata[0]}} ms<br>click: open in the Playground"
            "<extra></extra>",
        )
    bend = knee_of(view.found)
    if bend is not None:
        figure.add_scatter(
            x=[flow[bend]],
            y=[slow[bend]],
            mode="markers+text",
            marker={"symbol": "diamond", "size": 15, "color": palette.WARN.here()},
            text=[f"knee: {flow[bend]:,.0f}/s"],
            textposition="top left" if flow[bend] > max(flow) / 2 else "top right",
            textfont={"color": palette.INK.here(), "size": 12},
            name="knee",
            hoverinfo="skip",
        )
    figure.update_layout(**layout("Answered, requests/s", "Latency, ms"))
    known = [each for each in (*slow, *late) if each > 0]
    if known and max(known) > 20 * min(known):
        logarithmic(figure, min(known), max(known))
    else:
        figure.update_yaxes(rangemode="tozero")
    return figure


def logarithmic(figure: go.Figure, low: float, high: float) -> None:
    """Make the upright axis logarithmic, with round numbers on it."""
    at = ticks(low, high)
    figure.update_yaxes(type="log", tickvals=at, ticktext=[f"{tick:,g}" for tick in at])


def ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 of every power of ten between two values, and one beyond either.

    >>> ticks(90, 800)
    [50.0, 100.0, 200.0, 500.0, 1000.0]
    """
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ticks = [base * 10.0**power for power in powers for base in (1, 2, 5)]
    first = max(tick for tick in ticks if tick <= low)
    last = min((tick for tick in ticks if tick >= high), default=ticks[-1])
    return [tick for tick in ticks if first <= tick <= last]


def knee_of(found: Sweep) -> int | None:
    """Return which cell is the knee; None where nothing was answered."""
    load, flow, slow = (
        [cell.interval(name).mean for cell in found.cells]
        for name in ("requests_per_second", "answered_per_second", "latency_ms_mean")
    )
    if len(found.cells) < 3 or not any(value > 0 for value in slow):
        return None
    return knee(load, flow, slow)


def law(view: View, fit: Usl) -> go.Figure:
    """Return throughput over load, and the universal scalability law through it."""
    knob = view.knobs[0]
    load = [float(cell.changes[knob.path]) for cell in view.found.cells]
    flow = [cell.interval("answered_per_second").mean for cell in view.found.cells]
    fine = np.linspace(min(load), max(load), FINE)
    fitted = [fit.gamma * n / (1 + fit.alpha * (n - 1) + fit.beta * n * (n - 1)) for n in fine]
    figure = go.Figure()
    figure.add_scatter(
        x=[min(load), max(load)],
        y=[fit.gamma * min(load), fit.gamma * max(load)],
        mode="lines",
        line={"dash": "dot", "color": palette.MUTED.here(), "width": 1.5},
        name="if nobody waited",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=fine,
        y=fitted,
        mode="lines",
        line={"color": palette.LAYERS["asynchronous"].here(), "width": 2.4},
        name="the law",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=load,
        y=flow,
        mode="markers",
        marker={"size": 9, "color": palette.ANSWERED.here()},
        error_y=_thin([c.interval("answered_per_second").half_width for c in view.found.cells]),
        name="measured",
        customdata=[*range(len(load))],
        hovertemplate=f"<b>%{{x:,}} {_what(knob)} asked</b><br>%{{y:,.0f}}/s answered"
        "<br>click: open in the Playground<extra></extra>",
    )
    figure.update_layout(**layout(titled(knob), "Answered, requests/s"))
    figure.update_yaxes(rangemode="tozero")
    return figure


def fit_quality(view: View, fit: Usl) -> float:
    """Return the share of throughput's variation that the law explains, R²."""
    load = np.array([float(cell.changes[view.knobs[0].path]) for cell in view.found.cells])
    flow = np.array([cell.interval("answered_per_second").mean for cell in view.found.cells])
    law_of = fit.gamma * load / (1 + fit.alpha * (load - 1) + fit.beta * load * (load - 1))
    whole = float(np.sum((flow - flow.mean()) ** 2))
    return 1.0 - float(np.sum((flow - law_of) ** 2)) / whole if whole else math.nan


# ---------------------------------------------------------------- what they share


def _thin(halves: list[float]) -> dict[str, Any]:
    """Return thin bars for halves of intervals, in the colour of what they belong to."""
    known = [0.0 if math.isnan(half) else half for half in halves]
    return {"type": "data", "array": known, "thickness": 1.2, "width": 3}


def _what(knob: Knob) -> str:
    """Return what a knob counts."""
    return knob.unit or knob.title.lower()


def _numeric(knob: Knob) -> bool:
    return knob.kind in {"int", "float", "time"}


def _place(value: Any, knob: Knob) -> Any:
    return value if _numeric(knob) else said(knob, value)


def _type(knob: Knob, *, log: bool) -> str:
    return ("log" if log else "linear") if _numeric(knob) else "category"


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value


def _bars(mean: list[float], low: list[float], high: list[float]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [h - m for h, m in zip(high, mean, strict=True)],
        "arrayminus": [m - v for v, m in zip(low, mean, strict=True)],
    }


def _tint(colour: str, strength: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength})"


def _mark(figure: go.Figure, at: float, text: str, *, log: bool) -> None:
    """Draw an upright line with a word; a logarithmic axis wants its words elsewhere."""
    ink = palette.MUTED.here()
    figure.add_vline(x=at, line={"width": 1.2, "dash": "dot", "color": ink})
    figure.add_annotation(
        x=math.log10(at) if log else at,
        y=1,
        yref="paper",
        yanchor="top",
        xanchor="left",
        xshift=2,
        text=text,
        showarrow=False,
        font={"size": 11, "color": ink},
    )


def layout(across: str, up: str, height: int = HEIGHT) -> dict[str, Any]:
    """Return what all pictures of a sweep look like: titles of both axes, a legend above."""
    return {
        "height": height,
        "margin": {"l": 0, "r": 8, "t": 34, "b": 0},
        "title": {"text": up, "font": {"size": 13}, "x": 0, "y": 0.99, "yanchor": "top"},
        "xaxis": {"title": {"text": across, "standoff": 6}, "fixedrange": True},
        "yaxis": {"fixedrange": True},
        "legend": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1.01,
            "yanchor": "bottom",
            "font": {"size": 11},
        },
        "clickmode": "event+select",
        "dragmode": False,
    }
