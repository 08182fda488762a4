"""Work beside a page: it says how far it is, ends when it is told to, and says what went wrong."""

import threading
import time

from engine import ScenarioError, StoppedError
from pages.parts import jobs
from pages.parts.jobs import Job


def test_work_that_fails_says_why_and_does_not_end_the_server(caplog) -> None:
    """The page would wait for ever."""

    def refuses(job, lab):
        raise ScenarioError("application.replicas is 0; use at least 1")

    def breaks(job, lab):
        raise ZeroDivisionError

    found = [Job(name, "") for name in ("refuses", "breaks")]
    for job, work in zip(found, (refuses, breaks), strict=True):
        jobs._run(job, work)
        assert job.over
    assert found[0].problem == "application.replicas is 0; use at least 1"
    assert "fault of ours" in found[1].problem
    assert "ZeroDivisionError" in caplog.text


def test_a_job_that_is_called_off_ends_and_keeps_what_it_knows() -> None:
    """Cancel would be a button without effect."""
    job: Job[str] = Job("waits", "")

    def waits(job, lab):
        job.partial = "half"
        while not lab.stop():
            time.sleep(0.01)
        raise StoppedError

    thread = threading.Thread(target=jobs._run, args=(job, waits))
    thread.start()
    job.cancel()
    thread.join(timeout=10)
    assert job.over
    assert job.cancelled
    assert job.known == "half"


def test_a_job_ends_with_its_session(monkeypatch) -> None:
    """Closed tabs would keep the machine at work."""
    job: Job[str] = Job("lonely", "", session="gone")
    monkeypatch.setattr(jobs, "_present", lambda _: False)
    assert not job.stopped()  # a network that blinks is no farewell
    monkeypatch.setattr(jobs, "GONE_SECONDS", 0.0)
    assert job.stopped()
