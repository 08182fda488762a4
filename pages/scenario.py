"""The page of scenarios: build a system of your own, in tables and in text side by side."""

import re
import time
from typing import Any

import streamlit as st

from engine import Scenario, ScenarioError
from pages.parts import state, words
from pages.parts.draft import SMALLEST, Draft, checked, preset_text
from pages.parts.editor import asked, editor, typed
from pages.parts.edits import edited, written
from pages.parts.frame import through_the_door
from pages.parts.lines import bare, lines
from pages.parts.tables import content, edits, tables

START, FILE = "start", "file"
FILE_MAX = 5_000_000  # bytes
SMALL = "the smallest scenario"
REQUESTS_MAX = 20_000_000  # a run of more takes half a minute
ANSWER_SECONDS = 0.05  # about what an answer takes
SPEED = 800_000  # requests a second of computing, as measured


# ---------------------------------------------------------------- what people do
# Callbacks: Streamlit runs them before anything is drawn, so that all of it shows the new text.


def on_typed() -> None:
    """Take over what was typed, whether it makes sense or not."""
    known, text = typed()
    state.hear(known)
    before = state.viewed()
    after = before if text is None else before.typed(text, time.monotonic())
    if after is not before:
        state.keep(after)


def on_asked() -> None:
    """Undo or redo from the keyboard; what was typed last goes into the history first."""
    known, what, text = asked()
    state.hear(known)
    before = state.viewed()
    after = before if text is None else before.typed(text, time.monotonic())
    go(what, after)


def go(what: str, draft: Draft | None = None) -> None:
    """Go one step back or forth in the history."""
    shown = state.viewed()
    before = draft or shown
    after = before.undone() if what == "undo" else before.redone()
    if after is not shown:
        state.keep(after)


def on_edits() -> None:
    """Change the text as the tables say; an edit that makes no sense is refused and said."""
    known, mount, sent = edits()
    state.hear(known)
    draft, told = state.viewed(), ""
    seen, newest = state.desk().seen
    new = [edit for edit in sent if seen != mount or edit["n"] > newest]
    if not new:
        return
    before = draft
    for edit in new if not draft.now.problem else ():
        try:
            text, what = edited(draft.now.text, draft.now.base.scenario, edit)
            draft = draft.replaced(text, what)
        except ScenarioError as error:
            told = bare(str(error))
    now_seen = (mount, int(new[-1]["n"]))
    if draft is before:
        state.refuse(told, seen=now_seen)
    else:
        state.keep(draft, told=told, seen=now_seen)


def on_start() -> None:
    """Start from a preset or from next to nothing."""
    name = st.session_state[START]
    st.session_state[START] = None
    if name:
        text = SMALLEST if name == SMALL else preset_text(name)
        state.keep(state.viewed().replaced(text, f"start from {name}"), afresh=True)


def on_file(key: str) -> None:
    """Load a file; one that cannot be used changes nothing."""
    file = st.session_state.get(key)
    if file is None:
        return
    name = " ".join(str(file.name).split())[:60]
    try:
        text = _decoded(file, name)
        checked(text, name)
        state.keep(state.viewed().replaced(text, f"load {name}"), afresh=True)
    except ScenarioError as error:
        state.refuse(str(error), where=FILE)


def _decoded(file: Any, name: str) -> str:
    """Return a file's text.  Raises ScenarioError if it is too large or none."""
    if file.size > FILE_MAX:
        raise ScenarioError(f"{name} has {file.size:,} bytes; a scenario is smaller than 5 MB")
    try:
        return str(file.getvalue().decode("utf-8-sig")).replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ScenarioError(f"{name} is no text in UTF-8; save it as YAML or JSON text") from None


def on_write() -> None:
    """Write what the sliders say into the text."""
    draft = state.viewed()
    text = written(draft.now.text, draft.now.base.scenario, state.changed())
    state.keep(draft.replaced(text, "write sliders"))


# ---------------------------------------------------------------- what is seen


