"""nginx takes the configuration of every scenario, and nothing that a name would smuggle in."""

import re
from typing import Any

import pytest

from engine import Scenario, presets
from engine.deploy import files
from tests.deploy.conftest import Run, load


def configuration(scenario: Scenario, **knobs: Any) -> str:
    """Return the configuration of a scenario with some knobs turned; `__` stands for a dot."""
    changes = {path.replace("__", "."): value for path, value in knobs.items()}
    return files(scenario.change(changes))["nginx/nginx.conf"]


@pytest.mark.parametrize("name", presets())
def test_nginx_accepts_every_preset(name: str, nginx: Run) -> None:
    """A configuration that nginx refuses is of no use to anybody."""
    checked = nginx(configuration(load(name)))
    assert checked.returncode == 0, checked.stderr


METHODS = {
    "round_robin": None,
    "weighted": None,
    "least_connections": "least_conn;",
    "ip_hash": "ip_hash;",
    "random": "random;",
    "power_of_two": "random two least_conn;",
    "hash": "hash $remote_addr;",
    "consistent_hash": "hash $remote_addr consistent;",
}


@pytest.mark.parametrize("policy", METHODS)
def test_each_policy_is_nginxs_own_method(policy: str, nginx: Run) -> None:
    """The servers would be picked otherwise than in the simulation."""
    text = configuration(load("amazon"), edge__balancer__policy=policy)
    said = re.findall(r"^ +((?:least_conn|ip_hash|random|hash)\b.*)$", text, re.MULTILINE)
    assert said == [method for method in [METHODS[policy]] if method]
    checked = nginx(text)
    assert checked.returncode == 0, checked.stderr


def test_weights_fails_and_time_outs_are_carried(nginx: Run) -> None:
    """A knob that is lost on the way makes another system of it."""
    text = configuration(
        load("amazon"),
        application__services__gateway__weights=[5, 1],
        edge__balancer__policy="weighted",
        edge__balancer__max_fails=3,
        edge__balancer__fail_timeout_seconds=7.5,
        edge__balancer__next_upstream=2,
        edge__balancer__connect_timeout_seconds=0.25,
        edge__balancer__read_timeout_seconds=12,
    )
    assert "server 10.77.1.0:8080 weight=5 max_fails=3 fail_timeout=8s;" in text
    assert "server 10.77.1.1:8080 max_fails=3 fail_timeout=8s;" in text
    assert "server 10.77.1.2:8080 weight=5" in text
    for line in (
        "proxy_next_upstream_tries 2;",
        "proxy_connect_timeout 250ms;",
        "proxy_read_timeout 12000ms;",
    ):
        assert line in text
    checked = nginx(text)
    assert checked.returncode == 0, checked.stderr


def test_the_cdn_is_a_cache_that_serves_stale_while_it_revalidates(nginx: Run) -> None:
    """Staleness, collapsing and capacity are what a CDN is set up for."""
    text = configuration(
        load("amazon"),
        edge__cdn__stale_seconds=30,
        edge__cdn__collapse=True,
        edge__cdn__ttl_seconds=60,
    )
    for line in (
        "keys_zone=edge:3m inactive=90s",
        "proxy_cache_valid 200 60s;",
        "proxy_cache_use_stale updating;",
        "proxy_cache_background_update on;",
        "proxy_cache_lock on;",
    ):
        assert line in text
    assert "stale-while-revalidate=30" in text
    assert nginx(text).returncode == 0


@pytest.mark.parametrize(
    ("limiter", "rate", "burst"),
    [
        ({"rate": 1000, "burst": 100}, "1000r/s", " burst=99 nodelay"),
        ({"rate": 0.5, "burst": 1}, "30r/m", ""),
        ({"rate": 0, "burst": 5}, "1r/m", " burst=4 nodelay"),
        ({"rate": 2.5, "burst": 1.4, "per_client": True}, "150r/m", ""),
        ({"rate": 200_000, "burst": 1_000_000}, "200000r/s", " burst=999999 nodelay"),
        (
            {"rate": 50, "algorithm": "sliding_window", "window_seconds": 2},
            "50r/s",
            " burst=99 nodelay",
        ),
    ],
)
def test_the_rate_limit_is_carried(limiter: Any, rate: str, burst: str, nginx: Run) -> None:
    """A wrong unit would let through sixty times as much."""
    text = configuration(load("amazon"), edge__limiter={"on": True, **limiter})
    assert f"rate={rate};" in text
    assert f"limit_req zone=requests{burst};" in text
    checked = nginx(text)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    "knobs",
    [
        {"edge__enabled": False},
        {"edge__balancer__on": False},
        {"application__enabled": False},
        {"application__replicas": 1000},
        {"edge__balancer__canary__share": 0.00001},
        {"edge__balancer__canary__share": 0.05},
        {"edge__balancer__canary__share": 1},
        {"edge__cdn__ttl_seconds": 0, "edge__cdn__capacity": 0},
        {"edge__cdn__capacity": 10_000_000, "edge__cdn__shield": True},
        {"edge__cdn__on": False},
        {"edge__balancer__next_upstream": 0, "edge__balancer__max_fails": 1000},
        {"edge__balancer__connect_timeout_seconds": 0.001},
        {"edge__balancer__slow_start_seconds": 30, "edge__balancer__checks__on": True},
        {"edge__balancer__policy": "hash", "edge__balancer__hash_by": "key"},
        {"edge__waf__on": True, "edge__tls__on": True, "edge__balancer__outliers__on": True},
    ],
    ids=str,
)
def test_nginx_accepts_knobs_at_their_ends(knobs: dict[str, Any], nginx: Run) -> None:
    """Zero, one and very many are where generated text goes wrong."""
    checked = nginx(configuration(load("amazon"), **knobs))
    assert checked.returncode == 0, checked.stderr


def test_what_nginx_lacks_is_said_with_its_numbers() -> None:
    """Who deploys this has to know which part of the scenario is missing."""
    text = configuration(
        load("amazon"), edge__balancer__checks__on=True, edge__balancer__slow_start_seconds=30
    )
    said = text[: text.index("worker_processes")]
    assert "check interval=10000 rise=2 fall=3 timeout=1000" in said
    assert "slow start of 30 s" in said


def test_hostile_names_stay_comments(hostile: Scenario, nginx: Run) -> None:
    """A service called `a"; return 200;` would otherwise answer for the whole system."""
    text = configuration(hostile)
    checked = nginx(text)
    assert checked.returncode == 0, checked.stderr
    rules = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    rules = [line.split(" #")[0] for line in rules]
    assert not any("return 200" in line or "evil" in line for line in rules)
    assert "upstream a-return-200 {" in rules[rules.index("    upstream a-return-200 {")]
    plain = re.compile(r"[\w\s.:;/={}$\"%*+,-]*")
    assert all(plain.fullmatch(line) for line in rules)
