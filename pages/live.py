"""Live: the system runs on while you watch it, break it and mend it."""

import streamlit as st

from engine import ScenarioError
from pages.parts import address, live
from pages.parts.frame import through_the_door

through_the_door()
try:
    stage = live.stage()
    for line in address.link_problems(stage.id):
        st.warning(line, icon="⚠️")
    live.play(stage)
except ScenarioError as error:
    st.warning(f"{error}.  Move the slider back, and the run can begin.", icon="⚠️")
