"""The maps of several systems side by side, with what differs from the first one marked.

The boxes are the playground's own (flowmap.js), each in the same place in every map; their numbers
are means over the whole run, after its warm-up.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from engine import LAYERS, Result
from pages.parts import limits, words
from pages.parts.flowmap import Row, stat_of
from pages.parts.state import Run

_HERE = Path(__file__).parent
_read = {
    name: _HERE.joinpath(name).read_text(encoding="utf-8")
    for name in ("flowmap.css", "twinmap.css", "numbers.js", "flowmap.js", "twinmap.js")
}
_component = st.components.v2.component(
    "strata_twinmap",
    html="<div class='strata twins'></div>",
    css=_read["flowmap.css"] + _read["twinmap.css"],
    js=_read["numbers.js"] + _read["flowmap.js"] + _read["twinmap.js"],
)
BUSY_APART = 0.03  # share of the time, from which on two parts differ
APART = 0.1  # of what else a box shows, as a share of the baseline's
LEAST = 0.15  # of it, in its unit: a box shows tenths


class Part(NamedTuple):
    """What a map says of one part of one system."""

    on: bool
    instances: int
    busy: float  # NaN: it has no slots
    number: float  # what its box shows besides
    unit: str
    state: str  # a key of `palette.STATES`


def twinmap(runs: dict[str, Run]) -> None:
    """Draw the map of each system; the first is the baseline."""
    _component(key="twinmap", data=json.dumps(maps(runs)).encode())
    st.caption(
        "The same part is in the same place. ≠ and a dashed frame mark what is not as in"
        f" {words.plain(next(iter(runs)))}: more or fewer copies, a share of busy time that is"
        f" {100 * BUSY_APART:.0f} points off, or another number that is a tenth off; below the box"
        " stands what it was. Click a part to find it in every map."
    )


def maps(runs: dict[str, Run]) -> list[dict[str, Any]]:
    """Return what the browser draws of each system: plain lists of rounded numbers."""
    parts = {name: parts_of(run.result) for name, run in runs.items()}
    graphs = [run.result.topology for run in runs.values()]
    known = {node: graph.nodes[node] for graph in reversed(graphs) for node in graph}
    names = sorted(
        dict.fromkeys(node for graph in graphs for node in graph),
        key=lambda node: LAYERS.index(known[node]["layer"]),
    )
    edges = list(dict.fromkeys(edge for graph in graphs for edge in graph.edges))
    base = next(iter(parts.values()))
    found = []
    for (name, run), own in zip(runs.items(), parts.values(), strict=True):
        graph, flows = run.result.topology, flows_of(run.result)
        rows = [own.get(node, _gone(base.get(node))) for node in names]
        others = [base] if own is not base else list(parts.values())
        found.append(
            {
                "name": name,
                "layers": [
                    {"name": layer, "title": layer.capitalize(), "on": part.enabled}
                    for layer, part in run.scenario.layers()
                ],
                "nodes": [
                    {
                        "id": node,
                        "title": known[node]["title"],
                        "layer": LAYERS.index(known[node]["layer"]),
                        "instances": row.instances,
                        "spof": node in graph and row.on and bool(graph.nodes[node]["spof"]),
                        "on": row.on,
                        "serves": any(
                            node in some and not math.isnan(some[node].busy)
                            for some in parts.values()
                        ),
                        "unit": row.unit,
                        "was": "" if own is base else was(base.get(node), row),
                        "differs": any(was(some.get(node), row) for some in others),
                    }
                    for node, row in zip(names, rows, strict=True)
                ],
                "edges": [
                    [
                        names.index(a),
                        names.index(b),
                        int(any(g.has_edge(a, b) and g[a][b]["telemetry"] for g in graphs)),
                    ]
                    for a, b in edges
                ],
                "busy": [[round(100 * _or_zero(row.busy))] for row in rows],
                "stat": [[round(10 * _or_zero(row.number))] for row in rows],
                "states": [row.state for row in rows],
                "rate": [[round(10 * flows.get(edge, 0.0))] for edge in edges],
                "failing": {},
            }
        )
    return found


def parts_of(result: Result) -> dict[str, Part]:
    """Return every part of a run, by its name."""
    graph, table = result.topology, result.stations
    found = {}
    for node in graph:
        row = table.loc[node] if node in table.index else None
        said = None if row is None else Row(*(float(row[name]) for name in Row._fields))
        column, unit = stat_of(str(graph.nodes[node]["kind"]), said)
        busy = math.nan if row is None else float(row["utilisation"])
        number = 0.0
        if row is not None and column:
            number = _or_zero(float(row["waiting_mean" if column == "waiting" else column]))
            number *= 100 if column == "hit_ratio" else 1
        on = bool(graph.nodes[node]["on"])
        failed = 0.0
        if row is not None and row["rate_per_s"] > 0:
            failed = min(1.0, float(row["failed_per_s"]) / float(row["rate_per_s"]))
        state = limits.station_state(_or_zero(busy), failed) if on else "x"
        found[node] = Part(on, int(graph.nodes[node]["instances"]), busy, number, unit, state)
    return found


def flows_of(result: Result) -> dict[tuple[str, str], float]:
    """Return how many a second go along each connection, on average after the warm-up."""
    counted = result.timeseries["time_s"].to_numpy() > result.scenario.warm_up_seconds
    return {
        edge: float(np.mean(rates[counted])) if counted.any() else 0.0
        for edge, rates in result.rates.items()
    }


def was(before: Part | None, now: Part) -> str:
    """Return what a part was in the baseline, in the words of its box; "" if it is as it was.

    >>> was(Part(True, 3, 0.71, 40.0, "ms", "o"), Part(True, 4, 0.52, 39.0, "ms", "o"))
    '×3, 71 % busy'
    """
    if before is None or not before.on:
        return "not there" if now.on else ""
    said = []
    if before.instances != now.instances or not now.on:
        said.append(f"×{before.instances}")
    if now.on and abs(_or_zero(before.busy) - _or_zero(now.busy)) >= BUSY_APART:
        said.append(f"{100 * _or_zero(before.busy):.0f} % busy")
    old, new = _or_zero(before.number), _or_zero(now.number)
    if now.on and before.unit == now.unit and abs(old - new) > max(APART * abs(old), LEAST):
        said.append(f"{words.figures(old)} {before.unit}".rstrip())
    return ", ".join(said)


def _gone(before: Part | None) -> Part:
    """Return a part that this system has not."""
    return Part(False, 1, math.nan, 0.0, before.unit if before else "", "x")


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
