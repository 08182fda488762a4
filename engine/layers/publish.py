"""Publish: the step of a journey that sends messages to workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from engine.component import Inner, Step
from engine.layers.asynchronous import Asynchronous
from engine.program import Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

USERS = 65_536  # places for keys of messages about a user


class Publish(Step):
    """Put a message on the topic for kinds of workers; the reply does not wait for them.

    With the layer off, or told to `wait`, the same work is done in place while the customer waits:
    the restaurant whose one waiter stands in the kitchen until the meal is ready.
    """

    do: Literal["publish"] = "publish"
    to: tuple[str, ...] = Field(min_length=1)
    dataset: str | None = Field(
        default=None,
        description="What the message is about: with a partitioner by key, its key; without, the"
        " user is.",
    )
    wait: bool = Field(default=False, description="Do the work in place, while the user waits.")

    def names(self) -> list[tuple[str, str]]:
        """The kinds of workers, and the dataset."""
        about = [("dataset", self.dataset)] if self.dataset else []
        return [*(("worker", kind) for kind in self.to), *about]

    def keys(self, scenario: Scenario) -> int:
        """Return how many keys its messages have."""
        return scenario.datasets[self.dataset].keys if self.dataset else USERS

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the publish, or a row of the outbox; or, in place, the work itself."""
        layer = scenario.asynchronous
        if not layer.enabled or self.wait:
            self._work_in_place(program, layer)
            return
        if layer.keyed and self.dataset:
            scenario.draw_key(program, self.dataset)
        elif layer.keyed:
            program.key_by("user", USERS)
        if layer.outbox.on:
            layer.outbox.emit(program, scenario, self)
        else:
            layer.send(program, scenario, self)

    def _work_in_place(self, program: Program, layer: Asynchronous) -> None:
        for kind in self.to:
            count = layer.workers_of(kind) if layer.enabled else 1
            station = program.station(f"asynchronous.{kind}", layer.title_of(kind), "worker", count)
            with program.at(station, "in place"):
                layer.work(program, kind)
