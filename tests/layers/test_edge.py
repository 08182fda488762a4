"""What the edge does: names, connections, guards, caches near the users, and the balancer."""

from typing import Any

import numpy as np
import pytest

from engine import Result, ScenarioError, Simulation, simulate
from engine.hashing import nginx_hash
from tests.books import check_books
from tests.layers.test_layers import THING, call, servers, system

NEAR = {"web_round_trip": 10, "mobile_round_trip": 10, "requests_per_second": 100}
BARE = {"enabled": False, "requests_per_second": 100}
FETCH = {"do": "fetch", **THING}
QUIET = {"dns": {"on": False}}


def edge(*steps: dict[str, Any], client: Any = None, app: Any = None, **parts: Any) -> Result:
    """Return a run with these parts of an edge in front of a server of 5 ms."""
    balancer = {"latency": 0} | parts.pop("balancer", {})
    sections = {"client": client or NEAR, "application": app or servers(5)}
    return simulate(
        system(*(steps or (call(),)), edge=QUIET | parts | {"balancer": balancer}, **sections)
    )


def work(result: Result) -> np.ndarray:
    """Return how long each server's threads were taken, seconds."""
    pools = result.program.stations["application.server"].pools
    return np.array(result._end.pools["busy_area"][pools])


# ---------------------------------------------------------------- names and connections


def test_a_region_that_is_down_is_asked_until_names_are_forgotten() -> None:
    """Failover by names takes the detection and then the TTL; that it is at once is a wish."""
    regions = [{"name": "a", "down_at_seconds": 5, "up_at_seconds": 15}, {"name": "b"}]
    client = NEAR | {"regions": regions, "attempts": 1}
    dns = {"lookup": 1, "ttl_seconds": 4, "detection_seconds": 2, "resolvers": 20}
    result = edge(client=client, dns=dns)
    failed = result.timeseries.set_index("time_s")["failed_per_s"]
    assert failed.loc[:5].sum() == 0
    assert failed.loc[5.2:7].mean() == pytest.approx(50, rel=0.3)  # until it is noticed
    assert 0 < failed.loc[7:11].mean() < failed.loc[5.2:7].mean()  # resolvers forget one by one
    assert failed.loc[11.3:].sum() == 0
    assert set(result.summary.failures) == {"region down"}
    told = result.events[result.events["kind"] == "region"]["time_s"].tolist()
    assert told == [5.0, 7.0, 15.0, 17.0]


def test_who_is_sent_to_another_region_has_a_longer_way() -> None:
    """A failover that cost nothing would be everybody's plan."""
    regions = [{"name": "a", "down_at_seconds": 0}, {"name": "b"}]
    dns = {"lookup": 1, "detection_seconds": 0, "detour": 80}
    up = edge(client=NEAR, dns=dns).summary.latency_ms_mean
    down = edge(client=NEAR | {"regions": regions}, dns=dns).summary.latency_ms_mean
    assert down - up == pytest.approx(40, rel=0.1)  # half of the users


def test_all_regions_down_is_refused() -> None:
    """Users would have nowhere to be sent."""
    with pytest.raises(ValueError, match="all regions go down"):
        system(call(), client=NEAR | {"regions": [{"name": "a", "down_at_seconds": 1}]})


@pytest.mark.parametrize(("version", "trips"), [("tls1.3", 2), ("tls1.2", 3), ("quic", 1)])
def test_a_new_connection_costs_its_round_trips(version, trips) -> None:
    """Keep-alive would look useless if handshakes were free."""
    tls = {"on": True, "version": version, "handshake_time": 0}
    plain = edge().summary.latency_ms_mean
    for share in (0.0, 1.0):
        found = edge(tls=tls | {"new_connections": share}).summary.latency_ms_mean
        assert found - plain == pytest.approx(share * trips * 10)


# ---------------------------------------------------------------- guards


def test_a_firewall_blocks_its_shares_and_a_blocked_one_stays_blocked() -> None:
    """A retry that got through would make a false positive a delay."""
    waf = {"on": True, "inspection": 2, "blocked_share": 0.1, "false_positive_share": 0.05}
    said = edge(waf=waf, client=NEAR | {"requests_per_second": 500, "attempts": 5}).summary
    assert said.failures["blocked as an attack"] / said.started == pytest.approx(0.1, abs=0.01)
    assert said.failures["blocked by mistake"] / said.started == pytest.approx(0.045, abs=0.01)
    assert said.latency_ms_mean == pytest.approx(edge().summary.latency_ms_mean + 2)


