"""The scenario as a link and as a file, and the way back: what others have taken away."""

from collections.abc import Callable

import streamlit as st

from engine import ScenarioError
from pages.parts import state, words
from pages.parts.copylink import copylink
from pages.parts.state import Run
from pages.parts.takefile import stem
from pages.parts.takein import Taken, of_link, taken

LINK, FILE = "take-link", "take-file"
_TOLD = "_take_told"  # (whether it went well, sentence)
_COUNT = "_take_count"  # of files that were opened: a new key empties the field


def draw(run: Run) -> None:
    """Draw the way out on the left and the way in on the right."""
    out, back = st.columns(2, gap="medium")
    with out, st.container(border=True, key="take-out"):
        _out(run)
    with back, st.container(border=True, key="take-in"):
        _in()


def _out(run: Run) -> None:
    st.markdown("**Take it away**")
    try:
        word = state.whole_link()
    except ScenarioError as error:
        st.warning(str(error), icon=":material/warning:")
        return
    st.caption(
        f"The whole scenario and its seed in {len(word):,} characters. Opened in any Strata, on"
        " any machine, it shows the same figures, to the last digit."
    )
    copylink(own=True, link=word, key="copy-whole")
    st.code(f"/?s={word}", language=None, height=56)
    st.caption("Without a browser:")
    st.code(f"python -m engine run {word}", language="bash")
    head = f"# python -m engine run scenario.yaml --seed {run.result.seed}\n"
    st.download_button(
        "Download the scenario as a file",
        head + run.scenario.to_yaml(),
        file_name=f"{stem(run.scenario.title)}.yaml",
        mime="application/yaml",
        key="take-yaml",
        on_click="ignore",
        width="stretch",
    )


def _in() -> None:
    st.markdown("**Open what somebody else took away**")
    st.caption("It becomes “your scenario”; what you had before is one Undo away, under Scenario.")
    st.text_input(
        "A link",
        key=LINK,
        on_change=_on_link,
        placeholder="paste the address, or the word behind ?s=, and press Enter",
    )
    key = f"{FILE}-{st.session_state.get(_COUNT, 0)}"
    st.file_uploader(
        "A file: YAML, JSON, or a zip of ours",
        type=["yaml", "yml", "json", "zip", "txt"],
        key=key,
        on_change=_on_file,
        args=(key,),
    )
    well, sentence = st.session_state.pop(_TOLD, (True, ""))
    if sentence and well:
        st.success(sentence, icon=":material/check_circle:")
    elif sentence:
        st.warning(sentence, icon=":material/warning:")


def _on_link() -> None:
    text = str(st.session_state[LINK]).strip()
    if text:
        _open(lambda: of_link(text))
        if st.session_state[_TOLD][0]:
            st.session_state[LINK] = ""


def _on_file(key: str) -> None:
    file = st.session_state.get(key)
    if file is not None:
        st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
        _open(lambda: taken(file.name, file.getvalue()))


def _open(read: Callable[[], Taken]) -> None:
    try:
        found = read()
        state.open_scenario(found.scenario, found.seed, f"open {found.name}")
    except ScenarioError as error:
        st.session_state[_TOLD] = (False, words.plain(str(error)))
        return
    seed = "" if found.seed is None else f", seed {found.seed}"
    st.session_state[_TOLD] = (
        True,
        f"Opened: {words.plain(found.scenario.title)}{seed}. Every page shows it.",
    )
