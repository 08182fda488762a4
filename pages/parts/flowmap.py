"""The seven-layer map with its key numbers and its player: a run, as it unfolds.

The whole run goes to the browser at once, as rounded numbers in arrays (about 50 kB for a large
shop), and is played there: moving through time costs the server nothing.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from engine import LAYERS
from pages.parts import limits, timechart, words
from pages.parts.grids import Grid, Grids, grids
from pages.parts.state import Run

_HERE = Path(__file__).parent
_read = {
    name: _HERE.joinpath(name).read_text(encoding="utf-8")
    for name in ("flowmap.html", "flowmap.css", "numbers.js", "flowmap.js", "player.js")
}
_component = st.components.v2.component(
    "strata_flowmap",
    html=_read["flowmap.html"],
    css=_read["flowmap.css"],
    js=timechart.IMPORT + _read["numbers.js"] + _read["flowmap.js"] + _read["player.js"],
)

KEY = "flowmap"


def flowmap(map_json: str, selected: str | None, on_picked: Callable[[], None]) -> None:
    """Draw a run's `payload`; `picked()` says which part was clicked, in the callback.

    Bytes go as they are; a dictionary would be turned into JSON twice, once for a hash.
    """
    data = f'{{"map":{map_json},"selected":{json.dumps(selected)}}}'
    _component(key=KEY, data=data.encode(), on_picked_change=on_picked)


def picked() -> str | None:
    """Return the part that was just clicked; None for a click that closes the inspector."""
    return st.session_state[KEY].get("picked") or None


@st.cache_resource(max_entries=64, show_spinner=False)
def payload(run_id: str, units: words.Units, _run: Run) -> str:
    """Return what the browser needs to play a run, as JSON: plain lists of rounded numbers."""
    result, scenario, found = _run.result, _run.scenario, grids(run_id, _run)
    graph, names = result.topology, found.stations
    stations = _rows(result.stations)
    present = {**_run.base.whole.nodes, **graph.nodes}
    rows = [_node(name, present[name], name in graph, stations.get(name)) for name in names]
    nodes = [node for node, _ in rows]
    whole = {
        "run": run_id,
        "duration": scenario.duration_seconds,
        "warmUp": scenario.warm_up_seconds,
        "frames": len(found.times),
        "layers": [
            {"name": name, "title": name.capitalize(), "on": layer.enabled}
            for name, layer in scenario.layers()
        ],
        "nodes": nodes,
        "edges": [
            [names.index(source), names.index(target), int(graph[source][target]["telemetry"])]
            for source, target in found.edges
        ],
        "busy": _integers(100 * found.station["utilisation"]),
        "stat": _stats(found, [column for _, column in rows]),
        "states": _states(found, nodes),
        "rate": _tenths(found.rate),
        "failing": _failing(found),
        "kpis": kpis(_run, units),
        "events": _events(result.events),
    }
    return json.dumps(whole)


def _events(table: pd.DataFrame) -> list[list[Any]]:
    """Return what happened: seconds, kind and text of each event."""
    columns = (table[name].tolist() for name in ("time_s", "kind", "text"))
    return [[round(at, 2), kind, text or kind] for at, kind, text in zip(*columns, strict=True)]


# ---------------------------------------------------------------- parts over time


class Row(NamedTuple):
    """What decides how a part's box looks, of its row in the table of stations; NaN is unknown."""

    utilisation: float
    hit_ratio: float
    waiting_mean: float
    residence_ms_mean: float


def _rows(stations: pd.DataFrame) -> dict[str, Row]:
    """Return a row a station."""
    columns = (stations[name].tolist() for name in Row._fields)
    rows = map(Row._make, zip(*columns, strict=True))
    return dict(zip(stations.index.tolist(), rows, strict=True))


def _node(
    name: str, attributes: dict[str, Any], exists: bool, row: Row | None
) -> tuple[dict[str, Any], str | None]:
    """Return what stays the same about a part during a run, and the column its box shows.

    A part that does not exist in the run is a ghost: it belongs to a layer that is off.
    """
    on = exists and bool(attributes["on"])
    column, unit = stat_of(str(attributes["kind"]), row)
    node = {
        "id": name,
        "title": attributes["title"],
        "layer": LAYERS.index(attributes["layer"]),
        "instances": int(attributes["instances"]),
        "spof": on and bool(attributes["spof"]),
        "on": on,
        "serves": row is not None and not math.isnan(row.utilisation),  # it has slots to fill
        "unit": unit,
    }
    return node, column


def stat_of(kind: str, row: Row | None) -> tuple[str | None, str]:
    """Return which column a part's box shows besides its busyness, and the unit."""
    if row is None:
        return None, ""
    if kind == "store" and not math.isnan(row.hit_ratio):
        return "hit_ratio", "% hit"
    if kind in {"queue", "worker"} and not math.isnan(row.waiting_mean):
        return "waiting", "waiting"
    if kind in {"service", "database"} and not math.isnan(row.residence_ms_mean):
        return "residence_ms_mean", "ms"
    return "rate_per_s", "/s"


def _stats(found: Grids, columns: list[str | None]) -> list[list[int]]:
    """Return tenths of the number that each part's box shows, frame by frame; a ghost's is 0."""
    shown = np.zeros((len(columns), len(found.times)))
    for row, column in enumerate(columns):
        if column:
            shown[row] = found.station[column][row] * (100 if column == "hit_ratio" else 1)
    return _tenths(shown)


