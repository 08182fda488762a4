"""Plans: the cheapest configuration that keeps the promise, and why the cheaper ones do not."""

import random

import pytest

from engine import ScenarioError
from engine.study.candidates import Candidate, mean
from engine.study.goal import Goal, bad_day
from engine.study.headroom import Objective
from engine.study.lab import Lab
from engine.study.plan import Plan, plan
from engine.study.sweep import Axis, axis, combinations
from tests.study.small import small


def exhaustive(scenario: object, goal: Goal, axes: list[Axis], lab: Lab, runs: int) -> float | None:
    """Return what the cheapest configuration costs that keeps the promise, trying all."""
    costs = []
    for changes in combinations(axes):
        system = scenario.change(changes)
        days = list(goal.days(system))
        played = lab.samples([day for _, day, _ in days], list(range(1, runs + 1)))
        if all(
            not promise.broken(mean(outcomes))
            for (_, _, promise), outcomes in zip(days, played, strict=True)
        ):
            costs.append(round(sum(line.usd_per_hour for line in system.bill()), 6))
    return min(costs, default=None)


SYSTEMS = [pytest.param(n, marks=pytest.mark.thorough if n >= 8 else ()) for n in range(20)]


@pytest.mark.parametrize("luck", SYSTEMS)
def test_the_planner_finds_what_trying_everything_finds(luck: int) -> None:
    """A planner that misses the cheapest one costs its user money."""
    draw = random.Random(luck)
    scenario = small(
        client__requests_per_second=draw.choice([40, 90, 150, 260]),
        application__services__server__cpu_time={"exponential": draw.choice([4, 8, 15])},
        duration_seconds=12,
    )
    axes = [
        axis(scenario, "application.replicas", sorted(draw.sample(range(1, 7), 3))),
        axis(scenario, "application.cores", [1, 2, 4]),
        axis(scenario, "application.threads", draw.choice([[4], [2, 16]])),
    ]
    goal = Goal(Objective(draw.choice([40, 80, 200]), 0.01), draw.choice([0.0, 0.3]))
    lab = Lab()
    found = plan(scenario, goal, axes, lab, runs=2)
    best = exhaustive(scenario, goal, axes, lab, 2)
    rejected = [c for c in found.tried if "on other seeds" in c.broken]
    if rejected:  # a knife's edge: it held on the seeds of the search, not on fresh ones
        assert best is not None
        assert found.winner is None or found.winner.cost_usd_per_hour >= best
    elif best is None:
        assert found.winner is None
    else:
        assert found.winner is not None
        assert found.winner.cost_usd_per_hour == best
    assert found.exact


def busy_plan(**goal: float) -> Plan:
    """Return a plan for one server that has too much to do."""
    scenario = small(client__requests_per_second=150)
    axes = [axis(scenario, "application.replicas", [1, 2, 3, 4])]
    return plan(scenario, Goal(Objective(**goal)), axes, Lab(), runs=2)


def test_every_cheaper_one_says_why_it_fails() -> None:
    """Nobody would believe that the cheaper one does not do."""
    found = busy_plan(latency_ms_p99=200.0, error_ratio=0.01)
    assert found.winner is not None
    assert found.winner.changes["application.replicas"] == 2
    assert [each.changes["application.replicas"] for each in found.cheaper] == [1]
    assert "Server is 100% busy" in found.cheaper[0].broken
    assert found.runners_up


def test_a_goal_that_nothing_meets_names_the_limit_that_binds() -> None:
    """An empty answer would not say what to change."""
    found = busy_plan(latency_ms_p99=20.0, error_ratio=0.01)
    assert found.winner is None
    assert "P99" in found.sentence
    assert "> 20 ms" in found.sentence
    assert "The limit that binds is P99 ≤ 20 ms" in found.sentence
    assert "App servers 4): allow more" in found.sentence


def test_who_is_dearer_on_the_front_is_faster() -> None:
    """A point that is beaten in both would be no choice."""
    front = busy_plan(latency_ms_p99=200.0, error_ratio=0.01).front
    assert len(front) >= 2
    pairs = [(each.cost_usd_per_hour, each.latency_ms_p99) for each in front]
    assert pairs == sorted(pairs, key=lambda p: (p[0], -p[1]))
    assert [p99 for _, p99 in pairs] == sorted((p99 for _, p99 in pairs), reverse=True)


