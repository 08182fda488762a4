"""Active health checks: who leaves the pool, when, and who comes back."""

from typing import Any

import numpy as np
import pytest

from engine import Simulation, simulate
from tests.books import check_books
from tests.layers.test_layers import call, servers, system


def watched(app: Any = None, rate: float = 100, seed: int = 7, **checks: Any) -> Simulation:
    """Return four servers of 5 ms behind a balancer that checks them."""
    balancer = {"latency": 0, "policy": "round_robin", "checks": {"on": True} | checks}
    scenario = system(
        call(),
        client={"enabled": False, "requests_per_second": rate},
        edge={"dns": {"on": False}, "balancer": balancer},
        application=servers(5, replicas=4, threads=50, cores=50) | (app or {}),
        duration_seconds=120,
    )
    return Simulation(scenario, seed)


def told(run: Simulation, kind: str) -> list[float]:
    """Return when events of a kind were noted, seconds."""
    events = run.result().events
    return events[events["kind"] == kind]["time_s"].tolist()


def pools(run: Simulation) -> list[int]:
    """Return the servers' pools."""
    return run.plane.program.stations["application.server"].pools


def refuse(run: Simulation, server: int, well: bool = False) -> None:
    """Let a server refuse whoever comes, as a dead process does; or take calls again."""
    if well:
        run.plane.reopen([pools(run)[server]])
    else:
        run.plane.shut([pools(run)[server]], refuses=True)


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_dead_server_is_detected_after_20_to_30_s_with_interval_10_and_fall_3(seed: int) -> None:
    """Two whole intervals, and the rest of the one in which it died."""
    run = watched(seed=seed)
    run.advance(40.0)
    refuse(run, 1)
    run.advance(40.0)
    (down,) = told(run, "server_down")
    assert 60 <= down <= 71  # and the time-out, after which results are looked at
    check_books(run)


def test_nobody_notices_a_dead_server_without_checks() -> None:
    """What health checks are for: a quarter of the requests fails for as long as it is dead."""
    failed = []
    for on in (False, True):
        run = watched(on=on)
        run.advance(10.0)
        refuse(run, 1)
        run.advance(100.0)
        failed.append(run.result().summary.failed)
    assert failed[0] == pytest.approx(2500, rel=0.1)
    assert failed[1] == pytest.approx(25 * 25, rel=0.35)


def test_a_server_that_is_well_again_comes_back_after_two_good_checks() -> None:
    """One that stayed away would be lost for good; one good answer may be luck."""
    run = watched(interval_seconds=2)
    run.advance(10.0)
    refuse(run, 1)
    run.advance(20.0)
    assert run.plane.world.pools["up"][pools(run)].tolist() == [1, 0, 1, 1]
    refuse(run, 1, well=True)
    run.advance(10.0)
    (up,) = told(run, "server_up")
    assert 32 <= up <= 35
    assert run.plane.world.pools["up"][pools(run)].tolist() == [1, 1, 1, 1]
    text = run.result().events.set_index("kind").loc["server_up", "text"]
    assert text == "server: server 2 is up, 2 checks in a row answered"


def test_a_server_that_is_too_slow_to_answer_fails_its_checks() -> None:
    """It takes connections and does nothing: only a time-out finds that out."""
    run = watched(app={"cpu": "processor_sharing"}, interval_seconds=2, timeout_seconds=0.5)
    run.advance(10.0)
    run.plane.set_speed(run.plane.program.laid_out["server"].cpus + 2, 0.001)
    run.advance(10.0)
    (down,) = told(run, "server_down")
    assert 14 <= down <= 17
    text = run.result().events.set_index("kind").loc["server_down", "text"]
    assert text == (
        "server: server 3 is down, 3 checks in a row without a good answer within 0.5 s"
    )


def test_a_server_that_hangs_fails_its_checks() -> None:
    """It still takes connections, so nobody is refused; only a time-out tells."""
    run = watched(interval_seconds=2)
    run.advance(10.0)
    run.plane.shut([pools(run)[3]], refuses=False)
    run.advance(10.0)
    assert run.plane.world.pools["up"][pools(run)].tolist() == [1, 1, 1, 0]
    check_books(run)


def test_checks_stand_in_line_so_overload_looks_like_death() -> None:
    """Checks that skipped the line would never take a server out that answers nobody in time."""
    crowded = {"threads": 1, "cores": 1, "replicas": 1, "queue_limit": 1_000_000}
    run = watched(app=crowded, rate=300, interval_seconds=2)
    run.advance(30.0)
    assert len(told(run, "server_down")) >= 1
    assert run.result().summary.failures["no healthy server"] > 0


def test_all_dead_is_refused_at_once_as_nginx_does_unless_there_is_a_panic_threshold() -> None:
    """nginx: no live upstreams; Envoy below its threshold tries everybody."""
    answered = []
    for panic in (0, 50):
        run = watched(interval_seconds=2, panic_percent=panic)
        run.advance(10.0)
        for server in range(3):
            refuse(run, server)
        run.advance(20.0)
        before = run.result().summary
        run.advance(10.0)
        after = run.result().summary
        answered.append((after.answered - before.answered) / (after.started - before.started))
        assert len(told(run, "panic")) == (panic > 0)
    assert answered[0] == pytest.approx(1.0, abs=0.01)  # all to the one that is well
    assert answered[1] == pytest.approx(0.25, abs=0.03)  # one of four is well, and all are tried
    run = watched(interval_seconds=2)
    for server in range(4):
        refuse(run, server)
    run.advance(10.0)
    assert run.plane.world.pools["up"][pools(run)].tolist() == [0, 0, 0, 0]
    assert "no healthy server" in run.result().summary.failures


