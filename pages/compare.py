"""Compare: two or more systems side by side, and whether they really differ."""

import streamlit as st

from engine import Comparison, Lab, comparisons, differences
from pages.parts import comparing, jobs, pins, state
from pages.parts.frame import enter
from pages.parts.jobs import Job
from pages.parts.pins import NOW
from pages.parts.players import where_played
from pages.parts.sidebar import label
from pages.parts.state import Run

NAME = "compare"
BASELINE, OTHERS, RUNS, UNTIL, VIEW = "baseline", "others", "runs", "until", "view"
OTHERS_MAX = 4
RUNS_FIRST, RUNS_MOST = 8, 200
UNTILS = {
    0: "no more than these",
    10: "until P99 is known to ± 10 %",
    5: "until P99 is known to ± 5 %",
    2: "until P99 is known to ± 2 %",
}


def choose(run: Run) -> tuple[str, list[str]]:
    """Draw the choices and return the baseline's name and the others'."""
    mine, known = pins.pins(), pins.sources(run)
    if mine.baseline not in known:
        mine.baseline = pins.preset_name(run.base.name) if not run.base.own else NOW
        mine.baseline = mine.baseline if mine.baseline in known else NOW
    names = list(known)
    others = [each for each in mine.others if each in known and each != mine.baseline]
    # The lists follow a pin that was set elsewhere, and outlive a visit to another page.
    st.session_state[BASELINE], st.session_state[OTHERS] = mine.baseline, others
    left, right, button = st.columns([3, 5, 2], vertical_alignment="bottom", gap="small")
    with left:
        st.selectbox("Baseline", names, key=BASELINE, on_change=_chosen)
    with right:
        st.multiselect(
            "Compared with",
            [name for name in names if name != mine.baseline],
            key=OTHERS,
            max_selections=OTHERS_MAX,
            on_change=_chosen,
            placeholder="Choose a system",
        )
    with button:
        pins.pin_button("pin-here")
    return mine.baseline, others


def _chosen() -> None:
    """Keep what was chosen."""
    mine = pins.pins()
    mine.baseline = str(st.session_state[BASELINE])
    mine.others = tuple(each for each in st.session_state[OTHERS] if each != mine.baseline)


def replicate(run: Run, names: list[str]) -> None:
    """Draw the button that plays many runs of each, and what they say."""
    known = pins.sources(run)
    scenarios = {name: known[name][1] for name in names}
    many, until, button = st.columns([2, 3, 3], vertical_alignment="bottom", gap="small")
    with many:
        runs = st.number_input("Runs of each", 2, RUNS_MOST, RUNS_FIRST, key=RUNS)
    with until:
        percent = st.selectbox("And then", list(UNTILS), format_func=UNTILS.__getitem__, key=UNTIL)
    about = (tuple((name, each.digest()) for name, each in scenarios.items()), runs, percent)
    job = jobs.find(NAME)
    with button:
        if st.button(
            "Is the difference real?",
            key="compare-now",
            type="primary",
            width="stretch",
            disabled=job is not None and not job.over and job.about == about,
        ):

            def work(job: Job[Comparison], lab: Lab) -> Comparison:
                count = runs
                for scenario in scenarios.values() if percent else ():
                    found = lab.precise(
                        scenario, "latency_ms_p99", percent / 100, runs, max(runs, RUNS_MOST)
                    )
                    count = max(count, len(found))
                for job.partial in comparisons(scenarios, lab, count):
                    pass
                assert job.partial is not None
                return job.partial

            job = jobs.start(NAME, about, work)
    if job is None:
        st.caption(
            "One run of each may differ by luck alone. Play several of each, with the same luck"
            " for all, and see which differences remain."
        )
    elif job.about != about:
        st.caption("The systems have changed since the last comparison: ask again.")
    else:
        jobs.watch(job, comparing.verdicts)
        if job.over and job.known is not None:
            comparing.verdicts(job.known)


def side_by_side(run: Run, baseline: str, others: list[str]) -> None:
    """Draw everything that two or more systems that differ have to tell."""
    known = pins.sources(run)
    base_scenario = known[baseline][1]
    differs = {name: differences(base_scenario, known[name][1]) for name in others}
    if not any(differs.values()):
        st.info(
            "Both are the same system so far. Pin what is on screen as the baseline, then move a"
            " slider on the left, switch a layer off, or choose a preset above. The comparison"
            " appears here at once."
        )
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        replicate(run, [baseline, *others])
    with right:
        titles = {
            path: label(knob)
            for base, _ in (known[name] for name in (baseline, *others))
            for path, knob in base.knobs.items()
        }
        comparing.differing(differs, baseline, titles)
    runs = {
        name: state.simulated(scenario.digest(), run.result.seed, base.key, base, scenario)
        for name, (base, scenario) in ((each, known[each]) for each in [baseline, *others])
    }
    view = st.segmented_control(
        "Look at",
        list(comparing.VIEWS),
        default="Over time",
        required=True,
        key=VIEW,
        bind="query-params",
        label_visibility="collapsed",
    )
    comparing.VIEWS[view](runs)
    st.caption(f"One run of each, with seed {run.result.seed}: the same luck for all.")


run = enter()
baseline, others = choose(run)
if others:
    side_by_side(run, baseline, others)
else:
    st.info("Choose at least one system to compare the baseline with.")
where_played()
