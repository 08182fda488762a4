"""The inspector: what a part is, its numbers, why it is slow, and what to try.

With no part selected it says what to do, which part is the busiest, and why requests failed.
"""

import html
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pandas as pd
import streamlit as st

from engine import Result, inspect
from pages.parts import limits, palette, state, words
from pages.parts.pins import pin_button
from pages.parts.state import Run

REMEDIES_MAX, REASONS_MAX = 4, 4

_KINDS = {
    "source": "people",
    "balancer": "load balancer",
    "service": "service",
    "store": "store of copies",
    "queue": "queue",
    "worker": "queue and its workers",
    "database": "database",
    "telemetry": "telemetry",
}


def selected_part(run: Run) -> str | None:
    """Return the part that `choose_part` will show, None for the whole system."""
    chosen = st.session_state.get(state.STATION, st.query_params.get(state.STATION))
    return chosen if chosen in _titles(run) else None


def choose_part(run: Run) -> str | None:
    """Draw the list of parts and return the chosen one; None is the whole system."""
    titles = _titles(run)
    chosen: str | None = st.selectbox(
        "Part to look into",
        list(titles),
        index=None,
        format_func=titles.__getitem__,
        key=state.STATION,
        bind="query-params",
        placeholder="Whole system",
        label_visibility="collapsed",
    )
    return chosen


def inspector(run: Run, selected: str | None) -> None:
    """Draw what there is to say about the selected part."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="answers"):
        pin_button("pin", "tertiary")
        st.page_link("pages/explain.py", label="Explain")
    if selected is None:
        _overview(run)
    elif selected in run.result.stations.index:
        _station(run, selected)
    else:
        _ghost(selected)
    _undo()


def _titles(run: Run) -> dict[str, str]:
    """Return every part's title by name, ghosts among them; a title used twice names its layer."""
    nodes = {**run.base.whole.nodes, **run.result.topology.nodes}
    plain = {name: str(node["title"]) for name, node in nodes.items()}
    twice = {title for title, count in Counter(plain.values()).items() if count > 1}
    return {
        name: f"{title} ({nodes[name]['layer']})" if title in twice else title
        for name, title in plain.items()
    }


# ---------------------------------------------------------------- one part


def _station(run: Run, name: str) -> None:
    """Draw one part: numbers, reasons, remedies."""
    row = cast("pd.Series[Any]", run.result.stations.loc[name])
    glyph, word = palette.STATES[_state(run, name, row)]
    kind = _KINDS.get(str(row["kind"]), str(row["kind"]))
    found = inspect(run.result, name)
    _write(
        _note(f"{str(row['layer']).capitalize()} layer, {kind}: {glyph} {word}"),
        _facts(facts(row), "wide"),
        *(_paragraph(sentence) for sentence in found.sentences),
        _note("What to try") if found.remedies else "",
    )
    for number, remedy in enumerate(found.remedies[:REMEDIES_MAX]):
        _remedy(number, remedy.label, dict(remedy.changes))


def _ghost(name: str) -> None:
    """Say why a part does nothing, and offer to switch its layer on."""
    layer = name.partition(".")[0]
    _write(
        _note(f"{layer.capitalize()} layer: – off"),
        _paragraph("Requests do not pass here: the layer is off, and the others do without it."),
    )
    _remedy(0, f"Switch {layer} on", {f"{layer}.enabled": True})


def _remedy(number: int, label: str, changes: dict[str, Any]) -> None:
    """Draw a button that turns knobs; it can be undone."""
    st.button(
        label,
        key=f"remedy-{number}",
        on_click=state.attempt,
        args=(label, changes),
        width="stretch",
    )


def _state(run: Run, name: str, row: "pd.Series[Any]") -> str:
    """Return the part's state over the whole run."""
    busy = 0.0 if pd.isna(row["utilisation"]) else float(row["utilisation"])
    if not run.result.topology.nodes[name]["on"]:
        return "x"
    failed_share = row["failed_per_s"] / row["rate_per_s"] if row["rate_per_s"] else 0.0
    return limits.station_state(busy, failed_share)


