"""What came out of a run, as tables: time series, stations, journeys, shares, traces, cost.

Tables are pandas DataFrames with the unit in the column's name.  Figures leave the warm-up
out; time series do not.
"""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import cast

import networkx as nx
import numpy as np
import pandas as pd

from engine import buckets, logs, oncall, traces
from engine.distribution import Frozen
from engine.kernel.tables import ACCOUNTS, BINS, NOBODY, STRATA
from engine.measured import Measured
from engine.metrics import Metrics
from engine.program import KINDS, LAYERS
from engine.record import BIN_EDGES, BIN_MIDDLES, QUANTILES, AlertNote, Recorder, quantiles
from engine.topology import topology


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


class Result(Measured):
    """Everything that is known about a run."""

    @functools.cached_property
    def summary(self) -> Summary:
        """The headline figures."""
        journeys = self._delta("journeys")
        started, answered = int(journeys["started"].sum()), int(journeys["answered"].sum())
        failed = int(journeys["failed"].sum())
        p50, p95, p99 = self._quantiles_ms(self._latency.sum(axis=0))
        bill = sum(line.usd_per_hour for line in self.bill())
        per_second = answered / self.measured_seconds
        ledgers = self._delta("ledgers")
        reads = int(ledgers["checks"].sum())
        return Summary(
            simulated_seconds=self._end.time,
            requests_per_second=started / self.measured_seconds,
            answered_per_second=per_second,
            error_ratio=failed / (failed + answered) if failed + answered else 0.0,
            latency_ms_mean=float(journeys["seconds"].sum()) / answered * 1e3 if answered else None,
            latency_ms_p50=p50,
            latency_ms_p95=p95,
            latency_ms_p99=p99,
            latency_ms_max=self._longest_ms(),
            cost_usd_per_hour=bill,
            cost_usd_per_million_requests=bill / (per_second * 3600) * 1e6 if answered else None,
            cache_hit_ratio=self._hit_ratio("cache.read"),
            cdn_hit_ratio=self._hit_ratio("edge.cdn"),
            stale_read_ratio=int(ledgers["stale"].sum()) / reads if reads else None,
            started=int(self._end.journeys["started"].sum()),
            answered=int(self._end.journeys["answered"].sum()),
            failed=int(self._end.journeys["failed"].sum()),
            in_flight=int(self._end.journeys["in_flight"].sum()),
            wasted=self._wasted,
            failures=self._failures(self._reasons.sum(axis=0)),
        )

    @functools.cached_property
    def timeseries(self) -> pd.DataFrame:
        """One row a window: rates, errors, latency quantiles, requests in flight."""
        counts = {
            name: self._series("journeys", name).sum(axis=1)
            for name in ("started", "answered", "failed", "seconds", "in_flight")
        }
        seconds = self._window_seconds
        flow = {name: np.diff(values) for name, values in counts.items()}
        windows = quantiles(np.array(self._windows[1:]).reshape(-1, BINS), QUANTILES) * 1e3
        with np.errstate(invalid="ignore", divide="ignore"):
            return pd.DataFrame(
                {
                    "time_s": self._times[1:],
                    "started_per_s": flow["started"] / seconds,
                    "answered_per_s": flow["answered"] / seconds,
                    "failed_per_s": flow["failed"] / seconds,
                    "error_ratio": np.nan_to_num(
                        flow["failed"] / (flow["failed"] + flow["answered"])
                    ),
                    "latency_ms_mean": flow["seconds"] / flow["answered"] * 1e3,
                    "latency_ms_p50": windows[:, 0],
                    "latency_ms_p95": windows[:, 1],
                    "latency_ms_p99": windows[:, 2],
                    "in_flight": counts["in_flight"][1:],
                }
            )

    @functools.cached_property
    def stations(self) -> pd.DataFrame:
        """One row a station: how busy, how long the wait, and what theory says of it."""
        stays_ms = quantiles(self._stays, QUANTILES) * 1e3
        rows = [
            self._station_row(station, stays_ms[station.meter])
            for station in self.program.stations.values()
        ]
        return pd.DataFrame(rows).set_index("station")

    @functools.cached_property
    def station_series(self) -> pd.DataFrame:
        """One row a window and station."""
        names, parts = list(self.windows), list(self.windows.values())
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return pd.DataFrame(
            {
                "time_s": np.tile(self._times[1:], len(names)),
                "station": self._repeated(names, names),
                **columns,
            }
        )

    @functools.cached_property
    def flows(self) -> pd.DataFrame:
        """One row a window and edge of the map: requests a second from station to station."""
        stations, rates = list(self.program.stations), list(self.rates.values())
        return pd.DataFrame(
            {
                "time_s": np.tile(self._times[1:], len(rates)),
                "source": self._repeated([source for source, _ in self.rates], stations),
                "target": self._repeated([target for _, target in self.rates], stations),
                "rate_per_s": np.concatenate(rates) if rates else np.zeros(0),
            }
        )

    def _repeated(self, names: list[str], among: list[str]) -> pd.Categorical:
        """Return each name once a window; as codes, which is far faster than as strings."""
        codes = np.repeat([among.index(name) for name in names], len(self._times) - 1)
        return pd.Categorical.from_codes(codes.astype(np.int32), categories=among)

    @functools.cached_property
    def journeys(self) -> pd.DataFrame:
        """One row a journey."""
        delta = self._delta("journeys")
        rows = []
        for index, name in enumerate(self.program.journeys):
            p50, p95, p99 = (quantiles(self._latency[index], QUANTILES) * 1e3).tolist()
            answered = int(delta["answered"][index])
            rows.append(
                {
                    "journey": name,
                    "title": self.scenario.journeys[name].title or name,
                    "started": int(delta["started"][index]),
                    "answered": answered,
                    "failed": int(delta["failed"][index]),
                    "in_flight": int(self._end.journeys["in_flight"][index]),
                    "latency_ms_mean": float(delta["seconds"][index]) / answered * 1e3
                    if answered
                    else math.nan,
                    "latency_ms_p50": p50,
                    "latency_ms_p95": p95,
                    "latency_ms_p99": p99,
                }
            )
        return pd.DataFrame(rows).set_index("journey")

    @functools.cached_property
    def shares(self) -> pd.DataFrame:
        """Where time is spent: by layer and kind, in the mean and in the slowest hundredth.

        "p99" is the mean over requests at or above the P99 of latency (to a stratum of 4 %).
        """
        rows: list[dict[str, object]] = []
        everything = ("all", self._latency.sum(axis=0), self._shares.sum(axis=0))
        single = [
            (name, self._latency[i], self._shares[i])
            for i, name in enumerate(self.program.journeys)
        ]
        for name, latency, shares in [everything, *single]:
            for of, first in (("mean", 0), ("p99", self._stratum(latency, 0.99))):
                fine = first * (len(BIN_MIDDLES) // STRATA)
                count = latency[fine:].sum()
                spent = shares[first:].sum(axis=0) / count * 1e3 if count else np.zeros(ACCOUNTS)
                total = spent.sum()
                rows.extend(
                    {
                        "journey": name,
                        "of": of,
                        "layer": layer,
                        "kind": kind,
                        "ms": spent[i * 3 + k],
                        "share": spent[i * 3 + k] / total if total else 0.0,
                    }
                    for i, layer in enumerate(LAYERS)
                    for k, kind in enumerate(KINDS)
                )
        return pd.DataFrame(rows)

    def latency(self, journey: str = "all") -> pd.DataFrame:
        """Return the distribution of latency, in log-spaced bins that hold somebody."""
        counts = self._latency.sum(axis=0)
        if journey != "all":
            counts = self._latency[self.program.journeys.index(journey)]
        place = np.flatnonzero(counts)
        share = counts[place] / max(1, counts.sum())
        return pd.DataFrame(
            {
                "latency_ms": BIN_MIDDLES[place] * 1e3,
                "requests": counts[place],
                "share": share,
                "cumulative": np.cumsum(share),
                "density_per_ms": share / (BIN_EDGES[place + 1] - BIN_EDGES[place]) / 1e3,
            }
        )

    def trace(self, journey: str, which: traces.Which) -> traces.Trace | None:
        """Return a kept trace: typical (p50), slow (p95, p99), the slowest, or one that failed."""
        index = self.program.journeys.index(journey)
        q = {"p50": 0.5, "p95": 0.95, "p99": 0.99}.get(which, 0.5)
        latency = float(quantiles(self._latency[index], (q,))[0])
        place = traces.pick(self._seen, index, which, max(latency, 1e-9))
        return None if place is None else self._trace_at(index, place)

    def kept_traces(self) -> list[traces.Trace]:
        """Return every kept trace that sampling has let through, by journey, the quick first."""
        rows = np.argwhere(self._seen.traces["request"] != NOBODY).tolist()
        return [self._trace_at(journey, place) for journey, place in rows]

    def _trace_at(self, journey: int, place: int) -> traces.Trace:
        name = self.program.journeys[journey]
        title = self.scenario.journeys[name].title or name
        return traces.read(self._kept, self.program, journey, place, title, self.seed)

    @functools.cached_property
    def _seen(self) -> traces.Kept:
        """The kept traces that sampling has let through; tail sampling lets all."""
        watch = self.scenario.observability
        if watch.sampling == "tail":
            return self._kept
        counts = self._latency.reshape(len(self._latency), STRATA, -1).sum(axis=2)
        counts = np.concatenate([counts, self._reasons], axis=1)
        return traces.head_sampled(self._kept, counts, watch.trace_share, self.seed)

    def logs(self) -> str:
        """Return structured logs: JSON lines about the requests whose traces are kept."""
        rows = np.argwhere(self._kept.traces["request"] != NOBODY)
        kept = (self._trace_at(int(journey), int(place)) for journey, place in rows)
        return logs.lines(kept, self.scenario.observability.log_share)

    @functools.cached_property
    def buckets(self) -> pd.DataFrame:
        """Quantiles as Prometheus would guess them from its buckets, beside the true ones."""
        bounds = self.scenario.observability.bucket_seconds
        rows = []
        single = zip(self.program.journeys, self._latency, strict=True)
        for name, histogram in [("all", self._latency.sum(axis=0)), *single]:
            true = quantiles(histogram, QUANTILES)
            guess = buckets.bucketed(histogram, bounds)
            for q, seconds in zip(QUANTILES, true.tolist(), strict=True):
                seen = buckets.histogram_quantile(q, guess)
                rows.append(
                    {
                        "journey": name,
                        "quantile": q,
                        "true_ms": seconds * 1e3,
                        "seen_ms": seen * 1e3,
                        "error_ratio": seen / seconds - 1.0 if seconds > 0 else math.nan,
                    }
                )
        return pd.DataFrame(rows)

    @functools.cached_property
    def events(self) -> pd.DataFrame:
        """What the control plane did, in order."""
        return pd.DataFrame(self._events, columns=["time_s", "kind", "station", "text"])

    @functools.cached_property
    def on_call(self) -> pd.DataFrame:
        """The log of those on call: a row an alert that fired, and what users saw meanwhile."""
        return oncall.on_call(self._alerts, self._events, self.timeseries)

    @functools.cached_property
    def metrics(self) -> Metrics:
        """What was scraped, as controllers and alerts read it."""
        seen = SimpleNamespace(
            scrapes=self._scrapes,
            plane=SimpleNamespace(program=self.program, world=SimpleNamespace(stays=self._stays)),
        )
        return Metrics(cast("Recorder", seen))

    @property
    def alert_notes(self) -> list[AlertNote]:
        """What became of every alert, in order: it waited, it fired, it was resolved."""
        return list(self._alerts)

    @functools.cached_property
    def scrapes(self) -> pd.DataFrame:
        """What those on call saw: metrics as scraped, a row a scrape and station."""
        rows: list[dict[str, object]] = []
        for scrape in self._scrapes:
            stays = np.zeros((len(self._stays) + 1, BINS), np.int64)
            stays.ravel()[scrape.bins] = scrape.counts
            seen = quantiles(stays, QUANTILES) * 1e3
            rows.extend(
                self._scraped(station, scrape, seen[station.meter])
                for station in self.program.stations.values()
            )
        return pd.DataFrame(rows)

    @functools.cached_property
    def accounting(self) -> pd.DataFrame:
        """Every request since the start: started = answered + failed by reason + in flight."""
        table = pd.DataFrame(
            {
                name: self._end.journeys[name]
                for name in ("started", "answered", "failed", "in_flight")
            }
        )
        table.insert(0, "journey", self.program.journeys)
        for text, code in self.program.reasons.items():
            table[f"failed: {text}"] = self._reasons[:, code]
        return table.set_index("journey")

    @functools.cached_property
    def messages(self) -> pd.DataFrame:
        """Every message: each one published is in just one of the columns up to `expired`."""
        rows = []
        for station in self.program.stations.values():
            if station.channel >= 0:
                row = self._end.channels[station.channel]
                busy = int(sum(self._end.pools["busy"][pool] for pool in station.pools))
                busy -= int(row["lapsed"])  # their messages have been given to others
                rows.append(
                    {
                        "station": station.name,
                        "in_progress": busy,
                        **{
                            name: int(row[name])
                            for name in (
                                "published",
                                "processed",
                                "dead",
                                "waiting",
                                "delayed",
                                "expired",
                                "redelivered",
                                "refused",
                            )
                        },
                    }
                )
        columns = ["station", "published", "processed", "dead", "waiting", "in_progress", "delayed"]
        more = ["expired", "redelivered", "refused"]
        return pd.DataFrame(rows, columns=[*columns, *more]).set_index("station")

    @functools.cached_property
    def figures(self) -> pd.DataFrame:
        """What single layers know besides: commits at risk, doubles, conflicts; a row a figure."""
        found = [
            figure.model_dump()
            for _, layer in self.scenario.layers()
            for figure in layer.figures(self)
        ]
        columns = ["name", "station", "value", "unit", "help"]
        return pd.DataFrame(found, columns=columns).set_index("name")

    @functools.cached_property
    def cost(self) -> pd.DataFrame:
        """The bill, a line an item."""
        columns = ["item", "station", "quantity", "usd_per_hour_each", "usd_per_hour"]
        rows = [[*line.model_dump().values(), line.usd_per_hour] for line in self.bill()]
        return pd.DataFrame(rows, columns=columns)

    @functools.cached_property
    def topology(self) -> nx.DiGraph[str]:
        """The graph that the map draws; `spof` marks single points of failure."""
        return topology(self.program)
