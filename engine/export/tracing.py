"""Spans in the formats of other programs: OpenTelemetry's and Jaeger's JSON.

OTLP: the JSON mapping of opentelemetry-proto 1.x (docs/specification.md, "JSON Protobuf
Encoding"): ids in hexadecimal, enumerations as numbers, 64-bit numbers as text.  Jaeger: what its
page loads and saves, {"data": [trace, …]} (jaeger-ui, src/types/trace).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.version import VERSION

INTERNAL, SERVER, CLIENT, CONSUMER = 1, 2, 3, 5  # SpanKind of opentelemetry-proto
KINDS = {"client": CLIENT, "edge": SERVER, "application": SERVER, "asynchronous": CONSUMER}
UNSET, OK, ERROR = 0, 1, 2  # StatusCode
Json = dict[str, Any]
About = Mapping[str, Mapping[str, str]]
"""What is known of stations by name: their `layer` and `title`, if that is."""


class Sent(NamedTuple):
    """A span that is over."""

    trace: str  # in hexadecimal, as the other ids
    id: str
    parent: str | None
    station: str
    layer: str
    name: str
    start: float  # nanoseconds; rounded where a format wants it
    end: float
    status: int
    error: str  # "": none
    facts: Mapping[str, str | float]


def to_otlp(spans: Iterable[Sent], scope: str, about: About) -> str:
    """Return spans as one OTLP/JSON TracesData: a resource a station."""
    stations: dict[str, list[Json]] = {}
    for span in spans:
        stations.setdefault(span.station, []).append(_otlp(span))
    written = {"name": scope, "version": VERSION}
    resources = [
        {
            "resource": {"attributes": _resource(name, about.get(name, {}))},
            "scopeSpans": [{"scope": written, "spans": found}],
        }
        for name, found in sorted(stations.items())
    ]
    return _text({"resourceSpans": resources})


def _resource(station: str, known: Mapping[str, str]) -> list[Json]:
    """Return what is said of a station once for all its spans."""
    names = {"layer": "service.namespace", "title": "strata.title"}
    told = [_attribute(name, known[key]) for key, name in names.items() if key in known]
    return [_attribute("service.name", station), *told]


def _otlp(span: Sent) -> Json:
    status: Json = {"code": span.status} | ({"message": span.error} if span.error else {})
    found: Json = {
        "traceId": span.trace,
        "spanId": span.id,
        "name": span.name,
        "kind": KINDS.get(span.layer, INTERNAL),
        "startTimeUnixNano": str(round(span.start)),
        "endTimeUnixNano": str(round(span.end)),
        "attributes": [_attribute(name, value) for name, value in span.facts.items()],
        "status": status,
    }
    return found | ({"parentSpanId": span.parent} if span.parent is not None else {})


def _attribute(key: str, value: str | float) -> Json:
    """Return a KeyValue of OTLP."""
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    if isinstance(value, float):
        return {"key": key, "value": {"doubleValue": value}}
    return {"key": key, "value": {"stringValue": value}}


def to_jaeger(spans: Iterable[Sent], about: About) -> str:
    """Return spans as Jaeger's page loads them: a list of traces."""
    traces: dict[str, list[Sent]] = {}
    for span in spans:
        traces.setdefault(span.trace, []).append(span)
    data = [_jaeger(trace, found, about) for trace, found in traces.items()]
    return _text({"data": data, "total": len(data), "limit": 0, "offset": 0, "errors": None})


def _jaeger(trace: str, spans: list[Sent], about: About) -> Json:
    """Return one trace as Jaeger has it."""
    names = sorted({span.station for span in spans})
    process = {name: f"p{number}" for number, name in enumerate(names, 1)}
    return {
        "traceID": trace,
        "spans": [
            {
                "traceID": trace,
                "spanID": span.id,
                "operationName": span.name,
                "references": _references(span),
                "startTime": round(span.start) // 1000,
                "duration": round((span.end - span.start) / 1000),
                "tags": _tags(span),
                "logs": [],
                "processID": process[span.station],
                "warnings": None,
            }
            for span in spans
        ],
        "processes": {
            process[name]: {
                "serviceName": name,
                "tags": [_tag(key, value) for key, value in about.get(name, {}).items()],
            }
            for name in names
        },
        "warnings": None,
    }


def _references(span: Sent) -> list[Json]:
    if span.parent is None:
        return []
    return [{"refType": "CHILD_OF", "traceID": span.trace, "spanID": span.parent}]


def _tags(span: Sent) -> list[Json]:
    told = [_tag(name, value) for name, value in span.facts.items()]
    if span.status == ERROR:
        told += [_tag("error", value=True), _tag("message", span.error)]
    return told


def _tag(key: str, value: str | float) -> Json:
    """Return a tag of Jaeger's."""
    kinds = {bool: "bool", int: "int64", float: "float64"}
    return {"key": key, "type": kinds.get(type(value), "string"), "value": value}


def _text(whole: Json) -> str:
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n"