def facts(row: "pd.Series[Any]") -> list[tuple[str, str]]:
    """Return a part's numbers as (what, number with its unit); what makes no sense is left out."""
    listed: list[tuple[str, Any, Callable[[float], str]]] = [
        ("Rate", row["rate_per_s"], words.per_second),
        ("Failed", row["failed_per_s"], words.per_second),
        ("Busy", row["utilisation"], words.percent),
        ("CPU", row["cpu_utilisation"], words.percent),
        ("Hits", row["hit_ratio"], words.percent),
        ("In line", row["waiting_mean"], words.figures),
        ("Wait", row["wait_ms_mean"], words.milliseconds),
        ("Erlang", row["theory_wait_ms"], words.milliseconds),
        ("Stay", row["residence_ms_mean"], words.milliseconds),
        ("p95", row["residence_ms_p95"], words.milliseconds),
    ]
    numbers = [(what, text(float(value))) for what, value, text in listed if not pd.isna(value)]
    if not row["slots"]:
        return numbers
    return [("Size", f"{row['instances']} × {row['slots']}"), *numbers]


# ---------------------------------------------------------------- the whole system


def _overview(run: Run) -> None:
    """Say what to do, and where it would pay to look first."""
    result = run.result
    _write(_paragraph("Click a box on the map to look inside it: its numbers, why, what to try."))
    busy = result.stations["utilisation"].dropna()
    if len(busy):
        busiest = str(busy.idxmax())
        title = str(result.stations.at[busiest, "title"])
        st.button(
            f"Busiest: {title}, {words.percent(busy[busiest])}",
            key="look",
            on_click=_select,
            args=(busiest,),
            width="stretch",
        )
    reasons = sorted(result.summary.failures.items(), key=lambda pair: -pair[1])[:REASONS_MAX]
    _write(
        _note("Why requests failed") if reasons else "",
        _facts([(reason, f"{count:,}") for reason, count in reasons]),
        _note("The whole run"),
        _facts(_whole(result)),
        _note(run.scenario.blurb),
    )


def _whole(result: Result) -> list[tuple[str, str]]:
    """Return what the strip above the map leaves out."""
    summary = result.summary
    ratios = [
        ("Cache hits", summary.cache_hit_ratio),
        ("CDN hits", summary.cdn_hit_ratio),
        ("Stale reads", summary.stale_read_ratio),
    ]
    return [
        ("Requests sent", f"{summary.started:,}"),
        ("answered", f"{summary.answered:,}"),
        ("failed", f"{summary.failed:,}"),
        ("on their way", f"{summary.in_flight:,}"),
        *((what, words.percent(ratio)) for what, ratio in ratios if ratio is not None),
    ]


def _select(name: str) -> None:
    """Select a part."""
    st.session_state[state.STATION] = name


def _undo() -> None:
    """Draw the way back from the newest remedy."""
    step = state.newest_step()
    if step is not None:
        st.button(f"↩ Undo: {step.label}", key="undo", on_click=state.undo, width="stretch")


# ---------------------------------------------------------------- text
# One element for all text: ten elements of Streamlit's own take the browser 10 ms longer.


def _write(*parts: str) -> None:
    """Draw text; each part is HTML that has been escaped."""
    st.html(f"<div class='told'>{''.join(parts)}</div>")


def _paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{html.escape(text)}</p>"


def _note(text: str) -> str:
    """Return a paragraph in small print."""
    return f"<p class='note'>{html.escape(text)}</p>"


def _facts(pairs: list[tuple[str, str]], style: str = "") -> str:
    """Return facts as a definition list; "wide" sets two of them in a row."""
    rows = "".join(f"<dt>{html.escape(a)}</dt><dd>{html.escape(b)}</dd>" for a, b in pairs)
    return f"<dl class='facts {style}'>{rows}</dl>"