def test_a_large_grid_is_searched_by_proposals_and_the_answer_keeps_the_promise() -> None:
    """Six thousand configurations cannot all be played."""
    scenario = small(client__requests_per_second=150, duration_seconds=6)
    axes = [
        axis(scenario, "application.replicas", list(range(1, 21))),
        axis(scenario, "application.cores", list(range(1, 13))),
        axis(scenario, "application.threads", list(range(4, 20))),
    ]
    goal = Goal(Objective(150, 0.01))
    found = plan(scenario, goal, axes, Lab(), runs=1)
    assert not found.exact
    assert found.winner is not None
    assert len(found.tried) < 400
    small_axes = [each._replace(points=each.points[:4]) for each in axes[:2]]
    best = plan(scenario, goal, [*small_axes, axes[2]._replace(points=(19,))], Lab(), runs=1)
    assert best.winner is not None
    assert found.winner.cost_usd_per_hour <= best.winner.cost_usd_per_hour + 1e-9


def test_a_plan_without_knobs_is_refused() -> None:
    """There would be nothing to choose from."""
    with pytest.raises(ScenarioError, match="knobs to turn"):
        plan(small(), Goal(), [], Lab())


# ---------------------------------------------------------------- bad days


def test_who_has_to_live_through_a_dead_server_is_given_a_second_one() -> None:
    """The cheapest configuration would be gone with its only server."""
    scenario = small(client__requests_per_second=30, duration_seconds=10)
    axes = [axis(scenario, "application.replicas", [1, 2, 3])]
    calm = plan(scenario, Goal(Objective(300, 0.01)), axes, Lab(), runs=1)
    day = bad_day(scenario, "kill_server", error_ratio=0.6, length_seconds=10)
    safe = plan(scenario, Goal(Objective(300, 0.01), 0.0, (day,)), axes, Lab(), runs=1)
    assert calm.winner is not None
    assert safe.winner is not None
    assert calm.winner.changes == {"application.replicas": 1}
    assert safe.winner.changes == {"application.replicas": 2}
    assert safe.cheaper[0].broken.startswith("Kill servers, 10 s: errors 9")


def test_a_bad_day_is_counted_while_the_fault_lasts() -> None:
    """A longer run would dilute what users saw."""
    scenario = small(duration_seconds=100)
    day = bad_day(scenario, "kill_server", length_seconds=30).of(scenario)
    assert day is not None
    assert day.duration_seconds - day.warm_up_seconds == 30
    assert [(f.kind, f.at_seconds, f.until) for f in day.faults] == [("kill_server", 5, 35)]


def test_a_bad_day_that_nothing_survives_is_named_as_the_limit() -> None:
    """The user would look for the fault in the P99."""
    scenario = small(client__requests_per_second=30, duration_seconds=10)
    day = bad_day(scenario, "kill_server", error_ratio=0.01, length_seconds=10)
    axes = [axis(scenario, "application.replicas", [1])]
    found = plan(scenario, Goal(Objective(300, 0.01), 0.0, (day,)), axes, Lab(), runs=1)
    assert found.winner is None
    assert "The limit that binds is “Kill servers, 10 s”" in found.sentence


@pytest.mark.parametrize(
    ("do", "errors", "seconds", "says"),
    [
        ("kill_servers", 0.05, 60, "did you mean kill_server"),
        ("primary_down", 0.05, 60, "cannot be here"),
        ("kill_server", 5, 60, "a share from 0 to 1"),
        ("kill_server", 0.05, 0, "use 1 to 3600"),
    ],
)
def test_a_bad_day_that_cannot_be_gets_one_line(
    do: str, errors: float, seconds: float, says: str
) -> None:
    """A traceback would not say what to change."""
    with pytest.raises(ScenarioError, match=says) as error:
        bad_day(small(), do, errors, seconds)
    assert "\n" not in str(error.value)


def test_the_winner_is_shown_on_seeds_that_did_not_choose_it_and_progress_is_told() -> None:
    """The best of many by luck would be sold as the best."""
    told: list[int] = []
    reported: list[tuple[int, int]] = []

    def tell(tried: tuple[Candidate, ...]) -> None:
        told.append(len(tried))

    scenario = small(client__requests_per_second=150)
    axes = [axis(scenario, "application.replicas", [1, 2, 3, 4])]
    lab = Lab(report=lambda done, total: reported.append((done, total)))
    found = plan(scenario, Goal(Objective(200, 0.01)), axes, lab, runs=2, tell=tell)
    assert found.verified is not None
    assert found.verified.days[0].runs == 5
    assert found.verified.days[0].latency_half_width > 0
    assert found.winner is not None
    assert found.verified.latency_ms_p99 != found.winner.latency_ms_p99
    assert told[-1] == len(found.tried)
    assert reported[-1] == (4, 4)
