"""Telemetry: spans, metrics and logs, by the libraries that services use for them.

Spans come out of the OpenTelemetry SDK with simulated timestamps, metrics out of a registry
of the Prometheus client that belongs to one microscope alone, logs are lines of JSON.
"""

from __future__ import annotations

import json
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.openmetrics.exposition import generate_latest

from engine.microscope.luck import MASK, mix
from engine.traces import trace_id

NANO = 1_000_000_000
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Ids(IdGenerator):
    """Ids that are the same in every run of a seed: a request's trace id is the kernel's."""

    def __init__(self, seed: int) -> None:
        self.seed, self.request, self.count = seed, 0, 0

    def generate_trace_id(self) -> int:
        """Return the id of the request at hand."""
        return int(trace_id(self.seed, self.request), 16)

    def generate_span_id(self) -> int:
        """Return the next id, never 0."""
        self.count += 1
        return mix((self.seed + self.count) & MASK) or 1


class Telemetry:
    """What one microscope tells about itself."""

    def __init__(self, seed: int) -> None:
        self.ids = _Ids(seed)
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource({"service.name": "strata"}),
            id_generator=self.ids,
            shutdown_on_exit=False,
        )
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("strata.microscope")
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "strata_requests", "Requests by how they ended", ["journey", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "strata_request_seconds", "Time from question to answer", ["journey"],
            registry=self.registry, buckets=BUCKETS,
        )  # fmt: skip
        self.lookups = Counter(
            "strata_store_lookups", "Look-ups by what they found", ["store", "result"],
            registry=self.registry,
        )  # fmt: skip
        self.queries = Counter(
            "strata_queries", "Statements by database", ["database", "kind"],
            registry=self.registry,
        )  # fmt: skip
        self.messages = Counter(
            "strata_messages", "Messages by what became of them", ["kind", "event"],
            registry=self.registry,
        )  # fmt: skip
        self.retries = Counter("strata_retries", "Further tries", registry=self.registry)
        self.logs: list[str] = []

    # ------------------------------------------------------------ spans

    def open(self, request: int, parent: Span | None, name: str, now: float, **tags: Any) -> Span:
        """Begin a span at a simulated time."""
        self.ids.request = request
        context = set_span_in_context(parent) if parent is not None else None
        return self.tracer.start_span(
            name, context=context, start_time=round(now * NANO), attributes=tags
        )

    def close(self, span: Span, now: float, error: str = "") -> None:
        """End a span at a simulated time."""
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end_time=round(now * NANO))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """All spans that have ended."""
        return self.exporter.get_finished_spans()

    # ------------------------------------------------------------ metrics and logs

    def count(self, counter: Counter, amount: float = 1.0, **labels: str) -> str:
        """Count, and return what has moved: `name{labels} 3 → 4`."""
        child = counter.labels(**labels) if labels else counter
        before = child._value.get()  # noqa: SLF001  (there is no other way to read one)
        child.inc(amount)
        inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
        braces = f"{{{inside}}}" if inside else ""
        return f"{counter._name}_total{braces} {before:g} → {before + amount:g}"  # noqa: SLF001

    def log(self, **fields: Any) -> str:
        """Write a line of JSON, and return it."""
        line = json.dumps(fields, ensure_ascii=False)
        self.logs.append(line)
        return line

    def openmetrics(self) -> str:
        """Return all metrics as OpenMetrics text that `promtool check metrics` accepts too.

        promtool reads the older text format, in which a counter's help stands under the name of
        its samples, `…_total`; OpenMetrics has it under the name without.  Both take a family of
        that name whose type is not told, and so the types of counters are left out.  So are the
        times of their creation, which would be the process's.
        """
        text: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        counters = [each.name for each in self.registry.collect() if each.type == "counter"]
        lines = []
        for line in text.decode().splitlines():
            words = line.split(" ", 3)
            if words[0] == "#" and len(words) > 2 and words[2] in counters:
                if words[1] == "HELP":
                    lines.append(f"# HELP {words[2]}_total {words[3]}")
            elif not line.partition("{")[0].partition(" ")[0].endswith("_created"):
                lines.append(line)
        return "\n".join(lines) + "\n"
