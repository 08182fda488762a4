"""The world: every table of a run, the same compiled and interpreted."""

import numpy as np
import pytest
from numba import njit

from engine.kernel import tables
from engine.kernel.loop import open_source
from engine.kernel.tables import TABLES
from engine.kernel.world import World
from engine.room import grown
from tests.workshop import alike, constant, exponential, outcome, plane_of, program_of

ROWS = {name: dtype for name, (dtype, _) in TABLES.items() if getattr(dtype, "names", None)}


def emit(program, _place) -> None:
    """Emit a little work."""
    program.hold("work", exponential(40))


@njit
def sums(world: World) -> tuple[int, float]:
    """Return what compiled code sees of two tables."""
    return len(world.tokens), world.due.sum()


@pytest.mark.parametrize("name", ROWS)
def test_no_field_has_the_name_of_something_that_a_row_has_already(name: str) -> None:
    """`row.shape` is numpy's own: interpreted, the field behind it could not be reached."""
    for field in ROWS[name].names:
        assert not hasattr(np.void, field), f"{name}.{field}"
        assert not hasattr(np.record, field), f"{name}.{field}"


def test_a_row_is_a_view() -> None:
    """Mechanisms write to rows; a copy would forget what they write."""
    plane = plane_of(emit)
    pool = plane.world.clock[0]
    pool.now = 12.5
    assert plane.world.clock["now"][0] == 12.5


def test_a_world_has_every_table_and_no_other() -> None:
    """A missing table would be an address of nothing."""
    world = program_of(emit).world(7)
    arrays = {name: getattr(world, name) for name in TABLES}
    assert [array.shape for array in World(**arrays)] == [array.shape for array in world]
    with pytest.raises(TypeError, match="tokens"):
        World(**{name: array for name, array in arrays.items() if name != "tokens"})
    with pytest.raises(TypeError, match="extra"):
        World(**arrays, extra=np.zeros(1))


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(4, np.float32), np.zeros((4, 4)), np.zeros(8)[::2], np.zeros(4, np.int64)],
    ids=["type", "dimensions", "stride", "kind"],
)
def test_a_table_of_the_wrong_kind_is_refused(wrong: np.ndarray) -> None:
    """Compiled code reads rows where it expects them; anything else is memory at random."""
    world = program_of(emit).world(7)
    with pytest.raises(TypeError, match="due is"):
        world.replace("due", wrong)


def test_a_table_that_does_not_exist_is_an_error() -> None:
    """A misspelt table must not come out as something empty."""
    world = program_of(emit).world(7)
    with pytest.raises(AttributeError, match="tokenz"):
        _ = world.tokenz


def test_compiled_code_sees_a_table_that_was_replaced() -> None:
    """Tables grow while a run pauses; old addresses would be freed memory."""
    world = program_of(emit).world(7)
    world.due[:] = 1.0
    assert sums(world) == (4096, len(world.due))
    world.replace("tokens", grown(world.tokens, 8192))
    world.replace("due", np.full(100, 2.0))
    assert sums(world) == (8192, 200.0)


def test_growing_changes_nothing_but_the_room() -> None:
    """More room, the same run: a table that began small gives what a large one gives."""
    planes = {}
    for tokens in (16, 4096):
        plane = plane_of(emit, rate=3000.0)
        plane.world = plane.program.world(7, tokens=tokens, messages=16)
        open_source(0, plane.world)
        plane.advance(1.0)
        planes[tokens] = plane
    small, large = planes[16], planes[4096]
    assert len(small.world.tokens) > 16
    assert outcome(small) == outcome(large)
    same = {"journeys", "latency", "meters", "shares", "visits", "traces", "trace_leaves", "pools"}
    assert not same & set(alike(small.world, large.world))


def test_two_runs_share_no_table_that_is_written() -> None:
    """Sessions of a browser run side by side; a shared table would mix them."""
    program = program_of(emit)
    one, other = program.world(7), program.world(7)
    for name in TABLES:
        mine, theirs = getattr(one, name), getattr(other, name)
        assert not mine.flags.writeable or not np.shares_memory(mine, theirs), name


def test_worlds_differ_by_their_seed_alone() -> None:
    """If a seed changed more than draws, two seeds would be two systems."""
    program = program_of(emit)
    assert alike(program.world(7), program.world(7)) == []
    assert alike(program.world(7), program.world(8)) == ["clock"]


def test_every_step_knows_its_row() -> None:
    """Ops, accounts and registers have to fit the tables they index."""
    world = program_of(lambda program, _place: program.hold("x", constant(1))).world(7)
    assert world.steps["account"].max() < tables.ACCOUNTS
    assert world.steps["register"].max() < tables.REGISTERS
    assert world.steps["by"].max() < tables.REGISTERS
