"""What a plan is asked: the goal, and the knobs that it may turn."""

from typing import Any

import streamlit as st

from engine import (
    Axis,
    BadDay,
    Goal,
    Knob,
    Objective,
    Scenario,
    ScenarioError,
    axis,
    bad_day,
    catalogue,
)
from pages.parts.axisform import numbers, said
from pages.parts.base import Base
from pages.parts.kept import recall, remember
from pages.parts.sidebar import label

LOAD = ("client.requests_per_second", "client.users")
# What costs money and is turned first; those of them that a scenario has on.
USUAL = (
    "application.replicas",
    "application.cores",
    "data.read_replicas",
    "asynchronous.workers",
)


def goal_fields(scenario: Scenario) -> tuple[Goal | None, str]:
    """Draw the fields of the goal; return it, or None and what is wrong."""
    st.markdown("**What do you promise?**")
    with st.container(horizontal=True, gap="small"):
        slow = st.number_input(
            "P99 at most, ms", 1.0, None, 500.0, 50.0, format="%g", key=recall("plan-p99"),
            bind="query-params",
            help="Of a hundred answers, 99 come within this time.",
        )  # fmt: skip
        errors = st.number_input(
            "Errors at most, %",
            0.0,
            100.0,
            1.0,
            0.1,
            format="%g",
            key=recall("plan-errors"),
            bind="query-params",
        )
        spare = st.number_input(
            "Spare load, %", 0, 900, 20, 10, key=recall("plan-headroom"), bind="query-params",
            help="It has to keep the promise at so much more load than now.",
        )  # fmt: skip
    known = {info.do: info for info in catalogue(scenario) if not info.why_not}
    key = recall("plan-faults")
    st.session_state[key] = [do for do in st.session_state.get(key, []) if do in known]
    faults = st.multiselect(
        "It has to live through",
        list(known),
        format_func=lambda do: known[do].title,
        placeholder="no fault: only ordinary days",
        key=key,
        bind="query-params",
        help="Each is tried on a day of its own; errors are counted while it lasts.",
    )
    length, allowed = 60.0, 5.0
    if faults:
        with st.container(horizontal=True, gap="small"):
            length = st.number_input(
                "Each lasts, s",
                1.0,
                3600.0,
                60.0,
                10.0,
                format="%g",
                key=recall("plan-length"),
                bind="query-params",
            )
            allowed = st.number_input(
                "Errors meanwhile, %",
                0.0,
                100.0,
                5.0,
                1.0,
                format="%g",
                key=recall("plan-allowed"),
                bind="query-params",
            )
    try:
        days = tuple(_day(scenario, do, allowed, length) for do in faults)
        goal = Goal(Objective(float(slow), errors / 100), spare / 100, days)
        goal.loaded(scenario)
    except ScenarioError as error:
        return None, str(error)
    return goal, ""


def _day(scenario: Scenario, do: str, allowed: float, length: float) -> BadDay:
    return bad_day(scenario, do, allowed / 100, length)


def knob_fields(base: Base, scenario: Scenario) -> tuple[list[Axis], str]:
    """Draw the fields of the knobs; return their axes, and what is wrong."""
    known = {
        path: knob
        for path, knob in base.knobs.items()
        if path not in LOAD and scenario.get(f"{path.split('.')[0]}.enabled")
    }
    usual = [path for path in USUAL if path in known]
    st.markdown("**What may be turned?**")
    key = recall("plan-knobs")
    if key in st.session_state:
        st.session_state[key] = [path for path in st.session_state[key] if path in known]
    paths = st.multiselect(
        "Knobs",
        list(known),
        default=usual,
        format_func=lambda path: label(known[path]),
        key=key,
        bind="query-params",
        label_visibility="collapsed",
        placeholder="choose knobs",
    )
    axes, problems = [], []
    for first in range(0, len(paths), 2):
        for path, column in zip(paths[first : first + 2], st.columns(2), strict=False):
            with column:
                try:
                    axes.append(_values(known[path], scenario))
                except ScenarioError as error:
                    problems.append(str(error))
    remember("plan-")
    return axes, "; ".join(problems)


def _values(knob: Knob, scenario: Scenario) -> Axis:
    """Draw the values that a knob may take.  Raises ScenarioError."""
    title = f"{label(knob)}{f', {knob.unit}' if knob.unit else ''}"
    if knob.kind == "bool":
        st.text_input(title, "off, on", disabled=True, key=f"plan-switch-{knob.path}")
        return axis(scenario, knob.path, [False, True])
    if knob.kind == "choice":
        options = list(knob.choices) or [str(scenario.get(knob.path))]
        chosen = st.multiselect(
            title, options, default=options, key=recall(f"plan-choice-{knob.path}"),
            bind="query-params",
            format_func=lambda each: each.replace("_", " "),
        )  # fmt: skip
        return axis(scenario, knob.path, chosen)
    text = st.text_input(
        title,
        ", ".join(said(knob, each).replace(",", "") for each in _usual(knob, scenario)),
        key=recall(f"plan-values-{knob.path}"),
        bind="query-params",
    )
    found = axis(scenario, knob.path, numbers(text))
    return Axis(found.path, tuple(sorted(found.points)))


def _usual(knob: Knob, scenario: Scenario) -> list[Any]:
    """Return the values that one would allow first: around where the knob stands."""
    value = scenario.get(knob.path) or 0
    low = knob.low or 0
    high = knob.high if knob.high is not None else float("inf")
    if knob.kind == "int" and value <= 8:
        around = {max(1, value - 1), value, value + 1, value + 2, value + 4}
    elif knob.kind == "int":
        around = {round(value * factor) for factor in (0.5, 0.75, 1, 1.5, 2)}
    else:
        around = {value * factor for factor in (0.5, 1, 2)} if value else {low, low + 1}
    return sorted(each for each in around if low <= each <= high)
