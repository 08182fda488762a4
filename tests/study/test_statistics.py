"""Statistics: an interval that is wrong makes every sentence about a difference wrong."""

import math

import numpy as np
import pytest

from engine.study.statistics import batch_means, difference, interval, mser5, runs_needed


def test_an_interval_of_95_percent_holds_the_truth_in_95_of_100_cases() -> None:
    """A narrower one would call noise a difference, a wider one hide what is real."""
    rng = np.random.default_rng(1)
    held = [
        abs(found.mean - 3.0) <= found.half_width
        for found in (interval(rng.normal(3.0, 2.0, 6)) for _ in range(2000))
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_common_luck_makes_a_small_difference_visible() -> None:
    """Unpaired, the noise of the runs would hide what a knob does."""
    rng = np.random.default_rng(2)
    luck = rng.normal(0.0, 10.0, 8)
    before, after = 100 + luck, 101 + luck + rng.normal(0, 0.1, 8)
    assert difference(before, after).real
    assert difference(before, after).mean == pytest.approx(1.0, abs=0.2)
    assert interval(after).half_width > 5


def test_no_difference_is_called_none() -> None:
    """Two alike systems would be told apart."""
    rng = np.random.default_rng(3)
    luck = rng.normal(0.0, 10.0, 8)
    wrong = sum(difference(luck, luck + rng.normal(0, 1, 8)).real for _ in range(1000))
    assert wrong / 1000 == pytest.approx(0.05, abs=0.02)


def test_a_single_value_says_nothing_about_noise() -> None:
    """One run would be taken for proof."""
    found = interval([4.0])
    assert (found.mean, found.runs) == (4.0, 1)
    assert math.isnan(found.half_width)
    assert not found.real


def test_the_warm_up_is_found_where_it_ends() -> None:
    """What is measured while queues fill would count as how the system is."""
    rng = np.random.default_rng(4)
    filling = 50 * np.exp(-np.arange(200) / 10) + rng.normal(10, 1, 200)
    assert 20 <= mser5(filling) <= 60
    assert mser5(rng.normal(10, 1, 200)) <= 30


def test_a_series_with_gaps_and_a_short_one_are_no_trouble() -> None:
    """A window without answers has no latency."""
    assert mser5([math.nan] * 3 + [1.0] * 20) == 0
    assert mser5([1.0, 2.0]) == 0
    assert mser5([]) == 0


def test_batch_means_see_through_what_is_correlated() -> None:
    """Neighbouring windows are alike; taken as independent they would promise too much."""
    rng = np.random.default_rng(5)
    held, naive = [], []
    for _ in range(300):
        noise, series = rng.normal(0, 1, 2000), np.zeros(2000)
        for step in range(1, 2000):
            series[step] = 0.9 * series[step - 1] + noise[step]
        held.append(abs(batch_means(series).mean) <= batch_means(series).half_width)
        naive.append(abs(interval(series).mean) <= interval(series).half_width)
    assert np.mean(held) > 0.88
    assert np.mean(naive) < 0.5


def test_so_many_runs_bring_the_interval_down() -> None:
    """Replications would go on for ever, or stop too soon."""
    values = list(np.random.default_rng(6).normal(10, 1, 60))
    needed = runs_needed(values, 0.1)
    more = list(np.random.default_rng(7).normal(10, 1, needed))
    assert interval(more).half_width == pytest.approx(0.1, rel=0.25)
