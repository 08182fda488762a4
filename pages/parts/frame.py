"""What all pages share: the list of pages, the way in, and the words about what went wrong."""

import time

import streamlit as st
from streamlit.navigation.page import Page

from pages.parts import address, state
from pages.parts.state import Run

LEAD_SECONDS, LEAD_STEPS = 0.1, 10
_DRAWN = "_drawn"  # the run that the browser has been given last


def navigation() -> Page:
    """Draw the navigation and return the page that the address asks for."""
    return st.navigation(
        [
            st.Page("pages/playground.py", title="Playground", default=True),
            st.Page("pages/live.py", title="Live"),
            st.Page("pages/traces.py", title="Traces"),
            st.Page("pages/explain.py", title="Explain"),
            st.Page("pages/compare.py", title="Compare"),
            st.Page("pages/sweep.py", title="Sweep"),
            st.Page("pages/plan.py", title="Plan"),
            st.Page("pages/microscope.py", title="Microscope"),
            st.Page("pages/scenario.py", title="Scenario"),
            st.Page("pages/take.py", title="Take away"),
            st.Page("pages/settings.py", title="Settings"),
        ],
        position="top",
    )


def enter() -> Run:
    """Return the run that this session looks at; the first line of every page that shows one."""
    through_the_door()
    run, problem = state.current()
    for line in (problem, *address.link_problems(run.id)):
        if line:
            st.warning(line, icon="⚠️")
    return run


def give_way(run: Run) -> None:
    """Let the browser draw a new answer before it hears of what stays much as it is.

    Drawing the inspector and forty controls anew at the same time made the map and the charts
    late by 60 to 100 ms.  The next change cuts the pause short: a look into the session's state is
    where Streamlit ends a run that is out of date.
    """
    if st.session_state.get(_DRAWN) == run.id:
        return
    st.session_state[_DRAWN] = run.id
    for _ in range(LEAD_STEPS):
        time.sleep(LEAD_SECONDS / LEAD_STEPS)
        st.session_state.get(_DRAWN)


def through_the_door() -> None:
    """Start over with `app.py` if a page runs without its frame.

    Until `st.navigation` has run once, Streamlit takes each file in `pages/` for a page of its own.
    Only the first visitor of a server can meet that, with a link to an inner page.
    """
    if state.PRESET not in st.session_state:
        navigation()
        st.rerun()
