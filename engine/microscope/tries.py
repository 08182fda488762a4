"""Tries: given up after a time, made again, orphans and heirs; twin of kernel/scope.py."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import simpy

from engine.kernel.tables import NOBODY, Reason, State, Verdict
from engine.microscope.lines import leave_line, unwind
from engine.microscope.luck import uniform
from engine.microscope.queues import go_on
from engine.microscope.rare import spend
from engine.microscope.scene import Held, Scene, Scope, Token
from engine.microscope.script import Step

if TYPE_CHECKING:
    from engine.microscope.script import Retry

INHERITED = (
    "key", "visit", "user", "journey", "source", "parent", "ticket", "bound", "channel",
    "partition", "worker", "delivery", "entry", "orphan", "leaves", "began", "step",
)  # fmt: skip
NO_JITTER, FULL_JITTER, EQUAL_JITTER, DECORRELATED = 0, 1, 2, 3


def open_try(step: Step, token: Token, scene: Scene) -> int:
    """Begin a try, or begin it again after a rest."""
    scopes = token.scopes
    if scopes and scopes[-1].resting and scopes[-1].step == step.row:
        scope = scopes[-1]
        scope.resting = False
    else:
        scope = Scope(token, step.row, len(token.holds))
        scopes.append(scope)
    if step.site != NOBODY:
        patience = scene.draw(step.dist, token, step.label)
        _arm(scope, step.site, scene.now + patience, scene)
    return Verdict.NEXT


def close_try(token: Token, scene: Scene) -> int:
    """End a try well; an orphan of this try dies here."""
    scope = token.scopes.pop()
    disarm(scope, scene)
    if token.orphan == len(token.scopes):
        die(token, scene)
        return Verdict.OVER
    return Verdict.NEXT


def die(token: Token, scene: Scene) -> None:
    """End an orphan: its work was for nothing."""
    channel, worker = token.channel, token.worker
    unwind(token, 0, scene)
    scene.wasted += 1
    scene.free(token)
    if channel != NOBODY:  # a worker whose message has long been given to another
        scene.channels[channel].lapsed -= 1
        go_on(channel, worker, scene)


def retry_or_fail(token: Token, scene: Scene) -> int:
    """Unwind a failed token to its innermost try and try again; else FAILED: the end of it."""
    if token.reason == Reason.NONE:
        token.reason = Reason.REFUSED
    while token.scopes:
        scope = token.scopes[-1]
        depth = len(token.scopes) - 1
        unwind(token, scope.holds, scene)
        disarm(scope, scene)
        if token.orphan == depth:
            die(token, scene)
            return Verdict.OVER
        step = scene.steps[scope.step]
        policy = scene.script.retries[step.jump]
        if scope.attempt + 1 < policy.attempts and _affordable(policy, scene):
            return _again(scope, policy, step, token, scene)
        token.scopes.pop()
        if policy.otherwise != NOBODY:
            token.step = policy.otherwise
            return Verdict.NEXT
    unwind(token, 0, scene)
    return Verdict.FAILED


def _again(scope: Scope, policy: Retry, step: Step, token: Token, scene: Scene) -> int:
    """Rest, and then try again."""
    scope.attempt += 1
    scope.resting = True
    token.visit += 1
    token.step = scope.step
    rest = _backoff(policy, scope.attempt, token, step)
    why = scene.script.reasons.get(token.reason, "")
    scene.journal.say(
        scene, token, step, f"{why}: try {scope.attempt + 1} of {policy.attempts} in"
        f" {rest * 1e3:.1f} ms", level="warning",
    )  # fmt: skip
    if rest <= 0.0:
        return Verdict.NEXT
    scene.leaf(token)
    scene.wake(token, scene.now + rest)
    return Verdict.WAIT


def _affordable(policy: Retry, scene: Scene) -> bool:
    """Return whether the retry budget has one left, and take it."""
    return policy.budget == NOBODY or spend(scene.limits[policy.budget], scene.now)


def _backoff(policy: Retry, attempt: int, token: Token, step: Step) -> float:
    """Return the rest before retry number `attempt` (Brooker, AWS, 2015)."""
    rest = policy.rest
    if policy.jitter == DECORRELATED:
        for number in range(1, attempt + 1):
            u = uniform(token.root, step.label, token.visit - (attempt - number))
            rest = min(policy.cap, policy.rest + u * (3.0 * rest - policy.rest))
        return rest
    for _ in range(attempt - 1):
        rest = min(policy.cap, rest * 2.0)
    if policy.jitter == NO_JITTER or rest <= 0.0:
        return rest
    u = uniform(token.root, step.label, token.visit)
    return rest * u if policy.jitter == FULL_JITTER else rest * (0.5 + 0.5 * u)


# ---------------------------------------------------------------- timers


def _arm(scope: Scope, index: int, due: float, scene: Scene) -> None:
    """Start a try's timer: join the lane, from its end, in order of time."""
    lane = scene.lanes[index]
    scope.due, scope.lane = due, index
    place = len(lane.timers)
    while place and lane.timers[place - 1].due > due:
        place -= 1
    lane.timers.insert(place, scope)
    if due < lane.armed:
        _alarm(index, due, scene)


