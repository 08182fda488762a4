"""Sweep: turn one or two knobs through a range, and see the whole curve."""

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import streamlit as st

from engine import (
    METRICS,
    Axis,
    Lab,
    Precision,
    Scenario,
    StoppedError,
    Sweep,
    combinations,
    law,
    load_knob,
    seeds,
    streamed,
)
from pages.parts import jobs, opening, state, sweepcharts, sweepmap, sweepwords
from pages.parts.axisform import axis_fields, said, titled
from pages.parts.base import Base
from pages.parts.frame import enter
from pages.parts.kept import recall, remember
from pages.parts.players import Estimate, duration, estimate, learn, place, where_played
from pages.parts.sweepcharts import View

JOB = "sweep"
LOOKED_AT = 100  # points that an estimate is made by: more would make the form slow
CELLS_MAX = 900  # on a page; the shell takes more
SURE: dict[str, tuple[int, float]] = {  # runs each, then until the interval is as narrow
    "3 runs each": (3, 0.0),
    "8 runs each": (8, 0.0),
    "until ± 10 %": (3, 0.10),
    "until ± 5 %": (3, 0.05),
    "until ± 2 %": (5, 0.02),
}
LIMITS = {"latency_ms_p99": 500.0, "error_ratio": 0.01}  # an objective to begin with


class Asked(NamedTuple):
    """What a sweep was asked; two that ask the same are the same."""

    stand: opening.Stand
    scenario: str  # its digest
    axes: tuple[Axis, ...]
    runs: int
    until: Precision | None


@dataclasses.dataclass(frozen=True)
class Wish:
    """What the form says: what to play, and what to look at."""

    asked: Asked
    metric: str
    limit: float  # NaN: none


# ---------------------------------------------------------------- what is asked


def form(run: state.Run) -> Wish | None:
    """Draw the fields; return what they ask, or None and say what is wrong."""
    base, scenario = run.base, run.scenario
    one, problem, _ = axis_fields(1, base, scenario, load_knob(scenario))
    two, other, room = axis_fields(2, base, scenario, None)
    axes = [each for each in (one, two) if each]
    problems = [each for each in (problem, other) if each]
    with (
        room or st.container(),
        st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
    ):
        metric, limit, sure = _about()
        button = st.empty()
    if len(axes) == 2 and axes[0].path == axes[1].path:
        problems.append("both knobs are the same; choose another, or clear the second")
    cells = math.prod(len(each.points) for each in axes)
    if cells > CELLS_MAX:
        problems.append(f"{cells:,} points are more than {CELLS_MAX:,}; take fewer steps")
    remember("sweep-")
    if problems or not axes:
        st.warning("; ".join(problems) or "Choose a knob to turn.", icon="⚠️")
        return None
    runs, relative = SURE[sure]
    until = Precision(metric, relative) if relative else None
    asked = Asked(opening.stand(), scenario.digest(), tuple(axes), runs, until)
    _start(button, base, scenario, asked)
    return Wish(asked, metric, limit)


def _about() -> tuple[str, float, str]:
    """Draw the fields of metric, limit and certainty."""
    metric = st.selectbox(
        "Look at",
        list(METRICS),
        index=list(METRICS).index("latency_ms_p99"),
        format_func=lambda name: METRICS[name].title,
        key=recall("sweep-metric"),
        bind="query-params",
        width=190,
    )
    what = METRICS[metric]
    limit = st.number_input(
        f"Limit, {sweepcharts.unit(what)}",
        min_value=0.0,
        value=sweepcharts.scaled(what, LIMITS[metric]) if metric in LIMITS else None,
        step=None,
        format="%g",
        placeholder="none",
        key=recall(f"sweep-limit-{metric}"),
        bind="query-params",
        width=120,
        help="What you promise your users. It is drawn into the picture.",
    )
    sure = st.selectbox(
        "How sure",
        list(SURE),
        key=recall("sweep-sure"),
        bind="query-params",
        width=150,
        help="Each run has other luck. More runs make the band narrower; “until ± 5 %” plays each"
        " point until its mean is known that well.",
    )
    scale = 100.0 if what.unit == "share" else 1.0
    return metric, math.nan if limit is None else limit / scale, sure


