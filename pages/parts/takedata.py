"""The run as data: every kind with its size, each alone or all in one zip; and its charts."""

import functools
from typing import NamedTuple

import streamlit as st

from engine import charts, export
from pages.parts import making
from pages.parts.chartshelf import chartshelf
from pages.parts.making import Making
from pages.parts.state import Run
from pages.parts.takefile import size, stem

NAME = "data"


class Part(NamedTuple):
    """A kind of data, ready to be taken away."""

    name: str
    title: str
    help: str
    files: export.Files
    packed: bytes  # as a zip


class Made(NamedTuple):
    """All of it."""

    parts: tuple[Part, ...]
    whole: bytes


def draw(run: Run) -> None:
    """Draw the list."""
    found = making.find(NAME)
    if found is None or found.about != run.id or found.cancelled:
        found = making.begin(NAME, run.id, functools.partial(_make, run))
    if making.watch(found, NAME):
        _show(run, found.result)


def _make(run: Run, job: Making) -> Made:
    """Write everything; this runs beside the page."""
    parts, every = [], export.kinds()
    whole: export.Files = {}
    for done, kind in enumerate(every):
        job.say(f"Writing {kind.title.lower()}")
        job.report(done, len(every))
        found = export.files(run.result, [kind.name])
        whole |= found
        packed = export.zipped(export.with_readme(run.result, found))
        parts.append(Part(kind.name, kind.title, kind.help, found, packed))
    drawn = {f"charts/{p.name}.svg": p.svg.encode() for p in charts.pictures(run.result).values()}
    return Made(tuple(parts), export.zipped(export.with_readme(run.result, whole | drawn)))


def _show(run: Run, made: Made) -> None:
    name = f"{stem(run.scenario.title)}-seed-{run.result.seed}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.download_button(
            "Download all as one zip",
            made.whole,
            file_name=f"{name}.zip",
            mime="application/zip",
            type="primary",
            key="take-all",
            on_click="ignore",
        )
        st.caption(
            f"{size(len(made.whole))}, with every chart as SVG and a README.txt that says what each"
            " file is. Opened under “Link and file”, here or on another machine, it gives the same"
            " figures."
        )
    with st.container(border=True, gap="xsmall", key="take-kinds"):
        for part in made.parts:
            _row(name, part)


def _row(name: str, part: Part) -> None:
    """Draw one kind of data."""
    said, what, button = st.columns([3, 3, 1], vertical_alignment="center", gap="small")
    said.markdown(f"**{part.title}**  \n{part.help}")
    inside = [path.rpartition("/")[2] for path in part.files]
    shown = ", ".join(inside[:3]) + (f" and {len(inside) - 3} more" if len(inside) > 3 else "")
    what.caption(shown)
    button.download_button(
        size(len(part.packed)),
        part.packed,
        file_name=f"{name}-{part.name}.zip",
        mime="application/zip",
        key=f"take-{part.name}",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
        help=f"Download {part.title.lower()} as a zip",
    )


def draw_charts(run: Run) -> None:
    """Draw every chart with its ways out."""
    st.caption("SVG stays sharp at every size; PNG goes into documents that take no SVG.")
    chartshelf(f"{stem(run.scenario.title)}-seed-{run.result.seed}", _pictures(run.id, run))


@st.cache_resource(max_entries=8, show_spinner=False)
def _pictures(run_id: str, _run: Run) -> list[charts.Picture]:
    return list(charts.pictures(_run.result).values())
