"""The editor of a scenario's text: numbered lines, and what is wrong beside the line it is on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "strata_editor",
    html=_HERE.joinpath("editor.html").read_text(encoding="utf-8"),
    css=_HERE.joinpath("editor.css").read_text(encoding="utf-8"),
    js=_HERE.joinpath("editor.js").read_text(encoding="utf-8"),
)

KEY = "editor"


def editor(
    data: dict[str, Any], on_typed: Callable[[], None], on_asked: Callable[[], None]
) -> None:
    """Draw the editor.

    `data`: the text; its version, which changes whenever anything but typing changed it; the
    problem as [line, sentence], or None; whether the scenario is the session's own, and whether
    the session has begun one.
    """
    _component(key=KEY, data=data, on_typed_change=on_typed, on_asked_change=on_asked)


def typed() -> str | None:
    """Return the text as it stands in the browser; for the callback."""
    sent = st.session_state[KEY].get("typed") or {}
    return _text(sent)


def asked() -> tuple[str, str | None]:
    """Return "undo" or "redo", and the text as it stood then; for the callback."""
    sent = st.session_state[KEY].get("asked") or {}
    return str(sent.get("do", "")), _text(sent)


def _text(sent: dict[str, Any]) -> str | None:
    text = sent.get("text")
    return text if isinstance(text, str) else None
