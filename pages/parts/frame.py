"""What all pages share: the list of pages, the way in, and the words about what went wrong."""

import streamlit as st
from streamlit.navigation.page import Page

from pages.parts import state
from pages.parts.state import Run


def navigation() -> Page:
    """Draw the navigation and return the page that the address asks for."""
    return st.navigation(
        [
            st.Page("pages/playground.py", title="Playground", default=True),
            st.Page("pages/traces.py", title="Traces"),
            st.Page("pages/scenario.py", title="Scenario"),
        ],
        position="top",
    )


def enter() -> Run:
    """Return the run that this session looks at; the first line of every page that shows one."""
    through_the_door()
    run, problem = state.current()
    for line in (problem, *state.link_problems(run)):
        if line:
            st.warning(line, icon="⚠️")
    return run


def through_the_door() -> None:
    """Start over with `app.py` if a page runs without its frame.

    Until `st.navigation` has run once, Streamlit takes each file in `pages/` for a page of its own.
    Only the first visitor of a server can meet that, with a link to an inner page.
    """
    if state.PRESET not in st.session_state:
        navigation()
        st.rerun()
