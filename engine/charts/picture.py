"""A picture in the making: shapes and words as SVG, with everything from outside escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.charts.colours import INK, PAPER

FONT = "Liberation Sans, Arial, Helvetica, DejaVu Sans, sans-serif"
LETTER = 0.56  # mean width of a letter, in its size

# XML 1.0 has no way to say these, escaped or not.
_UNSAYABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Picture(NamedTuple):
    """A drawn chart."""

    name: str  # plain, fit for a file's name
    title: str
    caption: str  # a sentence for everybody, also for who cannot see it
    svg: str


class Box(NamedTuple):
    """Where something is drawn, in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right end."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower end."""
        return self.top + self.height


class Drawing:
    """Shapes, in the order in which they are drawn."""

    def __init__(self, name: str, title: str, width: float, height: float) -> None:
        self.name, self.title, self.width, self.height = name, title, width, height
        self._parts: list[str] = []
        self._hatches: dict[str, str] = {}

    def picture(self, caption: str) -> Picture:
        """Return what has been drawn."""
        defined = "".join(self._hatches.values())
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(self.width)}'
            f' {_n(self.height)}" width="{_n(self.width)}" height="{_n(self.height)}" role="img"'
            f' font-family="{FONT}"><title>{escaped(self.title)}</title>'
            f"<desc>{escaped(caption)}</desc>{f'<defs>{defined}</defs>' if defined else ''}"
            f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(self._parts)}</svg>'
        )
        return Picture(self.name, self.title, caption, svg)

    def rect(self, box: Box, fill: str, stroke: str = "none", **more: str | float) -> None:
        """Draw a rectangle; nothing if it has no extent."""
        if box.width > 0 and box.height > 0:
            self._add("rect", x=box.left, y=box.top, width=box.width, height=box.height,
                      fill=fill, stroke=stroke, **more)  # fmt: skip

    def line(
        self, x1: float, y1: float, x2: float, y2: float, stroke: str, **more: str | float
    ) -> None:
        """Draw a straight line."""
        self._add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **more)

    def path(self, d: str, stroke: str, fill: str = "none", **more: str | float) -> None:
        """Draw a path."""
        if d:
            self._add("path", d=d, stroke=stroke, fill=fill, **more)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 11,
        anchor: str = "start",
        fill: str = INK,
        bold: bool = False,
        room: float = 0,
    ) -> None:
        """Write words on one line; what does not fit into `room` pixels is cut."""
        if room:
            words = fitted(words, room, size)
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" text-anchor="{anchor}"'
            f' fill="{fill}"{weight}>{escaped(words)}</text>'
        )

    def hatch(self, colour: str) -> str:
        """Return a fill of stripes in a colour: what waits is striped."""
        key = f"{self.name}-h{colour.lstrip('#')}"
        self._hatches[key] = (
            f'<pattern id="{key}" width="5" height="5" patternUnits="userSpaceOnUse"'
            f' patternTransform="rotate(45)"><rect width="5" height="5" fill="{colour}"'
            f' fill-opacity="0.22"/><rect width="2" height="5" fill="{colour}"/></pattern>'
        )
        return f"url(#{key})"

    def dots(self, colour: str) -> str:
        """Return a fill of dots in a colour: the network is dotted."""
        key = f"{self.name}-d{colour.lstrip('#')}"
        self._hatches[key] = (
            f'<pattern id="{key}" width="5" height="5" patternUnits="userSpaceOnUse">'
            f'<rect width="5" height="5" fill="{colour}" fill-opacity="0.22"/>'
            f'<circle cx="2.5" cy="2.5" r="1.1" fill="{colour}"/></pattern>'
        )
        return f"url(#{key})"

    def _add(self, element: str, **attributes: str | float) -> None:
        said = "".join(
            f' {name.replace("_", "-")}="{_n(value) if isinstance(value, float | int) else value}"'
            for name, value in attributes.items()
        )
        self._parts.append(f"<{element}{said}/>")


def escaped(text: str) -> str:
    """Return text that is only text, in XML and HTML alike.

    >>> escaped('<script>"&' + chr(0))
    '&lt;script&gt;&quot;&amp;\ufffd'
    """
    return html.escape(_UNSAYABLE.sub("\ufffd", text), quote=True)


def fitted(words: str, room: float, size: float) -> str:
    """Return words cut to a width in pixels.

    >>> fitted("Read replicas", 40, 11)
    'Read …'
    """
    letters = int(room / (LETTER * size))
    return words if len(words) <= letters else words[: max(1, letters - 1)] + "…"


def polyline(points: Iterable[tuple[float, float] | None]) -> str:
    """Return a path through points; None is a gap."""
    said, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        said.append(f"{pen}{_n(point[0])} {_n(point[1])}")
        pen = "L"
    return "".join(said)


def ticks(high: float, count: int = 5) -> list[float]:
    """Return round numbers from 0 to a little above a value.

    >>> ticks(730), ticks(0)
    ([0.0, 200.0, 400.0, 600.0, 800.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    """
    if not high > 0:
        high = 1.0
    raw = high / count
    power = 10.0 ** len(str(int(raw))) / 10 if raw >= 1 else 1.0
    while raw < power:
        power /= 10
    step = next(base * power for base in (1, 2, 5, 10) if base * power >= raw * 0.999)
    number = int(high / step) + (high / step > int(high / step) + 1e-9)
    return [round(place * step, 10) for place in range(number + 1)]


def _n(value: float) -> str:
    """Return a length in tenths of a pixel: finer nobody sees."""
    return f"{value:.1f}".removesuffix(".0")


def spread(
    values: Sequence[float], low: float, high: float, start: float, end: float
) -> list[float]:
    """Return where values between low and high lie between start and end."""
    scale = (end - start) / ((high - low) or 1.0)
    return [start + (value - low) * scale for value in values]
