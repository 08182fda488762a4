"""Draws: as random as they have to be, a pure function of their names, and true to theory."""

import itertools
import math

import numpy as np
import pytest
from numba import njit
from scipy import stats
from scipy.special import ndtri

from engine.assembly import label_hash
from engine.distribution import Bimodal, Distribution, Erlang, Lognormal, Uniform
from engine.kernel.randomness import base_of, draw, normal_quantile, uniform
from engine.kernel.world import World
from engine.plane import Plane
from tests.workshop import constant, plane_of

COUNT = 20_000
CELLS = 10
ALPHA = 1e-4  # with fixed seeds a test passes always or never; this is the chance of bad luck
SEED = label_hash("seed 7")


@njit
def uniforms_of(seed: np.uint64, label: np.uint64, visit: int, count: int) -> np.ndarray:
    """Return the draws of requests 0 to count at one label and visit."""
    out = np.empty(count)
    for request in range(count):
        out[request] = uniform(base_of(seed, request), label, visit)
    return out


@njit
def values_of(
    seed: np.uint64, label: np.uint64, visit: int, count: int, world: World
) -> np.ndarray:
    """Return the draws of requests 0 to count from a world's last distribution."""
    out = np.empty(count)
    for request in range(count):
        base = base_of(seed, request)
        out[request] = draw(world.dists[len(world.dists) - 1], base, label, visit, world)
    return out


@njit
def quantiles_of(ps: np.ndarray) -> np.ndarray:
    """Return the standard normal quantiles of many probabilities."""
    out = np.empty(len(ps))
    for index in range(len(ps)):
        out[index] = normal_quantile(ps[index])
    return out


def uniforms(label: str = "step", visit: int = 0, seed: int = SEED) -> np.ndarray:
    """Return uniform draws of many requests."""
    return uniforms_of(np.uint64(seed), np.uint64(label_hash(label)), visit, COUNT)


def values(plane: Plane, label: str = "step", visit: int = 0) -> np.ndarray:
    """Return draws of many requests from a plane's last distribution, milliseconds."""
    name = np.uint64(label_hash(label))
    return values_of(np.uint64(SEED), name, visit, COUNT, plane.world) * 1e3


def world_with(dist: Distribution) -> Plane:
    """Return a plane whose last distribution is this one."""

    def emit(program, place):
        program.hold("it", constant(12.5))

    plane = plane_of(emit)
    (family, count, a, b, c), samples = dist.row()
    row = plane.world.dists[-1:].copy()
    row[0] = (family, 0, count, a, b, c)
    plane.world.replace("dists", np.concatenate([plane.world.dists, row]))
    plane.world.replace("samples", np.array(samples or [0.0]))
    return plane


def assert_independent(one: np.ndarray, other: np.ndarray) -> None:
    """Chi-square over a grid of quantile cells: what one says must not tell of the other."""
    cells = [np.argsort(np.argsort(each)) * CELLS // len(each) for each in (one, other)]
    grid = np.zeros((CELLS, CELLS))
    np.add.at(grid, tuple(cells), 1)
    assert stats.chi2_contingency(grid).pvalue > ALPHA


# ---------------------------------------------------------------- uniform draws


@pytest.mark.parametrize("visit", [0, 1, 7, 1 << 12])
def test_draws_are_uniform(visit: int) -> None:
    """Skewed draws would bend every service time and every choice of every run."""
    drawn = uniforms(visit=visit)
    assert stats.kstest(drawn, "uniform").pvalue > ALPHA
    assert drawn.min() > 0.0
    assert drawn.max() < 1.0


@pytest.mark.parametrize("bits", range(1, 17))
def test_every_leading_bit_is_fair(bits: int) -> None:
    """A stuck bit passes a test of the whole distribution, but halves what a choice can pick."""
    bit = (uniforms() * 2**bits).astype(np.int64) & 1
    assert stats.binomtest(int(bit.sum()), COUNT).pvalue > ALPHA


def test_neighbouring_requests_draw_independently() -> None:
    """If request n told of request n + 1, bursts of slow requests would come from nowhere."""
    drawn = uniforms()
    for apart in (1, 2, 64):
        assert_independent(drawn[:-apart], drawn[apart:])


def test_labels_draw_independently() -> None:
    """If two steps shared draws, a slow cache would always meet a slow database."""
    for one, other in itertools.pairwise(["a", "b", "visit/place:work#1", "visit/place:work#2"]):
        assert_independent(uniforms(one), uniforms(other))


def test_visits_draw_independently() -> None:
    """If a retry drew what the first try drew, trying again would never help."""
    for one, other in itertools.pairwise([0, 1, 2, 64, 1 << 12]):
        assert_independent(uniforms(visit=one), uniforms(visit=other))


def test_seeds_draw_independently() -> None:
    """If neighbouring seeds shared draws, ten runs would be worth one."""
    seeds = [label_hash(f"seed {number}") for number in range(4)]
    for one, other in itertools.pairwise(seeds):
        assert_independent(uniforms(seed=one), uniforms(seed=other))


def test_a_draw_depends_on_nothing_but_its_name() -> None:
    """If drawing had a state, a pause, an added step or another thread would change a run."""
    first, again = uniforms(), uniforms()
    assert np.array_equal(first, again)
    alone = uniforms_of(np.uint64(SEED), np.uint64(label_hash("step")), 0, 100)
    assert np.array_equal(first[:100], alone)


def test_the_normal_quantile_is_as_exact_as_it_says() -> None:
    """A wrong tail would make every lognormal P99 wrong."""
    ps = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 100_001), 10.0 ** -np.arange(2.0, 15.0)])
    exact = ndtri(ps)
    near_zero = np.abs(exact) < 1e-9
    error = np.abs(quantiles_of(ps) - exact)[~near_zero] / np.abs(exact[~near_zero])
    assert error.max() < 1.2e-9
    assert np.all(np.diff(quantiles_of(np.sort(ps))) >= 0)


