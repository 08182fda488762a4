"""Scripts of k6 and Locust; both play the plan that stands where `__PLAN__` is."""

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
