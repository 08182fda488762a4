"""The application: how servers share their cores, stop, are replaced, and call each other."""

from typing import Any

import numpy as np
import pytest

from engine import Result, ScenarioError, Simulation, load, simulate
from tests.books import check_books
from tests.layers.test_layers import THING, call, servers, system

LONG = 1_000_000


def one_server(rate: float, time: Any = 10, seconds: float = 200, **fields: Any) -> Result:
    """Return a run of one server with one core, whose threads never run out."""
    app = servers(time, replicas=1, threads=1000, cores=1, queue_limit=LONG)
    return simulate(
        system(
            call(),
            application=app | fields,
            client={"enabled": False, "requests_per_second": rate},
            duration_seconds=seconds,
        )
    )


# ---------------------------------------------------------------- cores


def test_time_sharing_treats_short_calls_better_than_a_line_does() -> None:
    """First come, first served would let a short call wait behind a long one.

    Under processor sharing the mean stay depends on the mean work alone, W = S / (1 - rho);
    in a line it grows with the variance of the work (L. Kleinrock, Queueing Systems II, 1976).
    """
    mixed = {"bimodal": {"fast": 2, "slow": 82, "slow_share": 0.1}}  # 10 ms on average
    shared = one_server(50, mixed, cpu="processor_sharing").summary
    lined = one_server(50, mixed).summary
    assert shared.latency_ms_mean == pytest.approx(20, rel=0.1)
    assert shared.latency_ms_p50 < 5
    assert lined.latency_ms_mean > 35


def test_servers_pause_for_garbage_and_not_in_step() -> None:
    """A pause is what the slowest calls wait for, though the server is nearly idle."""
    pauses = {"every_seconds": 2, "pause_ms": 200}
    calm = one_server(20, 1, cpu="processor_sharing").summary
    paused = one_server(20, 1, pauses=pauses).summary
    assert calm.latency_ms_p99 < 5
    assert 150 < paused.latency_ms_max < 215
    assert paused.latency_ms_mean == pytest.approx(1 + 0.1 * 100, rel=0.2)
    app = servers(1, replicas=8, pauses=pauses)
    run = Simulation(system(call(), application=app))
    still = []
    for _ in range(200):
        run.advance(0.05)
        still.append(int((run.plane.world.processors["speed"][:8] == 0).sum()))
    assert max(still) < 8
    assert np.mean(still) == pytest.approx(0.8, rel=0.3)
    check_books(run)


def test_a_server_that_breaks_down_goes_on_with_what_it_had_in_hand() -> None:
    """Work lost or served meanwhile would make breakdowns look cheaper than they are.

    M/M/1 that breaks down at rate f, is repaired at rate r, and resumes (H. White and L.
    Christie, "Queuing with preemptive priorities or with breakdown", Operations Research 1958):
    mean stay (1 / mu + f / (f + r)**2) / (A - rho), where it is up for A = r / (f + r).
    """
    lam, mu, mtbf, mttr = 50.0, 100.0, 2.0, 0.2
    result = one_server(lam, {"exponential": 1e3 / mu}, 4000, mtbf_seconds=mtbf, mttr_seconds=mttr)
    fail, repair = 1 / mtbf, 1 / mttr
    up = repair / (fail + repair)
    stay = (1 / mu + fail / (fail + repair) ** 2) / (up - lam / mu)
    assert result.summary.failed == 0
    assert result.summary.latency_ms_mean == pytest.approx(1e3 * stay, rel=0.12)
    assert {"breakdown", "repair"} == set(result.events["kind"])


# ---------------------------------------------------------------- deployments


def rolled(share: float, surge: float = 0.0, **fields: Any) -> Result:
    """Return a run in which eight servers are replaced, each down for two seconds."""
    deploy = {"at_seconds": 4, "max_unavailable": share, "surge": surge, "start_seconds": 2}
    app = servers(40, replicas=8, threads=1, cores=1, deploy=deploy, **fields)
    balanced = {"dns": {"on": False}, "balancer": {"latency": 0}}
    return simulate(system(call(), application=app, edge=balanced))


