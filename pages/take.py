"""Take away: what was found here, as a report, as data, as a link, as configuration."""

import streamlit as st

from engine import ScenarioError
from pages.parts import state, takeclass, takedata, takedeploy, takelink, takereport
from pages.parts.frame import enter

SECTIONS = {
    "Report": takereport.draw,
    "Data": takedata.draw,
    "Charts": takedata.draw_charts,
    "Link and file": takelink.draw,
    "Deployable": takedeploy.draw,
    "Class report": takeclass.draw,
}
SECTION = "take"

run = enter()
with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
    chosen = st.segmented_control(
        "What to take away",
        list(SECTIONS),
        default="Report",
        required=True,
        key=SECTION,
        bind="query-params",
        label_visibility="collapsed",
    )
    st.caption(f"{state.said(run)}")
try:
    SECTIONS[chosen or "Report"](run)
except ScenarioError as error:
    st.warning(str(error), icon=":material/warning:")
