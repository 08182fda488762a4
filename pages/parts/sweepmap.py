"""The map of a sweep over two knobs, with the line on which the limit lies."""

import math

import numpy as np
import plotly.graph_objects as go

from pages.parts import palette, words
from pages.parts.axisform import said, titled
from pages.parts.sweepcharts import HEIGHT, View, heading, layout, scaled

TEXT_CELLS = 130  # beyond them the numbers in a map would not fit
SURE_COLUMNS, SURE_ROWS = 12, 7  # beyond them their intervals would not
MAP_POINTS = 30  # pixels of the square that takes a click


def heat(view: View) -> go.Figure:
    """Return the metric over two knobs, with the line on which the limit lies."""
    across, up = view.knobs
    columns, rows = (each.points for each in view.found.axes)
    values = np.full((len(rows), len(columns)), np.nan)
    words_of = np.full(values.shape, "", dtype=object)
    room = values.size <= TEXT_CELLS
    few = len(columns) <= SURE_COLUMNS and len(rows) <= SURE_ROWS
    for cell in view.found.cells:
        place = rows.index(cell.changes[up.path]), columns.index(cell.changes[across.path])
        values[place] = view.value(cell)
        words_of[place] = _short(view, values[place]) if not cell.problem else "–"
        half = scaled(view.metric, cell.interval(view.metric.name).half_width)
        if few and half > 0:
            words_of[place] += f"<br>± {words.figures(half)}"
    figure = go.Figure()
    wide = _spread(values)
    colours = np.log10(np.maximum(values, 1e-9)) if wide else values
    figure.add_heatmap(
        z=colours,
        text=words_of,
        texttemplate="%{text}" if room else None,
        colorscale=[[0, palette.ANSWERED.here()], [0.5, "#F2E3B3"], [1, palette.BAD.here()]]
        if view.metric.better != "higher"
        else [[0, palette.BAD.here()], [0.5, "#F2E3B3"], [1, palette.ANSWERED.here()]],
        xgap=2,
        ygap=2,
        showscale=False,
        hoverinfo="skip",
        textfont={"color": "#16191D", "size": 12},
    )
    _border(figure, view, values)
    _clickable(figure, view)
    title = f"↑ {titled(up)}; in each field {heading(view.metric)}"
    figure.update_layout(**layout(titled(across), title, height=HEIGHT + 60))
    figure.update_xaxes(
        tickvals=[*range(len(columns))], ticktext=[said(across, v) for v in columns]
    )
    figure.update_yaxes(tickvals=[*range(len(rows))], ticktext=[said(up, v) for v in rows])
    figure.update_xaxes(range=[-0.5, len(columns) - 0.5], showgrid=False, zeroline=False)
    figure.update_yaxes(range=[-0.5, len(rows) - 0.5], showgrid=False, zeroline=False)
    return figure


def _border(figure: go.Figure, view: View, values: np.ndarray) -> None:
    """Draw the line between fields that keep the limit and those that do not."""
    beyond = np.array([[view.bad(value) for value in row] for row in values])
    known = np.isfinite(values)
    x: list[float | None] = []
    y: list[float | None] = []
    for row, column in np.ndindex(values.shape):
        for below, beside in ((row, column + 1), (row + 1, column)):
            if below >= values.shape[0] or beside >= values.shape[1]:
                continue
            if not (known[row, column] and known[below, beside]):
                continue
            if beyond[row, column] != beyond[below, beside]:
                x += [beside - 0.5, column + 0.5, None]
                y += [below - 0.5, row + 0.5, None]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"width": 4, "color": palette.INK.here()},
        hoverinfo="skip",
        showlegend=False,
    )


def _clickable(figure: go.Figure, view: View) -> None:
    """Lay points over the cells: a heat map itself takes no clicks."""
    across, up = view.knobs
    columns, rows = (each.points for each in view.found.axes)
    cells = view.found.cells
    told = []
    for cell in cells:
        sure = cell.interval(view.metric.name)
        half = "" if math.isnan(sure.half_width) else f" ± {view.metric.say(sure.half_width)}"
        told.append(
            f"<b>{across.title} {said(across, cell.changes[across.path])},"
            f" {up.title} {said(up, cell.changes[up.path])}</b><br>"
            + (cell.problem or f"{view.metric.title} {view.metric.say(sure.mean)}{half}")
            + "<br>click: open in the Playground"
        )
    figure.add_scatter(
        x=[columns.index(cell.changes[across.path]) for cell in cells],
        y=[rows.index(cell.changes[up.path]) for cell in cells],
        mode="markers",
        marker={"symbol": "square", "size": MAP_POINTS, "color": "rgba(0,0,0,0)"},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        text=told,
        customdata=[*range(len(cells))],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _short(view: View, value: float) -> str:
    """Return a cell's number; with a cross beyond the limit."""
    if math.isnan(value):
        return "–"
    mark = "✕ " if view.bad(value) else ""
    return f"{mark}{words.figures(value)}"


def _spread(values: np.ndarray) -> bool:
    """Return whether values differ so much that only their powers can be told apart."""
    known = values[np.isfinite(values) & (values > 0)]
    return bool(len(known)) and bool(known.max() > 20 * known.min())
