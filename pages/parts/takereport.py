"""The report of the run on the screen: what is asked, how it is made, how it looks."""

import concurrent.futures
import functools
from typing import Any, NamedTuple

import streamlit as st

from engine import Asked, export, report, to_html, to_markdown, to_pdf, words
from pages.parts import jobs, making, settings
from pages.parts.base import YOURS, preset_base
from pages.parts.kept import recall, remember
from pages.parts.making import Making
from pages.parts.state import Run
from pages.parts.takefile import size, stem
from pages.parts.takehtml import preview

NAME = "report"
FORMATS = {
    "HTML": "One page that opens in every browser, without scripts.",
    "PDF": "With a contents page and page numbers.",
    "Markdown": "Text with the charts as SVG beside it, in a zip: for a wiki or repository.",
}
RUNS_MAX = 20
# Studies of which a report has a section, by the name of their job.
STUDIES = {"compare": "Comparison", "sweep": "Sweep"}
PDF_SECONDS = 120  # a slow machine needs a quarter of that
# What a field is called, and how long its text may be.
FIELDS = {"title": 120, "author": 80, "question": 300, "note": 2_000}


class Wish(NamedTuple):
    """What a report is to be."""

    run: str  # id
    said: tuple[str, ...]  # by field
    runs: int
    kind: str
    studies: tuple[str, ...]  # of `STUDIES` that go into it
    units: words.Units


class Made(NamedTuple):
    """A report, ready to be taken away."""

    file: str
    mime: str
    content: bytes
    html: str  # to be looked at


def draw(run: Run) -> None:
    """Draw the form, and then what comes of it."""
    left, right = st.columns([1, 2.1], gap="medium")
    with left:
        wish = _form(run)
        old = making.find(NAME)
        fresh = old is not None and old.about == wish
        if st.button(
            "Make the report",
            type="primary",
            width="stretch",
            disabled=bool(fresh and old and not old.over),
            key="make-report",
        ):
            there = studies_of(run)
            studies = {name: there[name] for name in wish.studies}
            old = making.begin(
                NAME,
                wish,
                functools.partial(_make, run, wish, studies, settings.current().scheduler),
            )
            fresh = True
    with right:
        if old is None or not fresh:
            changed = " The one made before shows something else." if old else ""
            st.info(
                f"The report shows what is on the screen: the system, its figures, its charts, what"
                f" happened, what it costs, and how to get the same again.{changed}",
                icon=":material/description:",
            )
        elif making.watch(old, NAME):
            show(old.result, NAME)


def _form(run: Run) -> Wish:
    """Draw the fields, and return what they say."""
    # Title and author share a row: the button below them all is to be seen without scrolling.
    rooms = dict(zip(("title", "author"), st.columns([3, 2], gap="small"), strict=True))
    said = {}
    for name in FIELDS:
        with rooms.get(name) or st.container():
            said[name] = _field(name, run)
    kind = st.segmented_control(
        "Format",
        list(FORMATS),
        default="HTML",
        required=True,
        key=recall("report-format"),
        help="  \n".join(f"{name}: {text}" for name, text in FORMATS.items()),
    )
    kind = kind or "HTML"
    st.session_state.setdefault(recall("report-runs"), 5)
    runs = int(
        st.number_input(
            "Runs with other seeds, for uncertainty",
            1,
            RUNS_MAX,
            key="report-runs",
            help="They say how much the figures vary by chance. 1: none is played, the report is"
            " there at once, and says that it was not measured.",
        )
    )
    wanted = _wanted(run)
    remember("report-")
    return Wish(run.id, tuple(said.values()), runs, kind, wanted, settings.current().units)


def _wanted(run: Run) -> tuple[str, ...]:
    """Draw a box for each study of this scenario that there is; return those that are wanted."""
    there = studies_of(run)
    for name in there:
        st.session_state.setdefault(recall(f"report-with-{name}"), True)
    wanted = [
        name
        for name in there
        if st.checkbox(f"With the {STUDIES[name].lower()}", key=f"report-with-{name}")
    ]
    lacking = [title for name, title in STUDIES.items() if name not in there]
    if lacking:
        st.caption(f"A {' or '.join(lacking).lower()} of this scenario, once made, can go in too.")
    return tuple(wanted)


def studies_of(run: Run) -> dict[str, Any]:
    """Return what this session's studies have found out about a run's scenario, by their jobs."""
    there = {}
    for name in STUDIES:
        job = jobs.find(name)
        if job is not None and job.over and job.known is not None and _is_about(job.about, run):
            there[name] = job.known
    return there


def _is_about(about: Any, run: Run) -> bool:
    """Return whether a study is of a run's scenario: comparisons are of several."""
    digest = run.scenario.digest()
    if hasattr(about, "scenario"):
        return bool(about.scenario == digest)
    return any(digest == each for _, each in about[0])


def _field(name: str, run: Run) -> str:
    key = recall(f"report-{name}")
    if name == "note":
        return st.text_area("Your note", max_chars=FIELDS[name], key=key, height=70)
    labels = {"title": "Title", "author": "Author", "question": "The question asked"}
    hint = {
        "title": run.scenario.title,
        "question": "such as: how many servers does a sale need?",
    }
    return st.text_input(
        labels[name], max_chars=FIELDS[name], key=key, placeholder=hint.get(name, "")
    )


def _make(run: Run, wish: Wish, studies: dict[str, Any], scheduler: str, job: Making) -> Made:
    """Make it; this runs beside the page.  Raises StoppedError, ScenarioError."""
    title, author, question, note = wish.said
    job.say("Runs with other seeds")
    name = run.base.name
    preset = None if name == YOURS else preset_base(name).scenario
    asked = Asked(question, note, author, name if preset else "", preset, wish.units)
    lab = job.lab(scheduler) if wish.runs > 1 else None
    document = report.report(
        run.result,
        asked,
        lab=lab,
        runs=wish.runs,
        comparison=studies.get("compare"),
        swept=studies.get("sweep"),
    )
    if title.strip():
        document = document._replace(title=title.strip())
    job.say("Writing")
    html, file = to_html(document), stem(document.title)
    if wish.kind == "PDF":
        job.say("Setting the pages of the PDF")
        return Made(f"{file}.pdf", "application/pdf", _pdf(document), html)
    if wish.kind == "Markdown":
        return Made(
            f"{file}.zip", "application/zip", export.zipped(to_markdown(document, file)), html
        )
    return Made(f"{file}.html", "text/html", html.encode(), html)


def _pdf(document: report.Document) -> bytes:
    """Return it as PDF, made by a process of its own: a page of it takes seconds of computing."""
    from loky import ProcessPoolExecutor  # noqa: PLC0415 (only who wants a PDF needs it)

    with ProcessPoolExecutor(max_workers=1) as aside:
        made: concurrent.futures.Future[bytes] = aside.submit(to_pdf, document)
        return made.result(timeout=PDF_SECONDS)


def show(made: Made, key: str) -> None:
    """Draw the way out, and how it looks."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.download_button(
            f"Download {made.file}",
            made.content,
            file_name=made.file,
            mime=made.mime,
            key=f"take-{key}",
            on_click="ignore",
            icon=":material/download:",
        )
        st.caption(f"{size(len(made.content))}. Below: how it will look.")
    preview(made.html, key=f"{key}-preview")
