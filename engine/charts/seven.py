"""The architecture drawn: a column a layer, a box a station, an arrow whoever calls whom."""

from __future__ import annotations

import math

from engine import words
from engine.charts.colours import BAD, INK, LAYERS, MUTED, PAPER, SHADE
from engine.charts.picture import Box, Drawing, Picture
from engine.result import Result

COLUMN, GAP, ROW, HIGH = 112.0, 26.0, 62.0, 44.0


def architecture(result: Result) -> Picture:
    """Return the seven layers with everything that is on, and how busy it is."""
    graph = result.topology
    columns = {
        layer: [name for name in graph if graph.nodes[name]["layer"] == layer]
        for layer, part in result.scenario.layers()
    }
    rows = max(1, *(len(names) for names in columns.values()))
    width = len(columns) * (COLUMN + GAP) + GAP
    height = 62 + rows * ROW + 24
    drawing = Drawing("architecture", "Architecture", width, height)
    boxes: dict[str, Box] = {}
    for place, (layer, names) in enumerate(columns.items()):
        left = GAP + place * (COLUMN + GAP)
        drawing.rect(Box(left - 7, 8, COLUMN + 14, height - 36), SHADE, rx=6)
        drawing.rect(Box(left - 7, 8, COLUMN + 14, 4), LAYERS[layer])
        drawing.text(left, 30, layer.capitalize(), size=12, bold=True)
        if not names:
            drawing.text(left, 48, "off, or not used", fill=MUTED)
        spare = (rows - len(names)) * ROW / 2
        for row, name in enumerate(names):
            boxes[name] = Box(left, 44 + spare + row * ROW, COLUMN, HIGH)
    for source, target in graph.edges:
        _arrow(
            drawing, boxes[source], boxes[target], bool(graph.edges[source, target]["telemetry"])
        )
    busy = result.stations["utilisation"].to_dict()
    for name, box in boxes.items():
        _station(drawing, box, graph.nodes[name], float(busy.get(name, math.nan)))
    drawing.text(
        GAP - 7, height - 10, "⚠ a single point of failure · % how busy it was · × how many"
    )
    alone = [str(graph.nodes[name]["title"]) for name in graph if graph.nodes[name]["spof"]]
    told = f"Without a spare: {', '.join(alone)}." if alone else "Nothing is without a spare."
    return drawing.picture(f"{len(boxes)} parts in seven layers. {told}")


def _station(drawing: Drawing, box: Box, node: dict[str, object], busy: float) -> None:
    """Draw one part."""
    colour = LAYERS[str(node["layer"])]
    drawing.rect(box, PAPER, BAD if node["spof"] else colour, stroke_width=1.4, rx=4)
    drawing.rect(Box(box.left, box.top, 4, box.height), colour)
    title = f"⚠ {node['title']}" if node["spof"] else str(node["title"])
    drawing.text(box.left + 10, box.top + 17, title, bold=True, room=COLUMN - 12)
    known = [f"×{node['instances']}"] if int(str(node["instances"])) > 1 else []
    known += [] if math.isnan(busy) else [words.percent(busy)]
    drawing.text(box.left + 10, box.top + 33, " · ".join(known), size=10, fill=INK)


def _arrow(drawing: Drawing, source: Box, target: Box, telemetry: bool) -> None:
    """Draw who calls whom; telemetry is dashed."""
    more: dict[str, str | float] = {"stroke_width": 1.0, "stroke_opacity": 0.75}
    if telemetry:
        more["stroke_dasharray"] = "3 3"
    y1, y2 = source.top + source.height / 2, target.top + target.height / 2
    if target.left > source.left:
        x1, x2, bend = source.right, target.left, max(14.0, (target.left - source.right) / 2)
        drawing.path(f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}", MUTED, **more)
        head = f"M{x2} {y2}l-6 -3v6z"
    elif target.left == source.left:
        x1 = source.right
        drawing.path(f"M{x1} {y1}C{x1 + 18} {y1} {x1 + 18} {y2} {x1} {y2}", MUTED, **more)
        head = f"M{x1} {y2}l6 -3v6z"
    else:
        x1, x2 = source.left, target.right
        drawing.path(f"M{x1} {y1}C{x1 - 20} {y1} {x2 + 20} {y2} {x2} {y2}", MUTED, **more)
        head = f"M{x2} {y2}l6 -3v6z"
    drawing.path(head, "none", MUTED)
