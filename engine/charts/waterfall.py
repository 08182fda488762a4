"""One request as a waterfall: a bar a visit, striped where it waited, dotted on the network."""

from __future__ import annotations

from engine.charts.colours import BAD, INK, LAYERS, MUTED
from engine.charts.picture import Box, Drawing, Picture
from engine.traces import Trace
from engine.words import milliseconds

ROWS_MAX = 40
BEYOND = 2.5  # times what the user waits for is drawn; work behind the scenes may take hours
ROW, LABELS, WIDTH = 18.0, 240.0, 720.0


def waterfall(name: str, title: str, trace: Trace) -> Picture:
    """Return a trace as a picture; of a long one, the first visits."""
    spans = trace.spans[:ROWS_MAX]
    height = 44 + ROW * len(spans) + (18 if len(spans) < len(trace.spans) else 6)
    drawing = Drawing(name, title, WIDTH, height)
    drawing.text(12, 18, title, size=13, bold=True)
    end = _end(trace)
    scale = (WIDTH - LABELS - 70) / end
    depth: dict[int, int] = {}
    for row, span in enumerate(spans):
        depth[span.id] = 0 if span.parent is None else depth.get(span.parent, 0) + 1
        y = 32 + ROW * row
        indent = 12 + 9 * min(depth[span.id], 8)
        ink = BAD if span.error else INK
        label = (
            f"✕ {span.title}: {span.operation}" if span.error else f"{span.title}: {span.operation}"
        )
        drawing.text(indent, y + 12, label, size=10, fill=ink, room=LABELS - indent)
        x, colour = LABELS + span.start_ms * scale, LAYERS[span.layer]
        wide = max(1.0, min(span.duration_ms * scale, WIDTH - 66 - x))
        x = min(x, WIDTH - 68)
        drawing.rect(Box(x, y + 2, wide, 12), colour, fill_opacity=0.3 if span.background else 0.9)
        waits = min(wide, span.wait_ms * scale)
        if waits > 1:
            drawing.rect(Box(x, y + 2, waits, 12), "#FFFFFF")
            drawing.rect(Box(x, y + 2, waits, 12), drawing.hatch(colour))
        drawing.text(
            min(x + wide + 4, WIDTH - 62),
            y + 12,
            milliseconds(span.duration_ms),
            size=9,
            fill=MUTED,
        )
    if len(spans) < len(trace.spans):
        drawing.text(12, height - 6, f"… and {len(trace.spans) - len(spans)} more", fill=MUTED)
    cut = any(span.start_ms + span.duration_ms > end * 1.001 for span in trace.spans)
    ended = "answered" if trace.outcome == "answered" else f"failed: {trace.reason}"
    return drawing.picture(
        f"{trace.title}, request {trace.request}, {ended} after"
        f" {milliseconds(trace.latency_ms)}. Striped: waiting in line; pale: in the"
        " background."
        f"{' A bar that reaches the right edge goes on.' if cut else ''}"
    )


def _end(trace: Trace) -> float:
    """Return how much of a trace is drawn, ms: of what follows in the background, not the most."""
    last = max((span.start_ms + span.duration_ms for span in trace.spans), default=0.0)
    waits = max(
        (span.start_ms + span.duration_ms for span in trace.spans if not span.background),
        default=last,
    )
    return min(last, BEYOND * waits) or 1.0
