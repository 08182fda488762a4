"""Post-mortems: they say what happened, find the cause, and check what would have helped."""

import pytest

from engine import Simulation, load, simulate
from engine.postmortem import CancelledError, Objective, Postmortem, postmortem

SLOW = {"do": "hang_server", "at_seconds": 30, "length_seconds": 8}
QUIET = {"duration_seconds": 120, "warm_up_seconds": 5}


@pytest.fixture(scope="module")
def storm() -> Postmortem:
    """The post-mortem of a retry storm."""
    return postmortem(simulate(load("retry_storm")))


def test_a_run_without_harm_has_no_cause_and_nothing_to_prevent() -> None:
    """It would invent a failure."""
    found = postmortem(simulate(load("monolith").change(QUIET)))
    assert found.impact is None
    assert found.cause is None
    assert not found.helped
    assert "Nobody was harmed" in found.text()


def test_the_cause_is_the_fault_without_which_nothing_fails(storm: Postmortem) -> None:
    """It would name what merely stood in the log."""
    assert storm.cause is not None
    assert storm.cause.at_seconds == 60
    assert storm.cause.kind == "fault"
    assert storm.cause.failed_without == 0


def test_what_is_innocent_is_not_blamed_though_it_came_later() -> None:
    """The last change before the harm would always be the culprit."""
    innocent = {"at_seconds": 60.5, "set": {"application.hop": 0.3}}
    told = load("spike_slow_autoscaler").change({"changes": [innocent]})
    found = postmortem(simulate(told), reruns=2)
    assert found.cause is not None
    assert found.cause.kind == "fault"
    assert "traffic is 5 times" in found.cause.text


def test_traffic_that_rose_by_itself_is_called_so() -> None:
    """A spike of the traffic pattern stands in no log."""
    spike = {"shape": "spike", "factor": 5, "start_seconds": 60, "length_seconds": 180}
    told = load("spike_slow_autoscaler").change({"faults": [], "client.pattern": spike})
    found = postmortem(simulate(told), reruns=0)
    assert found.cause is not None
    assert found.cause.kind == "traffic"
    assert "times what it was" in found.cause.text


def test_the_impact_says_from_when_to_when_and_by_what_reason(storm: Postmortem) -> None:
    """Nobody would know what it has cost."""
    felt = storm.impact
    assert felt is not None
    assert felt.began_seconds == pytest.approx(60, abs=2.5)
    assert felt.ended_seconds is None
    assert felt.harmed_seconds == pytest.approx(240, abs=5)
    assert set(felt.reasons) == {"timed out"}
    assert felt.failed == sum(felt.reasons.values())
    assert felt.budget_spent == pytest.approx(felt.failed / (0.001 * 250 * 300), rel=0.05)


def test_an_alert_after_the_first_harm_is_its_detection(storm: Postmortem) -> None:
    """Time to detect would be a guess."""
    assert storm.impact is not None
    after = storm.impact.detected_after_seconds
    assert after is not None
    assert 0 < after < 30


def test_it_is_over_only_after_half_a_minute_without_harm() -> None:
    """A system that flaps would be called well in between."""
    told = load("monolith").change({**QUIET, "faults": [SLOW]})
    felt = postmortem(simulate(told), reruns=0).impact
    assert felt is not None
    assert felt.lasted_seconds is not None
    assert 8 <= felt.lasted_seconds < 30
    short = told.change({"duration_seconds": 60})
    impatient = postmortem(simulate(short), reruns=0).impact
    assert impatient is not None
    assert impatient.ended_seconds is None
    calm = Objective(calm_seconds=5)
    patient = postmortem(simulate(short), objective=calm, reruns=0).impact
    assert patient is not None
    assert patient.ended_seconds is not None


def test_what_helps_was_played_and_what_does_not_is_told_too(storm: Postmortem) -> None:
    """Advice that nobody has checked is a guess."""
    helped = {trial.measure.name for trial in storm.helped}
    useless = {trial.measure.name for trial in storm.did_not_help}
    assert "deadline propagation" in helped
    assert any("retry budget" in name for name in helped)
    assert any("load shedding" in name for name in helped)
    assert useless
    assert storm.impact is not None
    for trial in storm.helped:
        assert trial.failed < storm.impact.failed
        again = simulate(load("retry_storm").change(trial.measure.changes))
        assert again.summary.failed == trial.failed


def test_the_best_measure_comes_first(storm: Postmortem) -> None:
    """The reader would have to sort."""
    failed = [trial.failed for trial in storm.helped]
    assert failed == sorted(failed)


def test_no_more_runs_are_played_than_allowed_and_each_is_announced() -> None:
    """A page could neither bound the time nor show how far it is."""
    said: list[tuple[int, int, str]] = []
    result = simulate(load("monolith").change({**QUIET, "faults": [SLOW]}))
    found = postmortem(result, reruns=3, progress=lambda *told: said.append(told))
    assert [done for done, _, _ in said] == [0, 1, 2]
    assert len(found.helped) + len(found.did_not_help) == 2
    assert found.not_played


def test_cures_of_the_layer_where_it_began_are_tried_first() -> None:
    """A bound on the runs would cut off what is likeliest to help."""
    said: list[str] = []
    result = simulate(load("primary_failover").change({"data.failover.on": False}))
    found = postmortem(result, reruns=2, progress=lambda _done, _of, what: said.append(what))
    assert said[1] == "failover to a replica"
    assert [trial.measure.name for trial in found.helped] == ["failover to a replica"]


def test_it_can_be_cancelled() -> None:
    """Who leaves the page would go on paying for it."""
    result = simulate(load("monolith").change({**QUIET, "faults": [SLOW]}))
    with pytest.raises(CancelledError):
        postmortem(result, cancelled=lambda: True)


def test_a_live_run_is_played_again_as_it_was_recorded() -> None:
    """What a hand did would be missing from the trials."""
    run = Simulation(load("monolith").change(QUIET), 3)
    run.advance_to(30)
    run.inject({"do": "hang_server", "length_seconds": 8})
    run.advance_to(100)
    found = postmortem(run.result(), run.recorded())
    assert found.seconds == 100
    assert found.cause is not None
    assert found.cause.at_seconds == 30
    assert found.cause.harmed_seconds_without == 0
    assert found.helped


def test_the_report_reads_in_plain_words(storm: Postmortem) -> None:
    """A class would have to learn the fields' names."""
    text = storm.text()
    for heading in ("What users felt", "First cause", "Timeline", "What would have prevented it"):
        assert f"## {heading}" in text
    assert "Helps: deadline propagation" in text
    assert "nan" not in text
