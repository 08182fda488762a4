"""Observability: what those who run the system get to see, and what that costs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from engine.component import Component, ControlPlane, Layer, Line, knob
from engine.layers.alerts import Alerts
from engine.layers.replication import lag_seconds

if TYPE_CHECKING:
    from engine.program import Program
    from engine.scenario import Scenario

# Prometheus's client libraries, DefBuckets.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Volume(Component):
    """Telemetry by the byte: how much is sent, and what a hosted service takes for it."""

    on: bool = knob(
        False,
        "Bill by volume",
        help="Add to the bill what a hosted service takes for series, spans and log lines.",
    )
    series: int = knob(
        1000,
        "Series a server",
        low=0,
        high=1_000_000,
        step=100,
        slider_high=10_000,
        help="Time series of one server: metrics × label values × buckets. Assumed.",
    )
    span_bytes: float = knob(
        500.0, "Span", unit="B", low=0, high=1_000_000, step=100, help="Bytes of a span. Assumed."
    )
    log_bytes: float = knob(
        300.0,
        "Log line",
        unit="B",
        low=0,
        high=1_000_000,
        step=100,
        help="Bytes of a log line. Assumed.",
    )

    def bill(self, scenario: Scenario, watch: Observability) -> Iterator[Line]:
        """Yield what metrics, traces and logs of an hour cost."""
        prices, rate = scenario.prices, scenario.client.requests_per_second
        servers = sum(
            scenario.application.servers(name)
            for name in scenario.application.services
            if scenario.application.enabled and scenario.uses("call", name)
        )
        samples = servers * self.series / watch.scrape_interval_seconds
        yield Line(
            item="Metrics, per million samples",
            station="observability.metrics",
            quantity=samples * 3600 / 1e6,
            usd_per_hour_each=prices.samples_usd_per_million,
        )
        total = sum(journey.weight for journey in scenario.journeys.values())
        steps = sum(j.weight * sum(1 for _ in j.walk()) for j in scenario.journeys.values()) / total
        if watch.traces:
            yield Line(
                item="Traces, per GB",
                station="observability.traces",
                quantity=rate * watch.trace_share * steps * self.span_bytes * 3600 / 1e9,
                usd_per_hour_each=prices.traces_usd_per_gb,
            )
        yield Line(
            item="Logs, per GB",
            station="observability.metrics",
            quantity=rate * watch.log_share * steps * self.log_bytes * 3600 / 1e9,
            usd_per_hour_each=prices.logs_usd_per_gb,
        )


class Observability(Layer):
    """Metrics that are scraped now and then, traces and logs that are sampled."""

    scrape_interval_seconds: float = knob(
        5.0,
        "Scrape interval",
        unit="s",
        low=0.1,
        high=600,
        step=1,
        slider_high=60,
        help="How often metrics are read. Between two scrapes nobody sees anything.",
    )
    traces: bool = knob(
        True, "Traces", help="Keep sampled traces: slow ones, failed ones, typical ones."
    )
    sampling: Literal["tail", "head"] = knob(
        "tail",
        "Trace sampling",
        help="Tail: decided at a request's end, so that slow and failed ones are kept. Head:"
        " decided at its start by its id alone, as OpenTelemetry's TraceIdRatioBased: what is rare"
        " is mostly missed.",
    )
    trace_share: float = knob(
        0.01,
        "Trace share",
        low=0,
        high=1,
        step=0.01,
        help="Head: share of requests whose trace is kept. Both: share that storage is paid for.",
    )
    log_share: float = knob(
        1.0,
        "Log share",
        low=0,
        high=1,
        step=0.1,
        help="Share of answered requests that are logged; those that failed always are.",
    )
    bucket_seconds: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = Field(
        default=BUCKETS,
        min_length=1,
        max_length=200,
        title="Histogram buckets",
        description="Upper bounds in seconds of the buckets that Prometheus counts latency in; its"
        " quantiles are guessed from them. The defaults are those of its client libraries.",
    )
    cpu_overhead: float = knob(
        0.0,
        "CPU overhead",
        low=0,
        high=10,
        step=0.01,
        slider_high=0.5,
        help="What instrumented code takes more, as a share of its CPU time. With every request"
        " traced, Google's web search took 16 % longer (Dapper, Sigelman et al. 2010, table 2).",
    )
    volume: Volume = Volume()
    alerts: Alerts = Alerts()

    @field_validator("bucket_seconds")
    @classmethod
    def bounds_rise(cls, bounds: tuple[float, ...]) -> tuple[float, ...]:
        """Each bound is above the one before."""
        if list(bounds) != sorted(set(bounds)):
            raise ValueError("the bounds of buckets have to rise; sort them and drop doubles")
        return bounds

    def emit(self, program: Program) -> None:
        """Put the telemetry on the map; what it takes of a request's time is CPU overhead."""
        if self.enabled:
            program.station("observability.metrics", "Metrics", "telemetry")
            if self.traces:
                program.station("observability.traces", "Traces", "telemetry")

    def overhead(self) -> float:
        """Return what instrumented code takes, against the same code without."""
        return 1.0 + self.cpu_overhead if self.enabled else 1.0

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Scrape, and evaluate alerts."""
        if self.enabled:
            yield self._scrape(run)

    def _scrape(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        alerting = None
        if "data.replicas" in run.plane.program.stations:
            run.metrics.gauge("replica_lag_seconds", "data.replicas", lambda: lag_seconds(run))
        while True:
            yield run.env.timeout(run.scenario.observability.scrape_interval_seconds)
            run.scrape()
            alerts = run.scenario.observability.alerts
            if alerts.on and (alerting is None or not alerting.is_alive):
                alerting = run.env.process(alerts.watch(run))

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """The monitoring host, and telemetry by volume where it is hosted."""
        yield Line(
            item="Metrics and traces",
            station="observability.metrics",
            quantity=1,
            usd_per_hour_each=scenario.prices.observability_usd_per_hour,
        )
        if self.volume.on:
            yield from self.volume.bill(scenario, self)
