"""What databases do: who has the newest row, what a commit waits for, where keys are."""

from typing import Any

import pytest

from engine import LAYERS, Result, Scenario, Simulation, inspect, simulate
from engine.layers.sharding import hottest, moved, placed, popularity, shards_of
from tests.books import check_books, check_drained
from tests.workshop import FAR

SECONDS = 20
TWO = {"synchronous": 2}
THING = {"dataset": "things"}
READ, WRITE = {"do": "read", **THING}, {"do": "write", **THING}
QUICK = {"hop": 0, "read_time": 1, "write_time": 1, "read_replicas": 0, "connections": 1000}


def scenario(
    *steps: dict[str, Any], rate: float = 100, keys: int = 50, zipf: float = 0, **data: Any
) -> Scenario:
    """Return requests that meet nothing but databases."""
    tree = {name: {"enabled": False} for name in LAYERS}
    tree |= {
        "client": {"enabled": False, "requests_per_second": rate},
        "data": {**QUICK, **data},
        "duration_seconds": SECONDS,
        "warm_up_seconds": 0,
        "datasets": {"things": {"keys": keys, "zipf": zipf}},
        "journeys": {"visit": {"steps": list(steps)}},
    }
    return Scenario.model_validate(tree)


def played(*steps: dict[str, Any], **more: Any) -> Result:
    """Return a run of such a scenario."""
    return simulate(scenario(*steps, **more))


def mean(result: Result) -> float:
    """Return the mean latency, ms."""
    found = result.summary.latency_ms_mean
    assert found is not None
    return found


def busy(result: Result, station: str = "data.primary") -> list[float]:
    """Return how busy each database of a station was, as a share of all their work."""
    areas = result._end.pools["busy_area"][result.program.stations[station].pools]
    return list(areas / areas.sum())


def test_books_balance_and_run_dry_whatever_is_on() -> None:
    """A connection, lock or leg that is never given back is a leak."""
    scatter = {**READ, "scatter": True}
    for steps, data in (
        ([WRITE, READ], {"read_replicas": 2, "reads": "primary_after_write", "commit": "on"}),
        ([WRITE, READ], {"read_replicas": 3, "commit": "remote_apply", "standby": TWO}),
        ([WRITE, READ], {"commit": "quorum", "shards": 3, "write_time": {"exponential": 9}}),
        ([{**WRITE, "lock": "optimistic"}], {"write_time": {"exponential": 9}}),
        ([{**WRITE, "lock": "pessimistic"}, scatter], {"shards": 3, "read_replicas": 1}),
        ([WRITE, scatter], {"connections": 1, "read_time": {"exponential": 30}, "shards": 2,
                            "pool_timeout": True, "pool_timeout_ms": 60}),
        ([READ], {"connections": 2, "backup": {"on": True, "at_seconds": 2, "length_seconds": 3},
                  "tiers": {"on": True}}),
    ):  # fmt: skip
        run = Simulation(scenario(*steps, **data, keys=3))
        for moment in (0.5, 3.0, 7.7, SECONDS):
            run.advance_to(moment)
            check_books(run)
        run.plane.set_rate(0.0)
        run.plane.advance(FAR)
        check_books(run)
        check_drained(run.plane)


# ---------------------------------------------------------------- replicas and commits


def test_who_reads_the_primary_after_a_write_reads_nothing_stale() -> None:
    """Read your writes: without it, a customer's own order is missing from his list."""
    ratios, primary = {}, {}
    for reads in ("replica", "primary_after_write", "primary"):
        result = played(
            WRITE, READ, read_replicas=2, lag=300, reads=reads, pin_seconds=0.3, keys=200
        )
        ratios[reads] = result.summary.stale_read_ratio or 0.0
        primary[reads] = result.stations.loc["data.primary", "rate_per_s"]
        assert ("data.replicas" in result.stations.index) == (reads != "primary")
    assert ratios["replica"] > 0.9
    assert ratios["primary_after_write"] == ratios["primary"] == 0
    assert primary["replica"] < 0.6 * primary["primary"]


