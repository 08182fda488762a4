"""Deliveries: workers that die or take too long, and what becomes of their messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import Scenario, Simulation
from engine.layers.asynchronous import Asynchronous
from tests.truth.answer import Lacking, Pair
from tests.truth.case import Case
from tests.truth.machine import begin, system

DAY = 86_400.0  # s
SENT = 20_000.0  # s; when the one message of the day is sent
NEVER_MS = 1e12  # what a worker takes that is dead
CELERY_VISIBILITY = 3600.0  # s; its default with Redis as the broker
NO_RETENTION = Lacking("both brokers have one retention by default, Kafka's 7 days")
NO_POLLING = Lacking("a worker that is free is given a message at once; nobody polls")


def queue(task_ms: float, **more: Any) -> Scenario:
    """Return a scenario of messages on a queue, of which each takes a while."""
    rules = {
        "broker": "queue",
        "publish_time": 0,
        "retry_delay_ms": 0,
        "attempts": 100,
        "kinds": {"worker": {"service_time": task_ms}},
        **more,
    }
    steps = [{"do": "publish", "to": ["worker"]}]
    return system(steps, 1 / SENT, client={"enabled": False, "gap": "fixed"}, asynchronous=rules)


def one_message(scenario: Scenario) -> tuple[Simulation, np.record]:
    """Return a run in which one message has just been sent, and the books of its queue."""
    run = begin(scenario, DAY)
    run.advance_to(SENT)
    channel = run.plane.world.channels[run.plane.program.named["channel worker"]]
    assert channel["published"] == 1
    return run, channel


def killed(case: Case) -> dict[str, Any]:
    """A worker is killed in the midst of a task: it never comes to its end."""
    given = case.given
    found: dict[str, Any] = {}
    for name, acknowledge in (("acks_early", "early"), ("acks_late_redis", "late")):
        rules = {"acknowledge": acknowledge, "visibility_seconds": CELERY_VISIBILITY, "workers": 2}
        run, channel = one_message(queue(NEVER_MS, **rules))
        run.advance(given["kill_at_s"])
        run.change("asynchronous.kinds.worker.service_time", given["task_s"] * 1e3)
        moment = redelivery(run, channel)
        run.advance_to(2 * SENT - 1)
        done = int(channel["processed"])
        seen = {"completed": done, "lost": 1 - done, "redelivered_after_s": moment}
        for figure, expected in case.expect[name].items():
            found[f"{name}, {figure}"] = Pair(expected, seen[figure])
    return found


def redelivery(run: Simulation, channel: np.record) -> float:
    """Play until a message is delivered again; return after how long, or infinity."""
    while not channel["redelivered"] and run.plane.world.clock["pending"][0]:
        due = float(run.plane.world.due[0])
        if due >= 2 * SENT:
            break
        run.advance_to(due)
    return run.env.now - SENT if channel["redelivered"] else float("inf")


def too_long(case: Case) -> dict[str, Any]:
    """A task takes longer than its message stays hidden: others begin with it, too."""
    given = case.given
    rules = {"visibility_seconds": given["visibility_s"], "workers": given["workers"]}
    run, channel = one_message(queue(given["task_s"] * 1e3, **rules))
    run.advance_to(2 * SENT - 1)
    return {"executions_at_least": 1 + int(channel["redelivered"])}


def defaults(case: Case) -> dict[str, Any]:
    """What a queue does of which nothing is said, and what its knobs allow."""
    knobs = Asynchronous.model_json_schema()["properties"]
    visibility, retention = knobs["visibility_seconds"], knobs["retention_seconds"]
    right = retention["default"] == case.expect["retention_s"]
    return {
        "visibility_s": visibility["default"],
        "visibility_max_s": visibility["maximum"],
        "retention_s": retention["default"] if right else NO_RETENTION,
        "retention_max_s": retention["maximum"],
        "long_poll_max_s": NO_POLLING,
    }


ADAPTERS = [
    (lambda case: {"task_s", "kill_at_s"} <= set(case.given), killed),
    (lambda case: {"task_s", "visibility_s"} <= set(case.given), too_long),
    (lambda case: {"visibility_s", "retention_s"} <= set(case.expect), defaults),
]
