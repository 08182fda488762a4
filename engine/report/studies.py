"""Sections of a report that come from studies: a comparison, a sweep."""

from __future__ import annotations

import math
from typing import Any

from engine.charts import Picture
from engine.charts.colours import LAYERS
from engine.charts.plots import Curve, Plot, lines
from engine.errors import shown
from engine.report.document import Block, Section, Table, Words, numeric
from engine.report.honest import setting
from engine.study.compare import Comparison
from engine.study.figures import METRICS
from engine.study.sweep import Cell, Sweep

METRIC = "latency_ms_p99"
ROWS_MAX = 400
ACROSS_MAX = 5  # so many points stand side by side, with every figure
HEADLINE = ("latency_ms_p50", "latency_ms_p95", METRIC, "error_ratio", "answered_per_second",
            "cost_usd_per_hour")  # fmt: skip


def comparison(found: Comparison) -> Section:
    """Return what a comparison says of each scenario beside the first."""
    blocks: list[Block] = [
        Words(
            f"{found.runs} runs each with the same seeds; the first, {found.names[0]}, is the"
            " baseline. Intervals are of paired differences, 95 %."
        )
    ]
    for name in found.names[1:]:
        differ = found.differs[name]
        rows = tuple((path, setting(old), setting(new)) for path, old, new in differ[:ROWS_MAX])
        blocks.append(Table(("Knob", found.names[0], name), rows, f"How {name} differs."))
        columns = ("Figure", found.names[0], name, "Verdict")
        said = []
        for verdict in found.verdicts:
            metric = METRICS[verdict.metric]
            if verdict.scenario == name and verdict.change.runs:
                values = (metric.say(verdict.baseline.mean), metric.say(verdict.value.mean))
                said.append((metric.title, *values, verdict.sentence.partition(": ")[2]))
        blocks.append(Table(columns, tuple(said), "", numeric(columns, "Figure", "Verdict")))
    return Section("Comparison", tuple(blocks))


def swept(found: Sweep) -> Section:
    """Return what a sweep says: a table, and a curve where one knob is a number."""
    knobs = tuple(axis.path for axis in found.axes)
    names = [name for name in METRICS if any(_known(cell, name) for cell in found.cells)]
    few = len(knobs) == 1 and len(found.cells) <= ACROSS_MAX
    points = found.cells[:ROWS_MAX]
    if few:
        columns = (knobs[0], *(shown(cell.changes[knobs[0]]) for cell in points))
        rows = [(METRICS[n].title, *(_mean(cell, n) for cell in points)) for n in names]
    else:
        names = [name for name in HEADLINE if name in names]
        columns = (*knobs, *(METRICS[name].title for name in names))
        rows = [
            (*(shown(cell.changes[path]) for path in knobs), *(_mean(cell, n) for n in names))
            for cell in points
        ]
    blocks: list[Block] = (
        []
        if found.whole
        else [Words(f"Called off: {len(found.cells)} of {found.total} cells were played.")]
    )
    drawn = curve(found)
    blocks += [drawn] if drawn else []
    caption = "Mean and half-width of the 95 % interval."
    marks = numeric(columns, knobs[0]) if few else numeric(columns)
    blocks.append(Table(columns, tuple(rows), caption, marks))
    return Section("Sweep", tuple(blocks))


def _mean(cell: Cell, name: str) -> str:
    """Return a figure's mean at a point of a sweep, and how sure it is."""
    found, metric = cell.interval(name), METRICS[name]
    return f"{metric.say(found.mean)} ± {metric.say(found.half_width)}"


def _known(cell: Any, name: str) -> bool:
    return cell.interval(name).runs > 0


def curve(found: Sweep) -> Picture | None:
    """Return the P99 over the first knob, with its interval; None if that is no curve."""
    if len(found.axes) != 1 or len(found.cells) < 2:
        return None
    path = found.axes[0].path
    points = [cell.changes[path] for cell in found.cells]
    if not all(isinstance(p, int | float) and not isinstance(p, bool) for p in points):
        return None
    values = [cell.interval(METRIC) for cell in found.cells]
    ends = (float(min(points)), float(max(points)))
    if ends[0] == ends[1]:
        return None
    plot = Plot(
        "sweep",
        f"P99 latency, ms, over {path}",
        "Tinted: the 95 % interval.",
        [float(p) for p in points],
        ends,
        unit="",
    )
    line = Curve("P99", LAYERS["application"], [v.mean for v in values])
    wide = [0.0 if math.isnan(v.half_width) else v.half_width for v in values]
    band = (
        [v.mean - w for v, w in zip(values, wide, strict=True)],
        [v.mean + w for v, w in zip(values, wide, strict=True)],
    )
    return lines(plot, [line], band)