def test_rows_not_written_lately_are_read_from_replicas() -> None:
    """A pin that held for every row would make replicas pointless."""
    both = {"write": {"weight": 1, "steps": [WRITE]}, "read": {"weight": 9, "steps": [READ]}}
    system = scenario(READ, read_replicas=2, reads="primary_after_write", pin_seconds=1, keys=1000)
    result = simulate(system.change({"journeys": both}))
    assert result.stations.loc["data.replicas", "rate_per_s"] > 80


def test_the_more_a_commit_waits_for_the_longer_it_takes() -> None:
    """Each level waits for one thing more; what a failover loses goes the other way."""
    standby = {"hop": 4, "flush": 8}
    latency, stale, risk = {}, {}, {}
    for level in ("off", "local", "remote_write", "on", "remote_apply"):
        more = {"commit": level, "standby": standby, "lag": 100, "unflushed_time": 0.25}
        result = played(WRITE, READ, read_replicas=1, **more)
        latency[level] = mean(result)
        stale[level] = result.summary.stale_read_ratio
        risk[level] = result.figures["value"].get("Commits not replicated", 0.0)
    expected = {"off": 1.25, "local": 2, "remote_write": 6, "on": 14, "remote_apply": 114}
    assert latency == pytest.approx(expected)
    assert stale["on"] == stale["local"] == 1.0  # a standby that has the log may not show it yet
    assert stale["remote_apply"] == 0.0
    assert risk["local"] == pytest.approx(100 * 0.1, rel=0.05)
    assert risk["on"] == risk["remote_apply"] == 0.0


def test_the_inspector_tells_what_a_failover_would_lose() -> None:
    """A figure that no door shows would be known to nobody."""
    result = played(WRITE, READ, read_replicas=1, lag=100)
    said = inspect(result, "data.primary").sentences
    assert any(text.startswith("Commits not replicated: ") for text in said)


def test_only_synchronous_replicas_are_up_to_date() -> None:
    """FIRST 1 of four: three in four reads meet a replica that nobody has waited for."""
    result = played(WRITE, READ, read_replicas=4, commit="remote_apply", lag=50)
    assert result.summary.stale_read_ratio == pytest.approx(0.75, abs=0.03)


def test_two_synchronous_standbys_wait_for_the_slower() -> None:
    """FIRST 2 waits for both; the mean of the slower of two exponentials is 1.5 means."""
    standby = {"hop": 0, "flush": {"exponential": 20}}
    one, two = (
        mean(played(WRITE, commit="on", read_replicas=2, standby={**standby, "synchronous": k}))
        for k in (1, 2)
    )
    assert one == pytest.approx(1 + 20, rel=0.06)
    assert two == pytest.approx(1 + 30, rel=0.06)


def test_commits_hang_while_the_only_synchronous_standby_is_lost() -> None:
    """PostgreSQL neither fails them nor goes on alone; a second standby would take its place."""
    both = {"write": {"steps": [WRITE]}, "read": {"steps": [READ]}}
    standby = {"hop": 0, "flush": 1, "outage_at_seconds": 5, "outage_seconds": 6}
    longest = {}
    for replicas in (1, 2):
        system = scenario(READ, commit="on", read_replicas=replicas, standby=standby, rate=300)
        result = simulate(system.change({"journeys": both}))
        series = result.timeseries.set_index("time_s")["answered_per_s"]
        longest[replicas] = result.summary.latency_ms_max
        calm, lost = series.loc[1:5].mean(), series.loc[5.5:10.5].mean()
        assert lost == pytest.approx(calm / 2 if replicas == 1 else calm, rel=0.15)
        assert result.summary.failed == 0
    assert longest[1] == pytest.approx(6000, rel=0.02)
    assert longest[2] == pytest.approx(2)