def bar(draft: Draft) -> None:
    """Draw what can be done with the whole text."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="bar"):
        st.selectbox(
            "Start from",
            [*state.choices(), SMALL],
            index=None,
            key=START,
            placeholder="Start from …",
            on_change=on_start,
            label_visibility="collapsed",
            width=190,
        )
        back, forth = draft.past, draft.future
        st.button(
            "↩ Undo",
            key="undo-text",
            on_click=go,
            args=("undo",),
            disabled=not back,
            help=f"Undo: {words.plain(draft.now.what)}" if back else "Nothing to undo yet",
        )
        st.button(
            "↪ Redo",
            key="redo-text",
            on_click=go,
            args=("redo",),
            disabled=not forth,
            help=f"Redo: {words.plain(forth[-1].what)}" if forth else "Nothing to redo",
        )
        with st.popover("Load"):
            key = f"{FILE}-{draft.changes}"
            st.file_uploader(
                "A scenario as YAML or JSON",
                type=["yaml", "yml", "json"],
                key=key,
                on_change=on_file,
                args=(key,),
            )
        st.download_button(
            "Save",
            draft.now.text,
            file_name=file_name(draft.now.base.scenario),
            mime="application/yaml",
            key="save",
            help="The text as it stands, as a file",
            on_click="ignore",
        )
        st.page_link("pages/playground.py", label="See it run →")


def file_name(scenario: Scenario) -> str:
    """Return a file's name for a scenario, from its title."""
    stem = re.sub(r"[^a-z0-9]+", "-", scenario.title.lower()).strip("-")
    return f"{stem or 'scenario'}.yaml"


def remarks(draft: Draft) -> None:
    """Say what a reader could not see from the text."""
    told = state.told(FILE)
    if told:
        st.error(words.plain(told), icon="⚠️")
    moved = state.changed()
    if moved:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="moved"):
            some = ", ".join(f"{path} {value}" for path, value in list(moved.items())[:2])
            more = f" and {len(moved) - 2} more" if len(moved) > 2 else ""
            st.caption(f"Sliders stand elsewhere than the text: {words.plain(some)}{more}.")
            if not draft.now.problem:
                st.button("Write them into the text", key="write", on_click=on_write)
    count = expected_requests(draft.now.base.scenario)
    if count > REQUESTS_MAX:
        st.warning(
            f"This asks for about {count:,.0f} requests: a run takes about {count / SPEED:,.0f} s. "
            "A shorter duration_seconds or a lower rate answers sooner."
        )


def expected_requests(scenario: Scenario) -> float:
    """Return about how many requests a run has."""
    client = scenario.client
    rate = client.requests_per_second
    if client.arrivals == "closed":  # at most: nobody asks again before an answer
        rate = client.users / max(client.think_time.mean_ms / 1000, ANSWER_SECONDS)
    return rate * scenario.duration_seconds


def summary(draft: Draft, own: bool) -> str:
    """Return what the text is, for the line below it."""
    scenario = draft.now.base.scenario
    steps = sum(1 for _ in scenario.walk())
    size = f"{_some(len(scenario.journeys), 'journey')}, {_some(steps, 'step')}"
    if own:
        return f"This is your scenario now, and every page shows it: {size}."
    return f"The preset {draft.now.base.name}: {size}. What you change becomes your scenario."


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def draw() -> None:
    """Draw the page."""
    draft = state.viewed()
    own = state.own()
    now = draft.now
    bar(draft)
    with st.container(key="remarks"):  # always there: what comes after it must not be mounted anew
        remarks(draft)
    problem = [now.problem.line, now.problem.message] if now.problem else None
    left, right = st.columns(2, gap="small")
    with left:
        places = {} if now.problem else lines(now.text)
        mount, done = state.desk().seen
        data = content(now.base.scenario, places)
        locked = ""
        if now.problem:
            locked = (
                "The text has an error, so the tables rest and show the last scenario that made"
                " sense; it stays in force. Mend the text, or undo."
            )
        tables(
            {
                **data,
                "version": draft.version,
                "stamp": state.desk().stamp,
                "problem": state.told(""),
                "locked": locked,
                "mount": mount,
                "done": done,
            },
            on_edits,
        )
    with right:
        editor(
            {
                "text": now.text,
                "version": draft.version,
                "stamp": state.desk().stamp,
                "problem": problem,
                "own": own,
                "begun": state.draft() is not None,
                "words": summary(draft, own),
            },
            on_typed,
            on_asked,
        )


through_the_door()
draw()
