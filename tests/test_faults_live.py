"""A run with hands on it is the run that its record tells, to the last bit."""

import contextlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Fault, Scenario, ScenarioError, Simulation, catalogue
from tests.books import check_books
from tests.strategies import scenarios
from tests.test_laws import assert_same
from tests.workshop import alike

seeds = st.integers(0, 1000)
deeds = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.05, 0.3, 0.61]) | st.floats(0, 1),
        st.sampled_from(["fault", "fault", "fault", "change", "mend"]),
        st.integers(0, 1 << 32),
    ),
    min_size=1,
    max_size=8,
)
KNOBS = {
    "application.replicas": (1, 2, 5),
    "application.queue_limit": (0, 40),
    "asynchronous.workers": (1, 4),
    "cache.ttl_seconds": (0.2, 60),
    "client.requests_per_second": (10, 200),
    "client.timeout_seconds": (0.05, 3),
    "data.connections": (1, 6),
    "data.lag": (0, 30),
}
LENGTHS = (None, 0.0, 0.1, 0.25, 1.0)


def do(run: Simulation, what: str, number: int) -> None:
    """Do something to a run: a fault, a turned knob, the end of a fault; it may be refused."""
    rng = np.random.default_rng(number)
    with contextlib.suppress(ScenarioError):  # it may be refused; the run goes on
        if what == "mend":
            run.mend(int(rng.integers(3)))
        elif what == "change":
            path = list(KNOBS)[int(rng.integers(len(KNOBS)))]
            run.change(path, KNOBS[path][int(rng.integers(len(KNOBS[path])))])
        else:
            run.inject(drawn(run.scenario, rng))


def drawn(scenario: Scenario, rng: np.random.Generator) -> Fault:
    """Return any fault that can be."""
    infos = [info for info in catalogue(scenario) if not info.why_not]
    if not infos:
        raise ScenarioError("nothing can go wrong here")
    info = infos[int(rng.integers(len(infos)))]
    kind = Fault.kinds[info.do]
    fields = kind.drawn(scenario, rng)
    if info.lasts:
        fields["length_seconds"] = LENGTHS[int(rng.integers(len(LENGTHS)))]
    if "hangs" in kind.model_fields:
        fields["hangs"] = bool(rng.integers(2))
    return kind(**fields)


def live(scenario: Scenario, seed: int, done: list[tuple[float, str, int]]) -> Simulation:
    """Return a run that was meddled with."""
    run = Simulation(scenario, seed)
    for wait, what, number in done:
        if run.env.now + wait < scenario.duration_seconds:
            run.advance(wait)
        do(run, what, number)
        if not run.recorded().changes:  # a smaller pool may be fuller than it should be
            check_books(run)
    run.advance_to(scenario.duration_seconds)
    return run


@settings(max_examples=30)
@given(scenarios(), seeds, deeds, st.sampled_from([False, False, True]))
def test_a_run_with_hands_on_it_is_the_run_of_its_record(scenario, seed, done, chaos) -> None:
    """Whoever shares a live run, or asks "what if" of it, would get another run than was seen."""
    if chaos:
        scenario = scenario.change({"chaos.on": True, "chaos.every_seconds": 0.4,
                                    "chaos.length_seconds": 0.3})  # fmt: skip
    run = live(scenario, seed, done)
    again = Simulation(run.recorded(), seed)
    again.advance_to(scenario.duration_seconds)
    assert_same(run.result(), again.result())
    assert alike(run.plane.world, again.plane.world) == []
    assert again.recorded() == run.recorded()