def test_a_quorum_that_overlaps_reads_nothing_stale() -> None:
    """If r + w > n, read sets meet write sets. With 1 + 1 of 3, two reads in three miss."""
    ratios = {}
    for r, w in ((1, 1), (1, 2), (2, 2)):
        quorum = {"n": 3, "r": r, "w": w}
        result = played(WRITE, READ, commit="quorum", quorum=quorum, lag=500)
        ratios[r, w] = result.summary.stale_read_ratio
    assert ratios[1, 1] == pytest.approx(2 / 3, abs=0.03)
    assert ratios[1, 2] == pytest.approx(1 / 3, abs=0.03)
    assert ratios[2, 2] == 0.0


def test_a_quorum_waits_for_as_many_as_it_needs_and_works_on_all() -> None:
    """The fastest of three, the second, the slowest; each write costs three replicas' work."""
    means, work = [], []
    for w in (1, 2, 3):
        result = played(WRITE, commit="quorum", quorum={"w": w}, write_time={"exponential": 30})
        means.append(mean(result))
        work.append(result.stations.loc["data.quorum", "in_service_mean"])
    assert means == pytest.approx([10, 25, 55], rel=0.06)  # 30/3, + 30/2, + 30
    assert work == pytest.approx([100 * 3 * 0.030] * 3, rel=0.06)


# ---------------------------------------------------------------- connections and locks


def test_a_pool_that_has_no_connection_in_time_says_so() -> None:
    """Without a limit everybody waits for ever; with it the line is cut and the rest is served."""
    few = {"connections": 1, "read_time": 20}
    patient = played(READ, **few)
    brief = played(READ, **few, pool_timeout=True, pool_timeout_ms=100)
    assert patient.summary.failed == 0
    assert set(brief.summary.failures) == {"no connection in time"}
    assert brief.summary.latency_ms_max == pytest.approx(120, abs=1)
    assert brief.summary.answered == pytest.approx(SECONDS / 0.020, rel=0.02)


def test_a_server_waits_for_a_connection_of_its_own() -> None:
    """The database is idle, and still queries wait: the pool of each server is what is full."""
    app = {"services": {"server": {"cpu_time": 0}}, "replicas": 2, "threads": 50, "cores": 50}
    call = {"do": "call", "service": "server", "then": [READ]}
    name = "Wait for a connection of the server's own"
    waits, answered = {}, {}
    for size in (1, 10):
        system = scenario(call, read_time=40, server_pool={"size": size})
        result = simulate(system.change({"application": app}))
        waits[size], answered[size] = result.figures.loc[name, "value"], result.summary.answered
        assert result.stations.loc["data.primary", "utilisation"] < 0.01
        assert result.stations.loc["data.primary", "wait_ms_mean"] == 0
    assert answered[1] == pytest.approx(2 * SECONDS / 0.040, rel=0.03)
    assert waits[1] > 1000
    assert waits[10] < 1


def test_more_servers_than_the_database_has_room_for_wait_there() -> None:
    """Pools that are large enough each are too large together: the line moves to the database."""
    app = {"services": {"server": {"cpu_time": 0}}, "replicas": 8, "threads": 50, "cores": 50}
    call = {"do": "call", "service": "server", "then": [READ]}
    more = {"read_time": 60, "connections": 5, "server_pool": {"size": 10}}
    result = simulate(scenario(call, **more).change({"application": app}))
    assert result.stations.loc["data.primary", "utilisation"] > 0.97
    assert result.stations.loc["data.primary", "wait_ms_mean"] > 500


def test_a_hot_row_lets_one_writer_at_a_time_through() -> None:
    """Who waits for a row holds a connection: hot rows exhaust pools that are far from busy."""
    lock = {**WRITE, "lock": "pessimistic"}
    locks = {"think": 20}
    hot = played(lock, keys=1, locks=locks, connections=10)
    cool = played(lock, keys=10_000, locks=locks, connections=10)
    assert hot.summary.answered == pytest.approx(SECONDS / 0.022, rel=0.02)
    assert hot.stations.loc["data.primary", "utilisation"] > 0.95
    assert cool.summary.answered == pytest.approx(100 * SECONDS, rel=0.05)
    assert cool.stations.loc["data.primary", "utilisation"] < 0.4
    assert hot.figures.loc["Wait for a row's lock", "value"] > 150
    assert cool.figures.loc["Wait for a row's lock", "value"] < 5


