"""Compose: the stack in small, on one machine: nginx, stand-ins of services, Redis, PostgreSQL.

Compose specification, https://docs.docker.com/reference/compose-file/.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.deploy import standin
from engine.deploy.nginx import OBJECTS
from engine.deploy.prometheus import watches
from engine.deploy.site import NETWORK, Site
from engine.deploy.words import Namer, Note, as_yaml, line

if TYPE_CHECKING:
    from engine.component import Step

NGINX, REDIS, POSTGRES = "nginx:1.27-alpine", "redis:7.4-alpine", "postgres:17-alpine"
PYTHON, PROMETHEUS, GRAFANA = "python:3.13-slim", "prom/prometheus:v3.1.0", "grafana/grafana:11.4.0"
CONTAINERS_MAX = 60  # of services; a machine bears no more
WORKERS_MAX = 4  # containers of one kind of worker
POLICIES = {
    "lru": "allkeys-lru",
    "redis_lru": "allkeys-lru",
    "redis_lfu": "allkeys-lfu",
    "random": "allkeys-random",
}
Tree = dict[str, Any]


def files(site: Site) -> dict[str, str]:
    """Return the stack and the program that stands in for services and workers."""
    title = site.scenario.title
    tree: Tree = {"name": "strata", "services": dict(_services(site)), "networks": _networks()}
    return {
        "compose/docker-compose.yml": _note(site).comment(title) + as_yaml(tree),
        "compose/stand_in.py": STAND_IN.comment(title) + _source(),
    }


STAND_IN = Note(
    "Stand-in of services and workers",
    ("CPU and service times by their means, threads, cores, calls, look-ups and messages",),
    ("databases, failures and the shape of times: it sleeps exponential times",),
)


def _source() -> str:
    return pathlib.Path(standin.__file__).read_text("utf-8")


def _note(site: Site) -> Note:
    layer = site.scenario.application
    cannot = [
        "what services do: compose/stand_in.py only takes the time that they would",
        "networks, regions and their delays",
        "read replicas and shards: there is one PostgreSQL, and nothing asks it yet",
        "the broker: lists in Redis stand in for it; topics/ has what a real one needs",
        "metrics: stand-ins export none; Prometheus and Grafana (--profile watch) wait for yours",
        f"more than {WORKERS_MAX} containers of a kind of worker",
    ]
    if _kept(site) < max(map(site.count, site.services), default=0):
        cannot.insert(0, f"more than {_kept(site)} servers of a service; nginx finds others down")
    if site.scenario.cache.enabled:
        cannot.append(f"{site.scenario.cache.capacity} entries: Redis counts bytes, not entries")
        if site.scenario.cache.policy not in POLICIES:
            cannot.append(f"eviction {site.scenario.cache.policy}: Redis has none such")
    return Note(
        "Docker Compose stack",
        (
            (
                f"services with their servers, {layer.threads} threads and {layer.cores} cores each"
                " unless they say otherwise"
            ),
            "the edge (nginx/nginx.conf), on http://localhost:8080",
            "workers by kind, the cache's eviction, the database's connections",
        ),
        tuple(cannot),
    )


def _kept(site: Site) -> int:
    """Return how many servers of a service there are at most."""
    return max(1, CONTAINERS_MAX // max(1, len(site.services)))


def _networks() -> Tree:
    """Return the network; who has no address of its own gets one that no server has."""
    pool = {
        "subnet": f"{NETWORK}.0.0/16",
        "ip_range": f"{NETWORK}.255.0/24",
        "gateway": f"{NETWORK}.0.1",
    }
    return {"strata": {"ipam": {"config": [pool]}}}


def _at(address: str, aliases: Iterable[str] = ()) -> Tree:
    said: Tree = {"ipv4_address": address}
    return {"strata": said | ({"aliases": list(aliases)} if aliases else {})}


def _services(site: Site) -> Iterator[tuple[str, Tree]]:
    yield (
        "nginx",
        {
            "image": NGINX,
            "ports": ["127.0.0.1:8080:8080"],
            "volumes": ["../nginx/nginx.conf:/etc/nginx/nginx.conf:ro"],
            "networks": _at(f"{NETWORK}.0.2"),
        },
    )
    yield "redis", {"image": REDIS, "command": _redis(site), "networks": _at(f"{NETWORK}.0.3")}
    yield (
        "postgres",
        {
            "image": POSTGRES,
            "command": ["postgres", "-c", f"max_connections={_connections(site)}"],
            "environment": {
                "POSTGRES_HOST_AUTH_METHOD": "trust"
            },  # reached from this network alone
            "networks": _at(f"{NETWORK}.0.4"),
        },
    )
    if any(site.entry(name) is None for name in site.journeys):
        yield "objects", _objects(site)
    calls, lookups, messages = _plan(site)
    for service, name in site.services.items():
        for server in range(min(site.count(service), _kept(site))):
            environment = _environment(site, service)
            environment |= {
                "CALLS": said(calls.get(service, {})),
                "LOOKUPS": said(lookups.get(service, {})),
                "MESSAGES": said(messages.get(service, {})),
            }
            yield (
                f"{name}.{server + 1}",
                {
                    **_program(environment),
                    "labels": {"strata.title": plain(site.title(service))},
                    "networks": _at(site.address(service, server), [name]),
                },
            )
    for kind, name in site.kinds.items():
        yield name, _worker(site, kind)
    yield from _watching(site)


def _watching(site: Site) -> Iterator[tuple[str, Tree]]:
    """Yield Prometheus and Grafana; alerting rules are mounted where there are some."""
    mounted = ["prometheus.yml", "recording.yml", *(["alerts.yml"] if watches(site) else [])]
    yield (
        "prometheus",
        {
            "image": PROMETHEUS,
            "profiles": ["watch"],
            "ports": ["127.0.0.1:9090:9090"],
            "volumes": [f"../prometheus/{name}:/etc/prometheus/{name}:ro" for name in mounted],
            "networks": _at(f"{NETWORK}.0.5"),
        },
    )
    yield (
        "grafana",
        {
            "image": GRAFANA,
            "profiles": ["watch"],
            "ports": ["127.0.0.1:3000:3000"],
            "networks": _at(f"{NETWORK}.0.6"),
        },
    )


def _objects(site: Site) -> Tree:
    cdn = site.scenario.edge.cdn
    fresh = f"max-age={math.ceil(cdn.ttl_seconds)}"
    if cdn.stale_seconds:
        fresh += f", stale-while-revalidate={math.ceil(cdn.stale_seconds)}"
    environment = {
        "CPU_SECONDS": _seconds(cdn.origin_time.mean_ms),
        "THREADS": "1000",
        "CORES": "1000",
        "CACHE_CONTROL": fresh,
    }
    return {**_program(environment), "networks": _at(OBJECTS)}


def _program(environment: Mapping[str, str]) -> Tree:
    return {
        "image": PYTHON,
        "command": ["python", "/stand_in.py"],
        "volumes": ["./stand_in.py:/stand_in.py:ro"],
        "environment": {name: value for name, value in environment.items() if value},
    }


def _environment(site: Site, service: str) -> dict[str, str]:
    layer = site.scenario.application
    about = layer.services[service]
    return {
        "THREADS": str(about.threads or layer.threads),
        "CORES": str(about.cores or layer.cores),
        "CPU_SECONDS": _seconds(about.cpu_time.mean_ms),
        "TTL_SECONDS": str(max(1, math.ceil(site.scenario.cache.ttl_seconds))),
    }


def _worker(site: Site, kind: str) -> Tree:
    layer = site.scenario.asynchronous
    environment = {
        "TOPIC": f"topic-{site.topics[kind]}",
        "WORK_SECONDS": _seconds(layer.kinds[kind].service_time.mean_ms),
    }
    return {
        **_program(environment),
        "labels": {"strata.title": plain(layer.title_of(kind))},
        "deploy": {"replicas": min(WORKERS_MAX, layer.workers_of(kind))},
        "networks": ["strata"],
    }


def _redis(site: Site) -> list[str]:
    cache = site.scenario.cache
    command = ["redis-server", "--maxmemory", "256mb"]
    if cache.policy in POLICIES:
        command += ["--maxmemory-policy", POLICIES[cache.policy]]
    return [*command, "--maxmemory-samples", str(cache.samples)]


def _connections(site: Site) -> int:
    """Return how many connections the database accepts: PostgreSQL keeps three for its keepers."""
    return site.scenario.data.connections + 3


def _seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1e3:.6g}"


# ---------------------------------------------------------------- what services do

Told = dict[str, dict[str, list[str]]]  # service → path → names


def _plan(site: Site) -> tuple[Told, Told, Told]:
    """Return which services call which, look up and publish what, on which journey's path."""
    calls: Told = {}
    lookups: Told = {}
    messages: Told = {}
    namer = Namer()
    keys = {name: namer.name(name) for name in site.scenario.datasets}
    for journey, path in site.journeys.items():
        for caller, step in _inside(site.scenario.journeys[journey].steps, None):
            if caller is None or caller not in site.services:
                continue
            for kind, name in step.names():
                if kind == "service" and name in site.services:
                    _add(calls, caller, path, site.services[name])
                elif kind == "worker" and name in site.kinds:
                    _add(messages, caller, path, f"topic-{site.topics[name]}")
                elif kind == "dataset" and getattr(step, "do", "") == "lookup":
                    _add(lookups, caller, path, keys[name])
    return calls, lookups, messages


def _inside(steps: Iterable[Step], caller: str | None) -> Iterator[tuple[str | None, Step]]:
    """Yield every step with the service that it happens in."""
    stack = [(caller, step) for step in steps]
    while stack:
        here, step = stack.pop(0)
        yield here, step
        within = here
        if getattr(step, "do", "") == "call":
            within = step.names()[0][1]
        stack[:0] = [(within, inner) for inner in getattr(step, "then", ())]


def _add(table: Told, service: str, path: str, name: str) -> None:
    names = table.setdefault(service, {}).setdefault(path, [])
    if name not in names:
        names.append(name)


def said(table: Mapping[str, Iterable[str]]) -> str:
    """Return a table as the stand-in's environment has it.

    >>> said({"view": ["auth", "product"], "buy": ["auth"]})
    'view:auth,product buy:auth'
    """
    return " ".join(f"{path}:{','.join(names)}" for path, names in table.items())


def plain(text: str) -> str:
    """Return a text in which Compose replaces nothing."""
    return line(text).replace("$", "$$")
