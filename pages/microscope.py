"""The microscope: one request, step by step, on a real cache, queue and database."""

import streamlit as st

from engine import ScenarioError
from pages.parts import microscope
from pages.parts.frame import through_the_door

through_the_door()
try:
    microscope.show(microscope.bench())
except ScenarioError as error:
    st.warning(f"{error}.  Move the slider back, and the microscope can begin.", icon="⚠️")
