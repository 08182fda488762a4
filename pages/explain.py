"""Explain: what limits the system and why, how much more it takes, and what would help."""

import streamlit as st

from engine import explain
from pages.parts import charts
from pages.parts.explaining import headline, stations, warm_up
from pages.parts.frame import enter
from pages.parts.headroom import headroom_panel
from pages.parts.players import where_played
from pages.parts.whatnext import what_next_panel

run = enter()
found = explain(run.result)
headline(found)
left, right = st.columns([3, 2], gap="medium")
with left, st.container(gap="xsmall"):
    st.markdown("**Whose time is it?**")
    spent = {
        name: found.spent[found.spent["of"] == of]
        for name, of in (("Mean of all", "mean"), ("P99 of all", "p99"))
    }
    st.plotly_chart(
        charts.shares(spent),
        key="spent",
        config={"displayModeBar": False},
        alt=" ".join(found.sentences[2:]),
    )
    st.caption(
        "Solid is working, striped is waiting in line, dotted is the network. "
        + " ".join(found.sentences[2:])
    )
    warm_up(run)
with right, st.container(border=True, gap="xsmall", key="headroom"):
    headroom_panel(run)
with st.container(border=True, gap="xsmall", key="what-next"):
    what_next_panel(run)
stations(found)
where_played()
