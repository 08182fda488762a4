"""Takeout: what has happened under the microscope, in the formats that other programs read.

Traces as OTLP/JSON and as Jaeger's page loads them; metrics as OpenMetrics text; logs as JSON
lines.  Simulated time begins at 1970-01-01.  A span that is still open is not among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from engine.errors import ScenarioError, close_to
from engine.export.tracing import ERROR, OK, UNSET, Sent, to_jaeger, to_otlp

if TYPE_CHECKING:
    from engine.microscope.microscope import Microscope

SCOPE = "strata.microscope"
STATUS = {StatusCode.UNSET: UNSET, StatusCode.OK: OK, StatusCode.ERROR: ERROR}


def files(scope: Microscope) -> dict[str, Callable[[], str]]:
    """Return what can be taken along: a file's name, and what writes it."""
    telemetry = scope.parts.telemetry
    return {
        "otlp.json": lambda: to_otlp(_sent(telemetry.spans), SCOPE, {}),
        "jaeger.json": lambda: to_jaeger(_sent(telemetry.spans), {}),
        "metrics.txt": telemetry.openmetrics,
        "logs.jsonl": lambda: "".join(f"{line}\n" for line in telemetry.logs),
    }


def export(scope: Microscope, name: str) -> str:
    """Return one of `files`; raises ScenarioError if there is none of that name."""
    known = files(scope)
    if name not in known:
        raise ScenarioError(f"there is no export {name!r}{close_to(name, known)}")
    return known[name]()


def _sent(spans: Sequence[ReadableSpan]) -> Iterator[Sent]:
    """Yield OpenTelemetry's own spans."""
    for span in spans:
        facts = {str(name): str(value) for name, value in (span.attributes or {}).items()}
        station = facts.get("station", "strata")
        yield Sent(
            trace=f"{span.context.trace_id:032x}",
            id=f"{span.context.span_id:016x}",
            parent=None if span.parent is None else f"{span.parent.span_id:016x}",
            station=station,
            layer=station.partition(".")[0],
            name=span.name,
            start=span.start_time or 0,
            end=span.end_time or 0,
            status=STATUS[span.status.status_code],
            error=span.status.description or "",
            facts=facts,
        )
