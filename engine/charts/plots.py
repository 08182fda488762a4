"""Plots: lines over time or over a knob, a hill of latency, stacked bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine import words
from engine.charts.colours import GRID, INK, LAYERS, MUTED, SHADE
from engine.charts.picture import LETTER, Box, Drawing, Picture, polyline, spread, ticks

WIDTH, HEIGHT = 720.0, 230.0
DASHES = {"solid": "none", "dashed": "6 4", "dotted": "1.5 3"}


class Curve(NamedTuple):
    """One line of a plot; NaN is a gap."""

    name: str
    colour: str
    values: Sequence[float]
    dash: str = "solid"


class Plot(NamedTuple):
    """What lines have in common."""

    name: str
    title: str
    caption: str
    across: Sequence[float]
    ends: tuple[float, float]
    unit: str = " s"  # after the numbers across
    top: float | None = None
    shades: Sequence[tuple[float, float]] = ()
    marks: Sequence[float] = ()


def lines(plot: Plot, curves: Sequence[Curve], band: tuple[Sequence[float], ...] = ()) -> Picture:
    """Return lines over time, or over whatever goes across; `band`: lower and upper ends."""
    drawing = Drawing(plot.name, plot.title, WIDTH, HEIGHT)
    box = Box(54, 42, WIDTH - 70, HEIGHT - 72)
    drawing.text(12, 18, plot.title, size=13, bold=True)
    _legend(drawing, curves)
    known = [v for curve in (*curves, *band_curves(band)) for v in curve.values if math.isfinite(v)]
    marks = ticks(plot.top if plot.top is not None else max(known, default=1.0))
    low, high = plot.ends
    for begin, end in plot.shades:
        left, right = spread((begin, end), low, high, box.left, box.right)
        drawing.rect(Box(left, box.top, right - left, box.height), SHADE)
    for tick in marks:
        y = spread((tick,), 0, marks[-1], box.bottom, box.top)[0]
        drawing.line(box.left, y, box.right, y, GRID)
        drawing.text(box.left - 6, y + 4, f"{tick:,.6g}", anchor="end", fill=MUTED)
    for tick in (low + part * (high - low) / 6 for part in range(7)):
        x = spread((tick,), low, high, box.left, box.right)[0]
        drawing.text(x, box.bottom + 16, f"{tick:,.4g}{plot.unit}", anchor="middle", fill=MUTED)
    for mark in plot.marks:
        x = spread((mark,), low, high, box.left, box.right)[0]
        drawing.line(x, box.top, x, box.bottom, MUTED, stroke_dasharray="2 3")
    xs = spread(plot.across, low, high, box.left, box.right)
    if band:
        lower, upper = (_points(xs, ends, marks[-1], box) for ends in band)
        outline = [*upper, *reversed(lower)]
        if all(outline):
            drawing.path(polyline(outline) + "Z", "none", curves[0].colour, fill_opacity=0.18)
    for curve in curves:
        drawing.path(
            polyline(_points(xs, curve.values, marks[-1], box)),
            curve.colour,
            stroke_width=1.8,
            stroke_linejoin="round",
            stroke_dasharray=DASHES[curve.dash],
        )
    return drawing.picture(plot.caption)


def band_curves(band: tuple[Sequence[float], ...]) -> list[Curve]:
    """Return a band's ends as lines that nobody draws."""
    return [Curve("", "", ends) for ends in band]


def _points(
    xs: Sequence[float], values: Sequence[float], top: float, box: Box
) -> list[tuple[float, float] | None]:
    return [
        (x, spread((min(max(value, 0.0), top),), 0, top, box.bottom, box.top)[0])
        if math.isfinite(value)
        else None
        for x, value in zip(xs, values, strict=True)
    ]


def _legend(drawing: Drawing, curves: Sequence[Curve]) -> None:
    """Write the names of lines at the upper right, each behind a piece of its line."""
    x = drawing.width - 12
    for curve in reversed(curves):
        name = curve.name if len(curve.name) <= 28 else curve.name[:27] + "…"
        x -= len(name) * 11 * LETTER
        drawing.text(x, 18, name)
        drawing.line(
            x - 24, 14, x - 5, 14, curve.colour, stroke_width=2, stroke_dasharray=DASHES[curve.dash]
        )
        x -= 38


