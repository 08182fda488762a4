"""Standbys that are not there: what a commit waits for, and what they have missed."""

import pytest

from tests.books import check_books
from tests.layers.test_failover import WATCH, answered, failover, run_of, told


def test_without_its_only_standby_a_synchronous_commit_waits_for_it() -> None:
    """PostgreSQL neither fails such commits nor goes on alone; that is what they cost."""
    run = run_of(commit="on", read_replicas=1, failover={"on": False}, shards=2, connections=10_000)
    run.advance_to(10)
    fallen = failover(run).replica_down(run, 0, 0)
    before = answered(run, "write")
    run.advance_to(20)
    assert answered(run, "write") - before == pytest.approx(250, rel=0.2)  # the other shard's
    failover(run).back(run, fallen)
    run.advance_to(21)
    assert answered(run, "write") - before == pytest.approx(550, rel=0.2)
    assert [when for when, _ in told(run, "outage")] == [10, 20]
    check_books(run)


def test_with_failover_the_primary_goes_on_without_a_standby() -> None:
    """Patroni lets it, unless it is told to be strict."""
    run = run_of(commit="on", read_replicas=1, failover=WATCH)
    run.advance_to(10)
    failover(run).replica_down(run, 0, 0)
    before = answered(run, "write")
    run.advance_to(20)
    assert answered(run, "write") - before == pytest.approx(500, rel=0.2)
    assert not told(run, "outage")


def test_a_replica_that_was_away_has_missed_what_was_written_meanwhile() -> None:
    """A replica is promoted for what it has, not for its number."""
    run = run_of(read_replicas=2, lag=100)
    run.advance_to(10)
    late = failover(run).replica_down(run, 0, 0)
    run.advance_to(20)
    failover(run).primary_down(run)
    run.advance_to(22)
    other = failover(run).replica_down(run, 0, 1)
    failover(run).back(run, late)
    run.advance_to(40)
    assert "replica 1 of 2 is promoted" in told(run, "promotion")[0][1]
    assert "10,100.0 ms behind" in told(run, "promotion")[0][1]
    lost = run.result().figures.loc["Writes lost", "value"]
    assert lost == pytest.approx(505, rel=0.2)
    failover(run).back(run, other)
    check_books(run)
