"""What next: every lever one step up and down, ranked, each with a button that does it."""

import streamlit as st

from engine import METRICS, Lab, Trial, ranked, rankings
from pages.parts import jobs, state, studycharts, words
from pages.parts.jobs import Job
from pages.parts.state import Run

NAME, BY = "what-next", "by"
METRICS_SHOWN = {
    "latency_ms_p99": "P99",
    "error_ratio": "Errors",
    "cost_usd_per_hour": "Cost",
}
BARS_MAX = 16
LISTED = 6


def what_next_panel(run: Run) -> None:
    """Draw the button that tries every lever, and what came of it."""
    title, by, button = st.columns([3, 2, 2], vertical_alignment="center")
    title.markdown("**What next?**")
    with by:
        metric = st.segmented_control(
            "Rank by",
            list(METRICS_SHOWN),
            format_func=METRICS_SHOWN.__getitem__,
            default="latency_ms_p99",
            required=True,
            key=BY,
            bind="query-params",
            label_visibility="collapsed",
        )
    job, about = jobs.find(NAME), run.scenario.digest()
    with button:
        if st.button(
            "Try every lever",
            key="try-levers",
            type="primary",
            width="stretch",
            disabled=job is not None and not job.over and job.about == about,
        ):
            job = jobs.start(NAME, about, _work(run))
    step = state.newest_step()
    if step is not None:
        st.button(f"↩ Undo: {step.label}", key="undo", on_click=state.undo)
    if job is None:
        st.caption(
            "One click turns every lever one step up and one down, with the same luck for all, and"
            " ranks what that does to P99, errors and cost. You can apply what helps, and undo it."
        )
        return
    if job.about != about:
        st.caption(
            "These are the steps from the system as it was before it changed. Try every lever"
            " again to see the steps from here."
        )
    jobs.watch(
        job, lambda trials: _tell(trials, metric, live=True), hint="Best so far below, if any."
    )
    if job.over and job.known is not None:
        _tell(job.known, metric, live=False)


def _work(run: Run) -> jobs.Work[list[Trial]]:
    """Return the work of trying a scenario's levers."""
    scenario = run.scenario

    def work(job: Job[list[Trial]], lab: Lab) -> list[Trial]:
        for job.partial in rankings(scenario, lab):
            pass
        return job.partial or []

    return work


def _tell(trials: list[Trial], metric: str, *, live: bool) -> None:
    """Draw the tornado and the list."""
    order = [trial for trial in ranked(trials, metric) if not trial.problem]
    helps, harms, other = _sorted(order, metric)
    shown = helps[:BARS_MAX] + harms[-max(0, BARS_MAX - len(helps)) :]
    runs = order[0].verdicts[metric].baseline.runs if order else 0
    left, right = st.columns([1, 1], gap="medium")
    with left:
        if shown:
            st.plotly_chart(
                studycharts.tornado(shown, metric),
                key=f"tornado-{'live' if live else 'all'}",
                config={"displayModeBar": False},
                alt="; ".join(trial.sentence for trial in shown),
            )
            st.caption(
                f"Blue is better, orange is worse; the thin line is the 95 % interval from {runs}"
                " runs of each. Bars whose line would touch 0 are left out: they are noise."
            )
        else:
            st.info(f"No single step changes {METRICS[metric].title} beyond noise.")
    with right:
        for place, trial in enumerate(helps[:LISTED]):
            _lever(trial, None if live else f"all-{place}")
        if not helps:
            st.markdown(f"Nothing that was tried makes {METRICS[metric].title} better.")
        rest = [("Makes it worse", harms), ("No effect on it beyond noise", other)]
        if helps[LISTED:]:
            rest.insert(0, ("Helps a little", helps[LISTED:]))
        for name, group in rest if not live else []:
            if group:
                with st.expander(f"{name}: {len(group)}"):
                    for place, trial in enumerate(group):
                        _lever(trial, f"{name}-{place}")


def _sorted(trials: list[Trial], metric: str) -> tuple[list[Trial], list[Trial], list[Trial]]:
    """Return those that help, those that harm, and those within noise."""
    what = METRICS[metric]
    sign = 1.0 if what.better == "lower" else -1.0
    effects = [
        (trial, sign * trial.effect(metric))
        if abs(trial.effect(metric)) >= what.floor
        else (trial, 0.0)
        for trial in trials
    ]
    return (
        [trial for trial, effect in effects if effect < 0],
        [trial for trial, effect in effects if effect > 0],
        [trial for trial, effect in effects if effect == 0],
    )


def _lever(trial: Trial, key: str | None) -> None:
    """Draw one lever: what it does, and the button that does it, once all is known."""
    text, button = st.columns([5, 1], vertical_alignment="center", gap="small")
    label, _, effect = trial.sentence.partition(": ")
    if trial.label in trial.sentence:
        label, effect = trial.label, trial.sentence.removeprefix(f"{trial.label}: ")
    text.markdown(f"**{words.plain(label)}**: {words.plain(effect)}")
    if key is None:
        return
    known = state.base().knobs
    button.button(
        "Apply",
        key=f"apply-{key}",
        on_click=state.attempt,
        args=(trial.label, dict(trial.changes)),
        disabled=not trial.changes.keys() <= known.keys(),
        width="stretch",
        help=trial.label,
    )
