"""Takeout: what has happened under the microscope, in the formats that other programs read.

Traces as OTLP/JSON (opentelemetry-proto 1.x, docs/specification.md, "JSON Protobuf Encoding": ids
in hexadecimal, enumerations as numbers, 64-bit numbers as text) and as Jaeger's page loads them
(jaeger-ui, src/types/trace); metrics as OpenMetrics text; logs as JSON lines.  Simulated time
begins at 1970-01-01.  A span that is still open is not among them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from engine.errors import ScenarioError, close_to

if TYPE_CHECKING:
    from engine.microscope.microscope import Microscope

INTERNAL, SERVER, CLIENT, CONSUMER = 1, 2, 3, 5  # SpanKind of opentelemetry-proto
KINDS = {"client": CLIENT, "edge": SERVER, "application": SERVER, "asynchronous": CONSUMER}
STATUS = {StatusCode.UNSET: 0, StatusCode.OK: 1, StatusCode.ERROR: 2}
Json = dict[str, Any]


def files(scope: Microscope) -> dict[str, Callable[[], str]]:
    """Return what can be taken along: a file's name, and what writes it."""
    telemetry = scope.parts.telemetry
    return {
        "otlp.json": lambda: _text(otlp(telemetry.spans)),
        "jaeger.json": lambda: _text(jaeger(telemetry.spans)),
        "metrics.txt": telemetry.openmetrics,
        "logs.jsonl": lambda: "".join(f"{line}\n" for line in telemetry.logs),
    }


def export(scope: Microscope, name: str) -> str:
    """Return one of `files`; raises ScenarioError if there is none of that name."""
    known = files(scope)
    if name not in known:
        raise ScenarioError(f"there is no export {name!r}{close_to(name, known)}")
    return known[name]()


# ---------------------------------------------------------------- OTLP


def otlp(spans: Sequence[ReadableSpan]) -> Json:
    """Return spans as a TracesData: a resource a station."""
    stations: dict[str, list[ReadableSpan]] = {}
    for span in spans:
        stations.setdefault(_station(span), []).append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [_attribute("service.name", name)]},
                "scopeSpans": [
                    {"scope": {"name": "strata.microscope"}, "spans": [_otlp(s) for s in own]}
                ],
            }
            for name, own in sorted(stations.items())
        ]
    }


def _otlp(span: ReadableSpan) -> Json:
    found: Json = {
        "traceId": _trace(span),
        "spanId": _own(span),
        "name": span.name,
        "kind": KINDS.get(_station(span).partition(".")[0], INTERNAL),
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": [_attribute(str(k), str(v)) for k, v in (span.attributes or {}).items()],
        "status": _status(span),
    }
    if span.parent is not None:
        found["parentSpanId"] = f"{span.parent.span_id:016x}"
    return found


def _status(span: ReadableSpan) -> Json:
    code: Json = {"code": STATUS[span.status.status_code]}
    return code | ({"message": span.status.description} if span.status.description else {})


def _attribute(key: str, value: str) -> Json:
    return {"key": key, "value": {"stringValue": value}}


# ---------------------------------------------------------------- Jaeger


def jaeger(spans: Sequence[ReadableSpan]) -> Json:
    """Return spans as Jaeger's page loads and saves them: a list of traces."""
    traces: dict[str, list[ReadableSpan]] = {}
    for span in spans:
        traces.setdefault(_trace(span), []).append(span)
    data = [_jaeger(name, own) for name, own in traces.items()]
    return {"data": data, "total": len(data), "limit": 0, "offset": 0, "errors": None}


def _jaeger(trace: str, spans: list[ReadableSpan]) -> Json:
    names = sorted({_station(span) for span in spans})
    process = {name: f"p{number}" for number, name in enumerate(names, 1)}
    return {
        "traceID": trace,
        "spans": [
            {
                "traceID": trace,
                "spanID": _own(span),
                "operationName": span.name,
                "references": _references(span),
                "startTime": (span.start_time or 0) // 1000,
                "duration": ((span.end_time or 0) - (span.start_time or 0)) // 1000,
                "tags": _tags(span),
                "logs": [],
                "processID": process[_station(span)],
                "warnings": None,
            }
            for span in spans
        ],
        "processes": {process[name]: {"serviceName": name, "tags": []} for name in names},
        "warnings": None,
    }


def _references(span: ReadableSpan) -> list[Json]:
    if span.parent is None:
        return []
    parent = f"{span.parent.span_id:016x}"
    return [{"refType": "CHILD_OF", "traceID": _trace(span), "spanID": parent}]


def _tags(span: ReadableSpan) -> list[Json]:
    found: list[Json] = [
        {"key": str(key), "type": "string", "value": str(value)}
        for key, value in (span.attributes or {}).items()
    ]
    if span.status.status_code is StatusCode.ERROR:
        found.append({"key": "error", "type": "bool", "value": True})
        found.append({"key": "message", "type": "string", "value": span.status.description or ""})
    return found


# ---------------------------------------------------------------- both


def _station(span: ReadableSpan) -> str:
    return str((span.attributes or {}).get("station", "strata"))


def _trace(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"


def _own(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


def _text(whole: Json) -> str:
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n"
