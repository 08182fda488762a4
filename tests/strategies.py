"""Random valid scenarios: small systems of every make, for laws that hold for all of them."""

from collections.abc import Callable
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from engine import Scenario, ScenarioError

Tree = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

DATASETS = ("things", "people", "events")
SERVICES = ("front", "middle", "back")
KINDS = ("mail", "bill")
DEEPEST = 3  # steps within steps

times = st.one_of(
    st.sampled_from([0, 0.5, 5, 20]),
    st.sampled_from([{"exponential": 2}, {"exponential": 15}]),
    st.just({"lognormal": {"median": 3, "p99": 40}}),
    st.just({"uniform": {"low": 1, "high": 12}}),
    st.just({"bimodal": {"fast": 1, "slow": 60, "slow_share": 0.2, "exponential": True}}),
    st.just({"empirical": [1, 2, 2.5, 30]}),
    st.just({"erlang": {"mean": 8, "phases": 3}}),
)
plain_times = times.filter(lambda time: not (isinstance(time, dict) and "empirical" in time))
layer_on = st.sampled_from([True, True, True, False])


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw from a strategy, or None."""
    return st.none() | strategy


def section(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    """Draw a mapping; fields that come out as None are left to their defaults."""
    drawn = st.fixed_dictionaries(fields)
    return drawn.map(
        lambda tree: {name: value for name, value in tree.items() if value is not None}
    )


# ---------------------------------------------------------------- layers

patterns = section(
    shape=st.sampled_from(
        ["constant", "constant", "ramp", "spike", "diurnal", "step", "flash_crowd", "burst"]
    ),
    rise_seconds=st.just(0.3),
    calm_seconds=st.just(0.4),
    factor=st.sampled_from([0.0, 0.5, 3.0]),
    start_seconds=st.just(0.5),
    length_seconds=st.sampled_from([0.5, 2.0]),
)
regions = st.lists(
    section(
        name=st.just("somewhere"),
        share=st.sampled_from([0.5, 2]),
        origin_round_trip=plain_times,
        down_at_seconds=some(some(st.just(0.5))),
        up_at_seconds=some(st.just(1.2)),
    ),
    min_size=1,
    max_size=3,
).filter(lambda regions: any(region.get("down_at_seconds") is None for region in regions))

# What a browser does is seldom all on at once: off is drawn more often than on.
seldom = st.sampled_from([False, False, True])
typing = section(
    journeys=st.sampled_from([(), (), ("browse",)]),
    letters=st.integers(1, 3),
    gap=st.sampled_from([40, {"exponential": 60}]),
    debounce_ms=st.sampled_from([0, 50]),
)
browser_caches = section(on=seldom, ttl_seconds=st.sampled_from([0, 0.5, 60]), hit_time=times)
validations = section(
    invalid_share=st.sampled_from([0, 0, 0.4]),
    where=st.sampled_from(["client", "application"]),
    app_time=times,
)
pages = section(
    first_loads=st.sampled_from([0, 0, 0.5]),
    web_weight_kb=st.sampled_from([0, 100]),
    lazy_share=st.sampled_from([0, 0.5, 1]),
)
offlines = section(
    share=st.sampled_from([0, 0, 0.5]),
    start_seconds=st.just(0.4),
    length_seconds=st.just(0.6),
    spread_seconds=st.sampled_from([0, 0.5]),
)


def clients(arrivals: st.SearchStrategy[str]) -> st.SearchStrategy[Tree]:
    """Draw users, patient or not."""
    return section(
        enabled=layer_on,
        arrivals=arrivals,
        requests_per_second=st.sampled_from([5, 40, 120]),
        gap=st.sampled_from(["poisson", "fixed"]),
        pattern=some(patterns),
        users=st.integers(1, 40),
        think_time=st.sampled_from([100, {"exponential": 300}]),
        mobile_share=st.sampled_from([0, 0.3, 1]),
        web_round_trip=plain_times,
        mobile_round_trip=plain_times,
        regions=regions,
        timeout_seconds=st.sampled_from([0.02, 0.06, 0.3, 5]),
        attempts=st.integers(1, 4),
        backoff_ms=st.sampled_from([0, 20]),
        backoff_cap_ms=st.sampled_from([0, 50, 2000]),
        jitter=st.sampled_from(["none", "full", "equal", "decorrelated"]),
        hedge_after_ms=some(some(st.sampled_from([0, 10, {"exponential": 30}]))),
        retry_budget=some(st.sampled_from([0, 0.2])),
        retry_budget_least_per_second=st.sampled_from([0, 5]),
        typing=typing,
        cache=browser_caches,
        validation=validations,
        page=pages,
        offline=offlines,
    )


edges = section(
    enabled=layer_on,
    dns=section(on=layer_on, lookup=times, ttl_seconds=st.sampled_from([0, 0.5, 60]),
                resolvers=st.sampled_from([1, 20]), detection_seconds=st.just(0.3),
                failover=seldom),
    tls=section(on=seldom, version=st.sampled_from(["tls1.3", "tls1.2", "quic", "none"]),
                new_connections=st.sampled_from([0, 0.3, 1])),
    waf=section(on=seldom, inspection=times, blocked_share=st.sampled_from([0, 0.2])),
    limiter=section(on=seldom, rate=st.sampled_from([0, 30]), burst=st.sampled_from([1, 20]),
                    per_client=st.booleans(),
                    algorithm=st.sampled_from(["token_bucket", "sliding_window"])),
    cdn=section(on=layer_on, hit_time=times, origin_time=times, warm=st.booleans(),
                ttl_seconds=st.sampled_from([0, 0.5, 3600]), capacity=st.integers(0, 60),
                stale_seconds=st.sampled_from([0, 0, 1]), collapse=seldom, shield=seldom,
                shield_capacity=st.integers(0, 80)),
    balancer=section(
        on=layer_on, latency=times, draws=st.integers(2, 4),
        policy=st.sampled_from(["round_robin", "weighted", "least_connections", "ip_hash",
                                "random", "power_of_two", "hash", "consistent_hash"]),
        hash_by=st.sampled_from(["user", "key"]), max_fails=st.sampled_from([0, 0, 1, 3]),
        next_upstream=st.sampled_from([1, 1, 0, 2]), slow_start_seconds=st.sampled_from([0, 0, 1]),
        read_timeout_seconds=st.sampled_from([0.03, 60]), fail_timeout_seconds=st.just(0.3),
        checks=section(on=seldom, interval_seconds=st.sampled_from([0.1, 0.5]),
                       timeout_seconds=st.sampled_from([0.01, 0.2]), fall=st.integers(1, 3),
                       rise=st.integers(1, 2), cpu_time=times,
                       panic_percent=st.sampled_from([0, 50])),
        canary=section(share=st.sampled_from([0, 0, 0.3]), error_rate=st.just(0.2),
                       latency_factor=st.just(2.0))),
)  # fmt: skip
breakers = section(on=st.booleans(), failures=st.integers(1, 4), probes=st.integers(1, 2),
                   rest_seconds=st.sampled_from([0.05, 0.5]))  # fmt: skip
cares = section(
    timeout_ms=some(st.sampled_from([10, 60])),
    attempts=st.sampled_from([1, 1, 3]),
    backoff_ms=st.sampled_from([0, 5]),
    retry_budget=some(st.sampled_from([0, 0.2])),
    bulkhead=some(st.integers(0, 4)),
    breaker=breakers,
)
services = section(
    cpu_time=some(times),
    care=some(cares),
    replicas=some(st.integers(1, 4)),
    threads=some(st.integers(1, 6)),
    cores=some(st.integers(1, 3)),
    weights=some(st.lists(st.integers(1, 5), min_size=1, max_size=4)),
    queue_timeout_ms=some(st.sampled_from([5, 40, {"exponential": 20}])),
    queue_limit=some(st.integers(0, 10)),
)
applications = section(
    enabled=layer_on,
    replicas=st.integers(1, 4),
    threads=st.integers(1, 6),
    cores=st.integers(1, 3),
    queue_limit=st.sampled_from([0, 2, 50]),
    hop=some(times),
    cpu=st.sampled_from(["fifo", "fifo", "processor_sharing"]),
    deadlines=st.booleans(),
    shed_line=some(st.integers(0, 3)),
    sessions=some(
        section(
            kind=st.sampled_from(["token", "memory", "store"]),
            sign_in_time=times,
            everywhere=st.booleans(),
            ttl_seconds=st.sampled_from([1, 1800]),
        )
    ),
    pauses=some(
        section(every_seconds=st.sampled_from([0.3, 5]), pause_ms=st.sampled_from([0, 80]))
    ),
    deploy=some(
        section(
            at_seconds=st.sampled_from([0, 0.5]),
            surge=st.sampled_from([0, 0.25]),
            start_seconds=st.sampled_from([0.1, 0.4]),
        )
    ),
    autoscaler=some(
        section(
            on=st.just(value=True),
            mode=st.sampled_from(["hpa", "simple", "scheduled"]),
            schedule=st.just([{"at_seconds": 0.6, "replicas": 3}]),
            sync_seconds=st.just(1),
            startup_seconds=st.sampled_from([0, 0.4]),
            cooldown_seconds=st.just(0),
            min_replicas=st.just(1),
            max_replicas=st.integers(1, 6),
        )
    ),
    services=st.fixed_dictionaries(dict.fromkeys(SERVICES, services)),
).flatmap(lambda tree: st.sampled_from([tree, tree | {"mtbf_seconds": 1, "mttr_seconds": 0.2}]))
caches = section(
    enabled=layer_on,
    ttl_seconds=st.sampled_from([0, 0.3, 300]),
    capacity=st.sampled_from([0, 3, 25, 1000]),
    warm=st.booleans(),
    hop=some(times),
    command_time=some(times),
    policy=st.sampled_from(["lru", "fifo", "random", "redis_lru", "redis_lfu", "static"]),
    samples=st.integers(1, 6),
    sliding=st.booleans(),
    ttl_jitter=st.sampled_from([0, 0.5]),
    nodes=st.integers(1, 3),
    slow_share=st.sampled_from([0, 0.1]),
    slow_time=times,
    near=section(
        on=st.booleans(),
        capacity=st.sampled_from([0, 3, 100]),
        ttl_seconds=st.sampled_from([0, 0.2]),
    ),
    stampede=st.sampled_from(["none", "none", "single_flight", "xfetch", "lease"]),
    lease_seconds=st.sampled_from([0.1, 10]),
    flight_seconds=st.sampled_from([0.05, 10]),
    negative=st.booleans(),
    write_policy=st.sampled_from(["invalidate", "through", "around", "behind"]),
    flush_at_seconds=some(st.sampled_from([0.5, 1.9])),
    bypass=section(on=st.booleans(), timeout_ms=st.sampled_from([5, 100])),
    warm_up=section(keys_per_second=st.sampled_from([0, 50])),
    buffer=section(flush_seconds=st.sampled_from([0.2, 1.0]), batch=st.sampled_from([1, 10])),
)
workers = section(
    service_time=times,
    failure_rate=st.sampled_from([0, 0.3, 1]),
    poison_rate=st.sampled_from([0, 0, 0.3]),
    lost_ack_rate=st.sampled_from([0, 0, 0.3]),
    workers=some(st.integers(1, 5)),
)
queues = section(
    enabled=layer_on,
    workers=st.integers(1, 4),
    partitions=st.integers(1, 6),
    publish_time=times,
    attempts=st.integers(1, 3),
    retry_delay_ms=st.sampled_from([0, 50]),
    broker=st.sampled_from(["kafka", "queue"]),
    partitioner=st.sampled_from(["random", "key"]),
    dispatch=st.sampled_from(["fair", "in_turn"]),
    prefetch=st.sampled_from([0, 1, 2, 5]),
    round_trip_ms=st.sampled_from([0, 0.5, 30]),
    acknowledge=st.sampled_from(["late", "late", "early"]),
    visibility_seconds=st.sampled_from([0, 0.02, 30]),
    retention_seconds=st.sampled_from([0.2, 604_800, 604_800]),
    bounded=st.booleans(),
    capacity=st.sampled_from([0, 3, 100]),
    when_full=st.sampled_from(["refuse", "block"]),
    max_block_ms=st.just(300),
    idempotency=st.booleans(),
    tries=section(attempts=st.integers(1, 3), base_ms=st.sampled_from([0, 20])),
    outbox=section(on=st.booleans(), poll_ms=st.sampled_from([0, 200])),
    rebalance=section(at_seconds=st.sampled_from([0, 0.5]), pause_seconds=st.just(0.3)),
    autoscaler=some(
        section(
            on=st.just(value=True),
            add_above=st.just(2),
            remove_below=st.just(1),
            sync_seconds=st.just(1),
            cooldown_seconds=st.just(0),
            startup_seconds=st.sampled_from([0, 0.3]),
        )
    ),
    kinds=st.fixed_dictionaries(dict.fromkeys(KINDS, workers)),
)
databases = section(
    enabled=layer_on,
    shards=st.integers(1, 3),
    sharding=st.sampled_from(["hash", "range", "consistent_hash", "directory"]),
    read_replicas=st.integers(0, 2),
    connections=st.integers(1, 4),
    read_time=times,
    write_time=times,
    lag=times,
    hop=some(times),
    search=section(slots=st.integers(1, 3), query_time=times),
    reads=st.sampled_from(["replica", "primary_after_write", "primary"]),
    pin_seconds=st.sampled_from([0, 0.1]),
    commit=st.sampled_from(
        ["local", "local", "off", "on", "remote_write", "remote_apply", "quorum"]
    ),
    pool_timeout=st.booleans(),
    server_pool=section(size=st.integers(0, 2)),
    pool_timeout_ms=st.sampled_from([5, 60]),
    standby=section(synchronous=st.integers(1, 2), hop=some(times), flush=some(times),
                    outage_at_seconds=st.sampled_from([0, 0.6]), outage_seconds=st.just(0.5)),
    failover=section(on=st.booleans(), check_every_seconds=st.just(0.2), failures=st.just(2),
                     promotion_seconds=st.just(0.1), rebuild_seconds=st.just(0.5)),
    quorum=section(n=st.integers(1, 3), r=st.integers(1, 3), w=st.integers(1, 3)),
    locks=section(think=times, attempts=st.integers(1, 3), backoff_ms=st.sampled_from([0, 5])),
    tiers=section(on=st.booleans(), warm_time=times, cold_time=times, spindles=st.integers(1, 3)),
    backup=section(on=st.booleans(), source=st.sampled_from(["primary", "replica"]),
                   at_seconds=st.just(0.4), every_seconds=st.just(1), jobs=st.integers(1, 3),
                   length_seconds=st.just(0.5), chunk_ms=st.sampled_from([1, 70])),
)  # fmt: skip
watchers = section(
    enabled=layer_on,
    scrape_interval_seconds=st.sampled_from([0.25, 1]),
    traces=st.booleans(),
    sampling=st.sampled_from(["tail", "head"]),
    cpu_overhead=st.sampled_from([0, 0.1]),
    alerts=section(
        on=st.booleans(),
        evaluation_seconds=st.sampled_from([0.3, 1]),
        rules=st.sampled_from(
            [
                {},
                {"errors": {"window_seconds": 2, "for_seconds": 0.5, "threshold": 0}},
                {"cpu": {"window_seconds": None, "threshold": 0.1, "for_seconds": 0}},
                {"lines": {"metric": "waiting", "station": "*.*", "keep_firing_seconds": 1}},
            ]
        ),
    ),
)
datasets = st.fixed_dictionaries(
    dict.fromkeys(
        DATASETS,
        section(
            keys=st.sampled_from([1, 7, 60]),
            zipf=st.sampled_from([0, 0.9, 1.5]),
            hot_share=st.sampled_from([0, 0, 0.3]),
            missing_share=st.sampled_from([0, 0, 0.3]),
        ),
    )
)

# ---------------------------------------------------------------- journeys

dataset = st.sampled_from(DATASETS)
leaf_steps = st.one_of(
    *(section(do=st.just(do), dataset=dataset) for do in ("read", "write", "count", "fetch")),
    section(do=st.just("read"), dataset=dataset, scatter=st.booleans(), archive=st.booleans()),
    section(
        do=st.just("write"),
        dataset=dataset,
        insert=st.booleans(),
        lock=st.sampled_from(["none", "optimistic", "pessimistic"]),
    ),
    section(do=st.just("search")),
    section(do=st.just("query"), store=st.sampled_from(["document", "timeseries", "graph"])),
    section(
        do=st.just("publish"),
        to=st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True),
        dataset=some(dataset),
        wait=some(st.booleans()),
    ),
)


def step_lists(depth: int, callable_services: tuple[str, ...]) -> st.SearchStrategy[list[Tree]]:
    """Draw steps, at most so deep within each other.

    A service calls only those behind it: services that call each other in a circle can wait for
    each other's threads for ever, and then no system runs dry.
    """
    here = [leaf_steps]
    if callable_services:
        here.append(call(st.sampled_from(callable_services), st.just([])))
    if depth > 0:
        within = step_lists(depth - 1, callable_services)
        for index, service in enumerate(callable_services):
            behind = step_lists(depth - 1, callable_services[index + 1 :])
            here.append(call(st.just(service), behind))
        here += [
            section(do=st.sampled_from(["lookup", "fetch"]), dataset=dataset, then=within),
            section(do=st.just("parallel"), repeat=st.integers(1, 3), then=within),
            section(do=st.just("parallel"), needed=st.just(1), then=within),
            section(do=st.just("hedge"), after_ms=times, then=within),
        ]
    return st.lists(st.one_of(here), min_size=1, max_size=3)


def call(
    service: st.SearchStrategy[str], within: st.SearchStrategy[list[Tree]]
) -> st.SearchStrategy[Tree]:
    """Draw a call."""
    return section(do=st.just("call"), service=service, cpu_time=some(times), then=within)


journeys = st.dictionaries(
    st.sampled_from(["browse", "buy", "look"]),
    section(
        weight=st.sampled_from([1, 5]),
        priority=st.sampled_from(["critical", "sheddable"]),
        steps=step_lists(DEEPEST, SERVICES),
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def scenarios(draw: Draw, arrivals: str | None = None, seconds: float = 2.0) -> Scenario:
    """Draw a valid scenario of so many seconds: layers on or off, all else at random."""
    kinds = st.just(arrivals) if arrivals else st.sampled_from(["open", "open", "closed"])
    tree = {
        "duration_seconds": seconds,
        "warm_up_seconds": draw(st.sampled_from([0.0, 0.3 * seconds])),
        "client": draw(clients(kinds)),
        "edge": draw(edges),
        "application": draw(applications),
        "cache": draw(caches),
        "asynchronous": draw(queues),
        "data": draw(databases),
        "observability": draw(watchers),
        "datasets": draw(datasets),
        "journeys": draw(journeys),
    }
    scenario = Scenario.model_validate(tree)
    try:
        scenario.program()
    except ScenarioError as error:  # what is nested too deep is refused in words
        assume("nests calls too deep" not in str(error))
        raise
    return scenario
