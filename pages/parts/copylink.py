"""A button that copies the address of exactly this screen."""

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "strata_copylink",
    html="<button type='button' title='Copy a link to exactly this screen'>Copy link</button>",
    css=_HERE.joinpath("copylink.css").read_text(encoding="utf-8"),
    js=_HERE.joinpath("copylink.js").read_text(encoding="utf-8"),
)


def copylink(*, own: bool) -> None:
    """Draw the button; a link cannot carry a session's own scenario, and the button says so."""
    _component(key="copylink", data={"own": own})
