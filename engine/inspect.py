"""Inspection: what a station is doing, why, and what might help, in plain sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from engine.distribution import Frozen
from engine.layers.asynchronous import PREFETCH_MAX
from engine.layers.workers import WORKERS_MAX

if TYPE_CHECKING:
    from engine.result import Result

BUSY = 0.7  # above this, waits grow steeply
FULL = 0.97


class Remedy(Frozen):
    """Something to try: a label, and the knobs that it turns."""

    label: str
    changes: dict[str, float | int | str | bool]


class Inspection(Frozen):
    """What there is to say about a station."""

    station: str
    title: str
    sentences: tuple[str, ...]
    remedies: tuple[Remedy, ...]


def inspect(result: Result, station: str) -> Inspection:
    """Return what there is to say about one station of a result."""
    row: Any = result.stations.loc[station]
    sentences = [*_what(row), *_why(result, station, row), *_besides(result, station)]
    if result.topology.nodes[station]["spof"]:
        sentences.append("It is a single point of failure: if it dies, requests that need it fail.")
    return Inspection(
        station=station,
        title=str(row["title"]),
        sentences=tuple(sentences),
        remedies=tuple(_remedies(result, station, row)),
    )


def _what(row: Any) -> list[str]:
    texts = {
        "source": "Users who ask for things; they wait, lose patience and try again.",
        "balancer": "Hands each request to one of the servers behind it.",
        "service": "Servers with worker threads: a thread is held until its call is answered.",
        "store": "Keeps copies of what is asked for often, until they are too old.",
        "queue": "Takes messages at once, so that nobody has to wait for the work.",
        "worker": "Takes messages one by one and does the work in the background.",
        "database": "Keeps the truth. Each query holds a connection until it is done.",
        "telemetry": "Watches all others; requests do not pass through it.",
    }
    return [texts[str(row["kind"])]]


def _why(result: Result, station: str, row: Any) -> list[str]:
    said = []
    busy, wait, stay = row["utilisation"], row["wait_ms_mean"], row["residence_ms_mean"]
    if not math.isnan(busy):
        if busy >= FULL:
            said.append(
                f"It is {busy:.0%} busy: more comes in than it can do, so a line builds up"
                " and grows for as long as this lasts."
            )
        elif busy >= BUSY:
            said.append(
                f"It is {busy:.0%} busy. Above {BUSY:.0%} every small burst makes a line;"
                " waits grow much faster than load."
            )
        else:
            said.append(f"It is {busy:.0%} busy, which leaves room for bursts.")
    threads, cpu = row["thread_utilisation"], row["cpu_utilisation"]
    if not math.isnan(cpu) and threads > BUSY and threads > cpu + 0.2:
        said.append(
            f"Its threads are {threads:.0%} taken but its CPU is only {cpu:.0%} busy: threads sit"
            " and wait for what they call."
        )
    elif not math.isnan(cpu) and cpu > BUSY:
        said.append(f"The CPU is what limits it: {cpu:.0%} busy.")
    if not math.isnan(wait) and wait >= 1:
        part = f", {wait / stay:.0%} of the time spent here" if stay > 0 else ""
        said.append(f"Requests wait {wait:.1f} ms in line on average{part}.")
    if not math.isnan(row["hit_ratio"]):
        said.append(f"{row['hit_ratio']:.1%} of look-ups find what they want.")
    if row["failed_per_s"] > 0:
        said.append(f"{row['failed_per_s']:.1f} a second are refused or broken off here.")
    if station == "data.replicas" and result.summary.stale_read_ratio:
        said.append(
            f"{result.summary.stale_read_ratio:.2%} of reads that could be stale were: the last"
            " write had not arrived yet."
        )
    return said


def _besides(result: Result, station: str) -> list[str]:
    """Return the figures that the layer itself has of a station."""
    said = []
    for name, row in result.figures[result.figures["station"] == station].iterrows():
        value = f"{row['value']:.1%}" if row["unit"] == "share" else f"{row['value']:,.4g}"
        unit = "" if row["unit"] == "share" else f" {row['unit']}"
        said.append(f"{name}: {value}{unit}. {row['help']}")
    return said


def _remedies(result: Result, station: str, row: Any) -> list[Remedy]:
    scenario = result.scenario
    layer, _, name = station.partition(".")

    def more(label: str, path: str, high: float = math.inf, factor: int = 1) -> list[Remedy]:
        value = scenario.get(path)
        new = value * factor if factor > 1 else value + 1
        return [Remedy(label=label.format(new=new), changes={path: new})] if new <= high else []

    if layer == "application":
        own = scenario.application.services[name]
        path = f"application.services.{name}.replicas" if own.replicas else "application.replicas"
        tries = more("+1 server of each service" if not own.replicas else "+1 server", path, 1000)
        if row["thread_utilisation"] > BUSY:
            tries += more("Double the worker threads", "application.threads", 10_000, 2)
        if row["cpu_utilisation"] > BUSY:
            tries += more("+1 CPU core a server", "application.cores", 256)
        return tries
    queues = scenario.asynchronous
    if layer == "asynchronous" and name in queues.kinds:
        path = f"asynchronous.kinds.{name}.workers"
        tries = (
            more("+1 worker", path, WORKERS_MAX)
            if queues.kinds[name].workers
            else more("+1 worker of each kind", "asynchronous.workers", WORKERS_MAX)
        )
        if queues.broker == "kafka":
            tries += more("Double the partitions", "asynchronous.partitions", 512, 2)
        elif queues.deals and queues.prefetch and queues.round_trip_ms:
            tries += more("Double the prefetch", "asynchronous.prefetch", PREFETCH_MAX, 2)
        return tries
    if station == "data.replicas":
        return more("+1 read replica", "data.read_replicas", 32) + more(
            "Double the cache TTL", "cache.ttl_seconds", 604_800, 2
        )
    if station == "data.primary":
        spare = scenario.data.read_replicas and not scenario.data.failover.on
        switch = Remedy(label="Switch failover on", changes={"data.failover.on": True})
        return (
            [switch] * bool(spare)
            + more("+1 shard", "data.shards", 64)
            + more("Double the connections", "data.connections", 10_000, 2)
        )
    if station == "data.search":
        return more("Double the search threads", "data.search.slots", 10_000, 2) + more(
            "Double the cache TTL", "cache.ttl_seconds", 604_800, 2
        )
    if station == "cache.read":
        return more("Double the cache TTL", "cache.ttl_seconds", 604_800, 2) + more(
            "Double the cache size", "cache.capacity", 10_000_000, 2
        )
    if station in {"client.web", "client.mobile"} and scenario.client.arrivals == "open":
        return more("Double the traffic", "client.requests_per_second", 200_000, 2)
    return []
