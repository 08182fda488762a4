"""Kept traces for other programs' eyes; simulated time begins at 1970-01-01."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.export import tracing
from engine.export.tracing import ERROR, OK, Sent
from engine.traces import Span, Trace, span_id

SCOPE = "strata"


def to_otlp(traces: Sequence[Trace]) -> bytes:
    """Return traces as OpenTelemetry's JSON."""
    return tracing.to_otlp(_sent(traces), SCOPE, _about(traces)).encode()


def to_jaeger(traces: Sequence[Trace]) -> bytes:
    """Return traces as Jaeger's page loads them."""
    return tracing.to_jaeger(_sent(traces), _about(traces)).encode()


def _about(traces: Sequence[Trace]) -> dict[str, dict[str, str]]:
    """Return what is known of each station."""
    spans = (span for trace in traces for span in trace.spans)
    return {span.station: {"layer": span.layer, "title": span.title} for span in spans}


def _sent(traces: Sequence[Trace]) -> Iterator[Sent]:
    """Yield the spans of all traces."""
    for trace in traces:
        for span in trace.spans:
            begin = max(0.0, trace.started_s * 1e9 + span.start_ms * 1e6)
            yield Sent(
                trace=trace.trace_id,
                id=span_id(trace.trace_id, span.id),
                parent=None if span.parent is None else span_id(trace.trace_id, span.parent),
                station=span.station,
                layer=span.layer,
                name=span.operation,
                start=begin,
                end=begin + max(0.0, span.duration_ms * 1e6),
                status=ERROR if span.error else OK,
                error=span.error,
                facts=_facts(trace, span),
            )


def _facts(trace: Trace, span: Span) -> dict[str, str | float]:
    """Return what is known of a span besides its times and its place."""
    found: dict[str, str | float] = {
        "strata.layer": span.layer,
        "strata.wait_ms": span.wait_ms,
        "strata.network_ms": span.network_ms,
        "strata.critical": span.critical,
        "strata.background": span.background,
        **{f"strata.{name.replace(' ', '_')}": value for name, value in span.tags.items()},
    }
    if span.parent is None:
        found |= {
            "strata.journey": trace.journey,
            "strata.request": trace.request,
            "strata.outcome": trace.outcome,
            "strata.latency_ms": trace.latency_ms,
        }
    return found