def _alarm(index: int, due: float, scene: Scene) -> None:
    """Let the lane's earliest timer ring; what was to ring before counts no more."""
    lane = scene.lanes[index]
    lane.armed, alarm = due, simpy.Event(scene.clock)
    lane.alarm = alarm
    assert alarm.callbacks is not None
    alarm.callbacks.append(lambda event: _ring(index, event, scene))
    scene.clock.at(due, alarm)


def disarm(scope: Scope, scene: Scene) -> None:
    """Stop a try's timer, if it has one."""
    if scope.lane != NOBODY:
        scene.lanes[scope.lane].timers.remove(scope)
        scope.lane = NOBODY


def _ring(index: int, event: simpy.Event, scene: Scene) -> None:
    """Give the lane's first try up if its time is up; set the alarm for the next."""
    lane, now = scene.lanes[index], scene.now
    if lane.alarm is not event:
        return
    heir = None
    if lane.timers and lane.timers[0].due <= now:
        heir = _give_up(lane.timers[0], scene)
    if not lane.timers:
        lane.armed, lane.alarm = math.inf, None
    else:
        _alarm(index, max(lane.timers[0].due, now), scene)
    if heir is not None:
        scene.start(heir, failing=True)


def _give_up(scope: Scope, scene: Scene) -> Token:
    """Split a token whose time is up into an orphan and its heir; return the heir."""
    token, depth = scope.token, scope.token.scopes.index(scope)
    disarm(scope, scene)
    policy = scene.script.retries[scene.steps[scope.step].jump]
    heir = scene.fresh(token.request, token.root, token.born)
    for name in INHERITED:
        setattr(heir, name, getattr(token, name))
    heir.registers, heir.asked = list(token.registers), token.asked
    heir.carries = dict(token.carries)
    kept = 0 if policy.keeps else scope.holds
    if policy.keeps:
        heir.worker = NOBODY
    else:
        token.worker = NOBODY
    heir.holds = [Held(each.pool, each.asked, each.got) for each in token.holds[:kept]]
    for each in token.holds[:kept]:
        each.pool = NOBODY
    for outer in token.scopes[: depth + 1]:
        heir.scopes.append(_inherited(outer, heir, scene))
    heir.reason = Reason.TIMED_OUT
    scene.journal.inherit(token, heir, scene.steps[scope.step])
    scene.journal.say(
        scene, heir, scene.steps[scope.step], "time-out: nobody waits for the answer any more",
        level="warning",
    )  # fmt: skip
    if token.state != State.EVENT:
        scene.leaf(heir)
    token.orphan, token.parent = depth, None
    if not policy.keeps:
        token.channel = NOBODY
    elif token.channel != NOBODY:
        scene.channels[token.channel].lapsed += 1
    if policy.cancels and token.state == State.QUEUED:
        _cancel(token, depth, scene)
    return heir


def _inherited(old: Scope, heir: Token, scene: Scene) -> Scope:
    """Move an outer try, and its running timer, from a token to its heir."""
    new = Scope(heir, old.step, old.holds, old.attempt, old.due, old.lane, old.resting)
    if old.lane != NOBODY:
        timers = scene.lanes[old.lane].timers
        timers[timers.index(old)] = new
        old.lane = NOBODY
    return new


def _cancel(token: Token, depth: int, scene: Scene) -> None:
    """Take an orphan out of its line: who has given up does not wait."""
    leave_line(token, scene)
    while len(token.scopes) > depth:
        disarm(token.scopes.pop(), scene)
    die(token, scene)
    scene.stop(token)
