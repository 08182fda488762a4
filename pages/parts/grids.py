"""A run's numbers over time as grids: one row a part or connection, one column a frame."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import streamlit as st

from pages.parts.state import Run

Grid = npt.NDArray[np.float64]

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
    blank = np.zeros(len(times))
    # Parts of layers that are off keep their places, so that the map stays still.
    stations = list(dict.fromkeys([*ghosts.nodes, *result.topology.nodes]))
    edges = list(result.topology.edges)
    nothing = dict.fromkeys(_STATION_COLUMNS, blank)
    rows = [result.windows.get(name, nothing) for name in stations]
    return Grids(
        times,
        stations,
        edges,
        {name: _grid([row[name] for row in rows]) for name in _STATION_COLUMNS},
        _grid([result.rates.get(edge, blank) for edge in edges]),
    )


def _grid(rows: list[Grid]) -> Grid:
    """Return rows as one grid."""
    return np.nan_to_num(np.array(rows, dtype=np.float64), copy=False)
