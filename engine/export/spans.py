"""Kept traces for other programs' eyes: OpenTelemetry's and Jaeger's JSON.

OTLP: the JSON mapping of opentelemetry-proto 1.x (docs/specification.md, "JSON Protobuf
Encoding"): ids in hexadecimal, enumerations as numbers, 64-bit numbers as text.  Jaeger: what its
page loads and saves, {"data": [trace, …]} (jaeger-ui, src/types/trace).  Simulated time begins
at 1970-01-01.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.traces import Span, Trace, span_id
from engine.version import VERSION

SCOPE = "strata"
INTERNAL, SERVER, CLIENT, CONSUMER = 1, 2, 3, 5  # SpanKind of opentelemetry-proto
OK, ERROR = 1, 2  # StatusCode
Json = dict[str, Any]


def to_otlp(traces: Sequence[Trace]) -> bytes:
    """Return traces as one OTLP/JSON TracesData: a resource a station."""
    by_station: dict[str, list[Json]] = {}
    about: dict[str, Span] = {}
    for trace in traces:
        for span in trace.spans:
            about.setdefault(span.station, span)
            by_station.setdefault(span.station, []).append(_otlp(trace, span))
    whole = {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [
                        _attribute("service.name", station),
                        _attribute("service.namespace", about[station].layer),
                        _attribute("strata.title", about[station].title),
                    ]
                },
                "scopeSpans": [{"scope": {"name": SCOPE, "version": VERSION}, "spans": spans}],
            }
            for station, spans in sorted(by_station.items())
        ]
    }
    return _bytes(whole)


def _otlp(trace: Trace, span: Span) -> Json:
    """Return one span as OTLP has it."""
    begin = _nanoseconds(trace, span.start_ms)
    found: Json = {
        "traceId": trace.trace_id,
        "spanId": span_id(trace.trace_id, span.id),
        "name": span.operation,
        "kind": _kind(span),
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(max(begin, _nanoseconds(trace, span.start_ms + span.duration_ms))),
        "attributes": [_attribute(name, value) for name, value in _facts(trace, span).items()],
        "status": {"code": ERROR, "message": span.error} if span.error else {"code": OK},
    }
    if span.parent is not None:
        found["parentSpanId"] = span_id(trace.trace_id, span.parent)
    return found


def to_jaeger(traces: Sequence[Trace]) -> bytes:
    """Return traces as Jaeger's page loads them."""
    whole = {
        "data": [_jaeger(trace) for trace in traces],
        "total": len(traces),
        "limit": 0,
        "offset": 0,
        "errors": None,
    }
    return _bytes(whole)


def _jaeger(trace: Trace) -> Json:
    """Return one trace as Jaeger has it."""
    stations = {span.station: span for span in trace.spans}
    process = {name: f"p{number}" for number, name in enumerate(sorted(stations), 1)}
    return {
        "traceID": trace.trace_id,
        "spans": [
            {
                "traceID": trace.trace_id,
                "spanID": span_id(trace.trace_id, span.id),
                "operationName": span.operation,
                "references": _references(trace, span),
                "startTime": _nanoseconds(trace, span.start_ms) // 1000,
                "duration": max(0, round(span.duration_ms * 1e3)),
                "tags": [_tag(name, value) for name, value in _facts(trace, span).items()]
                + ([_tag("error", value=True), _tag("message", span.error)] if span.error else []),
                "logs": [],
                "processID": process[span.station],
                "warnings": None,
            }
            for span in trace.spans
        ],
        "processes": {
            process[name]: {
                "serviceName": name,
                "tags": [_tag("layer", span.layer), _tag("title", span.title)],
            }
            for name, span in sorted(stations.items())
        },
        "warnings": None,
    }


def _references(trace: Trace, span: Span) -> list[Json]:
    if span.parent is None:
        return []
    parent = span_id(trace.trace_id, span.parent)
    return [{"refType": "CHILD_OF", "traceID": trace.trace_id, "spanID": parent}]


def _facts(trace: Trace, span: Span) -> Json:
    """Return what is known of a span besides its times and its place."""
    found: Json = {
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


def _kind(span: Span) -> int:
    """Return what kind of span a visit is."""
    if span.layer == "client":
        return CLIENT
    if span.layer == "asynchronous":
        return CONSUMER
    return SERVER if span.layer in {"edge", "application"} else INTERNAL


def _attribute(key: str, value: str | float) -> Json:
    """Return a KeyValue of OTLP."""
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    if isinstance(value, float):
        return {"key": key, "value": {"doubleValue": value}}
    return {"key": key, "value": {"stringValue": value}}


def _tag(key: str, value: str | float) -> Json:
    """Return a tag of Jaeger's."""
    kinds = {bool: "bool", int: "int64", float: "float64"}
    return {"key": key, "type": kinds.get(type(value), "string"), "value": value}


def _nanoseconds(trace: Trace, since_ms: float) -> int:
    """Return a moment of a trace in nanoseconds since simulated time began."""
    return max(0, round(trace.started_s * 1e9 + since_ms * 1e6))


def _bytes(whole: Json) -> bytes:
    return (json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
