"""Strata's front door: the frame and the navigation.  Run it with `make run`."""

import ctypes
import gc
import sys
from pathlib import Path

import streamlit as st

import engine
from pages.parts import opening, palette, settings, sidebar, state
from pages.parts.frame import navigation

PARTS = Path(__file__).parent / "pages" / "parts"
LOGO = PARTS.joinpath("logo.svg").read_text(encoding="utf-8")
STYLE = PARTS.joinpath("page.css").read_text(encoding="utf-8")


@st.cache_resource(show_spinner=False)
def freeze() -> bool:
    """Take everything imported so far out of garbage collection, once a process.

    Streamlit forces a full collection after every run of a script.  Thirty sessions that drag
    sliders answer in 39 ms instead of 1874 ms when it need not walk through pandas and numba.
    """
    import plotly.graph_objects  # noqa: F401, PLC0415  imported here to be frozen with the rest

    gc.collect()
    gc.freeze()
    keep_memory()
    return True


def keep_memory() -> None:
    """Have the C library keep the memory of one run for the next, where it can be told so.

    Each run needs 20 MB.  Given back and asked for again they cost 4,000 page faults a run, which
    is 10 to 20 ms on a virtual machine.  The numbers are those of glibc's `mallopt(3)`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        trim_threshold, mmap_threshold, arena_max = -1, -3, -8
        mallopt(mmap_threshold, 32 << 20)
        mallopt(trim_threshold, 512 << 20)
        mallopt(arena_max, 1)


st.set_page_config(
    page_title="Strata: an architecture playground",
    page_icon="🧭",
    layout="wide",
    initial_sidebar_state=264,
)
st.logo(LOGO, size="large")
st.html(f"<style>{palette.variables()}{STYLE}{settings.style()}</style>")
if not engine.ready():
    with st.spinner("Compiling the simulator, once …", show_time=True):
        engine.warm_up()
freeze()

page = navigation()
state.settle()
opening.move_due()
state.begin()
known = None if state.open_link() else state.wanted()
if known is None:
    sidebar.draw()
    page.run()
else:
    # What the controls say is known before they are drawn again, so the answer goes first and
    # reaches the screen 15 ms sooner.  Only the browser's Back makes them say something else.
    page.run()
    sidebar.draw()
    if state.wanted() != known:
        st.rerun()
state.mind_address()
