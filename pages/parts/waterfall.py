"""The waterfall: one request's way through the system, every wait and every piece of work."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from engine import Span, Trace

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "strata_waterfall",
    html="<div class='waterfall'></div>",
    css=_HERE.joinpath("waterfall.css").read_text(encoding="utf-8"),
    js=_HERE.joinpath("waterfall.js").read_text(encoding="utf-8"),
)


def waterfall(trace: Trace, heading: str, key: str = "waterfall") -> None:
    """Draw a trace; collapsing and looking at tags happen in the browser alone."""
    ends = [span.start_ms + span.duration_ms for span in trace.spans]
    data = {
        "heading": heading,
        "request": f"{trace.request}-{trace.journey}",
        "latency": round(trace.latency_ms, 3),
        "whole": round(max(trace.latency_ms, *ends), 3),
        "failed": trace.reason if trace.outcome == "failed" else "",
        "spans": [_row(span) for span in trace.spans],
    }
    _component(key=key, data=data)


def _row(span: Span) -> dict[str, Any]:
    """Return what the browser needs of a span, times in milliseconds."""
    return {
        "id": str(span.id),
        "parent": None if span.parent is None else str(span.parent),
        "title": span.title,
        "operation": span.operation,
        "layer": span.layer,
        "start": round(span.start_ms, 3),
        "wait": round(span.wait_ms, 3),
        "duration": round(span.duration_ms, 3),
        "critical": span.critical,
        "background": span.background,
        "error": span.error,
        "tags": [[str(name), str(value)] for name, value in span.tags.items()],
    }


def shares(trace: Trace) -> pd.DataFrame:
    """Return the columns layer, kind and ms: whose time this request's latency was.

    Each moment belongs to the deepest span of the critical path that was open then, so the parts
    add up to the latency.
    """
    critical = [span for span in trace.spans if span.critical and not span.background]
    rows = []
    for span in critical:
        inner = [child for child in critical if child.parent == span.id]
        own = max(0.0, span.duration_ms - sum(child.duration_ms for child in inner))
        waiting = min(own, span.wait_ms)
        network = min(own - waiting, span.network_ms)
        rows += [
            (span.layer, "waiting", waiting),
            (span.layer, "network", network),
            (span.layer, "working", own - waiting - network),
        ]
    table = pd.DataFrame(rows, columns=["layer", "kind", "ms"])
    return table.groupby(["layer", "kind"], sort=False)["ms"].sum().reset_index()
