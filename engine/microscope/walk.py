"""The walk: a SimPy process for each token, a step at a time; twin of kernel/loop.py.

One kernel event is one event here, put on the agenda at the same point of the walk, so that
both planes agree about who comes first, also where two things are due at the same instant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Any

import simpy

from engine.kernel.tables import LEAVES, NOBODY, Op, Verdict
from engine.microscope import books, keeping, legs, picks, rare
from engine.microscope.lines import release, seize, shed
from engine.microscope.luck import FIRST, MASK, SECOND, uniform
from engine.microscope.queues import acknowledge, publish, refuse, requeue
from engine.microscope.scene import Scene, Token
from engine.microscope.script import Step
from engine.microscope.tries import close_try, open_try, retry_or_fail

TURNS = 1 << 32
Rule = Callable[[Step, Token, Scene], int]
Life = Generator[simpy.Event, Any, None]


def live(token: Token, scene: Scene, failing: bool, at_once: bool) -> Life:
    """Walk, wait and walk on, until the token is no more: one SimPy process."""
    verdict: int = Verdict.FAILED if failing else Verdict.NEXT
    waits = not (failing or at_once)
    while True:
        try:
            if waits:
                if token.bell is None:
                    token.bell = simpy.Event(scene.clock)
                yield token.bell
                token.bell = None
                yield from _finish_work(token, scene)
            if not token.struck:
                yield from _walk(token, scene, verdict)
        except simpy.Interrupt:
            pass  # its server has died under it: it goes on where it was put
        if token.gone:
            return
        token.struck, verdict, waits = False, Verdict.NEXT, True


def _walk(token: Token, scene: Scene, verdict: int) -> Life:
    """Take steps until the token must wait or has ended; or first unwind it, failing."""
    journal = scene.journal
    while True:
        written = len(journal.entries)
        if verdict == Verdict.NEXT:
            step = scene.steps[token.step]
            scene.visits[step.row] += 1
            token.step = step.row + 1
            journal.enter(scene, token, step)
            if scene.parts.acts(step, token, scene):
                yield scene.clock.breath()
                if token.struck:
                    return
                written = len(journal.entries)
            verdict = perform(step, token, scene)
        if verdict == Verdict.FAILED:
            verdict = retry_or_fail(token, scene)
            if verdict == Verdict.FAILED:
                verdict = _end_badly(token, scene)
        if verdict != Verdict.NEXT:
            return
        if len(journal.entries) > written:
            yield scene.clock.breath()
            if token.struck:  # its server has died while one looked
                return


def perform(step: Step, token: Token, scene: Scene) -> int:
    """Do one step: the only place that maps an Op to its rule."""
    return RULES[step.op](step, token, scene)


# ---------------------------------------------------------------- time


def _hold(step: Step, token: Token, scene: Scene) -> int:
    """Let time pass.  Holds that follow each other make one event of the token's."""
    start, worked = scene.now, []
    while True:
        dist = step.dist + token.registers[step.by]
        start += scene.draw(dist, token, step.label)
        scene.leaf(token)
        worked.append((start, step))
        step = scene.steps[token.step]
        if step.op != Op.HOLD or token.leaves >= LEAVES:
            break
        scene.visits[step.row] += 1
        token.step = step.row + 1
    for due, done in worked[:-1]:  # looked at when it is over, which moves nobody
        scene.clock.call(due, functools.partial(_look, done, token, token.step, scene))
    token.carries["working"] = worked[-1][1]
    scene.wake(token, start)
    return Verdict.WAIT


def _look(step: Step, token: Token, at: int, scene: Scene) -> None:
    """Tell of a stretch of time that is over while the next one goes on."""
    if not token.gone and token.step == at and "working" in token.carries:
        scene.journal.enter(scene, token, step)
        books.worked(step, token, scene)


