"""What the browser is told of a live run: what stays, once; and a short row a frame.

Numbers travel as whole tenths, or whole percents: a frame of a large shop is 600 bytes.
"""

import math
from collections import deque
from typing import Any

import numpy as np

from engine import LAYERS, Frame, Live
from pages.parts import limits

SMOOTH = 8  # frames; one message of ten that fails in one second is no disaster
Row = list[Any]


class Rows:
    """A run's frames as rows; the order is that of `live.js`, in `ROW`."""

    def __init__(self, live: Live, names: list[str]) -> None:
        self.live = live
        self.rows: list[Row] = []
        self._place = [names.index(name) for name in live.stations]
        self._names = names
        layers = [LAYERS.index(live.topology.nodes[name]["layer"]) for name in live.stations]
        self._members = [np.flatnonzero(np.array(layers) == number) for number in range(7)]
        self._columns = [column(live, name)[0] for name in live.stations]
        self._came: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=SMOOTH)

    def add(self, frames: list[Frame]) -> None:
        """Note new frames."""
        self.rows.extend(self._row(frame) for frame in frames)

    def _row(self, frame: Frame) -> Row:
        """Return a frame as the browser gets it."""
        failing = self._failing(frame)
        busy = np.nan_to_num(frame.utilisation)
        return [
            _tenth(frame.asked_per_s),
            _tenth(frame.answered_per_s),
            _tenth(frame.failed_per_s),
            *(_tenth(value) for value in frame.latency_ms),
            frame.in_flight,
            round(100 * self.live.cost_usd_per_hour()),
            [self._busiest(busy, each) for each in self._members],
            [int(frame.servers[each].sum()) for each in self._members],
            self._spread(np.rint(100 * busy)),
            self._spread(np.rint(10 * self._shown(frame))),
            self._states(busy, failing),
            {
                self._place[row]: round(100 * failing[row])
                for row in np.flatnonzero(failing > 0.005).tolist()
            },
            np.rint(10 * frame.flow_per_s).astype(int).tolist(),
            self._spread(frame.servers),
        ]

    def _failing(self, frame: Frame) -> np.ndarray:
        """Return which share of what came to each part has failed, in the last few frames."""
        self._came.append((frame.failed_share * frame.rate_per_s, frame.rate_per_s))
        failed, came = np.sum(self._came, axis=0)
        return np.asarray(np.where(came > 0, failed / np.maximum(came, 1e-9), frame.failed_share))

    @staticmethod
    def _busiest(busy: np.ndarray, members: np.ndarray) -> int:
        """Return how busy the busiest part of a layer is, percent."""
        return round(100 * float(busy[members].max())) if len(members) else 0

    def _shown(self, frame: Frame) -> np.ndarray:
        """Return the number that each part's box shows."""
        table = {name: getattr(frame, name) for name in ("rate_per_s", "waiting", "stay_ms")}
        table["hit_ratio"] = 100 * frame.hit_ratio
        shown = [table[name][row] for row, name in enumerate(self._columns)]
        return np.nan_to_num(np.array(shown))

    def _states(self, busy: np.ndarray, failing: np.ndarray) -> str:
        """Return each part's state, a letter each (`palette.STATES`)."""
        letters = ["x"] * len(self._names)
        for place, used, failed in zip(self._place, busy.tolist(), failing.tolist(), strict=True):
            letters[place] = limits.station_state(used, failed)
        return "".join(letters)

    def _spread(self, values: np.ndarray) -> list[int]:
        """Return whole numbers in the order of the map's boxes."""
        spread = [0] * len(self._names)
        for place, value in zip(self._place, values.tolist(), strict=True):
            spread[place] = int(value)
        return spread


def column(live: Live, name: str) -> tuple[str, str]:
    """Return which number a part's box shows besides its busyness, and the unit."""
    kind = str(live.topology.nodes[name]["kind"])
    if kind == "store" and live.has("stores", name):
        return "hit_ratio", "% hit"
    if kind in {"queue", "worker"} and live.has("pools", name):
        return "waiting", "waiting"
    if kind in {"service", "database"} and live.has("pools", name):
        return "stay_ms", "ms"
    return "rate_per_s", "/s"


def node(live: Live, name: str, ghost: dict[str, Any]) -> dict[str, Any]:
    """Return what stays the same about a part; one of a layer that is off is a ghost."""
    exists = name in live.topology
    attributes = live.topology.nodes[name] if exists else ghost
    return {
        "id": name,
        "title": attributes["title"],
        "layer": LAYERS.index(attributes["layer"]),
        "instances": int(attributes["instances"]),
        "spof": exists and bool(attributes["spof"]),
        "on": exists,
        "serves": exists and live.has("pools", name),
        "unit": column(live, name)[1] if exists else "",
    }


def _tenth(value: float) -> int | None:
    """Return a number in whole tenths, None where nothing was measured."""
    return None if math.isnan(value) else round(10 * value)
