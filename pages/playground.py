"""The playground: move a slider, and the whole system answers."""

import streamlit as st

from pages.parts import charts, idle, settings, state, timechart
from pages.parts.flowmap import flowmap, payload, picked
from pages.parts.frame import enter, give_way
from pages.parts.inspector import choose_part, inspector, selected_part

INSPECTOR_HEIGHT = 432  # as high as the map, its key numbers and its player beside it


def select() -> None:
    """Select the part that was clicked on the map."""
    st.session_state[state.STATION] = picked()


run = enter()

# All arithmetic comes before the first element: the browser then draws the whole answer at once.
selected = selected_part(run)
answer = payload(run.id, settings.current().units, run)
over_time = charts.over_time(run, selected)
left, right = st.columns([3.35, 1], gap="small")
with left:
    flowmap(answer, selected, select)
timechart.row(over_time, key="charts")
give_way(run)
with right, st.container(border=True, height=INSPECTOR_HEIGHT, gap="xsmall", key="inspector"):
    chosen = choose_part(run)
    inspector(run, chosen)
if chosen != selected:  # only the browser's Back can do that
    st.rerun()
idle.mention(run)