def _finish_work(token: Token, scene: Scene) -> Life:
    """Tell of the last stretch of time, which is over now."""
    step = token.carries.pop("working", None)
    if step is not None:
        scene.journal.enter(scene, token, step)
        books.worked(step, token, scene)
        yield scene.clock.breath()


def _wait_until(step: Step, token: Token, scene: Scene) -> int:
    """Let time pass until a moment, and a draw more; no time if that has gone by."""
    late = scene.draw(step.dist, token, step.label)
    scene.leaf(token)
    scene.wake(token, max(scene.now, step.number + late))
    return Verdict.WAIT


# ---------------------------------------------------------------- ways


def _chance(step: Step, token: Token, scene: Scene) -> int:
    """Jump with probability `number`; with `register` 1 it comes out alike at every visit."""
    visit = token.visit * (1 - step.register)
    if uniform(token.root, step.label, visit) < step.number:
        token.step = step.jump
    return Verdict.NEXT


def _go(step: Step, token: Token, scene: Scene) -> int:
    token.step = step.jump
    return Verdict.NEXT


def _fail(step: Step, token: Token, scene: Scene) -> int:
    if step.reason:
        token.reason = step.reason
        why = scene.script.reasons.get(step.reason, "")
        scene.journal.say(scene, token, step, f"fails: {why}", level="warning")
    return Verdict.FAILED


def _release(step: Step, token: Token, scene: Scene) -> int:
    release(token, scene)
    return Verdict.NEXT


def _done(step: Step, token: Token, scene: Scene) -> int:
    return close_try(token, scene)


def _join(step: Step, token: Token, scene: Scene) -> int:
    return legs.join(token, scene, well=True)


def _leave(step: Step, token: Token, scene: Scene) -> int:
    scene.free(token)
    return Verdict.OVER


# ---------------------------------------------------------------- beginnings and ends


def begin(token: Token, scene: Scene, journey: int | None = None) -> None:
    """Start a request: who asks, and for what; or for what is said."""
    world = scene.script.world
    source = world.sources[token.source]
    label = int(source["label"])
    token.root, token.born = scene.base(token.request), scene.now
    token.visit = token.leaves = token.reason = 0
    if journey is None:
        first, count = world.choices[int(source["journeys"])].item()
        u = uniform(token.root, label, 0)
        journey = picks.weighted_index(first, count, u, scene)
    token.journey = journey
    token.step = int(world.starts[int(source["starts"]) + journey])
    second = (label + SECOND) & MASK
    token.user = int(uniform(token.root, second, 0) * int(source["users"]))
    scene.journeys[journey].started += 1


def _ask(step: Step, token: Token, scene: Scene) -> int:
    """Start a closed user's next request."""
    user = token.request // TURNS
    begin(token, scene)
    token.user = user
    return Verdict.NEXT


def think(token: Token, scene: Scene) -> None:
    """Let a closed user think before the next request."""
    source = scene.script.world.sources[token.source]
    token.request += 1
    label = (int(source["label"]) + FIRST) & MASK
    pause = scene.dists[int(source["think"])].draw(scene.base(token.request), label, 0)
    token.step = int(source["arrive"])
    scene.wake(token, scene.now + pause)


def add_users(scene: Scene, count: int) -> None:
    """Add closed users; each begins by thinking."""
    for user in range(count):
        token = scene.fresh(user * TURNS - 1, 0, scene.now)
        token.source = 0
        think(token, scene)
        scene.start(token)


def plan(scene: Scene) -> None:
    """Draw the gap before an open source's next request."""
    source = scene.script.world.sources[0]
    label = (int(source["label"]) + FIRST) & MASK
    gap = scene.dists[int(source["gap"])].draw(scene.base(scene.requests), label, 0)
    rate = float(source["rate"])
    if rate > 0.0:
        scene.clock.call(scene.now + gap / rate, lambda: _arrive(scene))


def _arrive(scene: Scene) -> None:
    """Make the next request of an open source, and plan the one after it."""
    token = scene.fresh(scene.requests, 0, scene.now)
    token.source = 0
    begin(token, scene)
    scene.requests += 1
    plan(scene)
    scene.start(token, at_once=True)


