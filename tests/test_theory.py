"""Theory: the formulas are right, and the engine with everything off is the queue they describe."""

import math

import pytest

from engine import Scenario, simulate
from engine.theory import Usl, erlang_b, erlang_c, mmc_wait, usl, usl_fit


@pytest.mark.parametrize(
    ("offered", "servers", "waits"),
    [(0.5, 1, 0.5), (1.6, 2, 0.7111), (8.0, 10, 0.4092), (3.0, 3, 1.0)],
)
def test_erlang_c_is_the_share_that_waits(offered: float, servers: int, waits: float) -> None:
    """A wrong formula would make every right measurement look wrong."""
    assert erlang_c(offered, servers) == pytest.approx(waits, abs=1e-4)


def test_erlang_b_is_the_sum_that_it_abbreviates() -> None:
    """The recursion has to be Erlang's own sum of a^k / k!."""
    for offered, servers in ((0.3, 1), (5.0, 3), (20.0, 25)):
        terms = [offered**k / math.factorial(k) for k in range(servers + 1)]
        assert erlang_b(offered, servers) == pytest.approx(terms[-1] / sum(terms))


def test_an_overloaded_queue_waits_for_ever() -> None:
    """A finite wait at full load would hide that the line grows without end."""
    assert mmc_wait(200.0, 0.01, 2) == math.inf


def test_the_scalability_law_has_its_two_limits() -> None:
    """Without coherency it is Amdahl's law, without contention as well it is linear."""
    assert usl(64, 0.0, 0.0) == 64
    assert usl(64, 0.05, 0.0) == pytest.approx(1 / (0.05 + 0.95 / 64))
    best = math.sqrt((1 - 0.02) / 0.0005)  # where Gunther says that more processors do harm
    assert usl(best, 0.02, 0.0005) > max(usl(best * part, 0.02, 0.0005) for part in (0.9, 1.1))


def test_a_fit_finds_the_law_that_made_its_points() -> None:
    """A fit that stops short of exact points would be further off on measured ones."""
    law = Usl(0.03, 0.0007, 250.0)
    loads = [1, 2, 4, 8, 16, 32, 64]
    found = usl_fit(loads, [law.gamma * usl(n, law.alpha, law.beta) for n in loads])
    assert found == pytest.approx(law, rel=1e-6)


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_with_everything_off_the_engine_is_m_m_c(slots: int) -> None:
    """Waits that are not Erlang's here are wrong everywhere; four seeds, 5 % of the mean."""
    rate = 70.0 * slots
    plain = Scenario.model_validate({
        "duration_seconds": 30_000 / rate * 8, "warm_up_seconds": 20,
        "client": {"enabled": False, "requests_per_second": rate},
        "edge": {"enabled": False},
        "application": {"replicas": 1, "threads": slots, "cores": slots, "queue_limit": 1_000_000,
                        "services": {"server": {"cpu_time": {"exponential": 10}}}},
        "journeys": {"visit": {"steps": [{"do": "call", "service": "server"}]}},
    })  # fmt: skip
    waits = [
        simulate(plain, seed).stations.loc["application.server", "wait_ms_mean"]
        for seed in range(4)
    ]
    expected = mmc_wait(rate, 0.01, slots) * 1e3
    assert sum(waits) / 4 == pytest.approx(expected, rel=0.05)
