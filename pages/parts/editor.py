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
    js="".join(_HERE.joinpath(n).read_text(encoding="utf-8") for n in ("door.js", "editor.js")),
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


def typed() -> tuple[int, str | None]:
    """Return the stamp that the browser knows, and the text as it stands there."""
    sent = _sent("typed")
    return int(sent.get("stamp", 0)), _text(sent)


def asked() -> tuple[int, str, str | None]:
    """Return the stamp that the browser knows, "undo" or "redo", and the text as it stood then."""
    sent = _sent("asked")
    return int(sent.get("stamp", 0)), str(sent.get("do", "")), _text(sent)


def _sent(what: str) -> dict[str, Any]:
    """Return what the browser sent; nothing is left of it when the page was left at that moment."""
    found: dict[str, Any] = (st.session_state.get(KEY) or {}).get(what) or {}
    return found


def _text(sent: dict[str, Any]) -> str | None:
    text = sent.get("text")
    return text if isinstance(text, str) else None
