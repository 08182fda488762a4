"""Traces: one request, from the click to the answer, and whose time it was."""

from typing import Literal

import streamlit as st

from engine import Trace
from pages.parts import charts, state, words
from pages.parts.frame import enter
from pages.parts.waterfall import shares, waterfall

Which = Literal["p50", "p95", "p99", "slowest", "failed"]
WHICH: dict[Which, str] = {
    "p50": "a typical one (half are faster)",
    "p95": "a slow one (95 of 100 are faster)",
    "p99": "a very slow one (99 of 100 are faster)",
    "slowest": "the slowest of all",
    "failed": "one that failed",
}


def choose(run: state.Run) -> tuple[str, Which]:
    """Draw the choices and return the journey and which of its requests."""
    titles = run.result.journeys["title"]
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="choices"):
        journey = st.segmented_control(
            "Journey",
            list(titles.index),
            format_func=lambda name: str(titles[name]),
            default=str(titles.index[-1]),
            required=True,
            key=state.JOURNEY,
            bind="query-params",
        )
        which = st.segmented_control(
            "Request",
            list(WHICH),
            default="p95",
            required=True,
            key="which",
            bind="query-params",
        )
    return str(journey), which


def tell(run: state.Run, journey: str, which: Which) -> Trace | None:
    """Draw the waterfall of the chosen request and return it; say why if there is none."""
    title = str(run.result.journeys.at[journey, "title"])
    trace = run.result.trace(journey, which)
    if trace is not None:
        waterfall(trace, f"{title}: {WHICH[which]}")
    elif which == "failed":
        st.info(
            f"No request of “{words.plain(title)}” failed in this run. To see one, take capacity "
            "away: fewer servers, threads or workers on the left, or more requests per second."
        )
    else:
        st.info(
            f"No request of “{words.plain(title)}” was answered in this run. "
            "Look at one that failed, or give the system more to work with."
        )
    return trace


def compare(run: state.Run, journey: str, trace: Trace | None) -> None:
    """Draw whose time this request's latency was, beside the mean and the P99 of all."""
    of_all = run.result.shares[run.result.shares["journey"] == journey]
    bars = {} if trace is None else {"This request": shares(trace)}
    bars["Mean of all"] = of_all[of_all["of"] == "mean"]
    bars["P99 of all"] = of_all[of_all["of"] == "p99"]
    st.markdown("**Whose time is it?**")
    st.plotly_chart(
        charts.shares(bars),
        key="shares",
        config={"displayModeBar": False},
        alt="Share of each layer in the latency, split into working, waiting and network",
    )
    st.caption(
        "Each bar is a whole latency, split by layer. Solid is working, striped is waiting in "
        "line, dotted is the network. Where slow requests have more stripes, a line is to blame."
    )


def distribution(run: state.Run, journey: str) -> None:
    """Draw how long all requests of the journey took."""
    row = run.result.journeys.to_dict("index")[journey]
    marks = {name: float(row[f"latency_ms_{name}"] or 0) for name in ("p50", "p95", "p99")}
    st.markdown("**How long do requests take?**")
    st.plotly_chart(
        charts.latency_distribution(run.result.latency(journey), marks),
        key="distribution",
        config={"displayModeBar": False},
        alt=", ".join(f"{name} {words.milliseconds(at)}" for name, at in marks.items()),
    )
    st.caption(
        "The hill is what most people get; the long tail to the right is what some of them get. "
        "Each step along the axis multiplies the time."
    )


run = enter()
journey, which = choose(run)
trace = tell(run, journey, which)
if run.result.journeys.at[journey, "answered"]:
    left, right = st.columns([3, 2], gap="medium")
    with left, st.container(gap="xsmall"):
        compare(run, journey, trace)
    with right, st.container(gap="xsmall"):
        distribution(run, journey)
