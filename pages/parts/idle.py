"""A knob that was turned and changes nothing: said at once, with what the knob is for."""

from typing import Any, NamedTuple

import streamlit as st

from engine import Result
from pages.parts import sidebar, state
from pages.parts.words import plain

_SEEN = "_seen"  # Seen: what was on the screen last


class Seen(NamedTuple):
    """A run as far as it is told from the next: a run itself would be too large to keep."""

    id: str
    where: tuple[str, int]  # the base's key, the seed
    changes: dict[str, Any]
    figures: int


def mention(run: state.Run) -> None:
    """Say so if the one knob that was turned since the last run changes no figure."""
    before: Seen | None = st.session_state.get(_SEEN)
    if before and before.id == run.id:
        return
    changes = state.changed()
    now = Seen(run.id, (run.base.key, run.result.seed), changes, figures(run.result))
    st.session_state[_SEEN] = now
    if before is None or (before.where, before.figures) != (now.where, now.figures):
        return
    paths = before.changes.keys() | changes.keys()
    turned = [path for path in paths if before.changes.get(path) != changes.get(path)]
    if len(turned) == 1 and turned[0] in run.base.knobs:
        knob = run.base.knobs[turned[0]]
        text = f"**{plain(sidebar.label(knob))}** changes no figure of this run."
        st.toast(f"{text} {plain(knob.help)}", icon=":material/info:", duration="long")


def figures(result: Result) -> int:
    """Return a number that two runs share if all that they show is the same."""
    numbers = result.stations.select_dtypes("number").to_numpy().tobytes()
    told = tuple(result.events["text"]), tuple(result.figures["value"])
    return hash((str(result.summary), numbers, *told))
