"""Load: the scenario's traffic as scripts of k6 and Locust.

k6: executors constant-vus and ramping-arrival-rate, https://grafana.com/docs/k6/latest/.
Locust: HttpUser, LoadTestShape and wait_time, https://docs.locust.io/.
"""

from __future__ import annotations

import math
from typing import Any

from engine.deploy.scripts import K6, LOCUST
from engine.deploy.site import Site
from engine.deploy.words import Note, as_json, line
from engine.distribution import Distribution
from engine.faults.traffic import TrafficSpike

PARTS = 100  # of a run: rates change in a straight line within one
STAGES_MAX = 500
A_MINUTE = 60  # rates are whole requests a minute, for k6 takes whole numbers
SEED = 7  # of bursts, as `python -m engine run` has it


def files(site: Site) -> dict[str, str]:
    """Return both scripts; BASE_URL, or Locust's --host, says where the system is."""
    title = site.scenario.title
    told = as_json(_plan(site))
    k6 = _note(site, "k6 script", ()).comment(title, "//") + K6.replace("__PLAN__", told, 1)
    paced = (
        ()
        if site.scenario.client.arrivals == "closed"
        else ("an open stream: Locust's users wait for answers; each asks once a second if it can",)
    )
    note = _note(site, "Locust script", paced)
    plan = f"json.loads(\n{_literal(told)}\n)"
    return {
        "load/k6.js": k6,
        "load/locustfile.py": note.comment(title) + LOCUST.replace("__PLAN__", plan, 1),
    }


def _literal(text: str) -> str:
    """Return JSON as string literals of Python, a line each."""
    return "\n".join(f"    {part + chr(10)!r}" for part in text.splitlines())


def _note(site: Site, what: str, more: tuple[str, ...]) -> Note:
    client = site.scenario.client
    closed = client.arrivals == "closed"
    carries = [
        "journeys by their weights, each one request to its path (journeys)",
        "which thing a request is about, by its popularity, as ?key= (datasets)",
        f"{client.users} users who think between requests (client.think_time)"
        if closed
        else f"{client.requests_per_second:g} requests/s, in the shape {client.pattern.shape}"
        " (client.pattern)",
        "time-out, attempts, backoff and jitter (client)",
    ]
    cannot = [
        "what a journey does: that is the system's own",
        "the users' networks, devices and regions: it asks from where it runs",
        "the law of Zipf exactly: ranks are drawn from the smooth curve through it",
        *more,
    ]
    if not closed and client.gap == "poisson":
        cannot.append("random gaps: requests come at even ones")
    if not closed and client.pattern.shape == "burst":
        cannot.append(f"bursts of any seed but {SEED}")
    if not closed and _spikes(site):
        carries.append("traffic spikes that are planned (faults)")
    if closed and not _known(client.think_time):
        cannot.append("the shape of think time: it is drawn from an exponential with its mean")
    if any(not isinstance(fault, TrafficSpike) for fault in site.scenario.faults):
        cannot.append("faults, but for traffic spikes: what breaks is yours to break")
    if site.scenario.changes or site.scenario.chaos.on:
        cannot.append("knobs that are turned meanwhile, and chaos")
    if client.hedge_after_ms is not None or client.retry_budget is not None:
        cannot.append("hedged requests and the retry budget")
    if client.typing.journeys:
        cannot.append("letters typed one by one")
    return Note(what, tuple(carries), tuple(cannot))


# ---------------------------------------------------------------- the plan that both play


def _plan(site: Site) -> dict[str, Any]:
    """Return what is to be done, as plain values: a literal in both languages."""
    scenario, client = site.scenario, site.scenario.client
    closed = client.arrivals == "closed"
    return {
        "title": line(scenario.title),
        "seconds": scenario.duration_seconds,
        "closed": closed,
        "users": client.users,
        "think": _draw(client.think_time),
        "rates": [] if closed else rates(site),
        "timeout": client.timeout_seconds,
        "attempts": client.attempts,
        "backoff": client.backoff_ms / 1e3,
        "backoffMax": client.backoff_cap_ms / 1e3,
        "jitter": client.jitter,
        "journeys": [
            {
                "name": line(journey.title or name),
                "path": f"/{site.journeys[name]}",
                "method": "POST" if site.writes(name) else "GET",
                "weight": journey.weight,
                **_popularity(site, name),
            }
            for name, journey in scenario.journeys.items()
        ],
    }


