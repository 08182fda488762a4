"""How much more load the system takes until its promise breaks, and what breaks first."""

import streamlit as st

from engine import Headroom, Lab, Objective, headroom, load_knob
from pages.parts import jobs, studycharts
from pages.parts.jobs import Job
from pages.parts.state import Run

NAME = "headroom"
P99, ERRORS = "slo_p99", "slo_errors"  # widgets: milliseconds, percent


def headroom_panel(run: Run) -> None:
    """Draw the promise, the button that looks for its limit, and what was found."""
    st.markdown("**How much more load does it take?**")
    slow, wrong, button = st.columns([2, 2, 2], vertical_alignment="bottom", gap="small")
    with slow:
        p99 = st.number_input(
            "P99 at most, ms", 1.0, 600_000.0, 500.0, 50.0, "%.0f", key=P99, bind="query-params"
        )
    with wrong:
        errors = st.number_input(
            "Errors at most, %", 0.0, 99.0, 1.0, 0.1, "%.3g", key=ERRORS, bind="query-params"
        )
    promise = Objective(p99, errors / 100)
    about = (run.scenario.digest(), promise)
    job = jobs.find(NAME)
    with button:
        if st.button(
            "Find the limit",
            key="find-limit",
            type="primary",
            width="stretch",
            disabled=job is not None and not job.over and job.about == about,
        ):
            job = jobs.start(NAME, about, _work(run, promise))
    if job is None:
        st.caption(
            "This is what users are promised. The search turns the load up until the promise"
            " breaks, and says at which rate and what breaks first: some 10 runs, and 16 with other"
            " luck to say how sure the rate is."
        )
        return
    if job.about != about:
        st.caption("The system or the promise has changed since: find the limit anew.")
        return
    jobs.watch(job, hint="It homes in on the rate.")
    if job.result is not None:
        _tell(run, job.result, promise)


def _work(run: Run, promise: Objective) -> jobs.Work[Headroom]:
    """Return the search for a scenario's limit."""
    scenario, seed = run.scenario, run.result.seed

    def work(job: Job[Headroom], lab: Lab) -> Headroom:
        return headroom(scenario, lab, promise, seed)

    return work


def _tell(run: Run, found: Headroom, promise: Objective) -> None:
    """Draw what was found."""
    st.markdown(f"**{found.sentence}**")
    st.plotly_chart(
        studycharts.headroom_curve(found, promise, run.scenario.get(load_knob(run.scenario))),
        key="headroom-curve",
        config={"displayModeBar": False},
        alt=found.sentence,
    )