def _start(button: Any, base: Base, scenario: Scenario, asked: Asked) -> None:
    """Draw what it will take, and the button that begins."""
    job = jobs.find(JOB)
    running = job is not None and not job.over
    done = job is not None and job.over and job.about == asked and job.result is not None
    first = asked._replace(until=None) if asked.until else asked
    needs = _needs(base, scenario, first)
    said_runs = f"{needs.runs:,} runs" if not asked.until else f"{needs.runs:,} runs or more"
    if needs.kept:
        said_runs += f", {needs.kept:,} of them kept"
    button.button(
        "Start" if not done else "Done ✓",
        type="primary",
        disabled=running or done,
        on_click=_begin,
        args=(base, scenario, asked, needs),
        width=110,
        key="sweep-start",
    )
    cells = math.prod(len(each.points) for each in asked.axes)
    lasts = f"about {duration(needs.seconds)} on {place()}" if needs.seconds else "there at once"
    st.caption(
        f"{cells:,} points × {asked.runs} seeds = {said_runs}: {lasts}."
        + (" Points that vary more get more runs, up to 200." if asked.until else "")
    )


def _needs(base: Base, scenario: Scenario, asked: Asked) -> Estimate:
    """Return what a sweep takes; asked again at every turn of the page, so kept while it holds."""
    job = jobs.find(JOB)
    key = (asked, job.done if job and job.over else 0)
    kept = st.session_state.get("_sweep_needs")
    if kept is None or kept[0] != key:
        grid = combinations(asked.axes)
        some = grid[:: max(1, len(grid) // LOOKED_AT)]
        systems = [scenario.change(changes) for changes in some]
        kept = key, estimate(base, systems, seeds(asked.runs), len(grid))
        st.session_state["_sweep_needs"] = kept
    return kept[1]


def _begin(base: Base, scenario: Scenario, asked: Asked, needs: Estimate) -> None:
    """Start the sweep beside the page."""
    jobs.start(JOB, asked, _work(base, scenario, asked, needs))


def _work(
    base: Base, scenario: Scenario, asked: Asked, needs: Estimate
) -> Callable[[jobs.Job[Sweep], Lab], Sweep]:
    def work(job: jobs.Job[Sweep], lab: Lab) -> Sweep:
        found = Sweep(asked.axes, (), 1)
        for found in streamed(scenario, asked.axes, lab, asked.runs, asked.until):
            job.partial = found
        if not found.whole or job.cancelled:
            raise StoppedError
        if asked.until is None:
            learn(base, needs.seconds, time.monotonic() - job.began)
        return found

    return work


# ---------------------------------------------------------------- what came out


def shown(wish: Wish, asked: Asked, found: Sweep, *, over: bool) -> None:
    """Draw what is known of a sweep."""
    knobs = tuple(state.base().knobs[each.path] for each in asked.axes)
    log = tuple(_logarithmic(each) for each in asked.axes)
    view = View(found, knobs, METRICS[wish.metric], wish.limit, log)
    if len(asked.axes) == 2:
        _chart("map", sweepmap.heat(view), sweepwords.of_map(view), asked, found, over=over)
    elif knobs[0].path == load_knob_of(asked):
        left, right = st.columns(2, gap="medium")
        with left:
            _chart(
                "curve", sweepcharts.curve(view), sweepwords.of_curve(view), asked, found, over=over
            )
        with right:
            _load(view, asked, over=over)
    else:
        _chart("curve", sweepcharts.curve(view), sweepwords.of_curve(view), asked, found, over=over)
    problems = [cell for cell in found.cells if cell.problem]
    if problems:
        st.warning(
            f"{len(problems)} of {len(found.cells)} points cannot be played, such as"
            f" {_named(asked, problems[0].changes)}: {problems[0].problem}",
            icon="⚠️",
        )
    if over:
        _table(view, asked)


def load_knob_of(asked: Asked) -> str:
    """Return the path of the first axis if it is a load, else ""."""
    path = asked.axes[0].path
    return path if path in {"client.requests_per_second", "client.users"} else ""


def _load(view: View, asked: Asked, *, over: bool) -> None:
    """Draw the two pictures that only load has."""
    found = law(view.found) if over else None
    which = "hockey"
    if found is not None:
        which = st.segmented_control(
            "Picture",
            ["hockey", "law"],
            default="hockey",
            required=True,
            format_func={"hockey": "Throughput and latency", "law": "Scalability law"}.__getitem__,
            key="sweep-picture",
            label_visibility="collapsed",
        )
    if which == "law" and found is not None:
        _chart(
            "law",
            sweepcharts.law(view, found.fit),
            sweepwords.of_law(view, found),
            asked,
            view.found,
            over=over,
        )
    else:
        _chart(
            "hockey",
            sweepcharts.hockey(view),
            sweepwords.of_hockey(view),
            asked,
            view.found,
            over=over,
        )


def _chart(name: str, figure: Any, text: str, asked: Asked, found: Sweep, *, over: bool) -> None:
    """Draw one picture with its words; a click on a finished one opens that scenario."""
    common: dict[str, Any] = {"config": {"displayModeBar": False}, "alt": text}
    if not over:
        st.plotly_chart(figure, key=f"{name}-so-far", **common)
    else:
        event = st.plotly_chart(
            figure, key=f"sweep-{name}", on_select="rerun", selection_mode="points", **common
        )
        points = event.selection.points
        if points:
            changes = _clicked(found, points[0])
            if changes:
                opening.open_in_playground(_named(asked, changes), asked.stand, changes)
    st.caption(text)


def _clicked(found: Sweep, point: dict[str, Any]) -> dict[str, Any] | None:
    """Return the cell that was clicked: its number is the last thing that a point carries."""
    carried = point.get("customdata")
    number = carried[-1] if isinstance(carried, list) else carried
    return dict(found.cells[int(number)].changes) if number is not None else None


def _named(asked: Asked, changes: dict[str, Any]) -> str:
    known = state.base().knobs
    return ", ".join(f"{known[p].title} {said(known[p], v)}" for p, v in changes.items())


def _logarithmic(each: Axis) -> bool:
    """Return whether points are spread so that a logarithmic axis shows them best."""
    numbers = [p for p in each.points if isinstance(p, int | float) and not isinstance(p, bool)]
    if len(numbers) < 3 or len(numbers) < len(each.points) or min(numbers) <= 0:
        return False
    ratios = [b / a for a, b in itertools.pairwise(numbers)]
    return max(ratios) < 1.3 * min(ratios) and numbers[-1] > 8 * numbers[0]


def _table(view: View, asked: Asked) -> None:
    """Draw every number, and offer them as a file."""
    table = view.found.table
    with st.expander("All numbers"):
        names = {knob.path: titled(knob) for knob in view.knobs}
        for name, metric in METRICS.items():
            heading = sweepcharts.heading(metric)
            names |= {name: heading, f"{name}_half_width": f"± {heading}"}
        shown_table = table[[name for name in names if name in table]].rename(columns=names)
        for name, metric in METRICS.items():
            if metric.unit == "share":
                shown_table[[names[name], names[f"{name}_half_width"]]] *= 100
        st.dataframe(shown_table.round(3), hide_index=True)
        st.download_button(
            "Download as CSV",
            table.to_csv(index=False),
            file_name=f"sweep-{'-'.join(each.path for each in asked.axes)}.csv",
            mime="text/csv",
            on_click="ignore",
            help="Every figure's mean, and half the width of its 95 % interval.",
        )


# ---------------------------------------------------------------- the page

run = enter()
wish = form(run)
job = jobs.find(JOB)
if job is None:
    st.info(
        "A sweep turns a knob through a range and plays the system at every point: you see where it"
        " bends and where it breaks. Try the first knob as it stands, and press **Start**.",
    )
elif wish is None:
    jobs.watch(job)
else:
    asked = cast("Asked", job.about)
    if asked != wish.asked and job.over:
        st.caption("⚠️ Knobs or fields have changed since; this is what was asked before.")
    jobs.watch(job, functools.partial(shown, wish, asked, over=False))
    if job.over and job.known is not None and asked.stand.key == state.base().key:
        shown(wish, asked, job.known, over=True)
where_played()