def test_a_token_bucket_lets_its_rate_and_its_burst_pass() -> None:
    """One without a burst refuses what was only uneven; one without a rate, nothing."""
    limiter = {"on": True, "rate": 40, "burst": 100}
    said = edge(limiter=limiter, client=BARE).summary
    assert said.answered == pytest.approx(100 + 20 * 40, abs=8)
    assert set(said.failures) == {"rate limited"}


def test_a_sliding_window_never_lets_more_pass_than_its_rate() -> None:
    """Two fixed windows let twice the rate pass at their border."""
    spike = {"shape": "spike", "start_seconds": 10.5, "length_seconds": 1, "factor": 10}
    limiter = {"on": True, "rate": 40, "algorithm": "sliding_window"}
    result = edge(limiter=limiter, client=BARE | {"pattern": spike})
    run = result.timeseries
    counts = run["answered_per_s"].to_numpy() * np.diff(run["time_s"], prepend=0)
    sums = np.convolve(counts, np.ones(6), "valid")  # six windows of 1/6 s
    assert sums.max() <= 40 * 1.2  # Cloudflare's approximation is close, not exact
    assert result.summary.answered == pytest.approx(20 * 40, rel=0.05)


def test_a_limit_for_each_client_spares_the_modest() -> None:
    """One limit for all lets a greedy client starve the others."""
    together = {"on": True, "rate": 50, "burst": 1}
    each = together | {"rate": 2, "per_client": True}
    one = edge(limiter=together, client=BARE | {"users": 1000}).summary
    own = edge(limiter=each, client=BARE | {"users": 1000}).summary
    assert one.error_ratio > 0.45
    assert own.error_ratio < 0.1
    few = edge(limiter=each, client=BARE | {"users": 10}).summary
    assert few.answered == pytest.approx(10 * 20 / (1 / 2 + 1 / 10), rel=0.1)  # filled, then asked


# ---------------------------------------------------------------- content


def fetched(**cdn: Any) -> Result:
    """Return a run of fetches of 50 objects that live 2 s, from two regions."""
    client = NEAR | {"requests_per_second": 500, "regions": [{"name": "a"}, {"name": "b"}]}
    base = {"warm": False, "ttl_seconds": 2, "hit_time": 1, "origin_time": 150}
    return edge(FETCH, client=client, cdn=base | cdn)


def origin(result: Result) -> float:
    """Return requests a second that came to the origin."""
    return float(result.stations.loc["edge.origin", "rate_per_s"])


def test_equal_misses_become_one_request_to_the_origin() -> None:
    """Without collapsing, everybody who misses meanwhile asks the origin too: a stampede."""
    plain, collapsed = fetched(), fetched(collapse=True)
    assert origin(collapsed) == pytest.approx(50 * 2 / 2.15, rel=0.1)  # an object, region, life
    assert origin(plain) > 1.4 * origin(collapsed)
    assert collapsed.summary.error_ratio == 0
    assert collapsed.summary.cdn_hit_ratio == pytest.approx(plain.summary.cdn_hit_ratio, abs=0.02)


def test_a_shield_asks_the_origin_once_for_all_regions() -> None:
    """Each region's miss would otherwise be the origin's."""
    plain, shielded = fetched(), fetched(shield=True)
    assert origin(shielded) < 0.7 * origin(plain)
    assert shielded.stations.loc["edge.shield", "hit_ratio"] > 0.25


def test_what_is_stale_is_served_at_once_and_fetched_behind_the_scenes() -> None:
    """Nobody waits for the origin but the first; and the origin is asked once a life, not more."""
    plain, stale = fetched(), fetched(stale_seconds=10)
    assert plain.summary.latency_ms_p95 > 150
    assert stale.summary.latency_ms_p95 < 40
    assert origin(stale) < 0.8 * origin(plain)
    assert origin(stale) > 30  # yet it is fetched anew
    assert stale.summary.cdn_hit_ratio > 0.97


# ---------------------------------------------------------------- the balancer


def test_a_hash_sends_a_user_always_to_the_server_that_nginx_would() -> None:
    """A user who came to another server would find no session there."""
    app = servers(5, replicas=4, threads=100, cores=100)
    result = edge(client=BARE | {"users": 1}, app=app, balancer={"policy": "hash"})
    assert (work(result) > 0).tolist() == [i == nginx_hash("0", [1, 1, 1, 1]) for i in range(4)]
    many = edge(client=BARE | {"users": 1000}, app=app, balancer={"policy": "hash"})
    assert work(many).min() > 0.15 * work(many).sum()