def _popularity(site: Site, journey: str) -> dict[str, float]:
    name = site.dataset(journey)
    if name is None:
        return {"keys": 0, "zipf": 0.0, "hot": 0.0}
    data = site.scenario.datasets[name]
    return {"keys": data.keys, "zipf": data.zipf, "hot": data.hot_share}


def _known(time: Distribution) -> bool:
    return any((time.constant is not None, time.exponential, time.lognormal, time.uniform))


def _draw(time: Distribution) -> dict[str, Any]:
    """Return how to draw a time, in seconds."""
    if time.constant is not None:
        return {"kind": "constant", "a": time.constant / 1e3, "b": 0.0}
    if time.lognormal is not None:
        mu, sigma = time.lognormal.parameters()
        return {"kind": "lognormal", "a": mu - math.log(1e3), "b": sigma}
    if time.uniform is not None:
        return {"kind": "uniform", "a": time.uniform.low / 1e3, "b": time.uniform.high / 1e3}
    return {"kind": "exponential", "a": time.mean_ms / 1e3, "b": 0.0}


def rates(site: Site) -> list[list[float]]:
    """Return [time in seconds, requests/s] where the rate bends or jumps; straight in between.

    A jump is two entries of one time.
    """
    scenario = site.scenario
    client, end = scenario.client, scenario.duration_seconds
    found: list[list[float]] = []
    for at in _instants(site):
        before = client.rate_at(max(0.0, at - 1e-6), SEED) * _spike(site, at - 1e-6)
        after = client.rate_at(min(at + 1e-6, end), SEED) * _spike(site, at + 1e-6)
        if at > 0:
            found.append([at, before])
        if at == 0 or (at < end and abs(after - before) > 1e-3 * max(1.0, before)):
            found.append([at, after])
    return _straightened(found)


def _spikes(site: Site) -> list[tuple[float, float, float]]:
    """Return (begin, end, factor) of the traffic spikes that are planned as faults."""
    faults = [each for each in site.scenario.faults if isinstance(each, TrafficSpike)]
    ends = [
        math.inf if each.length_seconds is None else each.at_seconds + each.length_seconds
        for each in faults
    ]
    return [(each.at_seconds, end, each.factor) for each, end in zip(faults, ends, strict=True)]


def _spike(site: Site, at: float) -> float:
    """Return by how much spikes multiply the rate at a time."""
    return math.prod(factor for begin, end, factor in _spikes(site) if begin <= at < end)


def _instants(site: Site) -> list[float]:
    """Return regular times, and those at which the rate jumps or bends."""
    scenario = site.scenario
    pattern, end = scenario.client.pattern, scenario.duration_seconds
    times = {end * part / PARTS for part in range(PARTS + 1)}
    start, length = pattern.start_seconds, pattern.length_seconds
    times |= {start, start + length, start + pattern.rise_seconds}
    times |= {time for spike in _spikes(site) for time in spike[:2]}
    now = pattern.next_change(0.0, SEED)
    while now < end and len(times) < STAGES_MAX:
        times.add(now)
        now = pattern.next_change(now, SEED)
    return sorted(time for time in times if 0 <= time <= end)


def _straightened(found: list[list[float]]) -> list[list[float]]:
    """Leave out entries that lie between two others of the same rate."""
    kept = [
        here
        for before, here, after in zip(found, found[1:], found[2:], strict=False)
        if not before[1] == here[1] == after[1]
    ]
    return [[round(at, 3), round(rate, 4)] for at, rate in (found[0], *kept, found[-1])]
