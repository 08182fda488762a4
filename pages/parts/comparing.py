"""Systems side by side: what one run of each shows, with the same luck."""

import html
import re
from collections.abc import Callable
from typing import Any, Literal

import pandas as pd
import streamlit as st

from engine import METRICS, Comparison, Interval, Metric, Verdict
from pages.parts import charts, studycharts, timechart, words
from pages.parts.state import Run
from pages.parts.twinmap import twinmap
from pages.parts.waterfall import shares, waterfall

SHOWN = (
    "latency_ms_p50",
    "latency_ms_p95",
    "latency_ms_p99",
    "error_ratio",
    "answered_per_second",
    "cost_usd_per_hour",
    "cost_usd_per_million_requests",
    "cache_hit_ratio",
    "cdn_hit_ratio",
    "stale_read_ratio",
)
Which = Literal["p50", "p95", "p99", "slowest", "failed"]
WHICH: dict[Which, str] = {
    "p50": "typical",
    "p95": "slow (p95)",
    "p99": "very slow (p99)",
    "slowest": "slowest",
    "failed": "failed",
}
NAMES = {"title", "blurb"}  # of a scenario: no settings
EVENTS_MAX = 200
_ABSOLUTE = re.compile(r" \([+−][^)]*\)")
VALUE_MAX = 80  # characters


# ---------------------------------------------------------------- the verdict


def verdicts(found: Comparison) -> None:
    """Draw every figure of the baseline, and what is different elsewhere, or that nothing is."""
    base, *others = found.names
    heads = "".join(f"<th scope='col' class='says'>{_text(name)}</th>" for name in others)
    rows = []
    for metric in SHOWN:
        told = [found.of(name, metric) for name in others]
        if all(verdict.baseline.runs == 0 and verdict.value.runs == 0 for verdict in told):
            continue
        what = METRICS[metric]
        cells = "".join(_verdict(verdict) for verdict in told)
        rows.append(
            f"<tr data-metric='{metric}'><th scope='row'>{_text(what.title)}</th>"
            f"<td>{_sure(what, told[0].baseline)}</td>{cells}</tr>"
        )
    st.html(
        "<table class='facts-table verdicts'><thead><tr><th scope='col'>Figure</th>"
        f"<th scope='col'>{_text(base)}</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
        "</table>"
    )
    st.caption(
        f"Means of {found.runs} runs of each, ± the half-width of their 95 % interval; behind them"
        " the paired difference with its own ±, which is narrower: run by run, both systems meet"
        " the same requests and the same luck. A difference within ± of 0 may be chance, and is"
        " called none."
    )


def _verdict(verdict: Verdict) -> str:
    """Return a cell: the value, how it differs, and whether that is better."""
    what = METRICS[verdict.metric]
    said = verdict.sentence.removeprefix(f"{what.title}: ")
    said = _ABSOLUTE.sub("", said)  # the value itself stands beside it
    style = next((each for each in ("better", "worse") if said.endswith(each)), "noise")
    glyph = {"better": "✓ ", "worse": "✕ "}.get(style, "")
    value = _sure(what, verdict.value)
    return f"<td class='says {style}'>{glyph}{value} <small>· {_text(said)}</small></td>"


def _sure(what: Metric, value: Interval) -> str:
    """Return a mean, and how far off it may be."""
    return (
        f"<span class='sure'>{_text(what.say(value.mean))}"
        f"<small>{_text(what.half(value.half_width))}</small></span>"
    )


def differing(
    differs: dict[str, list[tuple[str, Any, Any]]], base: str, titles: dict[str, str]
) -> None:
    """Draw exactly what differs in the configuration; `titles` has what knobs are called."""
    for name, everything in differs.items():
        rows = [row for row in everything if row[0] not in NAMES]
        st.markdown(f"**What differs: {words.plain(name)}**")
        if not rows:
            st.caption("Nothing: it is the same system as the baseline. Move a slider.")
            continue
        body = "".join(
            f"<tr><th scope='row'>{_setting(path, titles)}</th>"
            f"<td>{_value(old)}</td><td>{_value(new)}</td></tr>"
            for path, old, new in rows
        )
        st.html(
            f"<div class='scrolls'><table class='facts-table differs'><thead><tr><th>Setting</th>"
            f"<th>{_text(base)}</th><th>{_text(name)}</th></tr></thead><tbody>{body}</tbody>"
            "</table></div>"
        )


