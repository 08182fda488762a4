"""A picture as PNG, by resvg: one small library without a browser or system libraries.

Letters are those of the machine's fonts, so that PNG files of two machines may differ by a pixel;
SVG files never do.
"""

from __future__ import annotations

from engine.charts.picture import Picture

ZOOM = 2.0  # two pixels a unit: sharp on paper and on dense screens


def to_png(picture: Picture) -> bytes:
    """Return a picture as PNG."""
    import resvg_py  # noqa: PLC0415  (only who wants PNG needs it)

    return bytes(resvg_py.svg_to_bytes(svg_string=picture.svg, zoom=ZOOM))
