"""What takes longer than a click to make: in a thread of its own, with progress and a way out.

A page begins it under a name and finds it there at every later run, until something else is asked
for under that name.
"""

import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine import Lab, ScenarioError, Shelf, StoppedError, crew

LOOK_SECONDS = 0.4  # between two looks
AT_ONCE_SECONDS = 0.6  # what is made so soon needs no bar
_MAKING = "_making"  # name to Making
_log = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class Making:
    """Something under way: the thread writes, the page reads."""

    about: Hashable  # what it was made of; a page compares it with what is on the screen
    done: int = 0
    total: int = 0
    step: str = ""
    result: Any = None
    problem: str = ""
    over: bool = False
    cancelled: bool = False

    def report(self, done: int, total: int) -> None:
        """Take note of how far it is."""
        self.done, self.total = done, total

    def say(self, step: str) -> None:
        """Take note of what is being done.  Raises StoppedError once nobody wants it any more."""
        self.done = self.total = 0
        self.step = step
        if self.cancelled:
            raise StoppedError

    def cancel(self) -> None:
        """Call it off."""
        self.cancelled = True

    def lab(self, scheduler: str = "") -> Lab:
        """Return where further runs are played.  Raises ScenarioError if a cluster is away."""
        return Lab(crew(scheduler, processes=1), shelf(), self.report, lambda: self.cancelled)


@functools.cache
def shelf() -> Shelf:
    """Return where the server keeps runs."""
    return Shelf()


def begin(name: str, about: Hashable, work: Callable[[Making], Any]) -> Making:
    """Begin, call off what was under way under that name, and wait a moment: it may be quick."""
    older = find(name)
    if older is not None:
        older.cancel()
    making = Making(about)
    st.session_state.setdefault(_MAKING, {})[name] = making
    thread = threading.Thread(target=_run, args=(making, work), name=name, daemon=True)
    thread.start()
    if get_script_run_ctx() is not None:
        thread.join(AT_ONCE_SECONDS)
    return making


def find(name: str) -> Making | None:
    """Return what the session makes under a name."""
    found: Making | None = st.session_state.get(_MAKING, {}).get(name)
    return found


def _run(making: Making, work: Callable[[Making], Any]) -> None:
    """Do the work, and note how it ended."""
    try:
        making.result = work(making)
    except StoppedError:
        making.cancelled = True
    except ScenarioError as error:
        making.problem = str(error)
    except Exception as error:  # noqa: BLE001 (nobody is above a thread: the page has to say it)
        _log.exception("making")
        making.problem = (
            f"this is a fault of ours: {type(error).__name__}; the server's log says it"
        )
    finally:
        making.over = True


def watch(making: Making, name: str) -> bool:
    """Draw how it goes, and then the page anew; return whether there is a result to show."""
    if not making.over:
        st.fragment(_look, run_every=LOOK_SECONDS)(making, name, time.monotonic())
    elif making.problem:
        st.warning(making.problem, icon=":material/warning:")
    elif making.cancelled:
        st.info(
            "Called off. Runs that were played are kept for the next time.",
            icon=":material/back_hand:",
        )
    return making.over and making.result is not None


def _look(making: Making, name: str, began: float) -> None:
    """Draw a bar and a way out."""
    if making.over:
        st.rerun()
    bar, button = st.columns([5, 1], vertical_alignment="center")
    with bar:
        share = min(1.0, making.done / making.total) if making.total else 0.0
        if making.total:
            text = f"{making.step}: {making.done} of {making.total}"
        else:
            text = f"{making.step} … {time.monotonic() - began:.0f} s"
        st.progress(share, text=text)
    with button:
        st.button("Cancel", key=f"cancel-{name}", on_click=making.cancel, width="stretch")
