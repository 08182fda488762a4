"""Keeps the settings in the browser, and lets people choose light or dark."""

from pathlib import Path

import streamlit as st

from pages.parts.settings import COOKIE

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "strata_keeper",
    html="<div class='looks' role='radiogroup' aria-label='Light or dark'></div>",
    css=_HERE.joinpath("keeper.css").read_text(encoding="utf-8"),
    js=_HERE.joinpath("keeper.js").read_text(encoding="utf-8"),
)


def keeper(word: str, own_link: str) -> None:
    """Keep a word of settings; a change of look begins the page anew, with one's own scenario."""
    _component(key="keeper", data={"cookie": COOKIE, "word": word, "link": own_link})
