"""Crews: whoever plays a run, its figures are the same; whoever dies loses nothing."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from engine import ScenarioError
from engine.study.crew import PATIENCE_SECONDS, Alone, Cluster, Processes, _pool, played
from engine.study.figures import Outcome, Task
from engine.study.lab import Lab, StoppedError, seeds, values_of
from engine.study.shelf import Shelf
from tests.study.small import small

ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.xdist_group("crew")


def tasks(count: int, **changes: object) -> list[Task]:
    """Return runs of one system with as many seeds."""
    return [Task.of(small(**changes), seed) for seed in range(count)]


def same(one: dict[int, Outcome], other: dict[int, Outcome]) -> bool:
    """Return whether the figures are equal to the last bit; NaN is like NaN."""
    return {k: repr(v) for k, v in one.items()} == {k: repr(v) for k, v in other.items()}


def test_processes_play_what_one_plays_alone() -> None:
    """A figure would depend on who has played it."""
    wanted = tasks(6)
    assert same(dict(played(wanted, Alone())), dict(played(wanted, Processes(2))))


def test_what_was_played_is_kept_and_not_played_again(tmp_path: pathlib.Path) -> None:
    """A repeated sweep would take as long as the first."""
    shelf, wanted = Shelf(tmp_path / "runs.sqlite"), tasks(3)
    first = dict(played(wanted, Alone(), shelf))

    class Nobody:
        name = "nobody"

        def play(self, tasks: list[Task], stop: object) -> Iterator[tuple[int, Outcome]]:
            assert not tasks
            return iter(())

    assert same(dict(played(wanted, Nobody(), shelf)), first)
    assert same(dict(played(wanted, Nobody(), Shelf(tmp_path / "runs.sqlite"))), first)


def test_what_was_called_off_goes_on_where_it_stopped(tmp_path: pathlib.Path) -> None:
    """Cancelling would throw away what has been played."""
    shelf, wanted = Shelf(tmp_path / "runs.sqlite"), tasks(5)
    done: list[int] = []
    lab = Lab(Alone(), shelf, lambda count, _: done.append(count), lambda: bool(done[-1] >= 2))
    with pytest.raises(StoppedError):
        lab.outcomes(wanted)
    assert len(shelf) == 2
    again = Lab(Alone(), shelf).outcomes(wanted)
    assert same(dict(enumerate(again)), dict(played(wanted, Alone())))


def test_a_run_that_cannot_be_played_is_said_and_kept(tmp_path: pathlib.Path) -> None:
    """One bad cell of a sweep would end all others."""
    bad = Task('{"journeys": {}}', 1)
    outcome = dict(played([bad], Alone(), Shelf(tmp_path / "runs.sqlite")))[0]
    assert "journey" in outcome.problem


def test_replications_go_on_until_the_figure_is_as_sure_as_asked() -> None:
    """A fixed number of runs would be too many for one system and too few for another."""
    lab, loose, tight = Lab(), 0.10, 0.06
    few = lab.precise(small(), "latency_ms_p99", loose)
    many = lab.precise(small(), "latency_ms_p99", tight)
    assert len(few) < len(many) < 200
    from engine.study.statistics import interval  # noqa: PLC0415

    assert interval(values_of(many, "latency_ms_p99")).within(tight)


@pytest.mark.thorough
def test_a_worker_that_dies_loses_nothing() -> None:
    """A study of an hour would be lost with one process."""
    wanted = tasks(16, duration_seconds=100)
    crew, found = Processes(2), {}
    for index, outcome in crew.play(wanted, lambda: False):
        found[index] = outcome
        if len(found) == 2:
            victim = next(iter(_pool(2)._processes.values()))
            os.kill(victim.pid, signal.SIGKILL)
    assert sorted(found) == list(range(16))
    assert repr(found[15]) == repr(dict(Alone().play([wanted[15]], lambda: False))[0])


def test_studies_in_threads_share_the_processes_and_nobody_waits_for_the_longest() -> None:
    """Thirty students would start sixty processes, or stand behind one long sweep."""
    ended: list[str] = []

    def study(name: str, wanted: list[Task]) -> None:
        found = dict(Processes(2).play(wanted, lambda: False))
        assert len(found) == len(wanted)
        ended.append(name)

    long, short = tasks(60, duration_seconds=300), tasks(2, duration_seconds=21)
    dict(Processes(2).play(short, lambda: False))
    before = set(_pool(2)._processes)
    threads = [
        threading.Thread(target=study, args=("long", long)),
        threading.Thread(target=study, args=("short", short)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert ended == ["short", "long"]
    assert set(_pool(2)._processes) == before


def test_processes_end_at_once_when_they_are_told_to() -> None:
    """A server that ends would leave them behind."""
    crew = Processes(2)
    play = crew.play(tasks(20, duration_seconds=2000), lambda: False)
    next(play)
    working = list(_pool(2)._processes.values())
    play.close()
    crew.end()
    for process in working:
        process.join(timeout=10)
        assert not process.is_alive()


# ---------------------------------------------------------------- a real cluster, over TCP


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a part of a cluster."""
    command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler on loopback."""
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with running("dask_scheduler", *where):
        yield f"tcp://127.0.0.1:{port}"


def worker(address: str, name: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """Return a worker of one thread without a nanny, so that killing it kills it."""
    return running(
        "dask_worker", address, "--no-nanny", "--nthreads", "1", "--name", name, "--no-dashboard"
    )


@pytest.mark.thorough
def test_a_cluster_plays_the_same_and_a_killed_worker_loses_nothing(scheduler: str) -> None:
    """Who outgrows one machine would get other figures, or none."""
    wanted = tasks(16, duration_seconds=100)
    with worker(scheduler, "one") as one, worker(scheduler, "two"):
        cluster = Cluster(scheduler)
        cluster._client.wait_for_workers(2, timeout=60)
        found: dict[int, Outcome] = {}
        for index, outcome in cluster.play(wanted, lambda: False):
            found[index] = outcome
            if len(found) == 3:
                one.kill()
        cluster.close()
    assert same(found, dict(played(wanted, Alone())))


def test_a_cluster_without_workers_is_said_and_can_be_called_off(
    scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page would wait for ever for somebody who never comes."""
    monkeypatch.setattr("engine.study.crew.ALONE_SECONDS", 1.0)
    cluster = Cluster(scheduler)
    assert list(cluster.play(tasks(2), lambda: True)) == []
    with pytest.raises(ScenarioError, match="has had no worker"):
        list(cluster.play(tasks(2), lambda: False))
    cluster.close()


def test_a_scheduler_that_does_not_answer_is_said_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page would hang for ever."""
    assert PATIENCE_SECONDS <= 10
    monkeypatch.setattr("engine.study.crew.PATIENCE_SECONDS", 1.0)
    began = time.monotonic()
    with pytest.raises(ScenarioError, match="does not answer within 1 s"):
        Cluster("tcp://127.0.0.1:9")
    assert time.monotonic() - began < 15
    with pytest.raises(ScenarioError, match="does not answer"):
        Cluster("nonsense://")


def test_seeds_are_the_same_for_all() -> None:
    """Two scenarios would have different luck."""
    assert seeds(3) == [1, 2, 3]