def _states(found: Grids, nodes: list[dict[str, Any]]) -> list[str]:
    """Return each part's state, one letter a frame (`palette.STATES`)."""
    share = _failed_share(found)
    level = np.maximum(
        np.digitize(found.station["utilisation"], (limits.BUSY_WARN, limits.BUSY_BAD)),
        np.where(share > 0, np.digitize(share, (limits.FAILED_WARN, limits.FAILED_BAD)), 0),
    )
    letters = np.array(["o", "w", "b"])[level]
    return [
        "".join(row) if node["on"] else "x" * len(row)
        for node, row in zip(nodes, letters, strict=True)
    ]


def _failed_share(found: Grids) -> Grid:
    """Return which share of what comes to a part fails there, over a few seconds.

    In a single frame of half a second, one message of ten that fails would look like a disaster.
    """
    failed, rate = (_smooth(found.station[name]) for name in ("failed_per_s", "rate_per_s"))
    return np.asarray(np.minimum(failed / np.maximum(rate, 1e-9), 1.0), dtype=np.float64)


def _smooth(grid: Grid, frames: int = 9) -> Grid:
    """Return running means along each row."""
    padded = np.pad(grid, ((0, 0), (frames // 2 + 1, frames // 2)), mode="edge")
    sums = padded.cumsum(axis=1)
    return np.asarray(sums[:, frames:] - sums[:, :-frames], dtype=np.float64) / frames


def _failing(found: Grids) -> dict[str, list[int]]:
    """Return the percentage that fails at each part at which any does, by the part's index."""
    percent = np.rint(100 * _failed_share(found)).astype(int)
    return {str(row): percent[row].tolist() for row in np.flatnonzero(percent.any(axis=1))}


def _integers(grid: Grid) -> list[list[int]]:
    """Return a grid in whole numbers."""
    rows: list[list[int]] = np.rint(grid).astype(int).tolist()
    return rows


def _tenths(grid: Grid) -> list[list[int]]:
    """Return a grid in whole tenths: half the bytes of decimals, and no loop in Python."""
    return _integers(10 * grid)


# ---------------------------------------------------------------- key numbers


def kpis(run: Run, units: words.Units = words.USUAL) -> list[dict[str, Any]]:
    """Return the strip's six numbers: the whole run's, and how each went over time.

    The whole run leaves the warm-up out; `now` has one number a frame, in the unit of `kind`.
    """
    latencies = (_latency(run, name) for name in limits.LATENCY_MS)
    return [_throughput(run, units), *latencies, *_rest(run, units)]


def _throughput(run: Run, units: words.Units) -> dict[str, Any]:
    """Return how many answers a second people got."""
    summary = run.result.summary
    asked, answered = summary.requests_per_second, summary.answered_per_second
    missing = 1 - answered / asked if asked else 0.0
    return {
        "label": "Throughput",
        "value": words.per_second(answered, units),
        "state": limits.above(missing, 1 - limits.ANSWERED_WARN, 1 - limits.ANSWERED_BAD),
        "help": f"Answers per {units.rate}; people ask {words.per_second(asked, units)}",
        "kind": units.rate,
        "now": _column(run.result.timeseries["answered_per_s"] * words.RATES[units.rate][0]),
    }


def _latency(run: Run, name: str) -> dict[str, Any]:
    """Return one percentile of how long answers took."""
    value: float | None = getattr(run.result.summary, f"latency_ms_{name}")
    warn, bad = limits.LATENCY_MS[name]
    number = math.nan if value is None else value
    return {
        "label": f"Latency {name}",
        "value": words.milliseconds(number),
        "state": limits.above(number, warn, bad),
        "help": f"{name[1:]} of 100 answers take at most this long; flagged from {warn:g} ms",
        "kind": "ms",
        "now": _column(run.result.timeseries[f"latency_ms_{name}"]),
    }


def _rest(run: Run, units: words.Units) -> list[dict[str, Any]]:
    """Return errors and cost."""
    summary = run.result.summary
    return [
        {
            "label": "Errors",
            "value": words.percent(summary.error_ratio),
            "state": limits.above(summary.error_ratio, limits.ERRORS_WARN, limits.ERRORS_BAD),
            "help": f"Share of requests without an answer; flagged from {limits.ERRORS_WARN:.1%}",
            "kind": "percent",
            "now": _column(100 * run.result.timeseries["error_ratio"]),
        },
        {
            "label": "Cost",
            "value": words.running(summary.cost_usd_per_hour, units),
            "state": "o",
            "help": f"What all machines of this system cost per {units.bill}, in US dollars",
            "kind": "fixed",
            "now": _per_million(summary.cost_usd_per_million_requests),
        },
    ]


def _per_million(usd: float | None) -> str:
    """Return what a million answers cost."""
    return "no answers" if usd is None else f"{words.dollars(usd)} / million"


def _column(values: pd.Series) -> list[float | None]:
    """Return a column as rounded numbers, with None where nothing was measured."""
    tenths = np.round(values.to_numpy(), 1).tolist()
    return [None if math.isnan(each) else each for each in tenths]
