"""Cache nodes and session stores that fail: who notices, what is lost, and how it fills again."""

from typing import Any

import numpy as np
import pytest

from engine import Simulation
from tests.books import check_books
from tests.layers.test_layers import THING, call, servers, system

READ = {"do": "read", **THING}
LOOK = {"do": "lookup", **THING, "then": [READ]}
COUNT = {"do": "count", **THING}
PAST = {"on": True, "timeout_ms": 300}


def run_of(*steps: dict[str, Any], keys: int = 200, data: Any = None, **cache: Any) -> Simulation:
    """Return a run of 100 look-ups a second of a warm cache, behind which a read takes 20 ms."""
    return Simulation(
        system(
            *(steps or (LOOK,)),
            cache={"hop": 0, "command_time": 0.01, "warm": True, "ttl_seconds": 1e5, **cache},
            data={"read_replicas": 0, "read_time": 20, "write_time": 1, "hop": 0,
                  "connections": 1000} | (data or {}),
            datasets={"things": {"keys": keys, "zipf": 0}},
            duration_seconds=60,
        )
    )  # fmt: skip


def failed(run: Simulation) -> dict[str, int]:
    """Return how many requests have failed why."""
    return run.result().summary.failures


def queries(run: Simulation) -> int:
    """Return how many queries the primary has had."""
    return int(run.plane.world.meters["asked"][run.plane.program.stations["data.primary"].meter])


def told(run: Simulation, *kinds: str) -> list[tuple[float, str]]:
    """Return when and what the log says of some kinds."""
    return [(when, text) for when, kind, _, text in run.recorder.events if kind in kinds]


# ---------------------------------------------------------------- a node is down


def test_without_a_way_past_it_a_dead_cache_fails_requests_at_once() -> None:
    """A cache that nobody needs to answer is not what most have."""
    run = run_of()
    run.advance_to(5)
    gone = run.scenario.cache.node_down(run)
    run.advance_to(10)
    assert failed(run)["cache down"] == pytest.approx(500, rel=0.15)
    run.scenario.cache.node_back(run, gone)
    before = failed(run)
    run.advance_to(15)
    assert failed(run) == before
    check_books(run)


@pytest.mark.parametrize("cure", ["none", "single_flight", "lease"])
def test_past_a_dead_cache_each_look_up_is_a_query(cure) -> None:
    """The database would be spared what it is not spared in an outage."""
    run = run_of(bypass=PAST, stampede=cure)
    run.advance_to(5)
    assert queries(run) == 0
    gone = run.scenario.cache.node_down(run)
    run.advance_to(10)
    assert queries(run) == pytest.approx(500, rel=0.15)
    assert set(failed(run)) <= {"cache down"}
    assert sum(failed(run).values()) <= 1
    run.scenario.cache.node_back(run, gone)
    run.advance_to(10.5)
    assert queries(run) > 520, "it comes back empty"
    run.advance_to(30)
    check_books(run)
    last = queries(run)
    run.advance_to(40)
    assert queries(run) - last < 20, "it fills again"


def test_a_cache_that_hangs_costs_its_time_out() -> None:
    """Dead is cheaper than slow: a refused connection costs nothing."""
    run = run_of(bypass=PAST)
    run.advance_to(5)
    gone = run.scenario.cache.node_down(run, hangs=True)
    run.advance_to(20)
    assert run.result().summary.latency_ms_max == pytest.approx(320, abs=5)
    run.scenario.cache.node_back(run, gone)
    hits = queries(run)
    run.advance_to(30)
    assert queries(run) - hits < 40, "it has forgotten nothing"
    check_books(run)


def test_the_other_nodes_keep_what_they_have() -> None:
    """A cluster would be no better than one node."""
    run = run_of(bypass=PAST, nodes=4)
    run.advance_to(5)
    gone = run.scenario.cache.node_down(run, 1)
    run.advance_to(10)
    assert queries(run) == pytest.approx(500 / 4, rel=0.25)
    run.scenario.cache.node_back(run, gone)
    run.advance_to(60)
    assert queries(run) == pytest.approx(500 / 4 + 50, rel=0.25)
    check_books(run)


# ---------------------------------------------------------------- what is lost


def test_a_dead_node_loses_the_counts_that_were_not_flushed() -> None:
    """Write-behind would look as safe as a database."""
    lost = []
    for nodes in (1, 4):
        run = run_of(COUNT, nodes=nodes, buffer={"flush_seconds": 10}, keys=10_000)
        run.advance_to(15)
        assert not told(run, "loss")
        run.scenario.cache.node_down(run, 0)
        ((when, text),) = told(run, "loss")
        lost.append(int(text.split()[1]))
        assert when == 15
        assert run.result().figures.loc["Buffered writes lost", "value"] == lost[-1]
    assert lost[0] == pytest.approx(500, rel=0.1)  # since the flush at 10 s
    assert lost[1] == pytest.approx(500 / 4, rel=0.25)


