"""The Live page's one component: map, growing charts, what one can break, and the log."""

import json
from pathlib import Path
from typing import Any

import streamlit as st

from pages.parts import palette, state, timechart
from pages.parts.livestage import Stage

_HERE = Path(__file__).parent
_SCRIPTS = (
    "numbers.js",
    "flowmap.js",
    "livecharts.js",
    "livepanel.js",
    "livefilm.js",
    "live.js",
)


def _read(*names: str) -> str:
    """Return the text of some files, one after the other."""
    return "".join(_HERE.joinpath(name).read_text(encoding="utf-8") for name in names)


def _percentiles() -> str:
    """Return the colours of percentiles and answers as CSS variables."""
    named = {**palette.PERCENTILES, "answered": palette.ANSWERED}
    return ".live{" + "".join(f"--{name}:{colour.css()};" for name, colour in named.items()) + "}"


_component = st.components.v2.component(
    "strata_live",
    html=_read("live.html"),
    css=timechart.CSS + _read("flowmap.css", "live.css") + _percentiles(),
    js=timechart.IMPORT + _read(*_SCRIPTS),
)

KEY = "live"
_STAGE = "_stage"  # this session's Stage
_COUNT = "_stages"  # how many it has had


def stage() -> Stage:
    """Return this session's live run; what is chosen anew on the left begins another one.

    Raises ScenarioError if the sliders make no sense together before a run has begun.
    """
    found: Stage | None = st.session_state.get(_STAGE)
    base, wanted = state.base(), state.changed()
    seed = int(st.session_state.get(state.SEED, state.FIRST_SEED))
    if found is None or found.base.key != base.key or found.seed != seed:
        if found:
            found.leave()
        number = st.session_state.get(_COUNT, 0) + 1
        found = Stage(number, base, wanted, seed)
        st.session_state[_COUNT], st.session_state[_STAGE] = number, found
    else:
        found.follow(wanted)
    return found


def play(found: Stage) -> None:
    """Draw the run; from now on the browser asks for what comes next."""
    st.session_state[_STAGE] = found
    _ticking()


@st.fragment
def _ticking() -> None:
    """Answer the browser: only this part of the page runs then."""
    found: Stage = st.session_state[_STAGE]
    _component(key=KEY, data=json.dumps(found.data()).encode(), on_ask_change=_hear)


def _hear() -> None:
    """Take the browser's question, before the answer is drawn."""
    ask: dict[str, Any] | None = st.session_state[KEY].get("ask")
    found: Stage | None = st.session_state.get(_STAGE)
    if ask and found:
        found.hear(ask)
