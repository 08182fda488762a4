"""Plan: say what you promise, and get the cheapest system that keeps it."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import pandas as pd
import streamlit as st

from engine import Axis, Candidate, Goal, Lab, Plan, Scenario, plan
from pages.parts import jobs, opening, planchart, planform, state, words
from pages.parts.axisform import said, titled
from pages.parts.frame import enter
from pages.parts.players import place, where_played

JOB = "plan"
PROPOSED = 2000  # configurations from which on not all are priced and tried in order
HALVES = {name: st.column_config.TextColumn(alignment="right") for name in ("± ms", "± %")}


class Asked(NamedTuple):
    """What a plan was asked; two that ask the same are the same."""

    stand: opening.Stand
    scenario: str  # its digest
    goal: Goal
    axes: tuple[Axis, ...]


class Known(NamedTuple):
    """What is known of a plan: what was tried, and in the end what was found."""

    tried: tuple[Candidate, ...]
    found: Plan | None = None


# ---------------------------------------------------------------- what is asked


def form(run: state.Run) -> None:
    """Draw the fields, and the button that begins."""
    left, right = st.columns(2, gap="medium")
    with left:
        goal, problem = planform.goal_fields(run.scenario)
    with right:
        axes, other = planform.knob_fields(run.base, run.scenario)
    problems = [each for each in (problem, other) if each]
    if not axes and not problems:
        problems = ["choose at least one knob that may be turned"]
    if problems or goal is None:
        st.warning("; ".join(problems), icon="⚠️")
        return
    asked = Asked(opening.stand(), run.scenario.digest(), goal, tuple(axes))
    job = jobs.find(JOB)
    running = job is not None and not job.over
    done = job is not None and job.over and job.about == asked and job.result is not None
    count = math.prod(len(each.points) for each in axes)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Find the cheapest" if not done else "Done ✓",
            type="primary",
            disabled=running or done,
            on_click=_begin,
            args=(run.scenario, asked),
            key="plan-start",
        )
        st.caption(_effort(count, goal))


def _effort(count: int, goal: Goal) -> str:
    """Say how the search goes about it."""
    many = len(goal.bad_days)
    days = f" and {many} bad day{'s' if many > 1 else ''}" if many else ""
    how = (
        "tried from the cheapest on, until some keep the promise: nothing cheaper can be missed"
        if count <= PROPOSED
        else "too many to try: some are proposed, by what was learnt from those before"
    )
    return f"{count:,} configurations, {how}. 3 seeds each{days}, on {place()}."


def _begin(scenario: Scenario, asked: Asked) -> None:
    """Start the search beside the page."""
    jobs.start(JOB, asked, _work(scenario, asked))


def _work(scenario: Scenario, asked: Asked) -> Callable[[jobs.Job[Known], Lab], Known]:
    def work(job: jobs.Job[Known], lab: Lab) -> Known:
        def tell(tried: Sequence[Candidate]) -> None:
            job.partial = Known(tuple(tried))

        found = plan(scenario, asked.goal, asked.axes, lab, tell=tell)
        return Known(found.tried, found)

    return work


# ---------------------------------------------------------------- what came out


def shown(asked: Asked, known: Known, *, over: bool) -> None:
    """Draw what is known of a plan."""
    found = known.found
    if found is None:
        best = next((each for each in known.tried if each.keeps), None)
        so_far = f"the cheapest so far: {_named(best)}" if best else "none keeps the promise yet"
        st.caption(f"{len(known.tried)} tried, {so_far}.")
        _front(asked, known, None, over=over)
        return
    if found.winner is None:
        st.warning(words.plain(found.sentence), icon="⚠️")
        _front(asked, known, None, over=over)
    else:
        left, right = st.columns([2, 3], gap="medium")
        with left:
            _winner(asked, found, found.winner)
        with right:
            _front(asked, known, found.winner, over=over)
    _others(found)


def _winner(asked: Asked, found: Plan, winner: Candidate) -> None:
    """Draw the cheapest, what it changes, and the button that takes it over."""
    with st.container(border=True, key="plan-winner"):
        st.markdown(f"**The cheapest that keeps the promise: {_money(winner)}**")
        knobs = state.base().knobs
        lines = []
        for path, value in winner.changes.items():
            was = dict(asked.stand.moved).get(path, knobs[path].value)
            same = was == value
            lines.append(
                f"{words.plain(titled(knobs[path]))}: **{said(knobs[path], value)}**"
                + (" (as now)" if same else f" (now {said(knobs[path], was)})")
            )
        st.markdown("  \n".join(lines))
        st.caption(_sure(found))
        with st.container(horizontal=True, gap="small"):
            st.button(
                "Apply",
                type="primary",
                on_click=opening.apply,
                args=(f"plan: {_named(winner)}", asked.stand, winner.changes),
                key="plan-apply",
                disabled=all(
                    state.changed().get(path, knobs[path].value) == value
                    for path, value in winner.changes.items()
                ),
            )
            step = state.newest_step()
            if step is not None:
                st.button("↩ Undo", on_click=state.undo, key="plan-undo", help=step.label)


def _sure(found: Plan) -> str:
    """Say how it did on fresh seeds, and whether something cheaper may have been missed."""
    text = ""
    if found.verified is not None:
        parts = []
        for day in found.verified.days:
            name = day.name or "an ordinary day"
            slow = f"P99 {day.latency_ms_p99:,.0f} ± {day.latency_half_width:,.0f} ms, "
            errors = f"errors {day.error_ratio:.2%} ± {day.error_half_width:.2%}"
            first = day is found.verified.days[0]
            parts.append(f"{name}: {slow if first else ''}{errors}")
        text += (
            f"Verified on {found.verified.days[0].runs} seeds that it was not chosen by: "
            + "; ".join(parts)
            + ". "
        )
    cheaper = len(found.cheaper)
    if cheaper:
        text += f"{cheaper} cheaper were played and break the promise. "
    text += (
        f"Of {found.configurations:,} configurations nothing cheaper keeps it."
        if found.exact
        else f"Not all {found.configurations:,} configurations were tried: a cheaper one may exist."
    )
    return text.replace("$", r"\$")


def _front(asked: Asked, known: Known, winner: Candidate | None, *, over: bool) -> None:
    """Draw cost against P99; a click on a finished one opens that configuration."""
    names = [_named(each) for each in known.tried]
    limit = asked.goal.objective.latency_ms_p99
    figure = planchart.front(known.tried, winner, names, limit)
    text = (
        "Each mark is one configuration. Along the blue line nothing is both cheaper and faster:"
        " to its left and below there is nothing. Click a mark to open it in the Playground."
    )
    if not over:
        st.plotly_chart(figure, key="plan-so-far", config={"displayModeBar": False}, alt=text)
    else:
        event = st.plotly_chart(
            figure,
            key="plan-front",
            on_select="rerun",
            selection_mode="points",
            config={"displayModeBar": False},
            alt=text,
        )
        for point in event.selection.points[:1]:
            number = planchart.carried(point)
            if number is not None:
                chosen = known.tried[number]
                opening.open_in_playground(_named(chosen), asked.stand, chosen.changes)
    st.caption(text)


def _others(found: Plan) -> None:
    """Draw the runners-up, and why each cheaper one fails."""
    if found.runners_up:
        st.markdown("**Runners-up**, which keep the promise and cost more")
        st.dataframe(_table(found.runners_up), hide_index=True, column_config=HALVES)
    if found.cheaper:
        st.markdown("**Why not a cheaper one?** The dearest of them first")
        st.dataframe(_table(found.cheaper[::-1]), hide_index=True, column_config=HALVES)
    st.download_button(
        "Download all as CSV",
        found.table.to_csv(index=False),
        file_name="plan.csv",
        mime="text/csv",
        on_click="ignore",
    )


def _table(some: Sequence[Candidate]) -> pd.DataFrame:
    """Return candidates as a person reads them."""
    return pd.DataFrame(
        {
            "Configuration": _named(each),
            "Cost, $/h": round(each.cost_usd_per_hour, 2),
            "P99, ms": _or_none(each.latency_ms_p99, 0),
            "± ms": _half(each.days[0].latency_half_width),
            "Errors, %": _or_none(100 * each.error_ratio, 3),
            "± %": _half(100 * each.days[0].error_half_width),
            **({"Why it fails": each.broken} if each.broken else {}),
        }
        for each in some
    )


def _or_none(value: float, digits: int) -> float | None:
    return None if math.isnan(value) else round(value, digits)


def _half(half_width: float) -> str:
    """Return half an interval; of one run, that was too far off for more to matter, its number."""
    return "1 run" if math.isnan(half_width) else words.figures(half_width)


def _named(each: Candidate) -> str:
    """Return a configuration in words."""
    known = state.base().knobs
    return ", ".join(f"{known[p].title} {said(known[p], v)}" for p, v in each.changes.items())


def _money(each: Candidate) -> str:
    return rf"\${each.cost_usd_per_hour:,.2f} an hour"


# ---------------------------------------------------------------- the page

run = enter()
form(run)
job = jobs.find(JOB)
if job is None:
    st.info(
        "Say what you promise your users, and which knobs may be turned. You get the cheapest"
        " system that keeps the promise, and for each cheaper one the reason why it does not.",
    )
else:
    asked = cast("Asked", job.about)
    if asked.stand.key == state.base().key:
        jobs.watch(job, functools.partial(shown, asked, over=False), what="configurations")
        if job.over and job.known is not None:
            shown(asked, job.known, over=True)
    else:
        st.caption("⚠️ The last plan was for another preset; start again for this one.")
where_played()