# ---------------------------------------------------------------- distributions

EMPIRICAL = (3.0, 4.0, 4.5, 9.0, 30.0)


def empirical_cdf(x: np.ndarray) -> np.ndarray:
    """Return the distribution function: linear between the samples."""
    return np.interp(x, EMPIRICAL, np.linspace(0, 1, len(EMPIRICAL)))


def hyperexponential_cdf(x: np.ndarray) -> np.ndarray:
    """Return the distribution function of 2 ms for nine in ten and 60 ms for one."""
    return 1 - 0.9 * np.exp(-x / 2) - 0.1 * np.exp(-x / 60)


SIGMA = math.log(20 / 3) / float(ndtri(0.99))
FAMILIES = {
    "exponential": (Distribution(exponential=8), stats.expon(scale=8).cdf),
    "lognormal": (
        Distribution(lognormal=Lognormal(median=3, p99=20)),
        stats.lognorm(s=SIGMA, scale=3).cdf,
    ),
    "uniform": (Distribution(uniform=Uniform(low=10, high=100)), stats.uniform(10, 90).cdf),
    "erlang": (Distribution(erlang=Erlang(mean=10, phases=4)), stats.gamma(4, scale=2.5).cdf),
    "empirical": (Distribution(empirical=EMPIRICAL), empirical_cdf),
    "bimodal": (
        Distribution(bimodal=Bimodal(fast=2, slow=60, slow_share=0.1, exponential=True)),
        hyperexponential_cdf,
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_distribution_is_what_theory_says(family: str) -> None:
    """A family with a wrong shape would make every run that uses it answer another question."""
    dist, cdf = FAMILIES[family]
    for visit in (0, 1):
        assert stats.kstest(values(world_with(dist), visit=visit), cdf).pvalue > ALPHA


@pytest.mark.parametrize("family", FAMILIES)
def test_a_distribution_has_the_mean_it_states(family: str) -> None:
    """`mean_ms` feeds theory and warm caches: it has to be the mean of what is drawn."""
    dist, _ = FAMILIES[family]
    drawn = values(world_with(dist))
    assert abs(drawn.mean() - dist.mean_ms) < 4 * drawn.std() / math.sqrt(COUNT)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_second_try_draws_independently(family: str) -> None:
    """If the length of one try told of the next, the slow would stay slow however often tried."""
    plane = world_with(FAMILIES[family][0])
    assert_independent(values(plane, visit=0), values(plane, visit=1))
    assert_independent(values(plane, visit=1), values(plane, visit=2))


@pytest.mark.parametrize("family", ["exponential", "lognormal", "uniform", "empirical"])
def test_a_value_is_monotone_in_its_draw(family: str) -> None:
    """Otherwise turning a mean up would make some requests faster, and common numbers less so."""
    drawn = values(world_with(FAMILIES[family][0]))[np.argsort(uniforms())]
    steps = np.diff(drawn)
    assert np.all(steps >= 0) or np.all(steps <= 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_longer_mean_makes_every_value_longer(family: str) -> None:
    """Common random numbers: the same request draws the same quantile of the turned knob."""
    dist, _ = FAMILIES[family]
    plane = world_with(dist)
    before = values(plane)
    (shape, count, a, b, c), samples = dist.row(scale=2.0)
    plane.world.dists[-1] = (shape, 0, count, a, b, c)
    plane.world.replace("samples", np.array(samples or [0.0]))
    assert np.allclose(values(plane), 2 * before, rtol=1e-12)


def test_a_two_point_distribution_has_two_values() -> None:
    """Without `exponential`, fast and slow are constants in the share that is asked for."""
    plane = world_with(Distribution(bimodal=Bimodal(fast=1, slow=50, slow_share=0.25)))
    drawn = values(plane)
    assert set(np.round(drawn, 9)) == {1.0, 50.0}
    assert stats.binomtest(int((drawn > 10).sum()), COUNT, 0.25).pvalue > ALPHA


def test_a_constant_is_exactly_that() -> None:
    """A constant that varied would move the times of a metronome."""
    assert set(values(world_with(constant(12.5)))) == {12.5}
