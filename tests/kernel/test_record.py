"""What is remembered: histograms as exact as they say, and a trace for every question."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from engine.kernel.record import bin_of, stratum_of
from engine.kernel.tables import BINS, KEPT_INDEX, LEAVES, NOBODY, STRATA, Op
from engine.plane import Plane
from engine.record import BIN_EDGES, BIN_MIDDLES, quantiles
from tests.workshop import POISSON, attempt, constant, exponential, plane_of, play, spells, work

WANTED = (0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999)
TINY, HUGE = 2.0**-20, 2.0**10  # what the bins span, seconds


@njit
def bins_of(seconds: np.ndarray) -> np.ndarray:
    """Return the bin of each duration."""
    out = np.empty(len(seconds), np.int64)
    for index in range(len(seconds)):
        out[index] = bin_of(seconds[index])
    return out


@njit
def strata_of(seconds: np.ndarray) -> np.ndarray:
    """Return the stratum of each duration."""
    out = np.empty(len(seconds), np.int64)
    for index in range(len(seconds)):
        out[index] = stratum_of(seconds[index])
    return out


def histogram(seconds: np.ndarray) -> np.ndarray:
    """Return how many durations fall in each bin."""
    return np.bincount(bins_of(seconds), minlength=BINS)


# ---------------------------------------------------------------- histograms


@settings(max_examples=200)
@given(st.floats(TINY, HUGE, exclude_max=True))
def test_a_bin_holds_what_is_between_its_edges(seconds: float) -> None:
    """A bin that is one off moves every quantile by a whole bin."""
    (place,) = bins_of(np.array([seconds]))
    assert BIN_EDGES[place] <= seconds < BIN_EDGES[place + 1]


def test_the_middle_of_a_bin_is_within_one_percent() -> None:
    """This is the promise: a relative error of at most 1 % at any latency."""
    widest = (BIN_EDGES[1:] - BIN_EDGES[:-1]) / 2 / BIN_EDGES[:-1]
    assert widest.max() <= 0.01
    durations = np.geomspace(TINY, HUGE * 0.999, 50_000)
    error = np.abs(BIN_MIDDLES[bins_of(durations)] / durations - 1)
    assert error.max() <= 0.01


def test_what_is_off_the_scale_is_counted_at_its_ends() -> None:
    """A duration that fell off the end would be missing from the count."""
    assert bins_of(np.array([0.0, 1e-9, 1e4, 1e9])).tolist() == [0, 0, BINS - 1, BINS - 1]
    assert strata_of(np.array([0.0, 1e-9, 1e4, 1e9])).tolist() == [0, 0, STRATA - 1, STRATA - 1]


@pytest.mark.parametrize("shape", ["exponential", "lognormal", "uniform", "two points"])
def test_quantiles_are_those_of_the_sample(shape: str) -> None:
    """A P99 read off bins has to be numpy's P99 of the same numbers, to 1 %."""
    rng = np.random.default_rng(7)
    sample = {
        "exponential": rng.exponential(0.05, 40_000),
        "lognormal": rng.lognormal(-4, 1.5, 40_000),
        "uniform": rng.uniform(0.01, 0.1, 40_000),
        "two points": rng.choice([0.001, 2.0], 40_000, p=[0.93, 0.07]),
    }[shape]
    found = quantiles(histogram(sample), WANTED)
    assert found == pytest.approx(np.quantile(sample, WANTED), rel=0.01)


@settings(max_examples=100)
@given(st.lists(st.floats(1e-5, 100.0), min_size=1, max_size=200))
def test_quantiles_never_leave_the_sample(sample: list[float]) -> None:
    """A median below the smallest or above the largest would be no median."""
    found = quantiles(histogram(np.array(sample)), (*WANTED, 1.0))
    assert np.all(np.diff(found) >= 0)
    assert found[0] >= min(sample) * 0.99
    assert found[-1] <= max(sample) * 1.01


def test_quantiles_of_nothing_are_not_a_number() -> None:
    """A latency of 0 where nobody was answered would look like the best system of all."""
    assert np.all(np.isnan(quantiles(np.zeros(BINS, np.int64), WANTED)))


def test_quantiles_of_many_rows_are_those_of_each() -> None:
    """Rows that were mixed up would show one station's latency at another."""
    rng = np.random.default_rng(3)
    rows = np.stack([histogram(rng.exponential(mean, 500)) for mean in (0.01, 0.1, 1.0)])
    together = quantiles(rows, WANTED)
    for row, found in zip(rows, together, strict=True):
        assert np.array_equal(found, quantiles(row, WANTED))


