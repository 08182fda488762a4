"""The scenario as configuration of other programs: what each file carries and what it cannot."""

import json
import re
from typing import NamedTuple

import streamlit as st

from engine import deploy, export
from pages.parts import words
from pages.parts.state import Run
from pages.parts.takefile import size, stem

KIND, FILE = "deploy-kind", "deploy-file"
LANGUAGES = {
    "conf": "nginx",
    "yaml": "yaml",
    "yml": "yaml",
    "json": "json",
    "js": "javascript",
    "py": "python",
    "sh": "bash",
}
HEAD_MAX = 80  # lines in which a file says what it carries
_CARRIES, _CANNOT = "It carries:", "It cannot carry, or does not:"
_SIGN = re.compile(r"^\s*(#|//|;)?\s*")


class Told(NamedTuple):
    """What a file says of itself."""

    carries: tuple[str, ...]
    cannot: tuple[str, ...]
    head: int  # lines that it takes to say so


def draw(run: Run) -> None:
    """Draw the kinds, one of them with its files, and one file."""
    made = _files(run.id, run)
    kinds = {k.name: k for k in deploy.kinds() if any(p.startswith(f"{k.name}/") for p in made)}
    name = stem(run.scenario.title)
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        st.download_button(
            f"Download all ({size(sum(map(len, made.values())))})",
            export.zipped({path: text.encode() for path, text in made.items()}),
            file_name=f"{name}-deployable.zip",
            mime="application/zip",
            type="primary",
            key="take-deployable",
            on_click="ignore",
            width="stretch",
        )
        kind = st.radio(
            "For which program",
            list(kinds),
            format_func=lambda each: kinds[each].title,
            captions=[each.help for each in kinds.values()],
            key=KIND,
        )
        absent = [each.title for each in deploy.kinds() if each.name not in kinds]
        if absent:
            st.caption(f"Nothing in this scenario needs {' or '.join(absent)}.")
    with right:
        _one(made, str(kind))


def _one(made: dict[str, str], kind: str) -> None:
    """Draw one file of a kind: what it carries, and the file."""
    paths = [path for path in made if path.startswith(f"{kind}/")]
    path = paths[0]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if len(paths) > 1:
            path = (
                st.segmented_control(
                    "File",
                    paths,
                    default=paths[0],
                    required=True,
                    format_func=lambda each: each.partition("/")[2],
                    key=f"{FILE}-{kind}",
                    label_visibility="collapsed",
                )
                or path
            )
        st.download_button(
            f"Download {path.rpartition('/')[2]}",
            made[path],
            file_name=path.rpartition("/")[2],
            mime="text/plain",
            key=f"take-{path}",
            on_click="ignore",
        )
    text = made[path]
    told = said(text)
    carries, cannot = st.columns(2, gap="small")
    carries.markdown("**From the scenario, it carries**")
    carries.caption("\n".join(_items(told.carries, "all there is")))
    cannot.markdown("**It does not carry**")
    cannot.caption("\n".join(_items(told.cannot, "nothing is left out")))
    lines = text.splitlines()[told.head :]
    end = path.rpartition(".")[2]
    st.code("\n".join(lines).strip("\n"), LANGUAGES.get(end), line_numbers=False, height=400)


def _items(texts: tuple[str, ...], none: str) -> list[str]:
    return [f"- {words.plain(each)}" for each in texts] or [f"- {none}"]


def said(text: str) -> Told:
    r"""Return what a file says at its beginning, and how many lines to leave out below it.

    >>> said("# A\n#\n# It carries:\n#   - x\n\nlisten 80;")
    Told(carries=('x',), cannot=(), head=4)
    """
    lines = text.splitlines()[:HEAD_MAX]
    head = 0
    if text.startswith("{"):  # JSON has no comments: a field says it
        lines = next((ln for ln in lines if _CARRIES in ln), "").split("\\n")
    found: dict[str, list[str]] = {_CARRIES: [], _CANNOT: []}
    into: list[str] | None = None
    for number, line in enumerate(lines, 1):
        plain = _SIGN.sub("", line).rstrip('",')
        if plain in found:
            into = found[plain]
        elif into is not None and plain.startswith("- "):
            into.append(_json(plain[2:]) if text.startswith("{") else plain[2:])
            head = number
        elif into is not None and plain:
            break
    return Told(tuple(found[_CARRIES]), tuple(found[_CANNOT]), 0 if text.startswith("{") else head)


def _json(text: str) -> str:
    """Return a piece of a JSON string as it is read."""
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


@st.cache_resource(max_entries=8, show_spinner=False)
def _files(run_id: str, _run: Run) -> dict[str, str]:
    """Return the files of a run's scenario, its alerts' unit tests among them."""
    return deploy.files(_run.scenario, _run.result)
