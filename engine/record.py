"""What a run leaves behind while it runs: snapshots of counters at fixed times, and events.

Counters only grow, so the difference of two snapshots is what happened between them.
Nothing here grows with the number of requests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
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
    requests: tuple[int, int, int]  # started, answered, failed, since the start
    asked_total: np.ndarray  # by meter, since the start
    failed_total: np.ndarray
    asked: np.ndarray  # by meter
    failed: np.ndarray
    busy_seconds: np.ndarray  # by pool
    busy: np.ndarray
    waiting: np.ndarray
    slots: np.ndarray
    up: np.ndarray
    instances: dict[str, int]  # how many servers each station with pools has
    gets: np.ndarray  # by store
    hits: np.ndarray
    queued: np.ndarray  # by channel
    bins: np.ndarray  # where the flattened histograms have grown: of stays, then of all latency
    counts: np.ndarray  # by how much
    gauges: dict[tuple[str, str], float]  # (name, station) -> what a component says of itself
    loads: dict[tuple[str, int, int | None], tuple[float, float]]  # worked out when asked for


class AlertNote(NamedTuple):
    """What has become of an alert: it began to wait, it fired, or it was resolved."""

    time: float
    kind: str  # alert_pending, alert or alert_resolved
    title: str
    station: str  # "": the whole system
    severity: str
    value: float  # of its figure
    since: float  # when it began to wait, where it fires


class Exposed(NamedTuple):
    """The counters that a scrape reads; the others are for those who see everything."""

    time: float
    requests: tuple[int, int, int]
    asked: np.ndarray
    failed: np.ndarray
    busy_area: np.ndarray
    gets: np.ndarray
    hits: np.ndarray

    @classmethod
    def of(cls, plane: Plane) -> Exposed:
        """Read them, with time integrals brought up to now."""
        world, now = plane.world, plane.now
        pools, journeys, meters = world.pools, world.journeys, world.meters
        return cls(
            now,
            (
                int(journeys["started"].sum()),
                int(journeys["answered"].sum()),
                int(journeys["failed"].sum()),
            ),
            meters["asked"].copy(),
            meters["failed"].copy(),
            pools["busy_area"] + pools["busy"] * (now - pools["last"]),
            world.stores["gets"].copy(),
            world.stores["hits"].copy(),
        )


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
        self.tallies: defaultdict[str, float] = defaultdict(float)  # what the control plane counts
        self.scrapes: list[Scrape] = []  # the last SCRAPES_KEPT, the newest at the end
        self.alerts: list[AlertNote] = []
        self.gauges: dict[tuple[str, str], Callable[[], float]] = {}  # read at every scrape
        self.paid: dict[str, list[tuple[float, int]]] = {}  # station -> (since when, how many)
        self._began = {name: each.instances for name, each in plane.program.stations.items()}
        self.baseline = self._baseline()
        self._seen = Exposed.of(self.plane)
        self._histograms = self._all_histograms()

    def snapshot(self) -> None:
        """Note all counters, and the latency quantiles of the window that ends now."""
        window = self.plane.world.window
        self.windows.append(window.astype(np.int32))
        window[:] = 0
        self.snapshots.append(self.window())

    def scrape(self) -> None:
        """Note what a scrape sees; old ones are dropped, as retention does."""
        before, after = self._seen, Exposed.of(self.plane)
        bins, counts = self._bins_grown()
        pools, channels = self.plane.world.pools, self.plane.world.channels
        self.scrapes.append(
            Scrape(
                time=after.time,
                seconds=max(1e-9, after.time - before.time),
                requests=after.requests,
                asked_total=after.asked,
                failed_total=after.failed,
                asked=after.asked - before.asked,
                failed=after.failed - before.failed,
                busy_seconds=after.busy_area - before.busy_area,
                busy=pools["busy"].copy(),
                waiting=pools["waiting"].copy(),
                slots=pools["slots"].copy(),
                up=pools["up"].copy(),
                instances={
                    name: len(place.pools)
                    for name, place in self.plane.program.stations.items()
                    if place.pools
                },
                gets=after.gets - before.gets,
                hits=after.hits - before.hits,
                queued=channels["waiting"].copy(),
                bins=bins.astype(np.int32),
                counts=counts.astype(np.int32),
                gauges={place: float(read()) for place, read in self.gauges.items()},
                loads={},
            )
        )
        del self.scrapes[:-SCRAPES_KEPT]
        self._seen = after

    def _all_histograms(self) -> np.ndarray:
        """Return the histograms of stays by meter, and of all requests' latency, end to end."""
        world = self.plane.world
        return np.concatenate([world.stays.ravel(), world.latency.sum(axis=0)])

    def _bins_grown(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where histograms have grown since this was asked last, and by how much."""
        world, known = self.plane.world, self._histograms
        stays, latency = world.stays.ravel(), world.latency.sum(axis=0)
        split = len(stays)
        places = np.flatnonzero(stays != known[:split])
        last = np.flatnonzero(latency != known[split:])
        bins = np.concatenate([places, split + last])
        now = np.concatenate([stays[places], latency[last]])
        grown = now - known[bins]
        known[bins] = now
        return bins, grown

    def note_alert(
        self, kind: str, title: str, station: str, severity: str, value: float, since: float
    ) -> None:
        """Note what has become of an alert."""
        now = self.plane.now
        self.alerts.append(AlertNote(now, kind, title, station, severity, value, since))

    def pay(self, station: str, count: int) -> None:
        """Note that so many servers of a station are paid for from now on."""
        known = self.paid.setdefault(station, [(0.0, self._began.get(station, count))])
        if known[-1][1] != count:
            known.append((self.plane.now, count))

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
        pools = self.plane.gates.nominal(world.pools.copy())
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
