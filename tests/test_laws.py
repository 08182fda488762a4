"""Laws: what holds in every scenario, at every instant, whatever is switched on.

Scenarios are drawn at random; `books` says what has to add up.
"""

import json
import os
import pathlib
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine import Result, Scenario, Simulation
from tests import twin
from tests.books import check_books, check_drained
from tests.strategies import scenarios
from tests.workshop import FAR, alike

ROOT = pathlib.Path(__file__).parents[1]
FRAMES = ("timeseries", "stations", "station_series", "flows", "journeys", "shares", "accounting",
          "messages", "cost", "events", "scrapes", "on_call")  # fmt: skip
seeds = st.integers(0, 1000)


def assert_same(one: Result, other: Result) -> None:
    """Assert that two results say the same to the last bit."""
    assert one.summary == other.summary
    for name in FRAMES:
        pd.testing.assert_frame_equal(
            getattr(one, name), getattr(other, name), check_exact=True, obj=name
        )
    for journey in one.journeys.index:
        for which in ("p50", "p99", "slowest", "failed"):
            assert one.trace(journey, which) == other.trace(journey, which)


def ran(scenario: Scenario, seed: int) -> Simulation:
    """Return a whole run."""
    run = Simulation(scenario, seed)
    run.advance_to(scenario.duration_seconds)
    return run


# ---------------------------------------------------------------- nothing is lost


@settings(max_examples=60)
@given(scenarios(), seeds, st.lists(st.floats(0.01, 2.0), max_size=5))
def test_the_books_balance_at_any_instant(scenario, seed, moments) -> None:
    """A request, message, slot or look-up that is not accounted for was lost from sight."""
    run = Simulation(scenario, seed)
    for moment in [*sorted(moments), scenario.duration_seconds]:
        run.advance_to(moment)
        check_books(run)


@settings(max_examples=40)
@given(scenarios(arrivals="open"), seeds)
def test_a_system_runs_dry_when_its_users_stop(scenario, seed) -> None:
    """What is left when all has ended is a leak: of a slot, a token, a timer or a message."""
    queue = scenario.asynchronous  # a relay offers a message for ever to a queue without places
    assume(not (queue.outbox.on and queue.bounded and queue.capacity == 0))
    run = ran(scenario, seed)
    run.plane.set_rate(0.0)
    for processor in range(len(run.plane.program._rows["processors"])):
        run.plane.set_speed(processor, 1.0)  # no repair comes any more
    run.plane.advance(FAR)
    check_books(run)
    check_drained(run.plane)


@settings(max_examples=25)
@given(scenarios(arrivals="closed"), seeds)
def test_closed_users_are_never_lost(scenario, seed) -> None:
    """Users who vanished would take load off a system that is failing."""
    run = ran(scenario, seed)
    run.plane.advance(20.0)
    check_books(run)


@settings(max_examples=40)
@given(scenarios(), seeds)
def test_the_result_says_what_the_tables_say(scenario, seed) -> None:
    """Tables that disagreed with the books would show a system that did not run."""
    run = ran(scenario, seed)
    result, world = run.result(), run.plane.world
    said = result.summary
    assert said.started == said.answered + said.failed + said.in_flight
    assert said.started == world.journeys["started"].sum()
    assert sum(said.failures.values()) == said.failed
    books = result.accounting
    by_reason = books[[name for name in books if name.startswith("failed: ")]].sum(axis=1)
    assert (by_reason == books["failed"]).all()
    assert (books["started"] == books[["answered", "failed", "in_flight"]].sum(axis=1)).all()
    letters = result.messages
    places = ["processed", "dead", "waiting", "in_progress", "delayed", "expired"]
    where = letters[places].sum(axis=1)
    assert (letters["published"] == where).all()


# ---------------------------------------------------------------- the same bytes


@settings(max_examples=25)
@given(scenarios(), seeds)
def test_the_same_seed_gives_the_same_bytes(scenario, seed) -> None:
    """A run that cannot be repeated cannot be explained."""
    one, other = ran(scenario, seed), ran(scenario, seed)
    assert alike(one.plane.world, other.plane.world) == []
    assert_same(one.result(), other.result())


@settings(max_examples=40)
@given(
    scenarios(seconds=1.0),
    seeds,
    st.lists(st.floats(0.001, 1.0), min_size=1, max_size=6),
    st.lists(st.integers(0, 120), max_size=4),
)
def test_a_pause_changes_nothing(scenario, seed, moments, windows) -> None:
    """A live run is the same run: pauses at any time, also between windows, leave no trace."""
    one, other = ran(scenario, seed), Simulation(scenario, seed)
    at_windows = [window * scenario.duration_seconds / 120 for window in windows]
    for moment in sorted([*moments, *at_windows]):
        other.advance_to(moment)
        other.result().summary  # noqa: B018  (looking at a run must not change it either)
    other.advance_to(scenario.duration_seconds)
    assert alike(one.plane.world, other.plane.world) == []
    assert_same(one.result(), other.result())


@settings(max_examples=25)
@given(scenarios(), seeds)
def test_a_scenario_survives_being_written_down(scenario, seed) -> None:
    """A link or a file that is shared has to give the run that was seen."""
    again = Scenario.model_validate(scenario.model_dump(mode="json"))
    assert again == scenario
    assert again.digest() == scenario.digest()
    assert alike(ran(again, seed).plane.world, ran(scenario, seed).plane.world) == []


@pytest.mark.thorough
def test_compiled_is_what_interpreted_says() -> None:
    """The Python twin is what people read; compiled code that differed would be unread."""
    interpreted = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "twin.py")],
        cwd=ROOT,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    compiled = twin.digests()
    assert json.loads(interpreted) == compiled
    for name, tables in compiled.items():
        assert json.loads(tables["summary"])["answered"] > 5, name