def test_checks_that_all_pass_change_no_request() -> None:
    """Watching a system that is well must not be what makes it slow."""
    off, on = watched(on=False), watched(interval_seconds=1)
    for run in (off, on):
        run.advance(20.0)
    assert on.result().events.empty
    for name in ("started", "answered", "failed"):
        assert getattr(on.result().summary, name) == getattr(off.result().summary, name)
    assert np.isclose(on.result().summary.latency_ms_p50, off.result().summary.latency_ms_p50)


def test_inner_services_are_checked_too() -> None:
    """A mesh's sidecars see what its front door does not."""
    app = {"services": {"front": {"cpu_time": 1}, "back": {"cpu_time": 1}}, "replicas": 3}
    inner = {"do": "call", "service": "back"}
    outer = {"do": "call", "service": "front", "then": [inner]}
    balancer = {"checks": {"on": True, "interval_seconds": 1}}
    run = Simulation(system(outer, application=app, edge={"balancer": balancer}))
    run.advance(3.0)
    run.plane.shut(run.plane.program.stations["application.back"].pools[:1], refuses=True)
    run.advance(6.0)
    assert told(run, "server_down")
    before = run.result().summary.failed
    run.advance(5.0)
    assert run.result().summary.failed == before


def test_a_deployment_and_a_check_do_not_undo_one_another() -> None:
    """A server that is dead stays out of the pool, whoever else has put it back."""
    app = {"deploy": {"at_seconds": 21, "start_seconds": 4, "max_unavailable": 1, "surge": 0}}
    run = watched(app=app, interval_seconds=2)
    run.advance(10.0)
    refuse(run, 1)
    run.advance(30.0)
    assert run.plane.world.pools["up"][pools(run)].tolist() == [1, 0, 1, 1]


def test_the_same_seed_checks_at_the_same_moments() -> None:
    """Checks begin at a moment of chance, which is the seed's."""
    first, again = (simulate(watched(interval_seconds=1).scenario) for _ in range(2))
    assert first.summary == again.summary


def test_outlier_detection_needs_no_checks_to_leave_a_dead_server_alone() -> None:
    """Five failures in a row tell as much as three checks, and are there much sooner."""
    run = watched(on=False)
    outliers = {"edge.balancer.outliers.on": True}
    run = Simulation(run.scenario.change(outliers))
    run.advance(10.0)
    refuse(run, 1)
    run.advance(60.0)
    assert run.result().summary.failed == 10  # five at once, five when it is let in after 30 s
    assert [round(time) for time in told(run, "ejection")] == [20, 50]
    check_books(run)


def test_checks_and_outlier_detection_together_lose_least() -> None:
    """The one is quick, the other lasting: each covers what the other does not see."""
    failed = {}
    for outliers in (False, True):
        run = watched(interval_seconds=5)
        run = Simulation(run.scenario.change({"edge.balancer.outliers.on": outliers}))
        run.advance(10.0)
        refuse(run, 1)
        run.advance(100.0)
        failed[outliers] = run.result().summary.failed
    assert failed[True] == 5
    assert failed[False] > 50 * failed[True]


def test_a_balancer_that_is_cut_off_finds_all_servers_down() -> None:
    """Checks go the way that requests go: what they cannot cross, requests cannot cross either."""
    run = watched(interval_seconds=1)
    run = Simulation(run.scenario.change({"edge.balancer.latency": 1}))
    run.advance(5.0)
    run.inject({"do": "partition", "link": "edge-application", "length_seconds": 10})
    run.advance(5.0)
    assert run.plane.world.pools["up"][pools(run)].tolist() == [0, 0, 0, 0]
    run.advance(10.0)
    assert run.plane.world.pools["up"][pools(run)].tolist() == [1, 1, 1, 1]
    check_books(run)


def test_checks_are_no_traffic_of_the_map() -> None:
    """The map shows who asks for what; a check asks for nothing."""
    run = watched(interval_seconds=1)
    run.advance(20.0)
    stations = run.result().stations
    assert stations.loc["application.server", "rate_per_s"] == pytest.approx(
        stations.loc["edge.balancer", "rate_per_s"]
    )
    assert set(run.result().topology.edges) == set(watched(on=False).result().topology.edges)


def test_in_memory_sessions_die_with_their_server_and_users_sign_in_elsewhere() -> None:
    """Users of a stateful server lose more than a request when it dies."""
    known = {}
    for kind in ("memory", "token"):
        app = {"sessions": {"kind": kind}}
        run = watched(app=app, interval_seconds=1)
        run = Simulation(
            run.scenario.change({"client.users": 40, "edge.balancer.policy": "ip_hash"})
        )
        run.advance(30.0)
        before = run.plane.world.stores["gets"].sum() - run.plane.world.stores["hits"].sum()
        run.inject({"do": "kill_server", "server": 2, "length_seconds": 20})
        run.advance(30.0)
        after = run.plane.world.stores["gets"].sum() - run.plane.world.stores["hits"].sum()
        known[kind] = after - before
        figures = run.result().figures["value"]
        assert figures.get("Sessions lost", 0) == 10 * (kind == "memory")
        assert told(run, "server_down")
        assert told(run, "server_up")
        check_books(run)
    assert known["memory"] >= 10  # a quarter of the users, there and back again
    assert known["token"] == 0
