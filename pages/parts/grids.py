"""A run's long tables as grids: one row a part or connection, one column a frame.

The engine's tables are long (one row a part and frame), which is right for people and slow for
pages: they are turned into arrays once a run.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from pages.parts.state import Run

Grid = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_STATION_COLUMNS = (
    "rate_per_s",
    "utilisation",
    "waiting",
    "residence_ms_mean",
    "hit_ratio",
    "failed_per_s",
)


class Grids(NamedTuple):
    """One run's numbers over time; what was not measured is 0."""

    times: Grid  # seconds, one a frame
    stations: list[str]  # rows of `station`
    edges: list[tuple[str, str]]  # rows of `rate`
    station: dict[str, Grid]  # by column of `station_series`
    rate: Grid  # requests a second along each connection


@st.cache_resource(max_entries=64, show_spinner=False)
def grids(run_id: str, _run: Run) -> Grids:
    """Return a run's grids, in the order of the base's topology."""
    result, ghosts = _run.result, _run.base.whole
    times = result.timeseries["time_s"].to_numpy()
    # Parts of layers that are off keep their places, so that the map stays still.
    stations = list(dict.fromkeys([*ghosts.nodes, *result.topology.nodes]))
    edges = list(result.topology.edges)
    series, flows = result.station_series, result.flows
    rows = _rows(series["station"], {name: row for row, name in enumerate(stations)})
    frames = np.searchsorted(times, series["time_s"].to_numpy())
    edge_rows = _edge_rows(flows, stations, edges)
    edge_frames = np.searchsorted(times, flows["time_s"].to_numpy())
    shape, edge_shape = (len(stations), len(times)), (len(edges), len(times))
    return Grids(
        times,
        stations,
        edges,
        {name: _fill(series[name], rows, frames, shape) for name in _STATION_COLUMNS},
        _fill(flows["rate_per_s"], edge_rows, edge_frames, edge_shape),
    )


def _rows(names: pd.Series, row_of: dict[str, int]) -> Indices:
    """Return each name's row; -1 for a name without one.

    Looking up twenty distinct names and then taking is ten times faster than a map over thousands.
    """
    codes, distinct = pd.factorize(names)
    return np.array([row_of.get(name, -1) for name in distinct], dtype=np.intp)[codes]


def _edge_rows(flows: pd.DataFrame, stations: list[str], edges: list[tuple[str, str]]) -> Indices:
    """Return each flow's connection; -1 for one that the topology does not have."""
    row_of = {name: row for row, name in enumerate(stations)}
    table = np.full((len(stations) + 1, len(stations) + 1), -1, dtype=np.intp)
    for row, (source, target) in enumerate(edges):
        table[row_of[source], row_of[target]] = row
    return table[_rows(flows["source"], row_of), _rows(flows["target"], row_of)]


def _fill(values: pd.Series, rows: Indices, frames: Indices, shape: tuple[int, int]) -> Grid:
    """Return a column of a long table as a grid."""
    grid = np.zeros(shape)
    known = rows >= 0
    grid[rows[known], frames[known]] = values.to_numpy()[known]
    return np.nan_to_num(grid, copy=False)
