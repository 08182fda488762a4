"""The Microscope page's one component, and this session's bench behind it."""

import json
from pathlib import Path
from typing import Any

import streamlit as st

from engine import Backends
from pages.parts import scopelimits, state
from pages.parts.scopebench import Bench

_HERE = Path(__file__).parent


def _read(*names: str) -> str:
    """Return the text of some files, one after the other."""
    return "".join(_HERE.joinpath(name).read_text(encoding="utf-8") for name in names)


_component = st.components.v2.component(
    "strata_microscope",
    html=_read("microscope.html"),
    css=_read("microscope.css"),
    js=_read("scopemap.js", "scopetables.js", "microscope.js"),
)

KEY = "microscope"
_BENCH = "_bench"  # this session's Bench
_COUNT = "_benches"  # how many it has had


def bench() -> Bench | None:
    """Return this session's bench; what is chosen anew on the left makes another one.

    None if the microscope does not know all of the scenario: then the page has said so.
    Raises ScenarioError if the sliders make no sense together.
    """
    whole = state.base().scenario.change(state.changed())
    scenario, left_out = scopelimits.simplified(whole)
    seed = int(st.session_state.get(state.SEED, state.FIRST_SEED))
    found: Bench | None = st.session_state.get(_BENCH)
    if found is None or found.made_of != (scenario.digest(), seed):
        missing = scopelimits.missing(scenario)
        if missing:
            st.info(missing, icon="🔬")
            return None
        number = st.session_state.get(_COUNT, 0) + 1
        again = found is not None and found.begun
        servers = Backends.from_environment()
        if found is not None:
            found.close()
        found = Bench(number, scenario, seed, left_out, servers, found)
        if again:
            found.told = f"The system on the left has changed: all begins anew. {found.told}"
        st.session_state[_COUNT], st.session_state[_BENCH] = number, found
    found.known = 0  # a page that is drawn anew has nothing yet
    return found


def show(found: Bench | None) -> None:
    """Draw the bench; from now on the browser asks for each step."""
    if found is not None:
        _answering()


@st.fragment
def _answering() -> None:
    """Answer the browser: only this part of the page runs then."""
    found: Bench = st.session_state[_BENCH]
    _component(key=KEY, data=json.dumps(found.data()).encode(), on_ask_change=_hear)


def _hear() -> None:
    """Take what the browser asks, before the answer is drawn."""
    ask: dict[str, Any] | None = st.session_state[KEY].get("ask")
    found: Bench | None = st.session_state.get(_BENCH)
    if ask and found:
        found.hear(ask)
