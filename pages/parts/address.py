"""What an address asks for: what of it cannot be, and room on the sliders for what can."""

from typing import Any

import streamlit as st

from engine import Knob, Scenario, ScenarioError
from pages.parts import state
from pages.parts.base import YOURS, preset_base


def read_link() -> list[str]:
    """Say what the URL asks for that cannot be, and make room on the sliders for what can."""
    asked = st.query_params.to_dict()
    lines = []
    name, mine = (
        asked.get(state.PRESET, YOURS if state.own() else state.FIRST_PRESET),
        state.draft(),
    )
    if mine and name == YOURS:
        start = mine.now.base
    elif name in state.choices():
        start = preset_base(name)
    else:
        start = preset_base(state.FIRST_PRESET)
        lines.append(
            f"the address is to somebody's own scenario and does not carry it; this is"
            f" {state.FIRST_PRESET}. Ask for what “Copy link” gives"
            if name == YOURS
            else f"there is no preset {name}; use {' or '.join(state.choices())}"
        )
    for path, text in asked.items():
        if path in start.knobs:
            lines.append(_misfit(start.scenario, start.knobs[path], text))
    seed = asked.get(state.SEED, "0")
    if not (seed.isdecimal() and int(seed) <= state.SEED_MAX):
        lines.append(f"{state.SEED} is {seed}; use a whole number up to {state.SEED_MAX}")
    return [line for line in lines if line]


def note_link() -> None:
    """Keep what is wrong with the link; call before the widgets, which drop junk silently."""
    run_id, before = st.session_state.get(state.LINK, ("", []))
    found = read_link()
    if found:
        st.session_state[state.LINK] = ("", found if run_id else [*before, *found])


def link_problems(shown: str) -> list[str]:
    """Return what was wrong with the link, as long as the run of this id is the first shown."""
    run_id, lines = st.session_state.get(state.LINK, ("", []))
    if not run_id:
        st.session_state[state.LINK] = (run_id := shown, lines)
    return list(lines) if run_id == shown else []


def _misfit(scenario: Scenario, knob: Knob, text: str) -> str:
    """Return why a link's value does not fit its knob, or ""; a number that fits gets its room."""
    try:
        value = _parsed(knob, text)
        scenario.change({knob.path: value})
    except ValueError:
        return f"{knob.path} is {text}; use a number"
    except ScenarioError as error:
        return str(error)
    state.stretch(knob, value)
    return ""


def _parsed(knob: Knob, text: str) -> Any:
    """Return a link's text as its knob's value; ValueError if a number is none."""
    if knob.kind in state.NUMBERS:
        return state.as_kind(float(text), knob.kind)
    return text.lower() == "true" if knob.kind == "bool" else text
