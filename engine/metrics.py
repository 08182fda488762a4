"""Metrics: what those who watch a run know of it, which is what was scraped and nothing else.

Controllers and alerts ask here.  Counters of requests are read as Prometheus reads them, by its
`rate` and `increase`; shares of time and histograms by what the scrapes of a window saw together.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from engine import promql
from engine.kernel.tables import BINS
from engine.record import Recorder, Scrape, quantiles

if TYPE_CHECKING:
    from engine.assembly import Station

QUANTILE = {"latency_p50_seconds": 0.50, "latency_p95_seconds": 0.95, "latency_p99_seconds": 0.99}
SLACK = 1e-9  # s; sums of intervals are off by less


class Metrics:
    """The figures of a run, as far as they were scraped; NaN where nothing was yet."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def value(self, name: str, station: str = "", window_seconds: float | None = None) -> float:
        """Return a figure as of the last scrape: over a window in seconds, or its last interval.

        `station` is a station's name; "" means the whole system (of loads, the busiest service).
        NaN: nothing was scraped yet, there is no such station, it has no such figure, or there
        was nothing to take a share of.  Raises KeyError if there is no figure of this name.
        """
        return self._value(name, station, window_seconds, len(self._recorder.scrapes))

    def series(
        self, name: str, station: str = "", window_seconds: float | None = None
    ) -> list[tuple[float, float]]:
        """Return (time in seconds, value) at every scrape that is kept."""
        return [
            (scrape.time, self._value(name, station, window_seconds, end))
            for end, scrape in enumerate(self._recorder.scrapes, start=1)
        ]

    def by_server(
        self, name: str, station: str, window_seconds: float | None = None
    ) -> list[float]:
        """Return `cpu_utilisation` or `utilisation`, 0 to 1, of each server of a station in use."""
        scrapes = self._within(window_seconds, len(self._recorder.scrapes))
        place = self._stations.get(station)
        if place is None or not scrapes:
            return []
        kind = place.cpus if name == "cpu_utilisation" and place.cpus else place.pools
        return [_busy(place, kind, scrapes, server) for server in range(len(place.pools))]

    def gauge(self, name: str, station: str, read: Callable[[], float]) -> None:
        """Let a component say a figure of itself, which is read at every scrape."""
        assert name in READ, f"{name} is no figure"
        self._recorder.gauges[name, station] = read

    def stations(self, name: str) -> list[str]:
        """Return the stations that have a figure of this name by now."""
        return [
            station for station in self._stations if not math.isnan(self.value(name, station, 1e9))
        ]

    # ------------------------------------------------------------ what is kept

    @property
    def _stations(self) -> dict[str, Station]:
        return self._recorder.plane.program.stations

    def _services(self) -> Iterator[Station]:
        return (place for place in self._stations.values() if place.kind == "service")

    def _value(self, name: str, station: str, window: float | None, end: int) -> float:
        """Return a figure as it was seen at scrape number `end`, counted from 1."""
        read = READ[name]
        scrapes = self._within(window, end)
        if not scrapes:
            return math.nan
        told = scrapes[-1].gauges.get((name, station))
        if told is not None:
            return told
        place = self._stations.get(station)
        if station and place is None:
            return math.nan
        return read(self, name, place, window, end)

    def _within(self, window: float | None, end: int) -> list[Scrape]:
        """Return the scrapes of a window that is open on the left; the last is always there."""
        scrapes = self._recorder.scrapes
        if window is None or not end:
            return scrapes[max(0, end - 1) : end]
        after = scrapes[end - 1].time - window + SLACK
        start = bisect.bisect_right(scrapes, after, hi=end, key=_time)
        return scrapes[min(start, end - 1) : end]

    # ------------------------------------------------------------ requests

    def _totals(self, place: Station | None, number: int) -> tuple[float, int, int, int]:
        """Return (time, came, ended, failed) since the start, at a scrape counted from 1."""
        if not number:
            return 0.0, 0, 0, 0
        scrape = self._recorder.scrapes[number - 1]
        if place is None:
            started, answered, failed = scrape.requests
            return scrape.time, started, answered + failed, failed
        asked, failed = scrape.asked_total[place.meter], scrape.failed_total[place.meter]
        return scrape.time, int(asked), int(asked), int(failed)

    def _increases(
        self, place: Station | None, window: float | None, end: int
    ) -> tuple[float, ...]:
        """Return (seconds, came, ended, failed) of a window, each by PromQL's `increase`.

        The first scrape of a run is read against the zeros that counters begin with.
        """
        last = self._totals(place, end)
        if window is None:
            first = self._totals(place, end - 1)
            return tuple(b - a for a, b in zip(first, last, strict=True))
        count = len(self._within(window, end))
        begin = end - count + 1
        if begin == 1 and last[0] < window:
            begin, count, window = 0, count + 1, last[0]  # of a longer window, what there is
        if count < promql.LEAST:
            return (math.nan,) * 4
        first = self._totals(place, begin)
        pairs = zip(first[1:], last[1:], strict=True)
        return window, *(
            promql.extrapolated((first[0], a), last[0], b - a, count, last[0], window)
            for a, b in pairs
        )

    def _rate(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        if place and not place.pools:
            return math.nan  # nobody counts there
        seconds, came, *_ = self._increases(place, window, end)
        return came / seconds if seconds > 0 else math.nan

    def _errors(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        if place and not place.pools:
            return math.nan
        _, _, ended, failed = self._increases(place, window, end)
        return failed / ended if ended > 0 else math.nan

    def _latency(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        """A quantile of a station's own stays, or of all requests' latency."""
        row = BINS * (len(self._recorder.plane.world.stays) if place is None else place.meter)
        counts = np.zeros(BINS, np.int64)
        for scrape in self._within(window, end):
            low, high = scrape.bins.searchsorted(row), scrape.bins.searchsorted(row + BINS)
            counts[scrape.bins[low:high] - row] += scrape.counts[low:high]
        return float(quantiles(counts, (QUANTILE[name],))[0])

    # ------------------------------------------------------------ stations

    def _cpu(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        """How busy the cores are, or the slots where there are none; "": the busiest service."""
        if place is None:
            loads = [self._cpu(name, service, window, end) for service in self._services()]
            return max((load for load in loads if load == load), default=math.nan)  # noqa: PLR0124
        kinds = [pools for pools in (place.cpus, place.pools) if pools]
        scrapes = self._within(window, end)
        shares = [_busy(place, pools, scrapes) for pools in kinds[: 1 + (name == "utilisation")]]
        return max(shares, default=math.nan)

    def _waiting(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        """How many stand in line, in the mean of the scrapes of the window."""
        places = self._stations.values() if place is None else (place,)
        pools = [pool for each in places for pool in each.pools]
        seen = [float(scrape.waiting[pools].sum()) for scrape in self._within(window, end)]
        return float(np.mean(seen)) if pools else math.nan

    def _backlog(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        """How many messages wait, in the mean of the scrapes of the window."""
        places = self._stations.values() if place is None else (place,)
        channels = [each.channel for each in places if each.channel >= 0]
        seen = [float(scrape.queued[channels].sum()) for scrape in self._within(window, end)]
        return float(np.mean(seen)) if channels else math.nan

    def _hits(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        """Share of look-ups that found their key; "": of the cache."""
        place = self._stations.get("cache.read") if place is None else place
        if place is None or not place.stores:
            return math.nan
        scrapes = self._within(window, end)
        gets = sum(int(scrape.gets[place.stores].sum()) for scrape in scrapes)
        hits = sum(int(scrape.hits[place.stores].sum()) for scrape in scrapes)
        return hits / gets if gets else math.nan

    def _lag(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        """How far replicas are behind, in the mean: a component says it of itself."""
        gauges = self._recorder.scrapes[end - 1].gauges
        told = [value for (gauge, _), value in gauges.items() if gauge == name]
        return max(told) if told and place is None else math.nan

    def _up(self, name: str, place: Station | None, window: float | None, end: int) -> float:
        """How many servers are alive and not marked down."""
        asked = self._services() if place is None else (place,)
        places = [each for each in asked if each.pools]
        scrape = self._recorder.scrapes[end - 1]
        alive = (scrape.up > 0) & (scrape.slots > 0)
        up = sum(int(alive[each.pools].sum()) * each.hands for each in places)
        return float(up) if places else math.nan


def _busy(
    place: Station, kind: list[int], scrapes: list[Scrape], server: int | None = None
) -> float:
    """Return the share of the slots of `kind`, the cores or the threads, that was busy.

    A server counts while it is in use and not shut: a dead one has no metrics.  NaN: none was.
    """
    busy = could = 0.0
    key = place.name, kind[0], server
    for scrape in scrapes:
        if key not in scrape.loads:  # it is asked for as long as windows reach back to it
            scrape.loads[key] = _load(place, kind, scrape, server)
        busy += scrape.loads[key][0]
        could += scrape.loads[key][1]
    return busy / could if could else math.nan


def _load(
    place: Station, kind: list[int], scrape: Scrape, server: int | None
) -> tuple[float, float]:
    """Return the seconds that slots of `kind` were busy before a scrape, and could have been."""
    count, known = scrape.instances.get(place.name, 0), place.pools
    if count != len(known):  # servers that came or went since stand side by side
        known = list(range(known[0], known[0] + count))
    threads = np.array(known if server is None else known[server : server + 1], np.int64)
    pools = threads[scrape.slots[threads] > 0] + (kind[0] - place.pools[0])
    could = float(scrape.slots[pools].sum()) * scrape.seconds
    return float(scrape.busy_seconds[pools].sum()), could


def _time(scrape: Scrape) -> float:
    return scrape.time


Read = Callable[[Metrics, str, "Station | None", float | None, int], float]
READ: dict[str, Read] = {
    "cpu_utilisation": Metrics._cpu,  # noqa: SLF001
    "utilisation": Metrics._cpu,  # noqa: SLF001
    "requests_per_second": Metrics._rate,  # noqa: SLF001
    "error_ratio": Metrics._errors,  # noqa: SLF001
    **dict.fromkeys(QUANTILE, Metrics._latency),  # noqa: SLF001
    "waiting": Metrics._waiting,  # noqa: SLF001
    "queue_depth": Metrics._backlog,  # noqa: SLF001
    "hit_ratio": Metrics._hits,  # noqa: SLF001
    "replica_lag_seconds": Metrics._lag,  # noqa: SLF001
    "servers_up": Metrics._up,  # noqa: SLF001
}
NAMES = tuple(READ)
