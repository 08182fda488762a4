"""Load: the scenario's traffic as scripts of k6 and Locust.

k6: executors constant-vus and ramping-arrival-rate, https://grafana.com/docs/k6/latest/.
Locust: HttpUser, LoadTestShape and wait_time, https://docs.locust.io/.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from engine.deploy.site import Site
from engine.deploy.words import Note, as_json, line
from engine.distribution import Distribution

PARTS = 100  # of a run: rates change in a straight line within one
STAGES_MAX = 500
A_MINUTE = 60  # rates are whole requests a minute, for k6 takes whole numbers
SEED = 7  # of bursts, as `python -m engine run` has it


def files(site: Site) -> dict[str, str]:
    """Return both scripts; BASE_URL, or Locust's --host, says where the system is."""
    title = site.scenario.title
    told = as_json(_plan(site))
    k6 = _note(site, "k6 script", ()).comment(title, "//") + K6.replace("__PLAN__", told, 1)
    paced = () if site.scenario.client.arrivals == "closed" else (
        "an open stream: Locust's users wait for answers; each asks once a second if it can",
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
    if closed and not _known(client.think_time):
        cannot.append("the shape of think time: it is drawn from an exponential with its mean")
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
        before = client.rate_at(max(0.0, at - 1e-6), SEED)
        after = client.rate_at(min(at + 1e-6, end), SEED)
        if at > 0:
            found.append([at, before])
        if at == 0 or (at < end and abs(after - before) > 1e-3 * max(1.0, before)):
            found.append([at, after])
    return _straightened(found)


def _instants(site: Site) -> list[float]:
    """Return regular times, and those at which the rate jumps or bends."""
    scenario = site.scenario
    pattern, end = scenario.client.pattern, scenario.duration_seconds
    times = {end * part / PARTS for part in range(PARTS + 1)}
    start, length = pattern.start_seconds, pattern.length_seconds
    times |= {start, start + length, start + pattern.rise_seconds}
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


def stages(points: list[list[float]]) -> Iterator[tuple[float, float]]:
    """Yield (length in seconds, rate at its end).

    >>> list(stages([[0.0, 1.0], [20.0, 1.0], [20.0, 3.0], [60.0, 3.0]]))
    [(20.0, 1.0), (0.0, 3.0), (40.0, 3.0)]
    """
    for (begin, _), (end, rate) in zip(points, points[1:], strict=False):
        yield end - begin, rate


# ---------------------------------------------------------------- the scripts

K6 = """\
// k6 run -e BASE_URL=http://localhost:8080 k6.js

import http from 'k6/http';
import { check, sleep } from 'k6';

const plan = __PLAN__;

const base = (__ENV.BASE_URL || 'http://localhost:8080').replace(/\\/+$/, '');

// Rates are whole requests a minute; what is straight in the plan is a stage.
function stages() {
  const made = [];
  for (let i = 1; i < plan.rates.length; i += 1) {
    const milliseconds = Math.round((plan.rates[i][0] - plan.rates[i - 1][0]) * 1000);
    made.push({ duration: `${milliseconds}ms`, target: Math.round(plan.rates[i][1] * 60) });
  }
  return made;
}

function peak() {
  return plan.rates.reduce((most, point) => Math.max(most, point[1]), 0);
}

function traffic() {
  if (plan.closed) {
    return { executor: 'constant-vus', vus: plan.users, duration: `${plan.seconds * 1000}ms` };
  }
  return {
    executor: 'ramping-arrival-rate',
    startRate: Math.round(plan.rates[0][1] * 60),
    timeUnit: '1m',
    stages: stages(),
    preAllocatedVUs: Math.max(1, Math.ceil(peak())),
    maxVUs: Math.max(1, Math.ceil(peak() * (1 + plan.timeout))),
  };
}

export const options = {
  scenarios: { traffic: traffic() },
  discardResponseBodies: true,
};

const total = plan.journeys.reduce((sum, journey) => sum + journey.weight, 0);

function picked() {
  let left = Math.random() * total;
  for (const journey of plan.journeys) {
    left -= journey.weight;
    if (left < 0) {
      return journey;
    }
  }
  return plan.journeys.filter((journey) => journey.weight > 0)[0];
}

// The rank of what is asked for: the inverse of the smooth curve through Zipf's law.
function rank(journey) {
  if (Math.random() < journey.hot) {
    return 1;
  }
  const u = Math.random();
  const n = journey.keys + 1;
  const rest = 1 - journey.zipf;
  const found = Math.abs(rest) < 1e-9
    ? Math.pow(n, u)
    : Math.pow((Math.pow(n, rest) - 1) * u + 1, 1 / rest);
  return Math.min(journey.keys, Math.max(1, Math.floor(found)));
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

function drawn(time) {
  if (time.kind === 'uniform') {
    return time.a + (time.b - time.a) * Math.random();
  }
  if (time.kind === 'lognormal') {
    return Math.exp(time.a + time.b * normal());
  }
  return time.kind === 'exponential' ? -time.a * Math.log(1 - Math.random()) : time.a;
}

function rest(attempt, last) {
  const most = Math.min(plan.backoffMax, plan.backoff * Math.pow(2, attempt));
  if (plan.jitter === 'full') {
    return Math.random() * most;
  }
  if (plan.jitter === 'equal') {
    return most / 2 + (Math.random() * most) / 2;
  }
  if (plan.jitter === 'decorrelated') {
    const high = Math.max(plan.backoff, last * 3);
    return Math.min(plan.backoffMax, plan.backoff + Math.random() * (high - plan.backoff));
  }
  return most;
}

export default function () {
  const journey = picked();
  const query = journey.keys > 0 ? `?key=${rank(journey)}` : '';
  const params = { timeout: `${Math.ceil(plan.timeout * 1000)}ms`, tags: { name: journey.path } };
  let answer = null;
  let waited = plan.backoff;
  for (let attempt = 0; attempt < plan.attempts; attempt += 1) {
    if (attempt > 0) {
      waited = rest(attempt - 1, waited);
      sleep(waited);
    }
    answer = http.request(journey.method, `${base}${journey.path}${query}`, null, params);
    if (answer.status > 0 && answer.status < 500) {
      break;
    }
  }
  check(answer, { answered: (got) => got.status > 0 && got.status < 400 });
  if (plan.closed) {
    sleep(drawn(plan.think));
  }
}
"""

LOCUST = '''\
# locust --headless --host http://localhost:8080 -f locustfile.py

import json
import math
import random
import time

from locust import HttpUser, LoadTestShape, task

PLAN = __PLAN__
JOURNEYS = PLAN["journeys"]
WEIGHTS = [journey["weight"] for journey in JOURNEYS]


def rank(journey):
    """Return the rank of what is asked for: the inverse of the curve through Zipf's law."""
    if random.random() < journey["hot"]:
        return 1
    count, rest = journey["keys"] + 1, 1 - journey["zipf"]
    drawn = random.random()
    if abs(rest) < 1e-9:
        found = count**drawn
    else:
        found = ((count**rest - 1) * drawn + 1) ** (1 / rest)
    return min(journey["keys"], max(1, int(found)))


def drawn(said):
    """Return a time in seconds."""
    if said["kind"] == "uniform":
        return random.uniform(said["a"], said["b"])
    if said["kind"] == "lognormal":
        return random.lognormvariate(said["a"], said["b"])
    if said["kind"] == "exponential" and said["a"] > 0:
        return random.expovariate(1 / said["a"])
    return said["a"]


def rest(attempt, last):
    """Return how long to wait before a further attempt, in seconds."""
    most = min(PLAN["backoffMax"], PLAN["backoff"] * 2**attempt)
    if PLAN["jitter"] == "full":
        return random.uniform(0, most)
    if PLAN["jitter"] == "equal":
        return most / 2 + random.uniform(0, most / 2)
    if PLAN["jitter"] == "decorrelated":
        high = max(PLAN["backoff"], last * 3)
        return min(PLAN["backoffMax"], random.uniform(PLAN["backoff"], high))
    return most


def rate_at(seconds):
    """Return the request rate at a time: straight between the points of the plan."""
    before = PLAN["rates"][0]
    for point in PLAN["rates"]:
        if point[0] > seconds:
            share = (seconds - before[0]) / (point[0] - before[0])
            return before[1] + (point[1] - before[1]) * share
        before = point
    return before[1]


class Visitor(HttpUser):
    """One user: a journey, its retries, and then a rest."""

    def wait_time(self):
        """Think; or, where requests come at a rate, ask once a second."""
        if PLAN["closed"]:
            return drawn(PLAN["think"])
        return max(0.0, 1.0 - (time.monotonic() - self.began))

    @task
    def ask(self):
        """Make one journey."""
        self.began = time.monotonic()
        journey = random.choices(JOURNEYS, WEIGHTS)[0]
        query = {"key": rank(journey)} if journey["keys"] else {}
        waited = PLAN["backoff"]
        for attempt in range(PLAN["attempts"]):
            if attempt:
                waited = rest(attempt - 1, waited)
                time.sleep(waited)
            answer = self.client.request(
                journey["method"],
                journey["path"],
                params=query,
                timeout=PLAN["timeout"],
                name=journey["path"],
            )
            if 0 < answer.status_code < 500:
                return


class Shape(LoadTestShape):
    """So many users as the rate asks for, each once a second; or as many as there are."""

    def tick(self):
        """Return (users, users started a second), and None at the end."""
        seconds = self.get_run_time()
        if seconds > PLAN["seconds"]:
            return None
        users = PLAN["users"] if PLAN["closed"] else math.ceil(rate_at(seconds))
        return users, max(1, users)
'''
