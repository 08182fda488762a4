"""Long work beside a page: a thread of its own, with progress, cancel and partial results.

A page starts a job under a name, and from then on finds it there: the job outlives a visit to
another page and ends with its session.  What it plays goes through one crew of processes and one
shelf of kept runs for the whole server, so that thirty sessions share two cores instead of
starting sixty processes.

    def work(job: Job[Comparison], lab: Lab) -> Comparison:
        for job.partial in comparisons(scenarios, lab): ...

    jobs.start("compare", about=digest, work=work)
    jobs.watch(jobs.find("compare"), draw_what_is_known_so_far)
"""

import dataclasses
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import streamlit as st
from streamlit.runtime import Runtime, RuntimeState
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine import Cluster, Crew, Lab, Processes, ScenarioError, Shelf, StoppedError, crew
from pages.parts import settings

T = TypeVar("T")

LOOK_SECONDS = 0.5  # between two looks at a job
GONE_SECONDS = 15.0  # a session that is away for so long has closed its page
_JOBS = "_jobs"  # name to Job
_log = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class Job(Generic[T]):
    """Work under way: the thread writes, the page reads."""

    name: str
    about: Hashable  # what it answers for; a page compares it with what is on the screen
    work: "Callable[[Job[T], Lab], T] | None" = None  # to begin anew elsewhere
    scheduler: str = ""
    done: int = 0
    total: int = 0
    partial: T | None = None
    result: T | None = None
    problem: str = ""
    over: bool = False
    cancelled: bool = False
    session: str = ""
    began: float = dataclasses.field(default_factory=time.monotonic)
    seconds: float = 0.0  # that it took
    away_since: float = 0.0

    def report(self, done: int, total: int) -> None:
        """Take note of how far it is."""
        self.done, self.total = done, total

    def cancel(self) -> None:
        """Call it off: it ends before its next run."""
        self.cancelled = True

    def stopped(self) -> bool:
        """Return whether it is to end: called off, its session gone, or the server about to end."""
        if not self.cancelled and self.session and not _present(self.session):
            self.away_since = self.away_since or time.monotonic()
            patience = GONE_SECONDS if _serving() else 0.0
            self.cancelled = time.monotonic() - self.away_since >= patience
        else:
            self.away_since = 0.0
        return self.cancelled

    @property
    def known(self) -> T | None:
        """What is known: the result, else what there is of it so far."""
        return self.partial if self.result is None else self.result


Work = Callable[[Job[T], Lab], T]


# ---------------------------------------------------------------- a session's jobs


def start(name: str, about: Hashable, work: Work[T]) -> Job[T]:
    """Begin a job; a session's older one of that name is called off."""
    older = find(name)
    if older is not None:
        older.cancel()
    context = get_script_run_ctx()
    job: Job[T] = Job(
        name,
        about,
        work,
        scheduler=settings.current().scheduler,
        session=context.session_id if context and Runtime.exists() else "",
    )
    st.session_state.setdefault(_JOBS, {})[name] = job
    threading.Thread(target=_run, args=(job, work), name=f"job {name}", daemon=True).start()
    return job


def find(name: str) -> Job[Any] | None:
    """Return the session's job of a name."""
    found: Job[Any] | None = st.session_state.get(_JOBS, {}).get(name)
    return found


def forget(name: str) -> None:
    """Call a job off and forget what came of it."""
    job = st.session_state.get(_JOBS, {}).pop(name, None)
    if job is not None:
        job.cancel()


def _run(job: Job[T], work: Work[T]) -> None:
    """Do a job's work, and note how it ended."""
    try:
        job.result = work(job, Lab(_crew(job.scheduler), _shelf(), job.report, job.stopped))
    except StoppedError:
        job.cancelled = True
    except ScenarioError as error:
        job.problem = str(error)
        if job.scheduler:
            _crew.cache_clear()  # the next try connects anew
    except Exception as error:  # noqa: BLE001 (nobody is above a thread: the page has to say it)
        _log.exception("job %s", job.name)
        job.problem = f"this is a fault of ours: {type(error).__name__}; the server's log has more"
    finally:
        job.seconds = time.monotonic() - job.began
        job.over = True
        if not _serving() and isinstance(local := _crew(""), Processes):
            local.end()


def _present(session: str) -> bool:
    """Return whether somebody still looks at a session."""
    return Runtime.exists() and Runtime.instance().is_active_session(session)


def _serving() -> bool:
    """Return whether the server, if there is one, goes on."""
    ending = {RuntimeState.STOPPING, RuntimeState.STOPPED}
    return not (Runtime.exists() and Runtime.instance().state in ending)


# ---------------------------------------------------------------- one for the whole server


@functools.cache
def _shelf() -> Shelf:
    """Return where the server keeps runs."""
    return Shelf()


@functools.cache
def _crew(scheduler: str) -> Crew:
    """Return who plays: processes of this machine, or a cluster.  Raises ScenarioError."""
    return Cluster(scheduler) if scheduler else crew("", os.cpu_count() or 1)


# ---------------------------------------------------------------- on the page


def watch(
    job: Job[T], show: Callable[[T], None] | None = None, *, what: str = "runs", hint: str = ""
) -> None:
    """Draw how a job goes until it is over, then the page anew; after that, how it ended.

    `show` draws what is known so far, at most every half second.
    """
    if job.over:
        _ended(job)
    else:
        st.fragment(_look, run_every=LOOK_SECONDS)(job, show, what, hint)


def _look(job: Job[T], show: Callable[[T], None] | None, what: str, hint: str) -> None:
    """Draw a job under way."""
    if job.over:
        st.rerun()
    share = min(1.0, job.done / job.total) if job.total else 0.0
    text = f"{job.done:,} of {job.total:,} {what}" if job.total else f"Getting {what} ready …"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(share, text=f"{text}. {hint}" if hint else text)
        st.button(
            "Stopping …" if job.cancelled else "Cancel",
            key=f"cancel-{job.name}",
            on_click=job.cancel,
            disabled=job.cancelled,
        )
    if show is not None and job.partial is not None:
        show(job.partial)


def _ended(job: Job[Any]) -> None:
    """Say how a job ended, if it did not end well."""
    if job.problem:
        st.warning(job.problem, icon="⚠️")
        if job.scheduler:
            st.button(
                "Play on this machine instead", key=f"here-{job.name}", on_click=_here, args=(job,)
            )
    elif job.cancelled:
        st.info(
            f"Stopped after {job.done:,} of {job.total:,} runs. They are kept: started again, it"
            " goes on from there.",
            icon=":material/front_hand:",
        )


def _here(job: Job[Any]) -> None:
    """Play without a cluster from now on, and this job at once."""
    settings.change(scheduler="")
    if job.work is not None:
        start(job.name, job.about, job.work)
