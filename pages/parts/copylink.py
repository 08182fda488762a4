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


def copylink(*, own: bool, link: str = "", key: str = "copylink") -> None:
    """Draw the button; a session's own scenario goes whole into the address, as `link`.

    One that is too large for an address has no link, and the button says so.
    """
    _component(key=key, data={"own": own, "link": link})
