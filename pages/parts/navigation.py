"""The list of pages."""

import streamlit as st
from streamlit.navigation.page import Page


def navigation() -> Page:
    """Draw the navigation and return the page that the address asks for."""
    return st.navigation(
        [
            st.Page("pages/playground.py", title="Playground", default=True),
            st.Page("pages/traces.py", title="Traces"),
        ],
        position="top",
    )


def enter_through_the_door(*, entered: bool) -> None:
    """Start over with `app.py` if a page runs without its frame; every page's first line.

    Until `st.navigation` has run once, Streamlit takes each file in `pages/` for a page of its own.
    Only the first visitor of a server can meet that, with a link to an inner page.
    """
    if not entered:
        navigation()
        st.rerun()