def test_an_optimistic_write_that_comes_second_has_worked_for_nothing() -> None:
    """Conflicts grow with heat; each costs a whole attempt, where a lock would cost a wait."""
    optimistic = {**WRITE, "lock": "optimistic"}
    locks = {"think": 20, "attempts": 50}
    hot, cool = (played(optimistic, keys=keys, locks=locks, rate=30) for keys in (1, 10_000))
    name = "Optimistic writes in conflict"
    assert hot.figures.loc[name, "value"] > 0.35
    assert cool.figures.loc[name, "value"] < 0.01
    assert mean(hot) > 1.5 * mean(cool)
    once = played(optimistic, keys=1, locks={"think": 20, "attempts": 1}, rate=30)
    assert set(once.summary.failures) == {"lock conflict"}


def test_a_plain_write_is_a_conflict_too() -> None:
    """Whoever writes the row, the version that was read is no longer the newest."""
    both = {
        "careful": {"steps": [{**WRITE, "lock": "optimistic"}]},
        "plain": {"weight": 9, "steps": [WRITE]},
    }
    system = scenario(WRITE, keys=1, locks={"think": 20, "attempts": 1}, rate=50)
    result = simulate(system.change({"journeys": both}))
    assert result.figures.loc["Optimistic writes in conflict", "value"] > 0.4


# ---------------------------------------------------------------- shards


def test_a_directory_keeps_hot_keys_apart() -> None:
    """Ranges put all hot keys on one shard; a table that somebody keeps balanced does not."""
    most = {}
    for sharding in ("range", "hash", "directory"):
        result = played(READ, shards=4, sharding=sharding, zipf=0.9, keys=500)
        most[sharding] = max(busy(result))
        said = result.figures.loc["Busiest shard of things", "value"]
        assert most[sharding] == pytest.approx(said, rel=0.08)
    assert most["range"] > 0.7
    assert most["directory"] < 0.29
    assert most["directory"] < most["hash"]


def test_the_directory_is_asked_first() -> None:
    """A table is somewhere: asking it costs a hop that a hash does not."""
    hash_, directory = (
        played(READ, shards=2, sharding=way, directory_time=3) for way in ("hash", "directory")
    )
    assert mean(directory) == pytest.approx(mean(hash_) + 3)


def test_a_directory_gives_the_next_key_to_the_shard_with_least_load() -> None:
    """Greedy by popularity; the best possible is an even share, unless one key weighs more."""
    owners, weights = placed(100_000, 7, 0.8), popularity(100_000, 0.8)
    assert hottest(100_000, 7, "directory", zipf=0.8) < 1.01 / 7
    assert owners[:7].tolist() == list(range(7))
    assert hottest(100, 4, "directory", zipf=3.0) == pytest.approx(
        weights[0] / popularity(100, 3.0).sum()
    )


def test_few_virtual_nodes_make_shards_of_unequal_size() -> None:
    """One point a shard leaves the largest with several times the smallest."""
    sizes = {}
    for points in (1, 160):
        owners = shards_of(50_000, 8, "consistent_hash", points)
        counts = [int((owners == shard).sum()) for shard in range(8)]
        sizes[points] = max(counts) / max(1, min(counts))
    assert sizes[1] > 3
    assert sizes[160] < 1.6


def test_one_more_shard_moves_few_keys_of_a_ring_and_most_of_a_modulus() -> None:
    """Resharding by modulo copies nearly everything; that is what rings are for."""
    assert moved(100_000, "hash", 10, 11) == pytest.approx(10 / 11, abs=0.01)
    assert moved(100_000, "consistent_hash", 10, 11) == pytest.approx(1 / 11, abs=0.03)
    result = played(READ, shards=10, sharding="hash", keys=10_000)
    said = result.figures.loc["Keys of things that one more shard moves", "value"]
    assert said == pytest.approx(10 / 11, abs=0.02)


