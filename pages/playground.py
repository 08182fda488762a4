"""The playground: move a slider, and the whole system answers."""

import streamlit as st

from pages.parts import charts, state
from pages.parts.flowmap import flowmap, picked
from pages.parts.frame import enter
from pages.parts.inspector import choose_part, inspector

INSPECTOR_HEIGHT = 432  # as high as the map, its key numbers and its player beside it


def select() -> None:
    """Select the part that was clicked on the map."""
    st.session_state[state.STATION] = picked()


run = enter()

left, right = st.columns([3.35, 1], gap="small")
below = st.container(key="charts")
with right:
    box = st.container(border=True, height=INSPECTOR_HEIGHT, gap="xsmall", key="inspector")
with box:
    selected = choose_part(run)
with left:
    flowmap(run, selected, select)
# The charts belong to the answer, so they go to the browser before the inspector's small parts.
with below:
    over_time = (
        charts.latency_over_time(run),
        charts.rate_over_time(run),
        charts.busy_over_time(run, selected),
    )
    for column, chart in zip(st.columns(3, gap="small"), over_time, strict=True):
        with column:
            charts.show(chart, run)
with box:
    inspector(run, selected)
