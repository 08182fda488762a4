"""Observability: what those who run the system get to see, and what that costs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from engine.component import ControlPlane, Layer, Line, knob

if TYPE_CHECKING:
    from engine.program import Program
    from engine.scenario import Scenario


class Observability(Layer):
    """Metrics that are scraped now and then, and traces that are sampled."""

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

    def emit(self, program: Program) -> None:
        """Put the telemetry on the map; it takes no time of a request's."""
        if self.enabled:
            program.station("observability.metrics", "Metrics", "telemetry")
            if self.traces:
                program.station("observability.traces", "Traces", "telemetry")

    def overhead(self) -> float:
        """Return what instrumented code takes, against the same code without."""
        return 1.0

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Scrape."""
        if self.enabled:
            yield self._scrape(run)

    def _scrape(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        while True:
            yield run.env.timeout(run.scenario.observability.scrape_interval_seconds)
            run.scrape()

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """The monitoring host."""
        yield Line(
            item="Metrics and traces",
            station="observability.metrics",
            quantity=1,
            usd_per_hour_each=scenario.prices.observability_usd_per_hour,
        )
