"""Rows: the journey steps that read and write rows of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from engine.component import Inner, Step
from engine.layers.locks import Lock
from engine.program import Program

if TYPE_CHECKING:
    from engine.scenario import Scenario


class Read(Step):
    """Read a row of a dataset."""

    do: Literal["read"] = "read"
    dataset: str
    scatter: bool = Field(
        default=False,
        description="Ask every shard, as a query without the sharding key does; the slowest"
        " decides.",
    )
    archive: bool = Field(
        default=False, description="Read old rows: from the archive, if there are tiers by age."
    )

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the read."""
        scenario.draw_key(program, self.dataset)
        scenario.data.read(program, scenario, self.dataset, self.scatter, self.archive)


class Write(Step):
    """Write a row of a dataset; the cached copy goes by the cache's policy: usually out."""

    do: Literal["write"] = "write"
    dataset: str
    invalidate: bool = Field(default=True, description="Take the key out of the read cache.")
    insert: bool = Field(
        default=False,
        description="A new row, with the highest key: with range sharding all go to one shard.",
    )
    lock: Lock = Field(
        default="none",
        description="Read the row first, and let nobody write it in between: pessimistic, with a"
        " lock; optimistic, by its version.",
    )

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the write, and what becomes of the cached copy."""
        if self.insert:
            # Ids grow: at the end of the last range, but anywhere among hashes.
            ordered = scenario.data.sharding == "range" and scenario.data.shards > 1
            keys = scenario.datasets[self.dataset].keys
            program.key_by("newest" if ordered else "request", keys)
        else:
            scenario.draw_key(program, self.dataset)

        def database() -> None:
            scenario.data.write(program, scenario, self.dataset, "write", lock=self.lock)

        scenario.cache.write(program, scenario, self.dataset, database, self.invalidate)
        if self.insert:
            program.forget_key()
