"""The picture of a plan: what every configuration costs, and how slow it is."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from engine import Candidate, front_of
from pages.parts import palette
from pages.parts.sweepcharts import logarithmic

HEIGHT = 330


def front(
    tried: Sequence[Candidate],
    winner: Candidate | None,
    names: Sequence[str],
    limit_ms: float,
) -> go.Figure:
    """Return P99 over cost of all that was tried, the Pareto front, the limit and the winner.

    `names`: what each is, in words; a point carries its place among `tried`.
    """
    figure = go.Figure()
    shown = [place for place, each in enumerate(tried) if not math.isnan(each.latency_ms_p99)]
    best = [each for each in front_of(tried) if not math.isnan(each.latency_ms_p99)]
    figure.add_scatter(
        x=[each.cost_usd_per_hour for each in best],
        y=[each.latency_ms_p99 for each in best],
        mode="lines",
        line={"shape": "hv", "color": palette.LAYERS["application"].here(), "width": 2},
        name="Pareto front",
        hoverinfo="skip",
    )
    for keeps, name, symbol, colour in (
        (False, "✕ breaks it", "x", palette.BAD),
        (True, "keeps the promise", "circle", palette.ANSWERED),
    ):
        places = [place for place in shown if tried[place].keeps == keeps]
        _points(figure, tried, places, names, (name, symbol, colour.here()))
    if winner is not None:
        place = next(n for n, each in enumerate(tried) if each.changes == winner.changes)
        _points(figure, tried, [place], names, ("the cheapest", "star", palette.WARN.here()), 20)
    times = [limit_ms, *(tried[place].latency_ms_p99 for place in shown)]
    wide = max(times) > 8 * min(times) > 0
    figure.add_hline(y=limit_ms, line={"width": 1.4, "dash": "dash", "color": palette.BAD.here()})
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=math.log10(limit_ms) if wide else limit_ms,
        yanchor="bottom",
        text=f"P99 ≤ {limit_ms:,.0f} ms",
        showarrow=False,
        font={"size": 11, "color": palette.BAD.here()},
    )
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 8, "t": 34, "b": 0},
        title={"text": "P99, ms", "font": {"size": 13}, "x": 0, "y": 0.99, "yanchor": "top"},
        xaxis={"title": {"text": "Cost, $/h", "standoff": 6}, "fixedrange": True},
        yaxis={"fixedrange": True, **({} if wide else {"rangemode": "tozero"})},
        legend={
            "orientation": "h", "x": 1, "xanchor": "right", "y": 1.01, "yanchor": "bottom",
            "font": {"size": 11},
        },
        clickmode="event+select",
        dragmode=False,
    )  # fmt: skip
    if wide:
        logarithmic(figure, min(times), max(times))
    return figure


def _points(
    figure: go.Figure,
    tried: Sequence[Candidate],
    places: Sequence[int],
    names: Sequence[str],
    look: tuple[str, str, str],
    size: int = 10,
) -> None:
    """Draw some of the candidates, each with what it is and why it fails."""
    name, symbol, colour = look
    some = [tried[place] for place in places]
    figure.add_scatter(
        x=[each.cost_usd_per_hour for each in some],
        y=[each.latency_ms_p99 for each in some],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": size, "color": colour, "opacity": 0.9},
        text=[_told(each, names[place]) for each, place in zip(some, places, strict=True)],
        customdata=list(places),
        hovertemplate="%{text}<extra></extra>",
    )


def _told(each: Candidate, name: str) -> str:
    """Return what stands beside the pointer."""
    half = each.days[0].latency_half_width
    sure = "" if math.isnan(half) else f" ± {half:,.0f}"
    why = each.broken or "keeps the promise"
    return (
        f"<b>{name}</b><br>${each.cost_usd_per_hour:,.2f}/h, P99 {each.latency_ms_p99:,.0f}{sure}"
        f" ms, errors {each.error_ratio:.2%}<br>{_wrapped(why)}<br>click: open in the Playground"
    )


def _wrapped(text: str) -> str:
    return text.replace("; ", "<br>")


def carried(point: dict[str, Any]) -> int | None:
    """Return the place among what was tried that a clicked point carries."""
    found = point.get("customdata")
    found = found[-1] if isinstance(found, list) else found
    return None if found is None else int(found)