def _finish(step: Step, token: Token, scene: Scene) -> int:
    """End a request that was answered."""
    counts, latency = scene.journeys[token.journey], scene.now - token.born
    counts.answered += 1
    counts.seconds += latency
    _tell(step, token, "answered", f"answered after {latency * 1e3:.1f} ms", scene)
    _rest_or_leave(token, scene)
    return Verdict.OVER if token.gone else Verdict.WAIT


def _end_badly(token: Token, scene: Scene) -> int:
    """End a message, a leg, an errand or a request that has failed for good."""
    step = scene.steps[min(token.step, len(scene.steps)) - 1]
    if token.channel != NOBODY:
        return refuse(step, token, scene)
    if token.parent is not None:
        return legs.join(token, scene, well=False)
    if token.source == NOBODY:
        scene.wasted += 1
        scene.free(token)
        return Verdict.OVER
    scene.journeys[token.journey].failed += 1
    place = token.journey, token.reason
    scene.reasons[place] = scene.reasons.get(place, 0) + 1
    why = scene.script.reasons.get(token.reason, "")
    _tell(step, token, "failed", f"failed after {(scene.now - token.born) * 1e3:.1f} ms: {why}",
          scene)  # fmt: skip
    _rest_or_leave(token, scene)
    return Verdict.OVER if token.gone else Verdict.WAIT


def _tell(step: Step, token: Token, outcome: str, text: str, scene: Scene) -> None:
    """Say how a request has ended, in the journal and in the metrics."""
    telemetry = scene.parts.telemetry
    journey = scene.script.program.journeys[token.journey]
    metric = telemetry.count(telemetry.requests, journey=journey, outcome=outcome)
    if outcome == "answered":
        telemetry.seconds.labels(journey).observe(scene.now - token.born)
    level = "info" if outcome == "answered" else "error"
    scene.journal.say(scene, token, step, text, metric=metric, level=level)


def _rest_or_leave(token: Token, scene: Scene) -> None:
    """Let a closed user think; an open request is gone."""
    rate = float(scene.script.world.sources["rate"][0])
    if token.source != NOBODY and rate < 0.0 and not token.carries.get("by hand"):
        scene.journal.over(token, scene.now)
        think(token, scene)
    else:
        scene.free(token)


RULES: dict[int, Rule] = {
    Op.HOLD: _hold,
    Op.SEIZE: seize,
    Op.RELEASE: _release,
    Op.ROUTE: picks.route,
    Op.GET: keeping.get,
    Op.PUT: keeping.put,
    Op.DROP: keeping.drop,
    Op.KEY: picks.draw_key,
    Op.SPLIT: picks.split,
    Op.LOOKUP: picks.look_up,
    Op.CHANCE: _chance,
    Op.GO: _go,
    Op.TRY: open_try,
    Op.DONE: _done,
    Op.FAIL: _fail,
    Op.PUBLISH: publish,
    Op.ACK: acknowledge,
    Op.REQUEUE: requeue,
    Op.FORK: legs.fork,
    Op.JOIN: _join,
    Op.GATHER: legs.gather,
    Op.MARK: books.mark,
    Op.CHECK: books.check,
    Op.FINISH: _finish,
    Op.ARRIVE: _ask,
    Op.LEAVE: _leave,
    Op.STILL: legs.still,
    Op.LIMIT: rare.limit,
    Op.CREDIT: rare.credit,
    Op.PASS: rare.pass_breaker,
    Op.REPORT: rare.report,
    Op.SHARE: rare.share,
    Op.OUTCOME: picks.outcome,
    Op.SET: picks.set_register,
    Op.RECENT: books.recent,
    Op.STAMP: books.stamp,
    Op.VERIFY: books.verify,
    Op.UNTIL: _wait_until,
    Op.SHED: shed,
}
