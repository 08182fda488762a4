"""A class report: what several people took away, on one page."""

import functools
from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine import Result, ScenarioError, class_report, simulate, to_html
from pages.parts import making, words
from pages.parts.kept import recall, remember
from pages.parts.making import Making
from pages.parts.state import FIRST_SEED, Run
from pages.parts.takefile import stem
from pages.parts.takein import NAME_MAX, Taken, of_link, plain_name, taken
from pages.parts.takereport import Made, show

NAME = "class"
RUNS_MAX = 40


def draw(run: Run) -> None:
    """Draw the fields, and then the page that comes of them."""
    left, right = st.columns([1, 2.1], gap="medium")
    with left:
        title = st.text_input("Title", key=recall("class-title"), placeholder="Class report")
        files = st.file_uploader(
            "Students' files: YAML, JSON, or a zip of ours",
            type=["yaml", "yml", "json", "zip", "txt"],
            accept_multiple_files=True,
            key="class-files",
            help="Each file is one student's; its name, without its end, is whose it is.",
        )
        links = st.text_area(
            "Or links, one a line",
            key=recall("class-links"),
            placeholder="Anna: https://…/?s=s1.…",
            height=90,
        )
        remember("class-title", "class-links")
        mine = st.checkbox(
            "With the run on the screen, as “Teacher”", True, key=recall("class-mine")
        )
        found, problems = gathered([(f.name, f.getvalue()) for f in files or ()], links)
        for line in problems:
            st.warning(words.plain(line), icon=":material/warning:")
        about = (
            title,
            run.id if mine else "",
            tuple((n, t.scenario.digest(), t.seed) for n, t in found.items()),
        )
        old = making.find(NAME)
        enough = bool(found)
        if st.button("Make the class report", type="primary", disabled=not enough, width="stretch"):
            first = {"Teacher": run} if mine else {}
            old = making.begin(NAME, about, functools.partial(_make, title, first, found))
    with right:
        if old is None or old.about != about:
            st.info(
                "Each student takes the scenario away, as a file or a link. Put them all here: one"
                " page shows them side by side, with what each did differently.",
                icon=":material/school:",
            )
        elif making.watch(old, NAME):
            show(old.result, NAME)


def gathered(files: list[tuple[str, bytes]], links: str) -> tuple[dict[str, Taken], list[str]]:
    """Return what students handed in by whose it is, and a line for each thing that is none."""
    found: dict[str, Taken] = {}
    problems = []
    wanted: list[tuple[str, Any]] = [
        (
            plain_name(name).rpartition(".")[0] or plain_name(name),
            functools.partial(taken, name, content),
        )
        for name, content in files
    ]
    for number, line in enumerate((each.strip() for each in links.splitlines()), 1):
        if line:
            whose, sign, link = line.partition(": ")
            name = plain_name(whose) if sign else f"Link {number}"
            wanted.append((name, functools.partial(of_link, link if sign else line)))
    if len(wanted) > RUNS_MAX:
        problems.append(f"these are {len(wanted)} runs; a page has room for {RUNS_MAX}")
    for name, read in wanted[:RUNS_MAX]:
        try:
            found[_free(name[:NAME_MAX], found)] = read()
        except ScenarioError as error:
            problems.append(f"{name}: {error}")
    return found, problems


def _free(name: str, given: Mapping[str, object]) -> str:
    """Return a name that nobody has yet."""
    count, free = 1, name
    while free in given:
        count += 1
        free = f"{name} ({count})"
    return free


def _make(title: str, first: dict[str, Run], found: dict[str, Taken], job: Making) -> Made:
    """Play and write it; this runs beside the page."""
    results: dict[str, Result] = {name: run.result for name, run in first.items()}
    for done, (name, each) in enumerate(found.items()):
        job.say("Playing the students' runs")
        job.report(done, len(found))
        seed = FIRST_SEED if each.seed is None else each.seed
        results[_free(name, results)] = simulate(each.scenario, seed=seed)
    job.say("Writing")
    document = class_report(results, title.strip() or "Class report")
    html = to_html(document)
    return Made(f"{stem(document.title)}.html", "text/html", html.encode(), html)
