"""Stores beside the relational database: each is good at one question."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from engine.component import Component, Inner, Step, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.program import Program

if TYPE_CHECKING:
    from engine.scenario import Scenario


class Search(Component):
    """A search index, such as Elasticsearch."""

    slots: int = knob(
        32,
        "Search threads",
        low=1,
        high=10_000,
        step=1,
        slider_high=256,
        help="Queries it works on at once. Elasticsearch: 3 × cores / 2 + 1 a node.",
    )
    query_time: Time = knob(
        Distribution(lognormal=Lognormal(median=40, p99=180)),
        "Search time",
        unit="ms",
        help="What one query takes.",
    )


class Document(Component):
    """A document store, such as MongoDB: one read brings a whole aggregate."""

    slots: int = knob(
        128,
        "Document tickets",
        low=1,
        high=10_000,
        step=1,
        slider_high=512,
        help="Operations it works on at once. WiredTiger: 128 concurrent read transactions.",
    )
    query_time: Time = knob(
        Distribution(lognormal=Lognormal(median=3, p99=25)),
        "Document time",
        unit="ms",
        help="What one document takes.",
    )

    def scale(self, query: Query) -> float:
        """A document is one document."""
        return 1.0


class TimeSeries(Component):
    """A time-series store, such as Prometheus: the further back one looks, the more it reads."""

    slots: int = knob(
        20,
        "Series queries",
        low=1,
        high=10_000,
        step=1,
        slider_high=128,
        help="Queries it works on at once. Prometheus: query.max-concurrency 20.",
    )
    query_time: Time = knob(
        Distribution(lognormal=Lognormal(median=20, p99=200)),
        "Series time",
        unit="ms",
        help="What one hour of the series takes.",
    )

    def scale(self, query: Query) -> float:
        """Samples to read grow with the range."""
        return query.hours


class Graph(Component):
    """A graph store, such as Neo4j: each hop visits all neighbours of those before."""

    slots: int = knob(
        400,
        "Graph threads",
        low=1,
        high=10_000,
        step=1,
        slider_high=512,
        help="Queries it works on at once. Neo4j: 400 Bolt threads.",
    )
    query_time: Time = knob(
        Distribution(exponential=0.02),
        "Time a node",
        unit="ms",
        help="What a query takes for each node that it visits.",
    )
    fan_out: float = knob(
        20.0,
        "Neighbours",
        low=0,
        high=10_000,
        step=1,
        slider_high=200,
        help="How many neighbours a node has, on average.",
    )

    def scale(self, query: Query) -> float:
        """All nodes within so many hops are visited: 1 + f + f² … of them."""
        return sum(self.fan_out**hop for hop in range(query.hops + 1))


KINDS = {"document": "Document store", "timeseries": "Time series", "graph": "Graph store"}


class Find(Step):
    """Ask the search index."""

    do: Literal["search"] = "search"

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the query."""
        data = scenario.data
        if not data.enabled:
            return
        station = program.station("data.search", "Search index", "database")
        with program.at(station, "query"):
            if not station.pools:
                program.pool(station, data.search.slots)
            work = functools.partial(program.hold, "search", data.search.query_time)
            data.query(program, "search", (station.pools[0], 0), work)


class Query(Step):
    """Ask a document, time-series or graph store."""

    do: Literal["query"] = "query"
    store: Literal["document", "timeseries", "graph"]
    hours: float = Field(
        default=1.0, gt=0, le=87_600, description="Time series: how far back it looks."
    )
    hops: int = Field(
        default=2, ge=1, le=6, description="Graph: how many relationships it follows."
    )

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the query; what it asks for decides how long it takes."""
        data = scenario.data
        if not data.enabled:
            return
        store: Document | TimeSeries | Graph = getattr(data, self.store)
        station = program.station(f"data.{self.store}", KINDS[self.store], "database")
        with program.at(station, "query"):
            if not station.pools:
                program.pool(station, store.slots)
            scale = store.scale(self)
            work = functools.partial(program.hold, self.store, store.query_time, scale=scale)
            data.query(program, self.store, (station.pools[0], 0), work)