def test_consistent_hash_moves_few_users_when_a_server_comes() -> None:
    """Modulo hashing moves four of five, and every cache behind it goes cold."""
    moved = {}
    for policy in ("hash", "consistent_hash"):
        tables = []
        for replicas in (4, 5):
            sections = {"client": BARE | {"users": 4000}, "edge": {"balancer": {"policy": policy}}}
            app = servers(5, replicas=replicas)
            tables.append(system(call(), application=app, **sections).program().world(1).lookups)
        moved[policy] = float((tables[0][:4000] != tables[1][:4000]).mean())
    assert moved["hash"] == pytest.approx(0.8, abs=0.03)
    assert moved["consistent_hash"] == pytest.approx(0.2, abs=0.05)


def test_hash_by_key_keeps_a_key_on_one_server() -> None:
    """Two servers that cache the same key have half the room."""
    app = servers(5, replicas=4)
    one = {"datasets": {"things": {"keys": 1}}, "application": app, "client": BARE}
    balancer = {"policy": "consistent_hash", "hash_by": "key", "latency": 0}
    step = call({"do": "read", **THING})
    result = simulate(system(step, edge=QUIET | {"balancer": balancer}, **one))
    assert (work(result) > 0).sum() == 1


def dead(server: int, seconds: float = 10, **balancer: Any) -> tuple[Simulation, np.ndarray]:
    """Return a run in which one of four servers dies at 5 s, and failures by then and after."""
    scenario = system(
        call(),
        client=BARE,
        edge=QUIET | {"balancer": {"latency": 0, "policy": "round_robin"} | balancer},
        application=servers(5, replicas=4, threads=50, cores=50),
    )
    run, failed = Simulation(scenario), [0]
    run.advance(5.0)
    pool = run.plane.program.stations["application.server"].pools[server]
    run.plane.world.pools["slots"][pool] = run.plane.world.pools["room"][pool] = 0
    for _ in range(int(seconds)):
        run.advance(1.0)
        failed.append(run.result().summary.failed)
        check_books(run)
    return run, np.diff(failed)


def test_a_server_that_fails_is_left_alone_for_the_fail_timeout() -> None:
    """Without passive checks a quarter of the requests fail for as long as it is dead."""
    _, blind = dead(0)
    _, watchful = dead(0, seconds=21, max_fails=1, fail_timeout_seconds=10)
    assert blind.min() > 10
    assert watchful[0] >= 1
    assert watchful.sum() <= 3  # one, and one probe every ten seconds


def test_the_next_server_is_tried_before_the_user_hears_of_it() -> None:
    """One dead server of four need not be anybody's error."""
    run, failed = dead(2, next_upstream=2)
    assert failed.sum() == 0
    asked = run.result().stations.loc["application.server", "failed_per_s"]
    assert asked > 5  # it is still asked, each time in vain
    run, failed = dead(2, next_upstream=0, max_fails=1)
    assert failed.sum() == 0
    assert run.result().stations.loc["application.server", "failed_per_s"] < 0.5


def test_a_server_that_does_not_answer_is_given_up_after_the_read_timeout() -> None:
    """A hung server would hold its share of requests for ever."""
    app = servers({"bimodal": {"fast": 5, "slow": 2000, "slow_share": 0.05}}, threads=100)
    slow, quick = (
        edge(client=BARE, app=app | {"cores": 100}, balancer=b)
        for b in ({}, {"next_upstream": 3, "read_timeout_seconds": 0.1})
    )
    assert slow.summary.latency_ms_p99 > 1500
    assert quick.summary.latency_ms_p99 < 220
    assert quick.summary.wasted > 70  # the server does not know, and works on


def test_a_hash_whose_server_is_dead_goes_elsewhere() -> None:
    """Its users would all fail, though the others have time."""
    _, failed = dead(0, policy="hash", next_upstream=3)
    assert failed.sum() == 0
    _, failed = dead(0, policy="hash")
    assert failed.sum() > 100


