"""Crews: who plays the runs of a study.  The same tasks give the same figures, whoever plays them.

On one machine loky's processes (the executor of joblib and scikit-learn, which survives the death
of a worker); beyond it a Dask cluster, given its scheduler's address.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import ScenarioError
from engine.study.figures import Outcome, Task, play

if TYPE_CHECKING:
    from engine.study.shelf import Shelf

PATIENCE_SECONDS = 5.0  # for a scheduler to answer
TRIES = 3  # of a task whose worker has died
ALONE_SECONDS = 15.0  # without any worker: a new one takes some seconds to start
LOOK_SECONDS = 0.02  # between two looks at what a cluster has done
IDLE_SECONDS = 300  # after which processes without work end
AHEAD = 4  # tasks of one study, for each process, that are at work or next in line

Stop = Callable[[], bool]


class Crew(Protocol):
    """Plays tasks, and yields what comes out as it does."""

    name: str

    def play(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[int, Outcome]]:
        """Yield (place of the task, outcome) in any order; end early once `stop()` says so."""


class Alone:
    """Plays everything here, one after the other."""

    name = "this process"

    def play(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[int, Outcome]]:
        """Yield (place of the task, outcome)."""
        for index, task in enumerate(tasks):
            if stop():
                return
            yield index, play(task)


class Processes:
    """Plays on processes of this machine: the same ones for all who ask for as many."""

    def __init__(self, count: int | None = None) -> None:
        self.count = count or os.cpu_count() or 1
        self.name = f"{self.count} processes"

    def play(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[int, Outcome]]:
        """Yield (place of the task, outcome); tasks of a worker that dies are played anew."""
        from loky.process_executor import (  # noqa: PLC0415 (only who plays many needs it)
            ShutdownExecutorError,
            TerminatedWorkerError,
        )

        left = dict(enumerate(tasks))
        for attempt in range(TRIES):
            executor = _pool(self.count)
            try:
                yield from _streamed(executor, left, stop, AHEAD * self.count)
            except (TerminatedWorkerError, ShutdownExecutorError):
                _forget(self.count, executor)
                if attempt == TRIES - 1:
                    raise ScenarioError(
                        f"a worker process ended {TRIES} times without a word; the machine may be"
                        " short of memory: use fewer processes or shorter runs"
                    ) from None
            else:
                return

    def end(self) -> None:
        """End the processes at once, whatever they are at."""
        executor = _pools.get(self.count)
        if executor is not None:
            _forget(self.count, executor)
            executor.shutdown(wait=False, kill_workers=True)


# One executor for each number of processes, whichever thread asks: loky's own reusable one is
# another in each thread, and every study of a server runs in a thread of its own.
_pools: dict[int, Any] = {}
_guard = threading.Lock()


def _pool(count: int) -> Any:
    """Return the executor with so many processes."""
    from loky import ProcessPoolExecutor  # noqa: PLC0415

    with _guard:
        if count not in _pools:
            _pools[count] = ProcessPoolExecutor(count, timeout=IDLE_SECONDS)
        return _pools[count]


def _forget(count: int, executor: Any) -> None:
    """Have the next who asks get new processes, unless somebody has them already."""
    with _guard:
        if _pools.get(count) is executor:
            del _pools[count]


class Cluster:
    """Plays on a Dask cluster; its workers have this version of Strata on their path."""

    def __init__(self, address: str) -> None:
        """Connect to a scheduler such as tcp://127.0.0.1:8786.  Raises ScenarioError."""
        from distributed import Client  # noqa: PLC0415

        self.name = f"the cluster at {address}"
        try:
            self._client: Any = Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ScenarioError(
                f"the scheduler {address} does not answer within {PATIENCE_SECONDS:g} s"
                f" ({type(error).__name__}); start one with: dask scheduler, or leave the address"
                " out to play on this machine"
            ) from None

    def play(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[int, Outcome]]:
        """Yield (place of the task, outcome); Dask plays a dead worker's tasks elsewhere."""
        from distributed import as_completed  # noqa: PLC0415

        futures = self._client.map(play, tasks, pure=False, retries=TRIES)
        places = {future.key: index for index, future in enumerate(futures)}
        done = as_completed(futures, loop=self._client.loop, with_results=True, raise_errors=False)
        alone_since = looked = time.monotonic()
        try:
            while places and not stop():
                if done.has_ready():
                    for future, outcome in done.next_batch(block=False):
                        if isinstance(outcome, Exception) or future.status != "finished":
                            raise ScenarioError(f"{self.name} gave up a run: {outcome}")
                        yield places.pop(future.key), Outcome(*outcome)
                    alone_since = time.monotonic()
                elif time.monotonic() - looked > 1.0:
                    if self._workers():
                        alone_since = time.monotonic()
                    looked = time.monotonic()
                    if looked - alone_since > ALONE_SECONDS:
                        raise ScenarioError(
                            f"{self.name} has had no worker for {ALONE_SECONDS:g} s; start one"
                            " with: dask worker and that address, or leave the address out to"
                            " play on this machine; what was played is kept"
                        )
                else:
                    time.sleep(LOOK_SECONDS)
        finally:
            self._client.cancel(futures)

    def _workers(self) -> int:
        """Return how many workers there are; none while the scheduler is away."""
        try:
            return len(self._client.nthreads()) if self._client.status == "running" else 0
        except (OSError, TimeoutError):
            return 0

    def close(self) -> None:
        """Leave the cluster."""
        self._client.close()


def _streamed(
    executor: Any, left: dict[int, Task], stop: Stop, ahead: int
) -> Iterator[tuple[int, Outcome]]:
    """Yield outcomes as they come, and take them out of `left`.

    No more than `ahead` tasks stand in the executor's line, so that who comes later with a few
    need not wait for hundreds; what has not begun when `stop()` says so is called off.
    """
    import concurrent.futures  # noqa: PLC0415

    coming = iter(list(left))
    futures: dict[Any, int] = {}
    try:
        while left:
            if stop():
                return
            for index in itertools.islice(coming, ahead - len(futures)):
                futures[executor.submit(play, left[index])] = index
            done, _ = concurrent.futures.wait(
                futures, timeout=0.1, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                outcome = future.result()
                index = futures.pop(future)
                del left[index]
                yield index, outcome
    finally:
        for future in futures:
            future.cancel()


def crew(scheduler: str = "", processes: int | None = None) -> Crew:
    """Return who plays: a Dask cluster if an address is given, else processes here; 1 is alone."""
    if scheduler:
        return Cluster(scheduler)
    return Alone() if processes == 1 else Processes(processes)


def played(
    tasks: Sequence[Task], by: Crew, shelf: Shelf | None = None, stop: Stop = lambda: False
) -> Iterator[tuple[int, Outcome]]:
    """Yield every task's outcome: kept ones first, then each as it is played, which is kept."""
    known = shelf.get(tasks) if shelf is not None else {}
    yield from sorted(known.items())
    places = [index for index in range(len(tasks)) if index not in known]
    # Equal tasks are played once.
    first: dict[Task, list[int]] = {}
    for index in places:
        first.setdefault(tasks[index], []).append(index)
    open_tasks = list(first)
    for number, outcome in by.play(open_tasks, stop):
        if shelf is not None:
            shelf.put(open_tasks[number], outcome)
        for index in first[open_tasks[number]]:
            yield index, outcome
