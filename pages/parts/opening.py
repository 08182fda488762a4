"""A scenario that a study has tried, opened in the Playground: its sliders move there."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import streamlit as st

from pages.parts import state
from pages.parts.base import Base

PLAYGROUND = "pages/playground.py"
_DUE = "_opening"  # (label, changes) for the next run of the script, before its widgets


class Stand(NamedTuple):
    """Where the sliders stood when a study began."""

    key: str  # of the base
    moved: tuple[tuple[str, Any], ...]


def stand() -> Stand:
    """Return where the sliders stand now."""
    return Stand(state.base().key, tuple(sorted(state.changed().items())))


def open_in_playground(label: str, then: Stand, changes: Mapping[str, Any]) -> None:
    """Go to the Playground with the sliders as they stood then, and some of them moved."""
    if then.key != state.base().key:
        st.warning("This was a study of another preset; choose that one, and click again.")
        return
    st.session_state[_DUE] = label, _moves(state.base(), then, changes)
    # An empty address: Streamlit refuses to clear one that sliders write, and they write it anew.
    st.switch_page(PLAYGROUND, query_params={})


def apply(label: str, then: Stand, changes: Mapping[str, Any]) -> None:
    """Move the sliders as `open_in_playground` does, and stay; for callbacks of buttons."""
    if then.key == state.base().key:
        state.attempt(label, _moves(state.base(), then, changes))


def move_due() -> None:
    """Move what is to be moved; call before any slider is drawn."""
    due = st.session_state.pop(_DUE, None)
    if due is not None:
        state.attempt(*due)


def _moves(base: Base, then: Stand, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has to be moved from where the sliders stand now."""
    now, wanted = state.changed(), {**dict(then.moved), **changes}
    paths = {*now, *wanted}
    moves = {path: wanted.get(path, base.knobs[path].value) for path in paths}
    return {p: v for p, v in moves.items() if now.get(p, base.knobs[p].value) != v}
