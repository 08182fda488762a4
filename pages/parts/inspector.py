"""The inspector: what a part is, its numbers, why it is slow, and what to try.

With no part selected it says what to do, which part is the busiest, and why requests failed.
"""

import html
import math

import pandas as pd
import streamlit as st

from engine import Result, inspect
from pages.parts import limits, palette, state, words
from pages.parts.state import Run

HEIGHT = 424  # as high as the map, its key numbers and its player beside it
REMEDIES_MAX = 4

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


def inspector(run: Run) -> None:
    """Draw the inspector of the selected part."""
    stations = run.result.stations
    with st.container(border=True, height=HEIGHT, gap="xsmall", key="inspector"):
        selected = st.selectbox(
            "Part to look into",
            list(stations.index),
            index=None,
            format_func=lambda name: str(stations.at[name, "title"]),
            key=state.STATION,
            bind="query-params",
            placeholder="Whole system",
            label_visibility="collapsed",
        )
        if selected is None:
            _overview(run)
        else:
            _station(run, str(selected))
        _undo()


# ---------------------------------------------------------------- one part


def _station(run: Run, name: str) -> None:
    """Draw one part: facts, reasons, remedies."""
    row = run.result.stations.loc[name]
    letter = _state(run, name, row)
    glyph, word = palette.STATES[letter]
    kind = _KINDS.get(str(row["kind"]), str(row["kind"]))
    st.caption(f"{str(row['layer']).capitalize()} layer, {kind}: {glyph} {word}")
    st.html(_facts(facts(row)))
    found = inspect(run.result, name)
    for sentence in found.sentences:
        st.markdown(words.plain(sentence))
    if found.remedies:
        st.caption("What to try")
    for number, remedy in enumerate(found.remedies[:REMEDIES_MAX]):
        st.button(
            remedy.label,
            key=f"remedy-{number}",
            on_click=state.attempt,
            args=(remedy.label, remedy.changes),
            width="stretch",
        )


def _state(run: Run, name: str, row: "pd.Series[float]") -> str:
    """Return the part's state over the whole run."""
    if not run.result.topology.nodes[name]["on"]:
        return "x"
    failed_share = row["failed_per_s"] / row["rate_per_s"] if row["rate_per_s"] else 0.0
    return limits.station_state(row["utilisation"], failed_share)


def facts(row: "pd.Series[float]") -> list[tuple[str, str]]:
    """Return a part's numbers as (what, number with its unit); what makes no sense is left out."""
    served = row["slots"] > 0
    listed = [
        ("Requests", row["rate_per_s"], words.per_second, True),
        ("Busy", row["utilisation"], words.percent, served),
        ("Hit ratio", row["hit_ratio"], words.percent, True),
        ("Waiting in line", row["waiting_mean"], words.figures, served),
        ("Wait, mean", row["wait_ms_mean"], words.milliseconds, served),
        ("by Erlang's formula", row["theory_wait_ms"], words.milliseconds, True),
        ("Time here, mean", row["residence_ms_mean"], words.milliseconds, served),
        ("Time here, p95", row["residence_ms_p95"], words.milliseconds, served),
        ("Failed", row["failed_per_s"], words.per_second, True),
    ]
    size = [("Size", f"{row['instances']:.0f} × {row['slots'] / row['instances']:.0f} at once")]
    numbers = [
        (what, text(value)) for what, value, text, fits in listed if fits and not math.isnan(value)
    ]
    return (size if served and row["instances"] else []) + numbers


def _facts(pairs: list[tuple[str, str]]) -> str:
    """Return facts as a definition list."""
    rows = "".join(f"<dt>{html.escape(a)}</dt><dd>{html.escape(b)}</dd>" for a, b in pairs)
    return f"<dl class='facts'>{rows}</dl>"


# ---------------------------------------------------------------- the whole system


def _overview(run: Run) -> None:
    """Say what to do, and where it would pay to look first."""
    result = run.result
    st.markdown("**Click a box** on the map to look inside it: its numbers, why, and what to try.")
    st.html(_facts(_whole(result)))
    busiest = str(result.stations["utilisation"].idxmax())
    title = str(result.stations.at[busiest, "title"])
    busy = words.percent(result.stations.at[busiest, "utilisation"])
    st.markdown(f"Busiest now: **{words.plain(title)}**, {busy}.")
    st.button(
        f"Look inside: {title}",
        key="look",
        on_click=_select,
        args=(busiest,),
        width="stretch",
    )
    if result.summary.failures:
        st.caption("Why requests failed")
        ranked = sorted(result.summary.failures.items(), key=lambda pair: -pair[1])
        st.html(_facts([(reason, f"{count:,}") for reason, count in ranked[:5]]))


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
