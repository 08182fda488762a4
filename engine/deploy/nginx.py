"""nginx: the edge of a scenario as a configuration of open-source nginx.

Directives and their defaults: ngx_http_upstream_module, ngx_http_proxy_module (with its cache),
ngx_http_limit_req_module and ngx_http_split_clients_module, https://nginx.org/en/docs/.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.deploy.site import NETWORK, PORT, Site
from engine.deploy.words import Note, line

LISTEN = 8080
KEYS_A_MEGABYTE = 8000  # ngx_http_proxy_module, proxy_cache_path: keys_zone
OBJECTS = f"{NETWORK}.0.10"  # object storage, in the stand-in
CONNECT_MAX = 75.0  # s; proxy_connect_timeout usually cannot exceed it
SPACE = "    "


def files(site: Site) -> dict[str, str]:
    """Return the configuration; `nginx -t -p PREFIX -c FILE` accepts it without any host."""
    title = site.scenario.title
    body = "\n".join(_lines(site))
    return {"nginx/nginx.conf": _note(site).comment(title) + body + "\n"}


def _note(site: Site) -> Note:
    edge = site.scenario.edge
    cdn, limiter = edge.cdn, edge.limiter
    carries = [
        "services that journeys call first, each with its servers (application.services)",
        "balancer: policy, weights, max_fails, fail_timeout, tries, time-outs (edge.balancer)",
        "a path for each journey: " + ", ".join(site.journeys.values()),
    ]
    cannot = [
        "addresses: they are those of compose/docker-compose.yml; put your own in",
        "times and latencies of the parts behind it: those are measured, not configured",
        "seconds of fail_timeout and of the cache are whole ones, rounded up",
    ]
    if _cached(site):
        carries.append("CDN as one proxy cache: TTL, capacity, staleness, collapsing (edge.cdn)")
        cannot.append("a cache for each region: this is one")
        if cdn.shield:
            cannot.append("the origin shield: put a second nginx with such a cache in front of it")
        if cdn.stale_seconds:
            cannot.append(
                f"that staleness ends after {cdn.stale_seconds:g} s, unless the origin says so with"
                f" Cache-Control: stale-while-revalidate={_whole(cdn.stale_seconds)}"
            )
    if limiter.on:
        carries.append("rate limiter: rate and burst (edge.limiter)")
        if limiter.algorithm == "sliding_window":
            cannot.append("the sliding window: limit_req is a leaky bucket of the same size")
        if limiter.rate <= 0:
            cannot.append("a rate of 0: nginx's least is one a minute")
    cannot += [*_unable(site), *_beyond(site)]
    return Note("nginx configuration", tuple(carries), tuple(cannot))


def _unable(site: Site) -> Iterator[str]:
    """Yield what open-source nginx has nothing for."""
    edge = site.scenario.edge
    balancer = edge.balancer
    if balancer.checks.on:
        checks = balancer.checks
        yield (
            "active health checks: open-source nginx has none. nginx_upstream_check_module:"
            f" check interval={checks.interval_seconds * 1e3:.0f} rise={checks.rise}"
            f" fall={checks.fall} timeout={checks.timeout_seconds * 1e3:.0f} type=http"
        )
    if balancer.slow_start_seconds:
        yield f"slow start of {balancer.slow_start_seconds:g} s: slow_start is NGINX Plus's"
    if balancer.outliers.on:
        yield "outlier detection: max_fails alone is nginx's"
    if balancer.policy == "power_of_two" and balancer.draws != 2:
        yield f"the least busy of {balancer.draws} drawn: nginx's random draws two"
    if balancer.canary.share:
        yield "which servers the new version runs on: it goes by the header X-Version"


def _beyond(site: Site) -> Iterator[str]:
    """Yield what does not happen in a balancer."""
    edge = site.scenario.edge
    if edge.waf.on:
        yield "the WAF: ModSecurity is a module of its own"
    if edge.tls.on:
        yield "TLS: certificates are yours; add listen … ssl and http2"
    if edge.dns.on:
        yield "DNS and what it sends to which region"
    if any(site.calls(journey) > 1 for journey in site.journeys):
        yield "further services that a journey calls from outside: a path leads to the first"
    if len(site.entries()) < len(site.services):
        yield "calls between services: they find one another by name, not through here"


# ---------------------------------------------------------------- the file


def _lines(site: Site) -> Iterator[str]:
    yield "worker_processes auto;"
    yield "pid nginx.pid;"
    yield ""
    yield "events {"
    yield f"{SPACE}worker_connections 4096;"
    yield "}"
    yield ""
    yield "http {"
    for part in (_paths(), _canary(site), _limit(site), _store(site), _upstreams(site)):
        yield from (SPACE + text if text else "" for text in part)
    yield from (SPACE + text if text else "" for text in _server(site))
    yield "}"


def _paths() -> Iterator[str]:
    """Keep what is written beside the configuration, so that it runs under any prefix."""
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        yield f"{kind}_temp_path temp_{kind};"
    yield "access_log off;"
    yield ""


def _canary(site: Site) -> Iterator[str]:
    share = site.scenario.edge.balancer.canary.share
    if _balances(site) and share > 0:
        yield 'split_clients "$request_id" $version {'
        if share < 0.99995:  # split_clients knows hundredths of a percent
            yield f"{SPACE}{max(0.01, share * 100):.2f}% new;"
            yield f"{SPACE}* old;"
        else:
            yield f"{SPACE}* new;"
        yield "}"
        yield ""


def _limit(site: Site) -> Iterator[str]:
    limiter = site.scenario.edge.limiter
    if site.scenario.edge.enabled and limiter.on:
        key = "$binary_remote_addr" if limiter.per_client else "$server_name"
        zone = 16 if limiter.per_client else 1
        yield f"limit_req_zone {key} zone=requests:{zone}m rate={_rate(limiter.rate)};"
        yield ""


def _rate(rate: float) -> str:
    """Return a rate as limit_req_zone takes it: whole, a second or a minute."""
    return f"{rate:.0f}r/s" if rate >= 100 or rate == int(rate) > 0 else f"{_minute(rate)}r/m"


def _minute(rate: float) -> int:
    return max(1, round(rate * 60))


def _store(site: Site) -> Iterator[str]:
    cdn = site.scenario.edge.cdn
    if _cached(site):
        size = max(1, math.ceil(cdn.capacity / KEYS_A_MEGABYTE))
        kept = max(1, _whole(cdn.ttl_seconds + cdn.stale_seconds))
        yield f"# {cdn.capacity} objects; the least recently used go first."
        yield (
            f"proxy_cache_path cache levels=1:2 keys_zone=edge:{size}m inactive={kept}s"
            " use_temp_path=off;"
        )
        yield ""


def _upstreams(site: Site) -> Iterator[str]:
    entries = site.entries()
    for service, name in site.services.items():
        if service not in entries:
            continue
        yield f"# {line(site.title(service))}"
        yield f"upstream {name} {{"
        yield from (SPACE + text for text in _method(site))
        yield (
            f"{SPACE}zone {name} 256k;" if site.count(service) < 500 else f"{SPACE}zone {name} 4m;"
        )
        yield from (SPACE + _member(site, service, each) for each in range(site.count(service)))
        yield f"{SPACE}keepalive 32;"
        yield "}"
        yield ""
    if any(site.entry(name) is None for name in site.journeys):
        yield "# Object storage: what no service answers."
        yield "upstream objects {"
        yield f"{SPACE}server {OBJECTS}:{PORT};"
        yield "}"
        yield ""


def _method(site: Site) -> Iterator[str]:
    """Yield how a server is picked; taking turns is what nginx does unasked."""
    balancer = site.scenario.edge.balancer
    key = "$remote_addr" if balancer.hash_by == "user" else "$arg_key"
    methods = {
        "least_connections": "least_conn;",
        "ip_hash": "ip_hash;",
        "random": "random;",
        "power_of_two": "random two least_conn;",
        "hash": f"hash {key};",
        "consistent_hash": f"hash {key} consistent;",
    }
    if not _balances(site):
        yield methods["random"]
    elif balancer.policy in methods:
        yield methods[balancer.policy]


def _member(site: Site, service: str, server: int) -> str:
    balancer = site.scenario.edge.balancer
    turns = balancer.policy == "round_robin" and balancer.slow_start_seconds == 0
    weight = 1 if turns or not _balances(site) else site.weight(service, server)
    text = f"server {site.address(service, server)}:{PORT}"
    if weight != 1:
        text += f" weight={weight}"
    fails = balancer.max_fails if _balances(site) else 0
    text += f" max_fails={fails}"
    return text + (f" fail_timeout={_whole(balancer.fail_timeout_seconds)}s;" if fails else ";")


def _server(site: Site) -> Iterator[str]:
    edge, balancer = site.scenario.edge, site.scenario.edge.balancer
    yield "server {"
    yield f"{SPACE}listen {LISTEN};"
    yield f"{SPACE}server_name strata;"
    if edge.enabled and edge.limiter.on:
        limiter = edge.limiter
        room = limiter.burst
        if limiter.algorithm == "sliding_window":
            room = limiter.rate * limiter.window_seconds
        burst = max(0, round(room) - 1)  # nginx lets one more through than the burst
        yield f"{SPACE}limit_req zone=requests{f' burst={burst} nodelay' if burst else ''};"
        yield f"{SPACE}limit_req_status 429;"
    yield f"{SPACE}proxy_http_version 1.1;"
    yield f'{SPACE}proxy_set_header Connection "";'
    yield f"{SPACE}proxy_set_header Host $host;"
    yield f"{SPACE}proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    if _balances(site):
        if balancer.canary.share > 0:
            yield f"{SPACE}proxy_set_header X-Version $version;"
        connect = min(CONNECT_MAX, balancer.connect_timeout_seconds)
        yield f"{SPACE}proxy_connect_timeout {_thousandths(connect)}ms;"
        yield f"{SPACE}proxy_read_timeout {_thousandths(balancer.read_timeout_seconds)}ms;"
        yield from (SPACE + text for text in _tries(site))
    else:
        yield f"{SPACE}proxy_next_upstream off;"
    for journey, path in site.journeys.items():
        yield ""
        yield f"{SPACE}# {line(site.scenario.journeys[journey].title or journey)}"
        yield f"{SPACE}location = /{path} {{"
        if _cached(site) and site.fetches(journey):
            yield from (SPACE * 2 + text for text in _cache(site))
        entry = site.entry(journey)
        upstream = "objects" if entry is None else site.services[entry]
        yield f"{SPACE * 2}proxy_pass http://{upstream};"
        yield f"{SPACE}}}"
    yield ""
    yield f"{SPACE}location / {{"
    yield f"{SPACE * 2}return 404;"
    yield f"{SPACE}}}"
    yield "}"


def _tries(site: Site) -> Iterator[str]:
    """Yield whether a request is tried elsewhere: any failure counts, whatever was asked."""
    tries = site.scenario.edge.balancer.next_upstream
    if tries == 1:
        yield "proxy_next_upstream off;"
        return
    yield ("proxy_next_upstream error timeout http_500 http_502 http_503 http_504 non_idempotent;")
    yield f"proxy_next_upstream_tries {tries};"


def _cache(site: Site) -> Iterator[str]:
    cdn = site.scenario.edge.cdn
    yield "proxy_cache edge;"
    yield "proxy_cache_key $uri$is_args$args;"
    yield f"proxy_cache_valid 200 {_whole(cdn.ttl_seconds)}s;"
    if cdn.stale_seconds > 0:
        yield "proxy_cache_use_stale updating;  # stale-while-revalidate (RFC 5861)"
        yield "proxy_cache_background_update on;"
    if cdn.collapse:
        yield "proxy_cache_lock on;"


def _balances(site: Site) -> bool:
    return site.scenario.edge.enabled and site.scenario.edge.balancer.on


def _cached(site: Site) -> bool:
    edge = site.scenario.edge
    return edge.enabled and edge.cdn.on and any(map(site.fetches, site.journeys))


def _whole(value: float) -> int:
    return math.ceil(value)


def _thousandths(value: float) -> int:
    return max(1, round(value * 1e3))
