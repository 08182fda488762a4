"""What each layer does for a request, and that it costs nothing when it is off."""

from typing import Any

import pytest

from engine import LAYERS, Result, Scenario, simulate

THING = {"dataset": "things"}


def system(*steps: dict[str, Any], **sections: Any) -> Scenario:
    """Return a system of these steps, all layers off but those that are given."""
    off = {name: {"enabled": False} for name in LAYERS}
    tree = {
        **off,
        "client": {"enabled": False, "requests_per_second": 100},
        "duration_seconds": 20,
        "warm_up_seconds": 0,
        "datasets": {"things": {"keys": 50, "zipf": 0}},
        "journeys": {"visit": {"steps": list(steps)}},
    }
    return Scenario.model_validate(tree | sections)


def call(*within: dict[str, Any]) -> dict[str, Any]:
    """Return a call of the server."""
    return {"do": "call", "service": "server", "then": list(within)}


def servers(time: Any = 1, **fields: Any) -> dict[str, Any]:
    """Return an application of one service that takes this time."""
    return {"services": {"server": {"cpu_time": time}}, **fields}


def spent(result: Result, layer: str) -> float:
    """Return the mean time that requests spent in a layer, ms."""
    shares = result.shares
    rows = shares[(shares["journey"] == "all") & (shares["of"] == "mean")]
    return float(rows[rows["layer"] == layer]["ms"].sum())


def test_a_layer_switched_off_costs_no_time() -> None:
    """Start simple means that what is off is not there at all."""
    read, write = {"do": "read", **THING}, {"do": "write", **THING}
    everything = system(call({"do": "lookup", **THING, "then": [read]}, write))
    result = simulate(everything)
    assert result.summary.latency_ms_mean == 0.0
    assert result.summary.answered == result.summary.started > 1500
    assert result.cost.empty


def test_a_full_accept_queue_refuses_the_next_call() -> None:
    """A queue that took more than its limit would hide that the server is too small."""
    app = servers(200, replicas=1, threads=1, cores=1, queue_limit=3)
    said = simulate(system(call(), application=app)).summary
    assert set(said.failures) == {"server accept queue full"}
    assert said.answered == pytest.approx(100, abs=2)
    assert said.latency_ms_p99 <= 810


def test_a_thread_is_held_while_its_call_waits_for_the_database() -> None:
    """Threads that were free meanwhile would hide how most outages happen."""
    app = servers(0, replicas=1, threads=1, cores=1, queue_limit=1_000_000)
    data = {"read_replicas": 0, "read_time": 20, "hop": 0, "connections": 100}
    result = simulate(system(call({"do": "read", **THING}), application=app, data=data))
    assert result.stations.loc["application.server", "utilisation"] > 0.97
    assert result.stations.loc["data.primary", "in_service_mean"] <= 1.0


def test_a_client_timeout_does_not_stop_the_server() -> None:
    """The server does not know that its client has gone: it works on, for nobody."""
    client = {"requests_per_second": 5, "timeout_seconds": 0.05, "attempts": 1}
    client |= {"web_round_trip": 0, "mobile_round_trip": 0}
    app = servers(100, replicas=1, threads=10, cores=10)
    result = simulate(system(call(), client=client, application=app))
    assert result.summary.answered == 0
    assert result.summary.failures == {"timed out": result.summary.failed}
    assert result.summary.wasted >= result.summary.failed - 1
    served = result.stations.loc["application.server", "in_service_mean"]
    assert served == pytest.approx(result.summary.started / 20 * 0.1, rel=0.05)


def test_workers_beyond_the_partitions_stand_idle() -> None:
    """More workers than partitions do not help; that they seem to would be a lie about Kafka."""
    publish = {"do": "publish", "to": ["mail"]}
    kinds = {"kinds": {"mail": {"service_time": 30}}, "publish_time": 0, "partitions": 2}
    done = []
    for count in (1, 2, 8):
        result = simulate(system(publish, asynchronous={**kinds, "workers": count}))
        done.append(int(result.messages.loc["asynchronous.mail", "processed"]))
    assert done[1] == pytest.approx(2 * done[0], rel=0.02)
    assert done[2] == done[1]


def test_a_write_takes_the_key_out_of_the_cache() -> None:
    """A key that stayed would be read old for as long as it lives."""
    look = {"do": "lookup", **THING, "then": [{"do": "read", **THING}]}
    ratios = []
    for invalidate in (True, False):
        write = {"do": "write", **THING, "invalidate": invalidate}
        both = {"look": {"weight": 1, "steps": [look]}, "save": {"weight": 1, "steps": [write]}}
        scenario = system(look, cache={}, data={}, journeys=both)
        ratios.append(simulate(scenario).summary.cache_hit_ratio)
    assert ratios[0] < 0.6
    assert ratios[1] > 0.9


def test_least_connections_avoids_the_slow_server() -> None:
    """With times that vary much, it must wait less than taking turns does."""
    app = servers({"bimodal": {"fast": 2, "slow": 150, "slow_share": 0.05}}, replicas=3, threads=1)
    waits = {}
    for policy in ("least_connections", "round_robin"):
        edge = {"dns": {"on": False}, "balancer": {"policy": policy, "latency": 0}}
        result = simulate(system(call(), edge=edge, application=app))
        waits[policy] = result.stations.loc["application.server", "wait_ms_mean"]
    assert waits["least_connections"] < 0.6 * waits["round_robin"]


def test_shards_share_the_load() -> None:
    """Writes that all went to one shard would make sharding a price without a benefit."""
    app = {"shards": 4, "read_replicas": 0, "write_time": 5, "connections": 1}
    result = simulate(system({"do": "write", **THING}, data=app))
    pools = result.program.stations["data.primary"].pools
    busy = result._end.pools["busy_area"][pools]
    assert busy.min() > 0.1 * busy.sum()


def test_a_lagging_replica_is_read_stale() -> None:
    """The longer the lag, the more reads come before the last write has arrived."""
    both = [{"do": "write", **THING}, {"do": "read", **THING}]
    ratios = []
    for lag in (0, 500):
        scenario = system(*both, data={"lag": lag, "read_replicas": 1, "hop": 0})
        ratios.append(simulate(scenario).summary.stale_read_ratio)
    assert ratios[0] == 0.0
    assert ratios[1] > 0.9


def test_two_datasets_share_one_cdn_without_mixing() -> None:
    """Object 7 of one must not be served for object 7 of the other."""
    data = {"things": {"keys": 10, "zipf": 0}, "films": {"keys": 5000, "zipf": 0}}
    steps = [{"do": "fetch", "dataset": name} for name in data]
    edge = {"dns": {"on": False}, "cdn": {"warm": False, "capacity": 6000}}
    result = simulate(system(*steps, edge=edge, datasets=data))
    fetched = result.summary.started
    assert result.summary.cdn_hit_ratio < 0.5 + 0.5 * fetched / 2 / 5000


def test_nobody_sees_anything_between_two_scrapes() -> None:
    """Metrics exist at scrape times only; that is what those on call have."""
    result = simulate(system(call(), application=servers(), observability={"enabled": True}))
    assert result.scrapes["time_s"].unique().tolist() == [5.0, 10.0, 15.0]
