"""The seven-layer map with its key numbers and its player: a run, as it unfolds.

The whole run goes to the browser at once, as rounded numbers in arrays (about 50 kB for a large
shop), and is played there: moving through time costs the server nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from engine import LAYERS
from pages.parts import limits, words
from pages.parts.grids import Grid, Grids, grids
from pages.parts.state import Run

_HERE = Path(__file__).parent
_read = {
    name: _HERE.joinpath(name).read_text(encoding="utf-8")
    for name in ("flowmap.html", "flowmap.css", "flowmap.js", "player.js")
}
_component = st.components.v2.component(
    "strata_flowmap",
    html=_read["flowmap.html"],
    css=_read["flowmap.css"],
    js=_read["flowmap.js"] + _read["player.js"],
)

KEY = "flowmap"

# What a part's box says besides how busy it is: (column of `station_series`, unit).
_STATS = {
    "source": ("rate_per_s", "/s"),
    "store": ("hit_ratio", "% hit"),
    "queue": ("waiting", "waiting"),
    "worker": ("waiting", "waiting"),
    "telemetry": ("rate_per_s", "/s"),
}
_OTHERWISE = ("residence_ms_mean", "ms")


def flowmap(run: Run, selected: str | None, on_picked: Callable[[], None]) -> None:
    """Draw the map of a run; `picked()` says which part was clicked, in the callback."""
    data = {**payload(run.id, run), "selected": selected}
    _component(key=KEY, data=data, on_picked_change=on_picked)


def picked() -> str | None:
    """Return the part that was just clicked; None for a click that closes the inspector."""
    return st.session_state[KEY].get("picked") or None


@st.cache_resource(max_entries=64, show_spinner=False)
def payload(run_id: str, _run: Run) -> dict[str, Any]:
    """Return what the browser needs to play a run, as plain lists of rounded numbers."""
    result, scenario, found = _run.result, _run.scenario, grids(run_id, _run)
    graph, names = result.topology, found.stations
    nodes = [_node(name, graph.nodes[name]) for name in names]
    return {
        "run": run_id,
        "duration": scenario.duration_seconds,
        "warmUp": scenario.warm_up_seconds,
        "frames": len(found.times),
        "layers": [
            {"name": layer, "title": layer.capitalize(), "on": scenario.get(f"{layer}.enabled")}
            for layer in LAYERS
        ],
        "nodes": nodes,
        "edges": [
            [names.index(source), names.index(target), int(graph[source][target]["telemetry"])]
            for source, target in found.edges
        ],
        "busy": _whole(100 * found.station["utilisation"]),
        "stat": _stats(found, nodes),
        "states": _states(found, nodes),
        "rate": _rounded(found.rate),
        "failed": {
            str(row): _rounded(found.failed[[row]])[0]
            for row in np.flatnonzero(found.failed.any(axis=1))
        },
        "kpis": kpis(_run),
        "events": [
            [round(each.time_s, 2), each.kind, each.text or each.kind]
            for each in result.events.itertuples()
        ],
    }


# ---------------------------------------------------------------- parts over time


def _node(name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return what stays the same about a part during a run."""
    return {
        "id": name,
        "title": attributes["title"],
        "layer": LAYERS.index(attributes["layer"]),
        "kind": attributes["kind"],
        "instances": int(attributes["instances"]),
        "spof": bool(attributes["spof"]),
        "on": bool(attributes["on"]),
        "unit": _STATS.get(attributes["kind"], _OTHERWISE)[1],
    }


def _stats(found: Grids, nodes: list[dict[str, Any]]) -> list[list[float]]:
    """Return the number that each part's box shows, frame by frame."""
    columns = [_STATS.get(node["kind"], _OTHERWISE)[0] for node in nodes]
    rows = [
        np.rint(100 * found.station[name][row]) if name == "hit_ratio" else found.station[name][row]
        for row, name in enumerate(columns)
    ]
    return _rounded(np.array(rows))


def _states(found: Grids, nodes: list[dict[str, Any]]) -> list[str]:
    """Return each part's state, one letter a frame (`palette.STATES`)."""
    failed = found.station["failed_per_s"]
    share = failed / np.maximum(found.station["rate_per_s"], 1e-9)
    level = np.maximum(
        np.digitize(found.station["utilisation"], (limits.BUSY_WARN, limits.BUSY_BAD)),
        np.where(failed > 0, np.digitize(share, (limits.FAILED_WARN, limits.FAILED_BAD)), 0),
    )
    letters = np.array(["o", "w", "b"])[level]
    return [
        "".join(row) if node["on"] else "x" * len(row)
        for node, row in zip(nodes, letters, strict=True)
    ]


def _whole(grid: Grid) -> list[list[int]]:
    """Return a grid in whole numbers."""
    rows: list[list[int]] = np.rint(grid).astype(int).tolist()
    return rows


def _rounded(grid: Grid) -> list[list[float]]:
    """Return a grid with one decimal below ten and none above: half the bytes, as readable."""
    return [[int(each) if each >= 10 else round(each, 1) for each in row] for row in grid.tolist()]


# ---------------------------------------------------------------- key numbers


def kpis(run: Run) -> list[dict[str, Any]]:
    """Return the strip's six numbers: the whole run's, and how each went over time.

    The whole run leaves the warm-up out; `now` has one number a frame, in the unit of `kind`.
    """
    summary, series = run.result.summary, run.result.timeseries
    asked, answered = summary.requests_per_second, summary.answered_per_second
    share = 1 - answered / asked if asked else 0.0
    slow = {
        name: limits.above(getattr(summary, f"latency_ms_{name}"), *limits.LATENCY_MS[name])
        for name in limits.LATENCY_MS
    }
    return [
        {
            "label": "Throughput",
            "value": words.per_second(answered),
            "state": limits.above(share, 1 - limits.ANSWERED_WARN, 1 - limits.ANSWERED_BAD),
            "help": f"Answers per second; people ask {words.per_second(asked)}",
            "kind": "rate",
            "now": _column(series["answered_per_s"]),
        },
        *(
            {
                "label": f"Latency {name}",
                "value": words.milliseconds(getattr(summary, f"latency_ms_{name}")),
                "state": slow[name],
                "help": (
                    f"{name[1:]} of 100 answers take at most this long; "
                    f"flagged from {limits.LATENCY_MS[name][0]:g} ms"
                ),
                "kind": "ms",
                "now": _column(series[f"latency_ms_{name}"]),
            }
            for name in limits.LATENCY_MS
        ),
        {
            "label": "Errors",
            "value": words.percent(summary.error_ratio),
            "state": limits.above(summary.error_ratio, limits.FAILED_WARN, limits.FAILED_BAD),
            "help": f"Share of requests without an answer; flagged from {limits.FAILED_WARN:.1%}",
            "kind": "percent",
            "now": _column(100 * series["error_ratio"]),
        },
        {
            "label": "Cost",
            "value": f"{words.dollars(summary.cost_usd_per_hour)}/h",
            "state": "o",
            "help": "What all machines of this system cost per hour, in US dollars",
            "kind": "fixed",
            "now": f"{words.dollars(summary.cost_usd_per_million_requests)} / million",
        },
    ]


def _column(values: pd.Series) -> list[float | None]:
    """Return a column as rounded numbers, with None where nothing was measured."""
    return [None if each != each else round(each, 1) for each in values.tolist()]