def _setting(path: str, titles: dict[str, str]) -> str:
    """Return a setting's title above its path."""
    title = titles.get(path)
    small = f"<small class='path'>{_text(path)}</small>"
    return f"{_text(title)}<br>{small}" if title else _text(path)


def _value(value: Any) -> str:
    """Return a setting's value; long ones are cut."""
    if isinstance(value, bool) or value is None:
        text = {True: "on", False: "off", None: "–"}[value]
    else:
        text = f"{value:,.10g}" if isinstance(value, int | float) else str(value)
    return _text(text if len(text) <= VALUE_MAX else f"{text[:VALUE_MAX]} …")


def _text(text: str) -> str:
    """Return text as HTML."""
    return html.escape(text)


# ---------------------------------------------------------------- one run of each


def over_time(runs: dict[str, Run]) -> None:
    """Draw P99, answers and errors over time, one line a system."""
    looks = list(zip(studycharts.SCENARIOS, studycharts.DASHES, strict=True))
    timechart.row(
        [
            charts.overlay(runs, title, unit, column, looks)
            for title, unit, column in (
                ("P99 latency, ms", "ms", "latency_ms_p99"),
                ("Answered per second", "/s", "answered_per_s"),
                ("Failed per second", "/s", "failed_per_s"),
            )
        ],
        key="overlaid",
    )


def latency(runs: dict[str, Run]) -> None:
    """Draw how latencies are distributed, over one another."""
    st.plotly_chart(
        studycharts.latencies({name: run.result.latency() for name, run in runs.items()}),
        key="latencies",
        config={"displayModeBar": False},
        alt="; ".join(
            f"{name}: p99 {words.milliseconds(run.result.summary.latency_ms_p99 or 0)}"
            for name, run in runs.items()
        ),
    )
    st.caption(
        "A hill further left is faster for most; a longer tail on the right is slow for some."
    )


def traces(runs: dict[str, Run]) -> None:
    """Draw one request of each system beside the others: whose time, and its critical path."""
    titles = {
        name: str(title)
        for run in reversed(runs.values())
        for name, title in run.result.journeys["title"].items()
    }
    with st.container(horizontal=True, gap="medium"):
        journey = st.selectbox(
            "Journey",
            list(titles),
            index=len(titles) - 1,
            format_func=titles.__getitem__,
            key="compare-journey",
        )
        which = st.segmented_control(
            "Request",
            list(WHICH),
            format_func=WHICH.__getitem__,
            default="p99",
            required=True,
            key="compare-which",
        )
    found = {
        name: run.result.trace(journey, which)
        for name, run in runs.items()
        if journey in run.result.journeys.index
    }
    known = {name: trace for name, trace in found.items() if trace is not None}
    if not known:
        st.info("No such request was answered in either system. Choose another journey.")
        return
    st.plotly_chart(
        charts.shares({name: shares(trace) for name, trace in known.items()}),
        key="compare-shares",
        config={"displayModeBar": False},
        alt="Whose time each request's latency was",
    )
    columns = st.columns(min(2, len(known)), gap="small")
    for place, (name, trace) in enumerate(known.items()):
        with columns[place % len(columns)]:
            waterfall(trace, name, key=f"waterfall-{place}")
    for name in runs.keys() - known.keys():
        st.caption(f"{words.plain(name)}: no such request was answered.")
    st.caption(
        "One request of the same rank in each system, not the same person's. The underlined bars"
        " are the critical path: only a shorter one of them makes the request faster."
    )


