"""What was measured: counters and histograms of a run, and what follows for each station."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from engine.assembly import Station
from engine.component import Line
from engine.kernel.tables import STRATA, STRATA_OCTAVE
from engine.record import QUANTILES, Recorder, Scrape, edges, quantiles
from engine.theory import mmc_wait
from engine.traces import Kept

if TYPE_CHECKING:
    from engine.scenario import Scenario


class Measured:
    """Counters of a run, the warm-up taken off, and how to read them."""

    def __init__(self, scenario: Scenario, seed: int, recorder: Recorder) -> None:
        plane = recorder.plane
        self.scenario = scenario
        self.seed = seed
        self.program = plane.program
        self._kept = Kept.of(plane.world)
        self._end = recorder.counters()
        self._base = recorder.baseline
        self._snapshots = list(recorder.snapshots)
        self._windows = list(recorder.windows)
        if not self._snapshots or self._snapshots[-1].time < self._end.time:
            self._snapshots.append(recorder.window())
            self._windows.append(plane.world.window.astype(np.int32))
        self._scrapes = list(recorder.scrapes)
        self._events = list(recorder.events)
        self._alerts = list(recorder.alerts)
        self._tallies = dict(recorder.tallies)
        self._paid = {station: list(counts) for station, counts in recorder.paid.items()}
        self._latency = plane.world.latency - self._base.latency
        self._shares = plane.world.shares - self._base.shares
        self._waits = plane.world.waits - self._base.waits
        self._stays = plane.world.stays - self._base.stays
        self._reasons = plane.world.reasons.copy()
        self._grown: dict[str, dict[str, np.ndarray]] = {}
        self._stacked: dict[tuple[str, str], np.ndarray] = {}
        self._wasted = int(plane.world.clock["wasted"][0])

    @property
    def measured_seconds(self) -> float:
        """How long was measured: the run less its warm-up."""
        return max(1e-12, self._end.time - self._base.counters.time)

    @functools.cached_property
    def _times(self) -> np.ndarray:
        return np.array([snapshot.time for snapshot in self._snapshots])

    @functools.cached_property
    def _window_seconds(self) -> np.ndarray:
        return np.maximum(np.diff(self._times), 1e-12)

    def _series(self, table: str, name: str) -> np.ndarray:
        """Return a counter over the snapshots: snapshot × row."""
        if (table, name) not in self._stacked:
            rows = [snapshot.fields[table, name] for snapshot in self._snapshots]
            self._stacked[table, name] = np.array(rows)
        return self._stacked[table, name]

    def _delta(self, table: str) -> dict[str, np.ndarray]:
        """Return what counters of a table grew by while measuring."""
        if table not in self._grown:
            after, before = getattr(self._end, table), getattr(self._base.counters, table)
            self._grown[table] = {
                name: after[name] - before[name]
                for name in after.dtype.names
                if after[name].dtype.kind in "if"
            }
        return self._grown[table]

    def grown(self, table: str) -> dict[str, np.ndarray]:
        """Return what the counters of a table grew by while measuring, for a layer's figures."""
        return self._delta(table)

    def tallied(self, name: str) -> float:
        """Return what the control plane has counted under a name, warm-up included."""
        return self._tallies.get(name, 0.0)

    def visited(self, name: str, behind: int = 0) -> int:
        """Return how often steps were walked while measuring that a component laid out as `name`.

        Or as many rows behind them: what went on from there.
        """
        rows = [row + behind for row in self.program.laid_out.get(name, ())]
        return int((self._end.visits[rows] - self._base.counters.visits[rows]).sum()) if rows else 0

    @functools.cached_property
    def _edge_visits(self) -> dict[tuple[str, str], np.ndarray]:
        """Return visits over the snapshots for every pair of stations."""
        visits = np.array([snapshot.visits for snapshot in self._snapshots])
        pairs: dict[tuple[str, str], np.ndarray] = {}
        for row, source, target in self.program.entries:
            if source and source != target:
                pairs[source, target] = pairs.get((source, target), 0) + visits[:, row]
        return pairs

    def _arrivals(self, station: Station) -> np.ndarray:
        """Return how many came to a station, over the snapshots."""
        total = np.zeros(len(self._snapshots), np.int64)
        if station.kind == "source":
            total = self._series("journeys", "started").sum(axis=1)
            return total * dict(self._sources("client.web")).get(station.name, 1.0)
        for (_, target), visits in self._edge_visits.items():
            if target == station.name:
                total = total + visits
        return total

    def _sources(self, source: str) -> list[tuple[str, float]]:
        """Return whom a flow comes from: web and mobile users share one program."""
        mobile = self.scenario.client.mobile_share
        if source == "client.web" and "client.mobile" in self.program.stations:
            return [("client.web", 1.0 - mobile), ("client.mobile", mobile)]
        return [(source, 1.0)]

    def _capacity(self, pools: list[int]) -> int:
        return int(self._end.pools["slots"][pools].sum()) if pools else 0

    @functools.cached_property
    def windows(self) -> dict[str, dict[str, np.ndarray]]:
        """Every station's figures in each window: `station_series` as arrays, by column."""
        return {
            station.name: self._station_windows(station)
            for station in self.program.stations.values()
        }

    @functools.cached_property
    def rates(self) -> dict[tuple[str, str], np.ndarray]:
        """Requests a second in each window from station to station: `flows` as arrays."""
        return {
            (name, target): np.diff(visits) / self._window_seconds * share
            for (source, target), visits in self._edge_visits.items()
            for name, share in self._sources(source)
        }

    def _station_windows(self, station: Station) -> dict[str, np.ndarray]:
        """Return a station's figures in each window."""
        seconds, count = self._window_seconds, len(self._snapshots) - 1
        blank = np.full(count, np.nan)
        busy, waiting, stay, hits = blank, blank, blank, blank
        failed = np.diff(self._series("meters", "failed")[:, station.meter]) / seconds
        with np.errstate(invalid="ignore", divide="ignore"):
            if station.pools:
                busy = (
                    np.diff(self._series("pools", "busy_area")[:, station.pools].sum(axis=1))
                    / seconds
                )
                area = self._series("pools", "waiting_area")[:, station.pools].sum(axis=1)
                waiting = np.diff(area) / seconds
                served = np.diff(self._series("meters", "served")[:, station.meter])
                stay = np.diff(self._series("meters", "stay")[:, station.meter]) / served * 1e3
            if station.channel >= 0:
                area = self._series("channels", "waiting_area")[:, station.channel]
                waiting = np.diff(area) / seconds
            if station.stores:
                gets = np.diff(self._series("stores", "gets")[:, station.stores].sum(axis=1))
                hits = np.diff(self._series("stores", "hits")[:, station.stores].sum(axis=1)) / gets
        utilisation = busy / max(1, self._capacity(station.pools))
        if station.cpus:
            cpu = np.diff(self._series("pools", "busy_area")[:, station.cpus].sum(axis=1)) / seconds
            utilisation = np.fmax(utilisation, cpu / self._capacity(station.cpus))
        return {
            "rate_per_s": np.diff(self._arrivals(station)) / seconds,
            "utilisation": utilisation,
            "waiting": waiting,
            "in_service": busy,
            "residence_ms_mean": stay,
            "hit_ratio": hits,
            "failed_per_s": failed,
        }

    def _station_row(self, station: Station, stay_ms: np.ndarray) -> dict[str, object]:
        seconds = self.measured_seconds
        meters, pools = self._delta("meters"), self._delta("pools")
        asked, served = int(meters["asked"][station.meter]), int(meters["served"][station.meter])
        wait_count = int(self._waits[station.meter].sum())
        p50, p95, p99 = stay_ms.tolist()
        hit_ratio = self._hit_ratio(station.name)
        capacity = self._capacity(station.pools)
        busy = (
            float(pools["busy_area"][station.pools].sum()) / seconds if station.pools else math.nan
        )
        waiting = (
            float(pools["waiting_area"][station.pools].sum()) / seconds
            if station.pools
            else math.nan
        )
        if station.channel >= 0:
            waiting = float(self._delta("channels")["waiting_area"][station.channel]) / seconds
        cpu = math.nan
        if station.cpus:
            cpu = (
                float(pools["busy_area"][station.cpus].sum())
                / seconds
                / self._capacity(station.cpus)
            )
        threads = busy / capacity if capacity else math.nan
        arrivals = self._arrivals(station)
        first = int(np.searchsorted(self._times, self._base.counters.time))
        rate = (arrivals[-1] - arrivals[first]) / max(1e-12, self._times[-1] - self._times[first])
        return {
            "station": station.name,
            "title": station.title,
            "layer": station.layer,
            "kind": station.kind,
            "instances": station.instances,
            "slots": capacity // station.instances,
            "rate_per_s": float(rate),
            "utilisation": float(np.fmax(threads, cpu)),
            "cpu_utilisation": cpu,
            "thread_utilisation": threads,
            "wait_ms_mean": float(meters["wait"][station.meter]) / wait_count * 1e3
            if wait_count
            else math.nan,
            "service_ms_mean": float(meters["work"][station.meter]) / served * 1e3
            if served
            else math.nan,
            "residence_ms_mean": float(meters["stay"][station.meter]) / served * 1e3
            if served
            else math.nan,
            "residence_ms_p50": p50,
            "residence_ms_p95": p95,
            "residence_ms_p99": p99,
            "waiting_mean": waiting,
            "in_service_mean": busy,
            "hit_ratio": math.nan if hit_ratio is None else hit_ratio,
            "failed_per_s": int(meters["failed"][station.meter]) / seconds,
            "theory_wait_ms": self._theory(station, asked / seconds, busy, served / seconds),
        }

    def _theory(self, station: Station, rate: float, busy: float, served: float) -> float:
        """Return the M/M/c wait at one of a station's equal servers, ms; NaN if there is none."""
        if not station.pools or not served or station.channel >= 0:
            return math.nan
        count = len(station.pools)
        wait = mmc_wait(rate / count, busy / served, self._capacity(station.pools) // count)
        return wait * 1e3 if math.isfinite(wait) else math.nan

    def _scraped(self, station: Station, scrape: Scrape, seen: np.ndarray) -> dict[str, object]:
        """Return what one scrape says of one station; `seen` are its latency quantiles, ms."""
        asked, gets = int(scrape.asked[station.meter]), int(scrape.gets[station.stores].sum())
        cpus = station.cpus or station.pools
        depth = float(scrape.waiting[station.pools].sum())
        if station.channel >= 0:
            depth = float(scrape.queued[station.channel])
        cpu = hits = math.nan
        if cpus:
            cpu = float(scrape.busy_seconds[cpus].sum()) / scrape.seconds / self._capacity(cpus)
        if gets:
            hits = int(scrape.hits[station.stores].sum()) / gets
        return {
            "time_s": scrape.time,
            "station": station.name,
            "rate_per_s": asked / scrape.seconds,
            "error_ratio": int(scrape.failed[station.meter]) / asked if asked else 0.0,
            "latency_ms_p50": seen[0],
            "latency_ms_p95": seen[1],
            "latency_ms_p99": seen[2],
            "cpu_ratio": cpu,
            "hit_ratio": hits,
            "queue_depth": depth,
            "connections": float(scrape.busy[station.pools].sum()),
        }

    def bill(self) -> list[Line]:
        """Return what the run costs an hour: of what was scaled, the mean number over time."""
        lines = self.scenario.bill()
        return [
            line.model_copy(update={"quantity": self._mean_paid(line.station)})
            if line.station in self._paid
            else line
            for line in lines
        ]

    def _mean_paid(self, station: str) -> float:
        """Return the time mean of how many servers were paid for while measuring."""
        counts, begin, end = self._paid[station], self._base.counters.time, self._end.time
        times = np.array([*(time for time, _ in counts), np.inf]).clip(begin, end)
        held = np.array([count for _, count in counts])
        return float(np.diff(times) @ held / self.measured_seconds)

    def _hit_ratio(self, name: str) -> float | None:
        station = self.program.stations.get(name)
        if not station or not station.stores:
            return None
        stores = self._delta("stores")
        gets = int(stores["gets"][station.stores].sum())
        return int(stores["hits"][station.stores].sum()) / gets if gets else None

    def _failures(self, counts: np.ndarray) -> dict[str, int]:
        return {
            text: int(counts[code]) for text, code in self.program.reasons.items() if counts[code]
        }

    def _quantiles_ms(self, histogram: np.ndarray) -> tuple[float | None, ...]:
        found = quantiles(histogram, QUANTILES) * 1e3
        return tuple(None if math.isnan(value) else float(value) for value in found)

    def _longest_ms(self) -> float | None:
        kept = self._kept.traces[:, :STRATA]
        longest = float(kept["latency"].max())
        return longest * 1e3 if longest > 0 else None

    @staticmethod
    def _stratum(histogram: np.ndarray, q: float) -> int:
        """Return the stratum that a quantile lies in."""
        value = quantiles(histogram, (q,))[0]
        if math.isnan(value):
            return 0
        lower = edges(np.arange(STRATA), STRATA_OCTAVE)
        return max(0, int(np.searchsorted(lower, value, side="right")) - 1)
