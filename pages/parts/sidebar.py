"""The frame's left side: preset, layers, their knobs, seed and link.  The same on every page."""

from typing import Any

import streamlit as st

from engine import LAYERS, Knob
from pages.parts import state
from pages.parts.copylink import copylink

TITLES = {layer: layer.capitalize() for layer in LAYERS}


def draw() -> None:
    """Draw every control.  `state.current()` reads what they say."""
    state.note_link()
    with st.sidebar:
        presets = state.choices()
        st.selectbox(
            "Preset",
            list(presets),
            index=list(presets).index(state.FIRST_PRESET),
            format_func=lambda name: presets[name].title,
            key=state.PRESET,
            bind="query-params",
            on_change=state.choose_preset,
            label_visibility="collapsed",
            help=None,
        )
        for layer in LAYERS:
            _layer(layer)
        _foot()


def _layer(layer: str) -> None:
    """Draw one layer: its switch, then its knobs; page.css sets them two in a row."""
    known = state.knobs_of(state.preset())
    switch = known[f"{layer}.enabled"]
    mine = [knob for path, knob in known.items() if knob.layer == layer and path != switch.path]
    shown = [knob for knob in mine if not knob.advanced or state.wants(knob.path)]
    with st.container(key=f"layer-{layer}", gap=None):
        on = st.toggle(
            TITLES[layer],
            bool(switch.value),
            key=switch.path,
            bind="query-params",
            help=None,
        )
        for knob in shown:
            _control(knob, on=on)


def _control(knob: Knob, *, on: bool) -> None:
    """Draw one knob; it rests while its layer is off."""
    common: dict[str, Any] = {
        "key": knob.path,
        "bind": "query-params",
        "disabled": not on,
        "help": knob.help or None,
    }
    if knob.kind == "bool":
        st.toggle(knob.title, bool(knob.value), **common)
    elif knob.kind == "choice":
        options = list(knob.choices)
        st.selectbox(knob.title, options, options.index(str(knob.value)), **common)
    else:
        number = int if knob.kind == "int" else float
        low, high, value, step = (
            number(each) for each in (knob.low, knob.high, knob.value, knob.step)
        )
        st.slider(knob.title, low, high, value, step, format=_format(knob), **common)


def _format(knob: Knob) -> str:
    """Return how a slider shows its value, with the unit where it is short."""
    number = "%d" if knob.kind == "int" or float(knob.step).is_integer() else "%g"
    short = {"s": " s", "1/s": " /s", "ms": " ms", "%": " %%"}
    return number + short.get(knob.unit, "")


def _foot() -> None:
    """Draw the seed and the link to exactly this screen."""
    with st.container(key="foot", horizontal=True, vertical_alignment="bottom", gap="small"):
        st.number_input(
            "Seed of chance",
            0,
            state.SEED_MAX,
            state.FIRST_SEED,
            key=state.SEED,
            bind="query-params",
            width=110,
            help="The same seed gives the same run, to the last digit.",
        )
        copylink()