def test_a_flush_waits_for_a_database_that_is_down() -> None:
    """Counts that were safe in the buffer would be thrown away."""
    run = run_of(COUNT, buffer={"flush_seconds": 5, "batch": 50})
    failover = run.scenario.data.failover
    run.advance_to(4)
    fallen = failover.primary_down(run)
    run.advance_to(7)
    check_books(run)
    failover.back(run, fallen)
    run.advance_to(14)
    served = run.plane.world.meters["served"][run.plane.program.stations["data.primary"].meter]
    batches = sum(-(-int(text.split(" under ")[1].split()[0]) // 50) for _, text in told(
        run, "flush"))  # fmt: skip
    assert served == batches > 2
    assert not failed(run)


# ---------------------------------------------------------------- it fills again


def test_a_warm_up_fetches_the_hottest_keys_at_its_rate() -> None:
    """After a flush the database would have the stampede that a warm-up is to prevent."""
    run = run_of(keys=1000, capacity=300, warm_up={"keys_per_second": 100})
    run.advance_to(5)
    gone = run.scenario.cache.flush(run)
    assert gone == 300
    run.advance_to(8.05)
    (_, begun), *_ = told(run, "warm_up")
    assert begun == "fetches the 300 most popular keys, 100 a second"
    run.advance_to(9)
    assert [when for when, _ in told(run, "warm_up")] == pytest.approx([5, 8], abs=0.15)
    check_books(run)


def test_what_was_warmed_up_is_hit() -> None:
    """Keys would be fetched for nothing."""
    misses = []
    for rate in (0, 1000):
        run = run_of(keys=1000, warm_up={"keys_per_second": rate}, data={"read_time": 1})
        run.advance_to(5)
        run.scenario.cache.flush(run)
        run.advance_to(6.5)
        store = run.plane.world.stores[run.plane.program.named["cache things"]]
        before = int(store["gets"] - store["hits"])
        run.advance_to(10)
        store = run.plane.world.stores[run.plane.program.named["cache things"]]
        misses.append(int(store["gets"] - store["hits"]) - before)
    assert misses[0] > 200
    assert misses[1] == 0


def test_a_warm_up_that_fails_harms_nobody() -> None:
    """An errand that failed would be booked on a request that never was."""
    run = run_of(warm_up={"keys_per_second": 50})
    run.advance_to(5)
    run.scenario.data.failover.primary_down(run)
    run.scenario.cache.flush(run)
    run.advance_to(15)
    check_books(run)
    assert set(failed(run)) == {"no primary"}


# ---------------------------------------------------------------- sessions


def sessions(kind: str, **more: Any) -> Simulation:
    """Return a run of calls of users who have to be known."""
    return Simulation(
        system(
            call(),
            application=servers(0, sessions={"kind": kind, "sign_in_time": 5}, replicas=2),
            cache={"hop": 0, "command_time": 0.01} | more,
            client={"requests_per_second": 100, "users": 20, "attempts": 1, "timeout_seconds": 1},
            duration_seconds=60,
        )
    )


def test_while_the_session_store_is_down_nobody_is_known() -> None:
    """A session store is a single point of failure; that has to show."""
    run = sessions("store", bypass=PAST)
    run.advance_to(10)
    gone = run.scenario.application.sessions.store_down(run)
    run.advance_to(20)
    assert failed(run)["session store down"] == pytest.approx(1000, rel=0.15)
    run.scenario.application.sessions.store_back(run, gone)
    before = failed(run)
    run.advance_to(21)
    store = run.plane.world.stores[run.plane.program.stations["cache.sessions"].stores[0]]
    assert store["gets"] - store["hits"] >= 20 * 2 - 3, "all have to sign in again"
    run.advance_to(30)
    assert failed(run) == before
    check_books(run)


def test_a_server_that_dies_forgets_who_was_signed_in_there() -> None:
    """A stateful server would look like a stateless one."""
    run = sessions("memory")
    run.advance_to(10)
    known = [run.scenario.application.sessions.lose_memory(run, "server", n) for n in (0, 1)]
    assert sum(known) == 20  # each user is known where they were last
    assert len(told(run, "loss")) == 2
    assert "their users sign in again" in told(run, "loss")[0][1]
    assert not np.any(run.plane.world.stores["count"])
    run.advance_to(20)
    check_books(run)