def test_a_query_without_the_key_asks_every_shard_and_waits_for_the_slowest() -> None:
    """Scatter and gather: each further shard adds work, and a chance to be slow."""
    means, work = [], []
    for shards in (1, 4):
        scatter = {**READ, "scatter": True}
        result = played(scatter, shards=shards, read_time={"exponential": 12})
        means.append(mean(result))
        work.append(result.stations.loc["data.primary", "in_service_mean"])
    assert means == pytest.approx([12, 12 * (1 + 1 / 2 + 1 / 3 + 1 / 4)], rel=0.06)
    assert work[1] == pytest.approx(4 * work[0], rel=0.06)


def test_new_rows_go_to_the_last_range_and_anywhere_among_hashes() -> None:
    """Ids that grow make the last range hot; that is why inserts are hashed."""
    insert = {**WRITE, "insert": True}
    ranged, hashed = (
        busy(played(insert, shards=4, sharding=way, keys=10_000)) for way in ("range", "hash")
    )
    assert ranged == [0, 0, 0, 1]
    assert max(hashed) < 0.3


# ---------------------------------------------------------------- old rows, backups, other stores


def test_old_rows_come_slowly_from_disks_of_their_own() -> None:
    """Cold reads that took the hot rows' place would slow everybody; they wait by themselves."""
    tiers = {"on": True, "warm_share": 0.2, "cold_share": 0.1, "warm_time": 10, "cold_time": 90}
    result = played(READ, tiers={**tiers, "spindles": 100})
    assert mean(result) == pytest.approx(0.7 * 1 + 0.2 * 10 + 0.1 * 90, rel=0.1)
    assert result.stations.loc["data.archive", "rate_per_s"] == pytest.approx(10, rel=0.15)
    archive = played({**READ, "archive": True}, rate=100, tiers={**tiers, "spindles": 4})
    assert archive.stations.loc["data.archive", "utilisation"] > 0.99
    assert archive.summary.answered == pytest.approx(SECONDS * 4 / 0.090, rel=0.03)


def test_a_backup_takes_connections_from_those_who_have_work_to_do() -> None:
    """It reads for a while; on a replica the primary's users do not notice."""
    backup = {"on": True, "at_seconds": 8, "length_seconds": 6, "jobs": 3}
    both = {"write": {"steps": [WRITE]}, "read": {"steps": [READ]}}
    work = {"connections": 4, "write_time": 10, "read_time": 10, "read_replicas": 1}
    for source, other in (("primary", "replica"), ("replica", "primary")):
        system = scenario(READ, **work, backup={**backup, "source": source}, rate=160)
        series = simulate(system.change({"journeys": both})).station_series
        names = {"primary": "data.primary", "replica": "data.replicas"}
        hit, spared = (
            series[series["station"] == names[name]].set_index("time_s")["in_service"]
            for name in (source, other)
        )
        assert hit.loc[8.5:13.9].min() >= 3
        assert hit.loc[2:8].mean() == pytest.approx(0.8, abs=0.25)
        assert hit.loc[15:20].mean() == pytest.approx(0.8, abs=0.25)
        assert spared.loc[8:14].mean() == pytest.approx(0.8, abs=0.25)


def test_what_a_store_is_asked_decides_how_long_it_takes() -> None:
    """A document is one document; a series grows with its range, a graph with every hop."""
    stores = {name: {"query_time": 2} for name in ("document", "timeseries", "graph")}
    stores["graph"]["fan_out"] = 3

    def took(store: str, **query: Any) -> float:
        return mean(played({"do": "query", "store": store, **query}, **stores))

    assert took("document") == pytest.approx(2)
    assert took("timeseries", hours=12) == pytest.approx(12 * took("timeseries", hours=1))
    assert took("graph", hops=1) == pytest.approx(2 * (1 + 3))
    assert took("graph", hops=3) == pytest.approx(2 * (1 + 3 + 9 + 27))


def test_stores_are_on_the_bill_if_somebody_asks_them() -> None:
    """What nobody asks would be paid for."""
    result = played({"do": "query", "store": "graph"})
    assert result.cost["station"].tolist() == ["data.graph"]