def test_a_rolling_deployment_loses_nobody_but_costs_room() -> None:
    """All at once fails everybody; batch by batch the rest has to carry the load."""
    at_once, by_quarters = rolled(1.0).summary, rolled(0.25).summary
    assert set(at_once.failures) == {"no healthy server"}
    assert at_once.failed == pytest.approx(200, rel=0.2)
    assert by_quarters.failed == 0
    series = rolled(0.25).timeseries
    during = series[series["time_s"].between(5, 12)]["latency_ms_p99"].mean()
    after = series[series["time_s"] > 14]["latency_ms_p99"].mean()
    assert during > after
    said = rolled(0.25).events
    assert said["time_s"].tolist() == [4.0, 12.0]
    assert said["text"][0] == "server is replaced, 2 of 8 at a time, 2 of them away"
    assert rolled(0.25, surge=0.25).events["time_s"].tolist() == [4.0, 8.0]


def test_a_surge_spares_a_single_server_the_outage() -> None:
    """The new one is there before the old one goes; Kubernetes does so by default."""
    failed = []
    for surge in (0.0, 0.25):
        deploy = {"at_seconds": 4, "surge": surge, "start_seconds": 2}
        app = servers(5, replicas=1, deploy=deploy)
        failed.append(simulate(system(call(), application=app)).summary.failed)
    assert failed[0] > 150
    assert failed[1] == 0


# ---------------------------------------------------------------- sessions


def visited(kind: str, policy: str, users: int = 40, **more: Any) -> Result:
    """Return a run of users who come back to four servers."""
    app = servers(1, replicas=4, sessions={"kind": kind}, **more)
    return simulate(
        system(
            call({"do": "read", **THING}),
            application=app,
            edge={"dns": {"on": False}, "balancer": {"latency": 0, "policy": policy}},
            cache={"hop": 0.3},
            data={"read_replicas": 0},
            client={"enabled": False, "requests_per_second": 100, "users": users},
        )
    )


def test_sessions_in_memory_need_affinity() -> None:
    """A server that knew the sessions of others would make sticky sessions look pointless."""
    wandering = visited("memory", "round_robin").stations.loc["application.server", "hit_ratio"]
    sticky = visited("memory", "ip_hash").stations.loc["application.server", "hit_ratio"]
    assert wandering == pytest.approx(0.25, abs=0.05)  # back at the same of four by chance
    assert sticky > 0.97


def test_a_shared_session_store_frees_the_balancer() -> None:
    """Sessions in a store are known everywhere, for a hop and a command."""
    stored = visited("store", "round_robin").stations
    assert stored.loc["cache.sessions", "hit_ratio"] > 0.97
    assert "cache.sessions" not in visited("none", "round_robin").stations.index


def test_a_token_costs_cpu_and_nothing_else() -> None:
    """A signature is verified on the server's own cores."""
    plain, token = (
        visited(kind, "round_robin", cpu="processor_sharing").stations for kind in ("none", "token")
    )
    stay = "residence_ms_mean"
    more = token.loc["application.server", stay] - plain.loc["application.server", stay]
    assert more == pytest.approx(0.1, abs=0.02)


def test_a_deployment_signs_users_of_stateful_servers_out() -> None:
    """In-memory sessions die with their server; stateless ones do not notice."""
    deploy = {"at_seconds": 10, "max_unavailable": 0.25, "start_seconds": 1}
    kept = visited("memory", "ip_hash").stations.loc["application.server", "hit_ratio"]
    lost = visited("memory", "ip_hash", deploy=deploy)
    assert lost.stations.loc["application.server", "hit_ratio"] < kept - 0.02


# ---------------------------------------------------------------- care in calls


def chained(rate: float = 100, care: Any = None, back: Any = 5, **fields: Any) -> Result:
    """Return a run of a front service that calls a back service, which may be slow."""
    services = {
        "front": {"cpu_time": 1},
        "back": {"cpu_time": back, "replicas": 1, "threads": 2, "cores": 2, "care": care or {}}
        | fields.pop("behind", {}),
    }
    steps = {"do": "call", "service": "front", "then": [{"do": "call", "service": "back"}]}
    client = fields.pop("client", {"enabled": False})
    app = {"services": services, "replicas": 2, "threads": 200, "hop": 0} | fields
    return simulate(system(steps, application=app, client={**client, "requests_per_second": rate}))


def test_a_call_time_out_frees_the_caller_and_not_the_callee() -> None:
    """The caller waits no longer; the service works on for nobody."""
    result = chained(20, {"timeout_ms": 50}, back=80)
    assert result.summary.failures == {"timed out": result.summary.failed}
    assert result.summary.answered == 0
    assert result.summary.latency_ms_mean is None
    assert result.summary.wasted > 300
    assert result.stations.loc["application.back", "in_service_mean"] > 1.5