def parts(runs: dict[str, Run]) -> None:
    """Draw every part of the map: how busy it is and how long one waits, side by side."""
    tables = {name: run.result.stations for name, run in runs.items()}
    order = list(
        dict.fromkeys(
            part for table in tables.values() for part in table.index[table["rate_per_s"] > 0]
        )
    )
    heads = "".join(f"<th colspan='3'>{_text(name)}</th>" for name in runs)
    again = "<th>Rate</th><th>Busy</th><th>Waits</th>" * len(runs)
    rows = []
    for part in order:
        title = next(str(t.at[part, "title"]) for t in tables.values() if part in t.index)
        layer = part.partition(".")[0]
        cells = "".join(_part(table, part) for table in tables.values())
        rows.append(
            f"<tr><th scope='row' style='--seam:var(--layer-{_text(layer)})'>{_text(title)}</th>"
            f"{cells}</tr>"
        )
    st.html(
        f"<div class='sideways'><table class='facts-table'><thead><tr><th>Part</th>{heads}</tr>"
        f"<tr><th></th>{again}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _part(table: pd.DataFrame, part: str) -> str:
    """Return one part's cells in one system."""
    if part not in table.index:
        return "<td colspan='3' class='noise'>is not there</td>"
    row = table.loc[part]
    busy = float(row["utilisation"])
    texts: list[tuple[str, Callable[[float], str]]] = [
        ("rate_per_s", words.per_second),
        ("utilisation", words.percent),
        ("wait_ms_mean", words.milliseconds),
    ]
    full = " worse" if busy >= 0.95 else ""
    return "".join(
        f"<td class='{full if column == 'utilisation' else ''}'>"
        f"{'✕ ' if full and column == 'utilisation' else ''}"
        f"{'–' if pd.isna(row[column]) else text(float(row[column]))}</td>"
        for column, text in texts
    )


def events(runs: dict[str, Run]) -> None:
    """Draw what happened in each system."""
    for column, (name, run) in zip(st.columns(len(runs), gap="small"), runs.items(), strict=True):
        with column:
            st.markdown(f"**{words.plain(name)}**")
            table = run.result.events
            table = table[table["kind"] != "flush"].head(EVENTS_MAX)
            if table.empty:
                st.caption("Nothing but requests: no fault, no alert, no scaling.")
                continue
            rows = "".join(
                f"<tr><td>{row.time_s:,.1f} s</td><td class='says'>{_text(str(row.text))}</td></tr>"
                for row in table.itertuples()
            )
            st.html(
                "<div class='scrolls'><table class='facts-table'><tbody>"
                f"{rows}</tbody></table></div>"
            )


def cost(runs: dict[str, Run]) -> None:
    """Draw each system's bill, line by line."""
    bills = {
        name: run.result.cost.groupby("item", sort=False)["usd_per_hour"].sum()
        for name, run in runs.items()
    }
    items = list(dict.fromkeys(item for bill in bills.values() for item in bill.index))
    heads = "".join(f"<th>{_text(name)}</th>" for name in runs)
    rows = "".join(
        f"<tr><th scope='row'>{_text(str(item))}</th>"
        + "".join(
            f"<td>{words.running(float(bill[item])) if item in bill.index else '–'}</td>"
            for bill in bills.values()
        )
        + "</tr>"
        for item in items
    )
    total = "".join(
        f"<td><b>{words.running(float(bill.sum()))}</b></td>" for bill in bills.values()
    )
    st.html(
        f"<table class='facts-table'><thead><tr><th>Costs</th>{heads}</tr></thead>"
        f"<tbody>{rows}<tr><th scope='row'>All</th>{total}</tr></tbody></table>"
    )


VIEWS: dict[str, Callable[[dict[str, Run]], None]] = {
    "Over time": over_time,
    "Map": twinmap,
    "Latency": latency,
    "Traces": traces,
    "Parts": parts,
    "Events": events,
    "Cost": cost,
}
