"""Fields that keep what was typed: Streamlit forgets a field's value once another page is shown."""

from typing import Any

import streamlit as st

_KEPT = "_kept"  # dict of key to value, for fields that are not on the screen


def recall(key: str) -> str:
    """Put a field where this session has left it; call before it is drawn, and return its key."""
    kept: dict[str, Any] = st.session_state.setdefault(_KEPT, {})
    if key in kept and key not in st.session_state:
        st.session_state[key] = kept[key]
    return key


def remember(*beginnings: str) -> None:
    """Keep every field whose key begins so; call after they have been drawn."""
    kept: dict[str, Any] = st.session_state.setdefault(_KEPT, {})
    kept |= {k: v for k, v in st.session_state.to_dict().items() if str(k).startswith(beginnings)}
