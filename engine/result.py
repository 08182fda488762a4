"""What came out of a run, as tables: time series, stations, journeys, shares, traces, cost.

Tables are pandas DataFrames with the unit in the column's name.  Figures leave the warm-up
out; time series do not.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd

from engine import traces
from engine.distribution import Frozen
from engine.kernel.tables import ACCOUNTS, STRATA, STRATA_OCTAVE
from engine.program import KINDS, LAYERS, Station
from engine.record import BIN_EDGES, BIN_MIDDLES, QUANTILES, Recorder, Snapshot, edges, quantiles
from engine.theory import mmc_wait

if TYPE_CHECKING:
    from engine.scenario import Scenario


class Summary(Frozen):
    """The headline figures."""

    simulated_seconds: float
    requests_per_second: float
    answered_per_second: float
    error_ratio: float
    latency_ms_mean: float | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    latency_ms_p99: float | None
    latency_ms_max: float | None
    cost_usd_per_hour: float
    cost_usd_per_million_requests: float | None
    cache_hit_ratio: float | None
    cdn_hit_ratio: float | None
    stale_read_ratio: float | None
    started: int
    answered: int
    failed: int
    in_flight: int
    wasted: int
    failures: dict[str, int]


class Result:
    """Everything that is known about a run."""

    def __init__(self, scenario: Scenario, seed: int, recorder: Recorder) -> None:
        plane = recorder.plane
        self.scenario = scenario
        self.seed = seed
        self.program = plane.program
        self._world = plane.world
        self._end = recorder.counters()
        self._base = recorder.baseline
        self._snapshots = list(recorder.snapshots)
        self._windows = list(recorder.windows)
        if not self._snapshots or self._snapshots[-1].time < self._end.time:
            self._snapshots.append(self._end)
            self._windows.append(quantiles(plane.world.window, QUANTILES))
        self._scrapes = list(recorder.scrapes)
        self._events = list(recorder.events)
        self._latency = plane.world.latency - self._base.latency
        self._shares = plane.world.shares - self._base.shares
        self._waits = plane.world.waits - self._base.waits
        self._stays = plane.world.stays - self._base.stays
        self._reasons = plane.world.reasons.copy()
        self._stacked: dict[tuple[str, str], np.ndarray] = {}
        self._wasted = int(plane.world.clock["wasted"][0])

    # ------------------------------------------------------------ figures

    @property
    def measured_seconds(self) -> float:
        """How long was measured: the run less its warm-up."""
        return max(1e-12, self._end.time - self._base.counters.time)

    @functools.cached_property
    def summary(self) -> Summary:
        """The headline figures."""
        journeys = self._delta("journeys")
        started, answered = int(journeys["started"].sum()), int(journeys["answered"].sum())
        failed = int(journeys["failed"].sum())
        p50, p95, p99 = self._quantiles_ms(self._latency.sum(axis=0))
        bill = sum(line.usd_per_hour for line in self.scenario.bill())
        per_second = answered / self.measured_seconds
        ledgers = self._delta("ledgers")
        reads = int(ledgers["checks"].sum())
        return Summary(
            simulated_seconds=self._end.time,
            requests_per_second=started / self.measured_seconds,
            answered_per_second=per_second,
            error_ratio=failed / (failed + answered) if failed + answered else 0.0,
            latency_ms_mean=float(journeys["sum"].sum()) / answered * 1e3 if answered else None,
            latency_ms_p50=p50, latency_ms_p95=p95, latency_ms_p99=p99,
            latency_ms_max=self._longest_ms(),
            cost_usd_per_hour=bill,
            cost_usd_per_million_requests=bill / (per_second * 3600) * 1e6 if answered else None,
            cache_hit_ratio=self._hit_ratio("cache.read"), cdn_hit_ratio=self._hit_ratio("edge.cdn"),
            stale_read_ratio=int(ledgers["stale"].sum()) / reads if reads else None,
            started=int(self._end.journeys["started"].sum()),
            answered=int(self._end.journeys["answered"].sum()),
            failed=int(self._end.journeys["failed"].sum()),
            in_flight=int(self._end.journeys["in_flight"].sum()),
            wasted=self._wasted,
            failures=self._failures(self._reasons.sum(axis=0)),
        )  # fmt: skip

    @functools.cached_property
    def timeseries(self) -> pd.DataFrame:
        """One row a window: rates, errors, latency quantiles, requests in flight."""
        counts = {name: self._series("journeys", name).sum(axis=1)
                  for name in ("started", "answered", "failed", "sum", "in_flight")}  # fmt: skip
        seconds = self._window_seconds
        flow = {name: np.diff(values) for name, values in counts.items()}
        windows = np.array(self._windows[1:]) * 1e3
        with np.errstate(invalid="ignore", divide="ignore"):
            return pd.DataFrame({
                "time_s": self._times[1:],
                "started_per_s": flow["started"] / seconds,
                "answered_per_s": flow["answered"] / seconds,
                "failed_per_s": flow["failed"] / seconds,
                "error_ratio": np.nan_to_num(flow["failed"] / (flow["failed"] + flow["answered"])),
                "latency_ms_mean": flow["sum"] / flow["answered"] * 1e3,
                "latency_ms_p50": windows[:, 0],
                "latency_ms_p95": windows[:, 1],
                "latency_ms_p99": windows[:, 2],
                "in_flight": counts["in_flight"][1:],
            })  # fmt: skip

    @functools.cached_property
    def stations(self) -> pd.DataFrame:
        """One row a station: how busy, how long the wait, and what theory says of it."""
        rows = [self._station_row(station) for station in self.program.stations.values()]
        return pd.DataFrame(rows).set_index("station")

    @functools.cached_property
    def station_series(self) -> pd.DataFrame:
        """One row a window and station."""
        parts = [self._station_windows(station) for station in self.program.stations.values()]
        return pd.concat(parts, ignore_index=True)

    @functools.cached_property
    def flows(self) -> pd.DataFrame:
        """One row a window and edge of the map: requests a second from station to station."""
        parts = []
        for (source, target), visits in self._edge_visits.items():
            rate = np.diff(visits) / self._window_seconds
            for name, share in self._sources(source):
                parts.append(pd.DataFrame({
                    "time_s": self._times[1:], "source": name, "target": target,
                    "rate_per_s": rate * share}))  # fmt: skip
        columns = ["time_s", "source", "target", "rate_per_s"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    @functools.cached_property
    def journeys(self) -> pd.DataFrame:
        """One row a journey."""
        delta = self._delta("journeys")
        rows = []
        for index, name in enumerate(self.program.journeys):
            p50, p95, p99 = self._quantiles_ms(self._latency[index])
            answered = int(delta["answered"][index])
            rows.append({
                "journey": name, "title": self.scenario.journeys[name].title or name,
                "started": int(delta["started"][index]), "answered": answered,
                "failed": int(delta["failed"][index]),
                "in_flight": int(self._end.journeys["in_flight"][index]),
                "latency_ms_mean": float(delta["sum"][index]) / answered * 1e3 if answered else math.nan,
                "latency_ms_p50": p50, "latency_ms_p95": p95, "latency_ms_p99": p99})  # fmt: skip
        return pd.DataFrame(rows).set_index("journey")

    @functools.cached_property
    def shares(self) -> pd.DataFrame:
        """Where time is spent: by layer and kind, in the mean and in the slowest hundredth.

        "p99" is the mean over requests at or above the P99 of latency (to a stratum of 4 %).
        """
        rows = []
        everything = ("all", self._latency.sum(axis=0), self._shares.sum(axis=0))
        single = [(name, self._latency[i], self._shares[i])
                  for i, name in enumerate(self.program.journeys)]  # fmt: skip
        for name, latency, shares in [everything, *single]:
            for of, first in (("mean", 0), ("p99", self._stratum(latency, 0.99))):
                fine = first * (len(BIN_MIDDLES) // STRATA)
                count = latency[fine:].sum()
                spent = shares[first:].sum(axis=0) / count * 1e3 if count else np.zeros(ACCOUNTS)
                total = spent.sum()
                rows.extend(
                    {"journey": name, "of": of, "layer": layer, "kind": kind,
                     "ms": spent[i * 3 + k], "share": spent[i * 3 + k] / total if total else 0.0}
                    for i, layer in enumerate(LAYERS) for k, kind in enumerate(KINDS)
                )  # fmt: skip
        return pd.DataFrame(rows)

    def latency(self, journey: str = "all") -> pd.DataFrame:
        """Return the distribution of latency, in log-spaced bins that hold somebody."""
        counts = self._latency.sum(axis=0)
        if journey != "all":
            counts = self._latency[self.program.journeys.index(journey)]
        place = np.flatnonzero(counts)
        share = counts[place] / max(1, counts.sum())
        return pd.DataFrame({
            "latency_ms": BIN_MIDDLES[place] * 1e3, "requests": counts[place], "share": share,
            "cumulative": np.cumsum(share),
            "density_per_ms": share / (BIN_EDGES[place + 1] - BIN_EDGES[place]) / 1e3})  # fmt: skip

    def trace(self, journey: str, which: traces.Which) -> traces.Trace | None:
        """Return a kept trace: typical (p50), slow (p95, p99), the slowest, or one that failed."""
        index = self.program.journeys.index(journey)
        q = {"p50": 0.5, "p95": 0.95, "p99": 0.99}.get(which, 0.5)
        latency = float(quantiles(self._latency[index], (q,))[0])
        place = traces.pick(self._world, self.program, index, which, max(latency, 1e-9))
        if place is None:
            return None
        title = self.scenario.journeys[journey].title or journey
        return traces.read(self._world, self.program, index, place, title)

    @functools.cached_property
    def events(self) -> pd.DataFrame:
        """What the control plane did, in order."""
        return pd.DataFrame(self._events, columns=["time_s", "kind", "station", "text"])

    @functools.cached_property
    def scrapes(self) -> pd.DataFrame:
        """What those on call saw: metrics as scraped, a row a scrape and station."""
        rows = []
        before, stays_before = self._snapshots[0], np.zeros_like(self._stays)
        for after, stays in self._scrapes:
            seconds = max(1e-9, after.time - before.time)
            seen = quantiles(stays - stays_before, QUANTILES) * 1e3
            for station in self.program.stations.values():
                rows.append(self._scraped(station, before, after, seconds, seen[station.meter]))
            before, stays_before = after, stays
        return pd.DataFrame(rows)

    @functools.cached_property
    def accounting(self) -> pd.DataFrame:
        """Every request since the start: started = answered + failed by reason + in flight."""
        table = pd.DataFrame({name: self._end.journeys[name] for name in
                              ("started", "answered", "failed", "in_flight")})  # fmt: skip
        table.insert(0, "journey", self.program.journeys)
        for text, code in self.program.reasons.items():
            table[f"failed: {text}"] = self._reasons[:, code]
        return table.set_index("journey")

    @functools.cached_property
    def messages(self) -> pd.DataFrame:
        """Every message: published = processed + dead-lettered + waiting + in progress + delayed."""
        rows = []
        for station in self.program.stations.values():
            if station.channel >= 0:
                row = self._end.channels[station.channel]
                busy = int(sum(self._end.pools["busy"][pool] for pool in station.pools))
                rows.append({"station": station.name, "in_progress": busy, **{
                    name: int(row[name]) for name in ("published", "processed", "dead", "waiting",
                                                      "delayed", "redelivered", "refused")}})  # fmt: skip
        columns = ["station", "published", "processed", "dead", "waiting", "in_progress", "delayed"]
        return pd.DataFrame(rows, columns=[*columns, "redelivered", "refused"]).set_index("station")

    @functools.cached_property
    def cost(self) -> pd.DataFrame:
        """The bill, a line an item."""
        columns = ["item", "station", "quantity", "usd_per_hour_each", "usd_per_hour"]
        rows = [[*line.model_dump().values(), line.usd_per_hour] for line in self.scenario.bill()]
        return pd.DataFrame(rows, columns=columns)

    @functools.cached_property
    def topology(self) -> nx.DiGraph:
        """The graph that the map draws; `spof` marks single points of failure."""
        return self.program.topology()

    # ------------------------------------------------------------ parts

    @functools.cached_property
    def _times(self) -> np.ndarray:
        return np.array([snapshot.time for snapshot in self._snapshots])

    @functools.cached_property
    def _window_seconds(self) -> np.ndarray:
        return np.maximum(np.diff(self._times), 1e-12)

    def _series(self, table: str, name: str) -> np.ndarray:
        """Return a counter over the snapshots: snapshot × row."""
        known = self._stacked.get((table, name))
        if known is None:
            known = np.stack([getattr(snapshot, table)[name] for snapshot in self._snapshots])
            self._stacked[table, name] = known
        return known

    def _delta(self, table: str) -> dict[str, np.ndarray]:
        """Return what counters of a table grew by while measuring."""
        after, before = getattr(self._end, table), getattr(self._base.counters, table)
        return {name: after[name] - before[name] for name in after.dtype.names if after[name].dtype.kind in "if"}

    @functools.cached_property
    def _edge_visits(self) -> dict[tuple[str, str], np.ndarray]:
        """Return visits over the snapshots for every pair of stations."""
        visits = np.stack([snapshot.visits for snapshot in self._snapshots])
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

    def _station_windows(self, station: Station) -> pd.DataFrame:
        seconds, count = self._window_seconds, len(self._snapshots) - 1
        blank = np.full(count, np.nan)
        busy, waiting, stay, hits = blank, blank, blank, blank
        failed = np.diff(self._series("meters", "failed")[:, station.meter]) / seconds
        with np.errstate(invalid="ignore", divide="ignore"):
            if station.pools:
                busy = np.diff(self._series("pools", "busy_area")[:, station.pools].sum(axis=1)) / seconds
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
        return pd.DataFrame({
            "time_s": self._times[1:], "station": station.name,
            "rate_per_s": np.diff(self._arrivals(station)) / seconds, "utilisation": utilisation,
            "waiting": waiting, "in_service": busy, "residence_ms_mean": stay, "hit_ratio": hits,
            "failed_per_s": failed})  # fmt: skip

    def _station_row(self, station: Station) -> dict[str, object]:
        seconds = self.measured_seconds
        meters, pools = self._delta("meters"), self._delta("pools")
        asked, served = int(meters["asked"][station.meter]), int(meters["served"][station.meter])
        wait_count = int(self._waits[station.meter].sum())
        p50, p95, p99 = self._quantiles_ms(self._stays[station.meter])
        capacity = self._capacity(station.pools)
        busy = float(pools["busy_area"][station.pools].sum()) / seconds if station.pools else math.nan
        waiting = float(pools["waiting_area"][station.pools].sum()) / seconds if station.pools else math.nan
        if station.channel >= 0:
            waiting = float(self._delta("channels")["waiting_area"][station.channel]) / seconds
        cpu = math.nan
        if station.cpus:
            cpu = float(pools["busy_area"][station.cpus].sum()) / seconds / self._capacity(station.cpus)
        threads = busy / capacity if capacity else math.nan
        arrivals = self._arrivals(station)
        first = int(np.searchsorted(self._times, self._base.counters.time))
        rate = (arrivals[-1] - arrivals[first]) / max(1e-12, self._times[-1] - self._times[first])
        return {
            "station": station.name, "title": station.title, "layer": station.layer,
            "kind": station.kind, "instances": station.instances,
            "slots": capacity // max(1, len(station.pools)), "rate_per_s": float(rate),
            "utilisation": float(np.fmax(threads, cpu)), "cpu_utilisation": cpu,
            "thread_utilisation": threads,
            "wait_ms_mean": float(meters["wait"][station.meter]) / wait_count * 1e3 if wait_count else math.nan,
            "service_ms_mean": float(meters["work"][station.meter]) / served * 1e3 if served else math.nan,
            "residence_ms_mean": float(meters["stay"][station.meter]) / served * 1e3 if served else math.nan,
            "residence_ms_p50": p50, "residence_ms_p95": p95, "residence_ms_p99": p99,
            "waiting_mean": waiting, "in_service_mean": busy,
            "hit_ratio": self._hit_ratio(station.name),
            "failed_per_s": int(meters["failed"][station.meter]) / seconds,
            "theory_wait_ms": self._theory(station, asked / seconds, busy, served / seconds),
        }  # fmt: skip

    def _theory(self, station: Station, rate: float, busy: float, served: float) -> float:
        """Return the M/M/c wait of one of a station's equal servers, ms; NaN where it says nothing."""
        if not station.pools or not served or station.channel >= 0:
            return math.nan
        count = len(station.pools)
        wait = mmc_wait(rate / count, busy / served, self._capacity(station.pools) // count)
        return wait * 1e3 if math.isfinite(wait) else math.nan

    def _scraped(self, station: Station, before: Snapshot, after: Snapshot, seconds: float,
                 seen: np.ndarray) -> dict[str, object]:  # fmt: skip
        def grown(table: str, name: str, rows: list[int]) -> float:
            new, old = getattr(after, table)[name][rows], getattr(before, table)[name][rows]
            return float((new - old).sum())

        gets = grown("stores", "gets", station.stores)
        asked = grown("meters", "asked", [station.meter])
        failed = grown("meters", "failed", [station.meter])
        cpus = station.cpus or station.pools
        depth = float(after.pools["waiting"][station.pools].sum())
        if station.channel >= 0:
            depth = float(after.channels["waiting"][station.channel])
        return {
            "time_s": after.time, "station": station.name, "rate_per_s": asked / seconds,
            "error_ratio": failed / asked if asked else 0.0, "latency_ms_p50": seen[0],
            "latency_ms_p95": seen[1], "latency_ms_p99": seen[2],
            "cpu_ratio": grown("pools", "busy_area", cpus) / seconds / self._capacity(cpus) if cpus else math.nan,
            "hit_ratio": grown("stores", "hits", station.stores) / gets if gets else math.nan,
            "queue_depth": depth,
            "connections": float(after.pools["busy"][station.pools].sum()),
        }  # fmt: skip

    def _hit_ratio(self, name: str) -> float | None:
        station = self.program.stations.get(name)
        if not station or not station.stores:
            return None
        stores = self._delta("stores")
        gets = int(stores["gets"][station.stores].sum())
        return int(stores["hits"][station.stores].sum()) / gets if gets else None

    def _failures(self, counts: np.ndarray) -> dict[str, int]:
        return {text: int(counts[code]) for text, code in self.program.reasons.items() if counts[code]}

    def _quantiles_ms(self, histogram: np.ndarray) -> tuple[float | None, ...]:
        found = quantiles(histogram, QUANTILES) * 1e3
        return tuple(None if math.isnan(value) else float(value) for value in found)

    def _longest_ms(self) -> float | None:
        kept = self._world.traces[:, :STRATA]
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
