"""Policies: the arithmetic of the programs that it is taken from, at its edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.policy import (
    Check,
    Jitter,
    assign_range,
    assign_round_robin,
    backoff_range,
    grpc_backoff,
    grpc_may_retry,
    grpc_throttle,
    outlier_threshold,
    priority_load,
    retry_budget,
    slow_start_factor,
)
from tests.workshop import play, spells

PERCENT = st.integers(0, 100)


@pytest.mark.parametrize("jitter", ["none", "full", "equal", "decorrelated"])
def test_no_rest_is_longer_than_the_cap(jitter: Jitter) -> None:
    """Without its cap a backoff doubles past any patience."""
    ranges = [backoff_range(5, 2000, attempt, jitter, 5000) for attempt in range(1, 40)]
    assert max(each.high for each in ranges) == 2000
    assert all(each.low <= each.high for each in ranges)


def test_decorrelated_rests_grow_from_the_rest_before() -> None:
    """They would stay at the base if the rest before were not looked at."""
    assert backoff_range(5, 2000, 1, "decorrelated") == (5, 15)
    assert backoff_range(5, 2000, 7, "decorrelated", before=40) == (5, 120)


@pytest.mark.parametrize("jitter", ["none", "full", "equal", "decorrelated"])
def test_the_engine_rests_as_the_policy_says(jitter: Jitter) -> None:
    """The formula would be right, and what is simulated another one."""
    base, cap = 5.0, 150.0
    first = base if jitter == "decorrelated" else 2 * base  # the policy doubles before the first

    def emit(program, _place):
        program.attempt(
            lambda: program.fail("broken"),
            attempts=9,
            base=first / 1e3,
            cap=cap / 1e3,
            jitter=jitter,
        )

    kept = spells(play(emit, requests=40).world).values()
    assert kept
    for spans in kept:
        before = None
        for attempt, span in enumerate(spans, start=1):
            rest = (span.end - span.start) * 1e3
            low, high = backoff_range(base, cap, attempt, jitter, before)
            assert low - 1e-3 <= rest <= high + 1e-3
            before = rest
        assert len(spans) == 8


def test_grpc_rests_stop_growing() -> None:
    """The longest rest is one second and its 20 %."""
    assert grpc_backoff(20) == pytest.approx((0.8, 1.2))


def test_grpc_retries_again_after_successes_alone() -> None:
    """Tokens neither fall below nothing nor rise above their most."""
    tokens = 10.0
    for _ in range(30):
        tokens = grpc_throttle(tokens, succeeded=False, most=10)
    assert tokens == 0
    assert not grpc_may_retry(tokens, 10)
    for _ in range(500):
        tokens = grpc_throttle(tokens, succeeded=True, most=10)
    assert tokens == 10
    assert grpc_may_retry(tokens, 10)


def test_a_retry_budget_rounds_down() -> None:
    """A part of a retry is none."""
    assert retry_budget(99, 20.0, 3) == 19


def test_a_server_that_has_started_slowly_gets_its_whole_weight() -> None:
    """It would be spared for ever."""
    assert slow_start_factor(61, 60, 3.0) == slow_start_factor(60, 60) == 1
    assert slow_start_factor(0, 60) == 0.1


def test_servers_that_are_all_alike_are_no_outliers() -> None:
    """A deviation of zero must not eject everybody."""
    assert outlier_threshold([90.0] * 5) == 90


@given(st.lists(PERCENT, min_size=1, max_size=5), PERCENT)
def test_all_traffic_goes_somewhere(healthy: list[int], panic: int) -> None:
    """What rounding leaves over must go to somebody."""
    load = priority_load(healthy, panic)
    assert sum(load.percent) == 100
    assert all(0 <= share <= 100 for share in load.percent)
    assert load.health == 100 or all(
        panics == (share < panic) for share, panics in zip(healthy, load.panics, strict=True)
    )


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_a_check_follows_the_last_results_in_a_row(
    results: list[bool], fall: int, rise: int, up: bool
) -> None:
    """The definition, the long way: so many of one kind in a row decide, nothing else."""
    check, state = Check(fall=fall, rise=rise, up=up), up
    for count in range(1, len(results) + 1):
        check, seen = check.after(results[count - 1]), results[:count]
        if seen[-fall:] == [False] * fall:
            state = False
        if seen[-rise:] == [True] * rise:
            state = True
        assert check.up == state


@given(
    st.dictionaries(st.sampled_from("xyz"), st.integers(1, 7), min_size=1),
    st.dictionaries(
        st.sampled_from("abcd"), st.sets(st.sampled_from("xyz"), min_size=1), min_size=1
    ),
)
def test_every_partition_with_a_reader_has_exactly_one(
    topics: dict[str, int], readers: dict[str, set[str]]
) -> None:
    """Two readers would do the work twice, none never."""
    wanted = {topic for topic in topics if any(topic in held for held in readers.values())}
    every = sorted((topic, number) for topic in wanted for number in range(topics[topic]))
    for assign in (assign_range, assign_round_robin):
        given_out = assign(topics, readers)
        assert sorted(part for held in given_out.values() for part in held) == every
        assert all(topic in readers[who] for who, held in given_out.items() for topic, _ in held)


def test_ranges_are_as_even_as_one_topic_allows() -> None:
    """The first consumers take the rest of the division, one each."""
    held = assign_range({"t": 12}, {str(index): ["t"] for index in range(5)})
    assert [len(parts) for parts in held.values()] == [3, 3, 2, 2, 2]
    assert np.ptp([len(parts) for parts in held.values()]) == 1