def test_a_retry_hides_a_failure_and_a_budget_stops_a_storm() -> None:
    """Retries are good against few failures and bad against many."""
    flaky = {"queue_limit": 0}
    plain = chained(100, back={"exponential": 10}, behind=flaky).summary
    retried = chained(100, {"attempts": 4}, back={"exponential": 10}, behind=flaky).summary
    assert retried.error_ratio < 0.3 * plain.error_ratio
    down = {"back": 1000, "behind": flaky}
    storm = chained(100, {"attempts": 4}, **down)
    budget = chained(100, {"attempts": 4, "retry_budget": 0.2}, **down)
    asked = [r.stations.loc["application.back", "rate_per_s"] for r in (storm, budget)]
    assert asked[0] > 380
    assert asked[1] == pytest.approx(120, rel=0.1)


def test_an_open_breaker_fails_fast_and_lets_probes_through() -> None:
    """Calls that go on into what is dead keep the caller's threads for nothing."""
    slow = {"timeout_ms": 200}
    breaker = {"on": True, "failures": 5, "rest_seconds": 5, "probes": 1}
    waiting = chained(50, slow, back=1000)
    broken = chained(50, slow | {"breaker": breaker}, back=1000)
    assert broken.summary.failures["back circuit open"] > 0.9 * broken.summary.failed
    busy = [r.stations.loc["application.front", "in_service_mean"] for r in (waiting, broken)]
    assert busy[1] < 0.2 * busy[0]
    asked = round(broken.stations.loc["application.back", "rate_per_s"] * 20)
    assert 8 <= asked <= 25  # some on their way before it opened, and a probe every 5 s


def test_a_bulkhead_keeps_one_slow_service_from_taking_all_threads() -> None:
    """Without it, callers of the slow service fill the front for everybody else."""
    services = {
        "front": {"cpu_time": 1, "threads": 20, "cores": 2, "replicas": 1, "queue_limit": 0},
        "slow": {"cpu_time": 1000, "threads": 200, "cores": 200},
        "quick": {"cpu_time": 1},
    }
    errors = []
    for limit in (None, 5):
        journeys = {
            name: {"steps": [{"do": "call", "service": "front", "then": [
                {"do": "call", "service": name} | ({"bulkhead": limit} if name == "slow" else {}),
            ]}]}
            for name in ("slow", "quick")
        }  # fmt: skip
        app = {"services": services, "hop": 0}
        result = simulate(system(call(), journeys=journeys, application=app))
        counted = result.accounting.loc["quick"]
        errors.append(counted["failed"] / counted["started"])
    assert errors[0] > 0.3
    assert errors[1] == 0


def test_deadline_propagation_drops_work_that_nobody_waits_for() -> None:
    """A server that works through a line of the timed-out never catches up."""
    client = {"timeout_seconds": 0.3, "attempts": 1, "web_round_trip": 0, "mobile_round_trip": 0,
              "regions": [{"name": "here", "origin_round_trip": 0}]}  # fmt: skip
    answered = []
    for deadlines in (False, True):
        app = servers(10, replicas=1, threads=1, cores=1, queue_limit=LONG, deadlines=deadlines)
        load = client | {"requests_per_second": 120}
        result = simulate(system(call(), application=app, client=load))
        answered.append(result.summary.answered)
    assert answered[0] < 600
    assert answered[1] > 2 * answered[0]  # some still time out while they are worked on


def test_a_long_line_sheds_what_matters_less() -> None:
    """Browsing has to give way to buying."""
    journeys = {
        "buy": {"steps": [call()]},
        "browse": {"steps": [call()], "priority": "sheddable"},
    }
    app = servers(10, replicas=1, threads=1, cores=1, queue_limit=100, shed_line=5)
    load = {"enabled": False, "requests_per_second": 140}
    books = simulate(system(call(), journeys=journeys, application=app, client=load)).accounting
    assert books.loc["buy", "failed"] == 0
    assert books.loc["browse", "failed: server sheds load"] == books.loc["browse", "failed"] > 500


# ---------------------------------------------------------------- nothing for nothing


def test_what_is_planned_at_the_start_cannot_be_turned_while_running() -> None:
    """A change that is accepted and does nothing would be a lie in the log."""
    run = Simulation(load("monolith").change({"application.cpu": "processor_sharing"}))
    run.advance(1.0)
    for changes in (
        {"application.pauses.every_seconds": 5},
        {"application.mtbf_seconds": 5, "application.mttr_seconds": 1},
        {"application.deploy.at_seconds": 5},
    ):
        with pytest.raises(ScenarioError, match="alters the structure"):
            run.change_all(changes)
