"""What is taken along is read by the programs that it is for."""

import json
import subprocess

import pytest
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from engine import ScenarioError
from engine.microscope import Microscope
from tests.deploy.conftest import program
from tests.microscope.shop import amazon, played

IDS = {"traceId", "spanId", "parentSpanId"}


@pytest.fixture(scope="module")
def scope() -> Microscope:
    """Return a microscope under which something has happened, and something has failed."""
    found = amazon(**{"asynchronous.kinds.email.failure_rate": 0.9})
    for journey in ("search", "search", "view", "buy", "buy", "buy"):
        played(found, journey, "iPhone 15")
    return found


def test_opentelemetry_s_own_parser_accepts_the_trace(scope) -> None:
    """A collector would refuse it."""
    whole = json.loads(scope.export("otlp.json"))
    spans = [
        span
        for resource in whole["resourceSpans"]
        for part in resource["scopeSpans"]
        for span in part["spans"]
    ]
    assert all(int(span[name], 16) for span in spans for name in IDS & set(span))
    for span in spans:  # OTLP has ids in hexadecimal, where protobuf's JSON has base64
        for name in IDS & set(span):
            span[name] = ""
    data = json_format.Parse(json.dumps(whole), TracesData())
    assert sum(len(p.spans) for r in data.resource_spans for p in r.scope_spans) == len(spans)
    assert len(spans) == len(scope.parts.telemetry.spans) > 20
    assert any(span["status"]["code"] == 2 for span in spans)


def test_jaeger_s_page_finds_every_span_its_parent_and_its_process(scope) -> None:
    """Its upload draws nothing of a trace with a loose end."""
    data = json.loads(scope.export("jaeger.json"))["data"]
    assert len({trace["traceID"] for trace in data}) == len(data) >= 6
    for trace in data:
        known = {span["spanID"] for span in trace["spans"]}
        roots = 0
        for span in trace["spans"]:
            assert span["traceID"] == trace["traceID"]
            assert span["processID"] in trace["processes"]
            assert span["startTime"] >= 0
            assert span["duration"] >= 0
            roots += not span["references"]
            assert all(each["spanID"] in known for each in span["references"])
        assert roots == 1


def test_promtool_accepts_the_metrics(scope) -> None:
    """A Prometheus would not scrape them, or its linter would complain."""
    text = scope.export("metrics.txt")
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {"strata_requests_total", "strata_queries_total", "strata_request_seconds"} <= families


def test_legs_and_messages_hang_on_the_span_that_sent_them() -> None:
    """A trace in pieces does not show what a request was waiting for."""
    found = amazon()
    played(found, "buy", "iPhone 15")
    steps = [{"do": "parallel", "then": [{"do": "fetch", "dataset": "products"},
                                          {"do": "fetch", "dataset": "products"}]}]  # fmt: skip
    parallel = amazon(**{"journeys.view.steps": steps})
    played(parallel, "view")
    for scope in (found, parallel):
        spans = scope.parts.telemetry.spans
        names = [(span.name, span.start_time, span.parent) for span in spans]
        assert len([span for span in spans if span.parent is None]) == 1, names
        known = {span.context.span_id for span in spans}
        assert all(span.parent.span_id in known for span in spans if span.parent)
    fetched = [span.name for span in parallel.parts.telemetry.spans if "client" in span.name]
    assert len(fetched) == len(set(fetched))


def test_every_log_is_a_line_of_json_with_simulated_time_and_its_trace(scope) -> None:
    """A log that names no trace cannot be followed."""
    lines = [json.loads(line) for line in scope.export("logs.jsonl").splitlines()]
    assert len(lines) == len(scope.journal)
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)
    traces = {f"{span.context.trace_id:032x}" for span in scope.parts.telemetry.spans}
    assert all(line["trace_id"] in traces for line in lines if "trace_id" in line)
    assert any(line["level"] != "info" for line in lines)


def test_a_microscope_that_has_seen_nothing_has_files_too() -> None:
    """An export at the first moment must not be an error."""
    fresh = amazon()
    assert json.loads(fresh.export("otlp.json")) == {"resourceSpans": []}
    assert json.loads(fresh.export("jaeger.json"))["data"] == []
    assert fresh.export("logs.jsonl") == ""
    with pytest.raises(ScenarioError, match="there is no export 'zip'"):
        fresh.export("zip")