def test_a_server_that_comes_up_starts_slowly() -> None:
    """A cold server that got its whole share at once would be slow for everybody there."""
    shares = {}
    for window in (0, 8):
        balancer = {"latency": 0, "policy": "round_robin", "slow_start_seconds": window}
        scenario = system(
            call(),
            client=BARE | {"requests_per_second": 400},
            edge=QUIET | {"balancer": balancer},
            application=servers(5, replicas=3, threads=50, cores=50),
        )
        run, parts = Simulation(scenario), []
        run.advance(4.0)
        run.change("application.replicas", 4)
        for _ in range(8):
            before = run.result()._end.pools["busy_area"][:4]
            run.advance(2.0)
            parts.append((run.result()._end.pools["busy_area"][:4] - before)[3])
        shares[window] = np.array(parts)
    assert shares[0][0] == pytest.approx(shares[0].mean(), rel=0.25)
    assert shares[8][0] < 0.5 * shares[8][-1]
    assert shares[8][-1] == pytest.approx(shares[0][-1], rel=0.25)


def test_a_canary_gets_its_share_of_the_requests_and_of_the_blame() -> None:
    """A bad version must show in its share only: that is what it is for."""
    canary = {"share": 0.2, "latency_factor": 3, "error_rate": 0.1}
    app = servers(5, threads=100, cores=100)
    client = BARE | {"requests_per_second": 500}
    result = edge(client=client, app=app, balancer={"canary": canary})
    said = result.summary
    assert said.failures == {"canary error": said.failed}
    assert said.error_ratio == pytest.approx(0.02, abs=0.005)
    assert said.latency_ms_p50 == pytest.approx(5, rel=0.02)
    slow = result.latency()
    share = slow[slow["latency_ms"] > 10]["share"].sum()
    assert share == pytest.approx(0.18 / 0.98, abs=0.02)


def test_too_many_servers_to_watch_are_refused_in_one_line() -> None:
    """The kernel watches 62; more must not be watched in part."""
    scenario = system(
        call(), application=servers(5, replicas=100), edge={"balancer": {"max_fails": 1}}
    )
    with pytest.raises(ScenarioError, match="max_fails"):
        scenario.program()


def test_the_firewall_is_on_the_bill_when_it_is_on() -> None:
    """A guard without a price would always be worth it."""
    items = [edge(waf={"on": on}).cost["item"].tolist() for on in (False, True)]
    assert "WAF, per million requests" not in items[0]
    assert "WAF, per million requests" in items[1]


# ---------------------------------------------------------------- outliers


def test_a_server_is_ejected_after_five_failures_in_a_row_and_for_longer_each_time() -> None:
    """Envoy: 30 s, then 60 s; one of four may always be ejected."""
    run, _ = dead(1, 100, outliers={"on": True})
    events = run.result().events
    ejected = events[events["kind"] == "ejection"]["time_s"].tolist()
    peers = run.plane.world.peers
    assert peers["times"].max() >= 2
    # Five calls go wrong, then nobody calls it for 30 s, then five more go wrong.
    assert len(ejected) == 3  # at 5, 35 and 95 s
    assert peers["bad"][1] == 5 * len(ejected)


def test_a_server_that_fails_more_than_the_others_is_ejected_though_never_in_a_row() -> None:
    """A success rate far below the mean of ten servers is an outlier at the next interval."""
    run = Simulation(
        system(
            call(),
            application=servers(1, replicas=10),
            edge={"balancer": {"policy": "round_robin", "outliers": {"on": True}}},
            client={"enabled": False, "requests_per_second": 500},
        )
    )
    run.advance(5)
    peers = run.plane.world.peers
    first = run.plane.program.stations["application.server"].pools[0]
    peers["bad"][first + 3] += 30  # of some 250 calls each
    run.advance(10)
    assert peers["until"][first + 3] == pytest.approx(10 + 30)
    assert (peers["until"][first : first + 10] > 0).sum() == 1


def test_a_dropped_connection_costs_the_connect_timeout() -> None:
    """A full accept queue that drops is known only when the caller has waited long enough."""

    def slowest(full: str) -> float:
        result = edge(
            call(),
            app={**servers(1000, replicas=1, threads=1, queue_limit=0), "full": full},
            client={"enabled": False, "requests_per_second": 20},
            balancer={"connect_timeout_seconds": 3.0},
        )
        trace = result.trace(result.journeys.index[0], "failed")
        assert trace is not None
        return trace.latency_ms

    assert slowest("refuse") < 2
    assert slowest("drop") == pytest.approx(3000, rel=0.01)
