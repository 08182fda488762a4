"""Logs: what servers write down about a request, as JSON lines that a trace id joins to traces."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.traces import Span, Trace, sampled, span_id

BEGIN = datetime(1970, 1, 1, tzinfo=UTC)  # simulated time begins here
SPEAKING = {"application", "asynchronous"}  # layers whose stations are programs of one's own


def lines(traces: Iterable[Trace], share: float) -> str:
    """Return JSON lines in order of time: a line a call and a line a request.

    Requests that failed are always logged, of the others a share.
    """
    written = [
        line
        for trace in traces
        if trace.outcome == "failed" or sampled(trace.trace_id, share)
        for line in _of(trace)
    ]
    written.sort(key=lambda line: (line["timestamp"], line["trace_id"], line["span_id"]))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in written)


def _of(trace: Trace) -> Iterable[dict[str, Any]]:
    """Yield what is logged about a request: each call that ended, then the whole."""
    for span in trace.spans:
        if span.layer in SPEAKING:
            yield _line(trace, span) | {
                "message": span.operation,
                "wait_ms": round(span.wait_ms, 3),
                "background": span.background,
            }
    whole = trace.spans[0] if trace.spans else None
    yield _line(trace, whole) | {"message": f"{trace.journey} {trace.outcome}", "whole": True}


def _line(trace: Trace, span: Span | None) -> dict[str, Any]:
    """Return what every line says: when, how bad, where, and whose it is."""
    since_ms = span.start_ms + span.duration_ms if span else trace.latency_ms
    error = trace.reason if span is None or span.error else ""
    when = BEGIN + timedelta(milliseconds=trace.started_s * 1e3 + since_ms)
    said: dict[str, Any] = {
        "timestamp": when.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": "ERROR" if error else "INFO",
        "service": span.station if span else "client.web",
        "trace_id": trace.trace_id,
        "span_id": span_id(trace.trace_id, span.id if span else 0),
        "journey": trace.journey,
        "request": trace.request,
        "duration_ms": round(span.duration_ms if span else trace.latency_ms, 3),
    }
    return said | ({"error": error} if error else {})
