"""What a run leaves behind while it runs: snapshots of counters at fixed times, and events.

Counters only grow, so the difference of two snapshots is what happened between them.
Nothing here grows with the number of requests.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.kernel.tables import BINS, BINS_OCTAVE, FIRST_OCTAVE, NOBODY, STRATA_OCTAVE

if TYPE_CHECKING:
    from engine.plane import Plane
    from engine.scenario import Scenario

QUANTILES = (0.5, 0.95, 0.99)
SCRAPES_KEPT = 720  # an hour of scrapes every 5 s


class Snapshot(NamedTuple):
    """All counters at one time."""

    time: float
    pools: np.ndarray
    meters: np.ndarray
    stores: np.ndarray
    channels: np.ndarray
    visits: np.ndarray
    journeys: np.ndarray
    ledgers: np.ndarray


# What time series are made of, by table: a window keeps these fields, not whole tables.
SERIES = {
    "pools": ("busy_area", "waiting_area"),
    "meters": ("failed", "served", "stay"),
    "stores": ("gets", "hits"),
    "channels": ("waiting_area",),
    "journeys": ("started", "answered", "failed", "seconds", "in_flight"),
}
AREAS = {"busy_area": "busy", "waiting_area": "waiting"}  # integrals over time, and of what


class Window(NamedTuple):
    """The counters of time series where a window ends, time integrals brought up to then."""

    time: float
    visits: np.ndarray
    fields: dict[tuple[str, str], np.ndarray]  # (table, field)


class Scrape(NamedTuple):
    """What one scrape sees: what came since the one before, and how things stand."""

    time: float
    seconds: float  # since the scrape before
    asked: np.ndarray  # by meter
    failed: np.ndarray
    busy_seconds: np.ndarray  # by pool
    busy: np.ndarray
    waiting: np.ndarray
    gets: np.ndarray  # by store
    hits: np.ndarray
    queued: np.ndarray  # by channel
    bins: np.ndarray  # where the flattened histograms of stays have grown
    counts: np.ndarray  # by how much


class Baseline(NamedTuple):
    """Counters and histograms when measuring began."""

    counters: Snapshot
    latency: np.ndarray
    shares: np.ndarray
    waits: np.ndarray
    stays: np.ndarray
    reasons: np.ndarray


class Recorder:
    """Takes snapshots of a plane, and remembers them."""

    def __init__(self, plane: Plane, scenario: Scenario) -> None:
        self.plane = plane
        self.scenario = scenario
        self.snapshots: list[Window] = []
        self.windows: list[np.ndarray] = []  # histogram of latency in each window
        self.events: list[tuple[float, str, str, str]] = []
        self.scrapes: deque[Scrape] = deque(maxlen=SCRAPES_KEPT)
        self.baseline = self._baseline()
        self._scraped = self.counters(), self.plane.world.stays.ravel().copy()

    def snapshot(self) -> None:
        """Note all counters, and the latency quantiles of the window that ends now."""
        window = self.plane.world.window
        self.windows.append(window.astype(np.int32))
        window[:] = 0
        self.snapshots.append(self.window())

    def scrape(self) -> None:
        """Note what a scrape sees; old ones are dropped, as retention does."""
        (before, stays_before), after = self._scraped, self.counters()
        stays = self.plane.world.stays.ravel()
        grown = stays - stays_before
        bins = np.flatnonzero(grown)
        self.scrapes.append(
            Scrape(
                time=after.time,
                seconds=max(1e-9, after.time - before.time),
                asked=after.meters["asked"] - before.meters["asked"],
                failed=after.meters["failed"] - before.meters["failed"],
                busy_seconds=after.pools["busy_area"] - before.pools["busy_area"],
                busy=after.pools["busy"].copy(),
                waiting=after.pools["waiting"].copy(),
                gets=after.stores["gets"] - before.stores["gets"],
                hits=after.stores["hits"] - before.stores["hits"],
                queued=after.channels["waiting"].copy(),
                bins=bins.astype(np.int32),
                counts=grown[bins].astype(np.int32),
            )
        )
        self._scraped = after, stays.copy()

    def start_measuring(self) -> None:
        """Leave out of all figures what has happened so far."""
        self.baseline = self._baseline()
        world = self.plane.world
        world.traces["request"] = NOBODY
        world.traces["latency"] = 0.0
        world.kept[:] = NOBODY

    def window(self) -> Window:
        """Return a copy of the counters of time series: a seventh of what `counters` copies."""
        world, now = self.plane.world, self.plane.now
        fields = {}
        for table, names in SERIES.items():
            rows = getattr(world, table)
            for name in names:
                column = rows[name]
                area = AREAS.get(name)
                fields[table, name] = (
                    column + rows[area] * (now - rows["last"]) if area else column.copy()
                )
        return Window(now, world.visits.copy(), fields)

    def counters(self) -> Snapshot:
        """Return a copy of all counters, with time integrals brought up to now."""
        world, now = self.plane.world, self.plane.now
        pools = world.pools.copy()
        elapsed = now - pools["last"]
        pools["busy_area"] += pools["busy"] * elapsed
        pools["waiting_area"] += pools["waiting"] * elapsed
        channels = world.channels.copy()
        channels["waiting_area"] += channels["waiting"] * (now - channels["last"])
        return Snapshot(
            now,
            pools,
            world.meters.copy(),
            world.stores.copy(),
            channels,
            world.visits.copy(),
            world.journeys.copy(),
            world.ledgers.copy(),
        )

    def _baseline(self) -> Baseline:
        world = self.plane.world
        return Baseline(
            self.counters(),
            world.latency.copy(),
            world.shares.copy(),
            world.waits.copy(),
            world.stays.copy(),
            world.reasons.copy(),
        )


def edges(bins: np.ndarray, per_octave: int) -> np.ndarray:
    """Return the lower edge in seconds of histogram bins: within an octave they are linear."""
    octave, part = np.divmod(bins, per_octave)
    return 2.0 ** (octave + FIRST_OCTAVE) * (1.0 + part / per_octave)


BIN_EDGES = edges(np.arange(BINS + 1), BINS_OCTAVE)
BIN_MIDDLES = (BIN_EDGES[:-1] + BIN_EDGES[1:]) / 2
assert BINS_OCTAVE % STRATA_OCTAVE == 0


def quantiles(histogram: np.ndarray, wanted: tuple[float, ...]) -> np.ndarray:
    """Return quantiles in seconds of histogram counts along the last axis; NaN where empty.

    A bin is up to 1.6 % wide; answers stay in its middle third, so the error is at most 1 %.
    """
    flat = histogram.reshape(-1, histogram.shape[-1])
    cumulated = np.cumsum(flat, axis=1)
    totals = cumulated[:, -1]
    rows = np.arange(len(flat))
    found = np.full((len(flat), len(wanted)), np.nan)
    for column, q in enumerate(wanted):
        ranks = q * totals
        place = np.minimum((cumulated < ranks[:, None]).sum(axis=1), BINS - 1)
        inside = np.maximum(flat[rows, place], 1)
        part = 0.36 + 0.28 * (ranks - (cumulated[rows, place] - inside)) / inside
        value = BIN_EDGES[place] + part * (BIN_EDGES[place + 1] - BIN_EDGES[place])
        value[place == 0] = 0.0  # below a microsecond: an answer at once
        found[:, column] = np.where(totals > 0, value, np.nan)
    return found.reshape(*histogram.shape[:-1], len(wanted))
