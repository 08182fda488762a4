"""One knob and the values that it shall take: the fields of it, for sweeps."""

import math
from typing import Any, Literal

import streamlit as st

from engine import Axis, Knob, Scenario, ScenarioError, axis, ranged
from pages.parts.base import Base
from pages.parts.kept import recall
from pages.parts.sidebar import label

NUMBERS = ("int", "float", "time")
SPACING = ("linear", "log", "list")
STEPS = 8  # unless another number is asked for
STEPS_MAX = 60


def name_of(knob: Knob) -> str:
    """Return what a list of all knobs calls one."""
    return f"{knob.layer.capitalize()}: {label(knob)}"


def said(knob: Knob, value: Any) -> str:
    """Return a knob's value as a person reads it, without its unit."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value.replace("_", " ")
    if value is None:
        return "off"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def titled(knob: Knob) -> str:
    """Return a knob's title with its unit."""
    return f"{label(knob)}, {knob.unit}" if knob.unit else label(knob)


def axis_fields(
    number: int, base: Base, scenario: Scenario, first: str | None
) -> tuple[Axis | None, str, Any]:
    """Draw the fields of one axis; return it, what is wrong, and the room beside it if it is free.

    Without a knob there is no axis, and nothing is wrong.
    """
    known = base.knobs
    choose, room = st.columns([2.6, 4.6], vertical_alignment="bottom")
    with choose:
        key = recall(f"sweep-knob-{number}")
        if st.session_state.get(key) not in known:
            st.session_state.pop(key, None)
        path = st.selectbox(
            "Knob to turn" if number == 1 else "Second knob, for a map",
            list(known),
            index=list(known).index(first) if first else None,
            format_func=lambda each: name_of(known[each]),
            placeholder="none: a curve over the first",
            key=key,
            bind="query-params",
        )
    if path is None:
        return None, "", room
    with room:
        spread, rest = st.columns([1.6, 3], vertical_alignment="bottom")
    try:
        return _values(number, known[path], scenario, spread, rest), "", None
    except ScenarioError as error:
        return None, str(error), None


def _values(number: int, knob: Knob, scenario: Scenario, spread: Any, rest: Any) -> Axis | None:
    """Draw the fields of the values.  Raises ScenarioError for what cannot be."""
    own = f"{number}-{knob.path}"
    if knob.kind == "bool":
        with spread:
            st.caption("off, on")
        return axis(scenario, knob.path, [False, True])
    if knob.kind == "choice":
        options = list(knob.choices) or [str(scenario.get(knob.path))]
        with spread, rest:
            values = st.multiselect(
                "Values",
                options,
                default=options,
                format_func=lambda each: each.replace("_", " "),
                key=recall(f"sweep-choice-{own}"),
                bind="query-params",
            )
        return axis(scenario, knob.path, values)
    with spread:
        spacing = st.segmented_control(
            "Spacing",
            SPACING,
            default="list" if knob.optional else "linear",
            required=True,
            key=recall(f"sweep-spacing-{own}"),
            bind="query-params",
        )
    low, high, count = _usual(knob, scenario.get(knob.path))
    if spacing == "list":
        with rest:
            text = st.text_input(
                f"Values{f', {knob.unit}' if knob.unit else ''}",
                ", ".join(f"{each:g}" for each in _spread(knob, low, high)),
                key=recall(f"sweep-list-{own}"),
                bind="query-params",
            )
        return axis(scenario, knob.path, numbers(text))
    return _range(knob, scenario, rest, own, (low, high, count), spacing == "log")


def _range(
    knob: Knob,
    scenario: Scenario,
    rest: Any,
    own: str,
    usual: tuple[float, float, int],
    log: bool,
) -> Axis:
    """Draw from, to and how many."""
    low, high, count = usual
    unit = f", {knob.unit}" if knob.unit else ""
    number = int if knob.kind == "int" else float
    step = 1 if knob.kind == "int" else None
    with rest, st.container(horizontal=True, gap="small"):
        start = st.number_input(
            f"From{unit}",
            value=number(low),
            step=step,
            format="%d" if step else "%g",
            key=recall(f"sweep-from-{own}"),
            bind="query-params",
        )
        end = st.number_input(
            f"To{unit}",
            value=number(high),
            step=step,
            format="%d" if step else "%g",
            key=recall(f"sweep-to-{own}"),
            bind="query-params",
        )
        steps = st.number_input(
            "Steps", 2, STEPS_MAX, count, key=recall(f"sweep-steps-{own}"), bind="query-params"
        )
    scale: Literal["linear", "log"] = "log" if log else "linear"
    return ranged(scenario, knob.path, float(start), float(end), int(steps), scale)


def _usual(knob: Knob, value: Any) -> tuple[float, float, int]:
    """Return from where, to where and in how many steps one would look first."""
    least = knob.low or 0.0
    now = float(value) if isinstance(value, int | float) else 0.0
    most = knob.high if knob.high is not None else math.inf
    if knob.kind == "int":
        low, high = max(least, 1.0, now // 4), min(most, max(2.0 * now, 4.0))
        return low, high, int(min(STEPS, high - low + 1)) if high > low else 2
    if now <= 0:
        return least, min(most, least + 10.0), STEPS
    return max(least, 0.25 * now), min(most, 3.0 * now), STEPS + 4


def _spread(knob: Knob, low: float, high: float) -> list[float]:
    """Return a few values between two, doubling."""
    values, value = [low], max(low, high / 16)
    while value < high:
        value *= 2
        values.append(min(value, high))
    return sorted({float(round(each)) if knob.kind == "int" else each for each in values})


def numbers(text: str) -> list[float]:
    """Return the numbers of a list.  Raises ScenarioError.

    >>> numbers("1, 2;4  8")
    [1.0, 2.0, 4.0, 8.0]
    """
    parts = text.replace(",", " ").replace(";", " ").split()
    try:
        return [float(part) for part in parts]
    except ValueError:
        raise ScenarioError(
            f"the list {text!r} holds something else than numbers; write such as 1, 2, 4"
        ) from None
