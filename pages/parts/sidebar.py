"""The frame's left side: preset, layers, their knobs, seed and link.  The same on every page."""

import functools
import math
from typing import Any

import streamlit as st

from engine import LAYERS, Knob, ScenarioError
from pages.parts import address, settings, state
from pages.parts.base import Base
from pages.parts.copylink import copylink

# Steps of a knob's path that name no part: containers, and the shapes of distributions.
_NO_OWNERS = {
    "services",
    "kinds",
    "lognormal",
    "erlang",
    "exponential",
    "constant",
    "median",
    "mean",
}


def draw() -> None:
    """Draw every control.  `state.current()` reads what they say."""
    address.note_link()
    with st.sidebar:
        names = state.names()
        st.selectbox(
            "Preset",
            names,
            index=names.index(state.FIRST_PRESET),
            key=state.PRESET,
            bind="query-params",
            on_change=state.choose_preset,
            label_visibility="collapsed",
        )
        for layer in LAYERS:
            _layer(layer)
        _foot()
    state.settled()


def _layer(layer: str) -> None:
    """Draw one layer: its switch, then its knobs; page.css sets them two in a row."""
    known = state.base().knobs
    switch = known[f"{layer}.enabled"]
    mine = [knob for path, knob in known.items() if knob.layer == layer and path != switch.path]
    shown = [knob for knob in mine if not knob.advanced or state.wants(knob.path)]
    with st.container(key=f"layer-{layer}", gap=None):
        on = st.toggle(
            layer.capitalize(),
            bool(switch.value),
            key=switch.path,
            bind="query-params",
        )
        # Without the client layer requests still come, only not from people far away.
        useful = on or layer == "client"
        for knob in shown:
            _control(knob, on=useful)


def _control(knob: Knob, *, on: bool) -> None:
    """Draw one knob; it rests while its layer is off."""
    common: dict[str, Any] = {
        "key": knob.path,
        "bind": "query-params",
        "disabled": not on,
        "help": knob.help or None,
    }
    if knob.kind == "bool":
        st.toggle(label(knob), bool(knob.value), **common)
    elif knob.kind == "choice":
        options = list(knob.choices)
        index = options.index(str(knob.value))
        st.selectbox(label(knob), options, index, **common)
    elif knob.optional:
        _optional(knob, common)
    else:
        number = int if knob.kind == "int" else float
        low, high = state.range_of(knob)
        low, high, value = number(low), number(high), number(knob.value or 0)
        step = number(knob.step or _fine(high))
        st.slider(label(knob), low, high, value, step, format=_format(knob), **common)


def _optional(knob: Knob, common: dict[str, Any]) -> None:
    """Draw a knob that may be empty: a field, since no slider has a place for nothing."""
    number = int if knob.kind == "int" else float
    low, high, value = (
        None if each is None else number(each) for each in (knob.low, knob.high, knob.value)
    )
    step = 1 if number is int else None
    said = f"{label(knob)}, {knob.unit}" if knob.unit else label(knob)
    st.number_input(said, low, high, value, step, placeholder="off", **common)


def label(knob: Knob) -> str:
    """Return a knob's title, with the part that it belongs to where the title leaves that open."""
    *owners, _ = [each for each in knob.path.split(".")[1:] if each not in _NO_OWNERS]
    owner = owners[-1].capitalize() if owners else ""
    return knob.title if owner.lower() in knob.title.lower() else f"{owner}: {knob.title}"


def _fine(high: float) -> float:
    """Return a step of which a slider's range holds a hundred to a thousand."""
    return float(10.0 ** math.floor(math.log10(high / 100)))


def _format(knob: Knob) -> str:
    """Return how a slider shows its value, with the unit where it is short."""
    whole = knob.kind == "int" or (knob.step and float(knob.step).is_integer())
    short = {"s": " s", "requests/s": " /s", "ms": " ms", "%": " %%"}
    return ("%d" if whole else "%.3g") + short.get(knob.unit, "")


@functools.lru_cache(maxsize=32)
def _catalogue(base: Base) -> dict[str, str]:
    """Return what the list of further knobs says, by path."""
    return {
        path: f"{knob.layer.capitalize()}: {label(knob)}"
        for path, knob in base.knobs.items()
        if knob.advanced and path != f"{knob.layer}.enabled"
    }


def _foot() -> None:
    """Draw the list of further knobs, the seed, and the link to exactly this screen."""
    catalogue = _catalogue(state.base())
    st.selectbox(
        "More knobs",
        list(catalogue),
        index=None,
        format_func=catalogue.__getitem__,
        key=state.MORE,
        on_change=state.show_knob,
        placeholder=f"{len(catalogue)} more knobs …",
        label_visibility="collapsed",
    )
    with st.container(key="foot", horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.caption("Seed", width="content", help="The same seed gives the same run, to the digit.")
        st.number_input(
            "Seed",
            0,
            state.SEED_MAX,
            state.FIRST_SEED,
            key=state.SEED,
            bind="query-params",
            width=76,
            label_visibility="collapsed",
        )
        copylink(own=state.own(), link=_link())


def _link() -> str:
    """Return the word for what is no preset; a preset's address says it all already."""
    try:
        return state.whole_link() if state.own() or settings.current().prices else ""
    except ScenarioError:
        return ""