# ---------------------------------------------------------------- how long answers take

BARS = 48
ROUND = [base * 10.0**power for power in range(-4, 8) for base in (1, 2, 5)]


def hill(
    name: str,
    title: str,
    latency_ms: np.ndarray,
    requests: np.ndarray,
    quantiles: dict[str, float],
    caption: str,
) -> Picture:
    """Return how many requests took how long, on a logarithmic scale."""
    drawing = Drawing(name, title, WIDTH, HEIGHT)
    box = Box(54, 56, WIDTH - 70, HEIGHT - 86)
    drawing.text(12, 18, title, size=13, bold=True)
    known = latency_ms[latency_ms > 0]
    low, high = (known.min() * 0.9, known.max() * 1.1) if len(known) else (1.0, 1000.0)
    edges = np.geomspace(low, high, BARS + 1)
    counts, _ = np.histogram(latency_ms, bins=edges, weights=requests)
    share = 100 * counts / max(1, counts.sum())
    marks = ticks(float(share.max()), 4)
    for tick in marks:
        y = spread((tick,), 0, marks[-1], box.bottom, box.top)[0]
        drawing.line(box.left, y, box.right, y, GRID)
        drawing.text(box.left - 6, y + 4, f"{tick:g} %", anchor="end", fill=MUTED)

    def across(values: Sequence[float]) -> list[float]:
        logs = [math.log(value) for value in values]
        return spread(logs, math.log(low), math.log(high), box.left, box.right)

    xs = across(edges.tolist())
    for left, right, value in zip(xs, xs[1:], share.tolist(), strict=False):
        y = spread((value,), 0, marks[-1], box.bottom, box.top)[0]
        drawing.rect(Box(left, y, right - left - 0.6, box.bottom - y), LAYERS["edge"])
    fitting = [tick for tick in ROUND if low <= tick <= high]
    for tick in fitting[:: len(fitting) // 9 + 1]:
        x = across((tick,))[0]
        drawing.text(x, box.bottom + 16, words.milliseconds(tick), anchor="middle", fill=MUTED)
    for row, (label, value) in enumerate(quantiles.items()):
        if not value > 0:
            continue
        x = across((min(max(value, low), high),))[0]
        left = x < (box.left + box.right) / 2
        drawing.line(x, box.top - 6, x, box.bottom, INK, stroke_dasharray="2 3")
        said = f"{label} {words.milliseconds(value)}"
        y = 30.0 + 11 * (len(quantiles) - 1 - row)
        drawing.text(x + (3 if left else -3), y, said, anchor="start" if left else "end")
    return drawing.picture(caption)


# ---------------------------------------------------------------- bars


class Part(NamedTuple):
    """A piece of a stacked bar."""

    label: str
    colour: str
    look: str  # solid, striped or dotted
    share: float  # of the bar, 0 to 1
    value: str  # in words


def bars(
    name: str,
    title: str,
    rows: dict[str, Sequence[Part]],
    legend: Sequence[tuple[str, str]],
    caption: str,
) -> Picture:
    """Return stacked bars, each 100 % wide; a piece that is wide enough says its share."""
    height = 66.0 + 40 * len(rows)
    drawing = Drawing(name, title, WIDTH, height)
    drawing.text(12, 18, title, size=13, bold=True)
    x = 12.0
    for label, colour in legend:
        drawing.rect(Box(x, 30, 10, 10), colour)
        drawing.text(x + 14, 39, label)
        x += 26 + len(label) * 11 * LETTER
    left, wide = 120.0, WIDTH - 136
    for place, (label, parts) in enumerate(rows.items()):
        y, x = 54.0 + 40 * place, left
        drawing.text(12, y + 18, label, room=left - 16)
        for part in parts:
            looks = {"striped": drawing.hatch, "dotted": drawing.dots}
            fill = looks[part.look](part.colour) if part.look in looks else part.colour
            drawing.rect(Box(x, y, part.share * wide, 28), fill)
            said = f"{100 * part.share:.0f} %"
            if part.share * wide > 34 and part.look == "solid":
                middle = x + part.share * wide / 2
                drawing.text(middle, y + 18, said, anchor="middle", fill="#FFFFFF")
            x += part.share * wide
    return drawing.picture(caption)