# ---------------------------------------------------------------- traces


def queue(program, place):
    """Emit a line in front of three slots, given up after 80 ms, with luck in it."""
    pool = program.pool(place, 3)

    def body():
        program.chance("bad luck", 0.02, lambda: program.fail("unlucky"))
        work(program, pool, exponential(10))

    attempt(program, body, patience=constant(80))


def ran(seed: int = 7, seconds: float = 30.0, rate: float = 270.0) -> Plane:
    """Return a run of many requests through the queue."""
    plane = plane_of(queue, rate, POISSON, seed=seed)
    plane.advance(seconds)
    return plane


@pytest.mark.parametrize("seed", range(5))
def test_whatever_latency_was_seen_has_a_trace(seed: int) -> None:
    """A question for a P99 request must have an answer of that latency, whichever were kept."""
    world = ran(seed, seconds=5.0).world
    seen = np.unique(strata_of(BIN_MIDDLES[np.flatnonzero(world.latency[0])]))
    kept = world.traces[0, :STRATA]
    assert np.flatnonzero(kept["request"] != NOBODY).tolist() == seen.tolist()
    assert strata_of(kept["latency"][seen]).tolist() == seen.tolist()


@pytest.mark.parametrize("q", WANTED)
def test_the_trace_nearest_to_a_quantile_is_about_that_slow(q: float) -> None:
    """A P99 trace that took the median would explain nothing."""
    world = ran().world
    latency = float(quantiles(world.latency[0], (q,))[0])
    kept = world.traces[0, :STRATA]["latency"]
    assert np.abs(kept / latency - 1).min() < 0.05


def test_each_stratum_keeps_its_slowest() -> None:
    """The slowest of all is the slowest of its stratum: it must be the very one."""
    plane = plane_of(queue, 270.0, POISSON)
    clock, before, longest = plane.world.clock[0], 0.0, 0.0
    while clock["pending"] and plane.world.due[0] < 3.0:
        plane.advance(float(plane.world.due[0]))
        total = plane.world.journeys[0]["seconds"]
        longest, before = max(longest, total - before), total
    assert plane.world.traces[0, :STRATA]["latency"].max() == pytest.approx(longest)


def test_the_first_failure_of_each_reason_is_kept() -> None:
    """Two ways to fail are two traces; the rarer one is the one that is looked for."""
    plane = ran(rate=290.0)
    kept = plane.world.traces[0, STRATA:]
    assert set(kept["reason"][kept["request"] != NOBODY]) == {
        plane.program.reasons[text] for text in ("timed out", "unlucky")
    }


def test_a_long_request_says_that_its_tail_is_cut() -> None:
    """A trace that ended early without a word would look complete."""

    def emit(program, place):
        pool = program.pool(place, 1)
        for _ in range(LEAVES + 10):
            work(program, pool, constant(1))

    plane = play(emit, requests=1)
    (trace,) = (row for row in plane.world.traces[0] if row["request"] != NOBODY)
    assert trace["leaves"] == LEAVES + 1
    assert len(spells(plane.world)[0]) == LEAVES
    latency = plane.world.journeys["seconds"][0]
    assert plane.world.shares.sum() == pytest.approx(latency, rel=1e-5)


def test_time_given_up_is_charged_up_to_that_moment() -> None:
    """What a request was at when its time ran out lasted until then, not until its end."""

    def emit(program, place):
        pool = program.pool(place, 1)

        def body():
            program.hold("way", constant(10))
            work(program, pool, constant(500))

        attempt(program, body, patience=constant(40), attempts=2)

    plane = play(emit, requests=1)
    said = spells(plane.world)[0]
    assert max(spell.end for spell in said) == pytest.approx(0.080)
    for spell in said:
        assert 0.0 <= spell.start <= spell.end <= 0.0801
    assert [spell.op for spell in said].count(Op.HOLD) == 3  # the second try never got a slot


def test_memory_does_not_grow_with_the_number_of_requests() -> None:
    """A list of latencies would fill the memory on the day it matters."""
    short, long = ran(seconds=2.0), ran(seconds=40.0)
    assert long.world.journeys["started"][0] > 15 * short.world.journeys["started"][0]
    sizes = [sum(table.nbytes for table in plane.world) for plane in (short, long)]
    assert sizes[0] == sizes[1]
    assert len(long.world.kept) == KEPT_INDEX
