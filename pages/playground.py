"""The playground: move a slider, and the whole system answers."""

import streamlit as st

from pages.parts import charts, state
from pages.parts.flowmap import flowmap, picked
from pages.parts.inspector import inspector
from pages.parts.navigation import enter_through_the_door


def select() -> None:
    """Select the part that was clicked on the map."""
    st.session_state[state.STATION] = picked()


enter_through_the_door(entered=state.PRESET in st.session_state)
run, problem = state.current()
for line in (problem, *state.link_problems(run)):
    if line:
        st.warning(line, icon="⚠️")

selected = st.session_state.get(state.STATION)
left, right = st.columns([3.35, 1], gap="small")
below = st.container(key="charts")
with left:
    flowmap(run, selected, select)
# The charts belong to the answer, so they go to the browser before the inspector's many small parts.
with below:
    over_time = (
        charts.latency_over_time(run),
        charts.rate_over_time(run),
        charts.busy_over_time(run, selected),
    )
    for column, chart in zip(st.columns(3, gap="small"), over_time, strict=True):
        with column:
            charts.show(chart, run)
with right:
    inspector(run)
