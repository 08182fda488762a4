"""What few systems have: limits, breakers, shared cores; twins of the kernel's files so called."""

from __future__ import annotations

import math

import simpy

from engine.kernel.tables import NOBODY, Guard, State, Verdict
from engine.microscope.scene import Job, Limit, Processor, Scene, Token
from engine.microscope.script import Step


def limit(step: Step, token: Token, scene: Scene) -> int:
    """Let a token pass, or fail it because its limit is used up."""
    index = step.site
    if step.number > 1.0:
        index += token.user % int(step.number)
    if spend(scene.limits[index], scene.now):
        return Verdict.NEXT
    token.reason = step.reason
    scene.journal.say(scene, token, step, "429 Too Many Requests", level="warning")
    return Verdict.FAILED


def spend(row: Limit, now: float) -> bool:
    """Return whether a limit has one left, and take it."""
    if row.window > 0.0:
        return _in_window(row, now)
    row.level = min(row.burst, row.level + (now - row.last) * row.rate)
    row.last = now
    if row.level < 1.0:
        return False
    row.level -= 1.0
    return True


def _in_window(row: Limit, now: float) -> bool:
    """Return whether a sliding window has room for one more, and count it."""
    start = math.floor(now / row.window) * row.window
    if start > row.last:
        row.before = row.count if start - row.last < 1.5 * row.window else 0.0
        row.count, row.last = 0.0, start
    inside = 1.0 - (now - start) / row.window
    if row.before * inside + row.count + 1.0 > row.rate * row.window:
        return False
    row.count += 1.0
    return True


def credit(step: Step, token: Token, scene: Scene) -> int:
    """Put more into a limit."""
    row = scene.limits[step.site]
    row.level = min(row.burst, row.level + step.number)
    return Verdict.NEXT


# ---------------------------------------------------------------- circuit breakers


def pass_breaker(step: Step, token: Token, scene: Scene) -> int:
    """Let a call through, or refuse it while the breaker is open."""
    breaker = scene.breakers[step.site + token.registers[step.by]]
    if breaker.state == Guard.OPEN and scene.now - breaker.opened >= breaker.rest:
        breaker.state, breaker.sent, breaker.good = Guard.HALF_OPEN, 0, 0
    if breaker.state == Guard.CLOSED:
        return Verdict.NEXT
    if breaker.state == Guard.HALF_OPEN and breaker.sent < breaker.probes:
        breaker.sent += 1
        return Verdict.NEXT
    token.reason = step.reason
    scene.journal.say(scene, token, step, "the circuit breaker is open", level="warning")
    return Verdict.FAILED


def report(step: Step, token: Token, scene: Scene) -> int:
    """Note how a call went; what was sent before the breaker opened counts no more."""
    breaker = scene.breakers[step.site + token.registers[step.by]]
    if breaker.state == Guard.OPEN:
        return Verdict.NEXT
    if step.number > 0.0:
        breaker.bad = 0
        if breaker.state == Guard.HALF_OPEN:
            breaker.good += 1
            if breaker.good >= breaker.probes:
                breaker.state = Guard.CLOSED
        return Verdict.NEXT
    breaker.bad += 1
    if breaker.state == Guard.HALF_OPEN or breaker.bad >= breaker.failures:
        breaker.state, breaker.bad = Guard.OPEN, 0
        breaker.opened = scene.now
    return Verdict.NEXT


# ---------------------------------------------------------------- shared cores


def share(step: Step, token: Token, scene: Scene) -> int:
    """Begin a job on a processor whose cores all jobs share."""
    index = step.site + token.registers[step.by]
    processor, now = scene.processors[index], scene.now
    size = scene.draw(step.dist, token, step.label)
    _catch_up(processor, now)
    job = Job(token, processor.virtual + size, size)
    token.state, token.queue, token.began = State.SHARING, NOBODY, now
    place = len(processor.jobs)
    while place and processor.jobs[place - 1].ends > job.ends:
        place -= 1
    processor.jobs.insert(place, job)
    _crowd(processor, scene)
    _plan_end(index, scene)
    text = f"computes {size * 1e3:.2f} ms, one of {len(processor.jobs)} on {processor.cores} cores"
    scene.journal.say(scene, token, step, text)
    return Verdict.WAIT


def _pace(processor: Processor, jobs: int) -> float:
    """Return how fast each job goes on."""
    return 1.0 if jobs <= processor.cores else 1.0 * processor.cores / jobs


def _catch_up(processor: Processor, now: float) -> None:
    """Bring the virtual clock up to now."""
    if not processor.jobs:
        processor.virtual = 0.0
    else:
        pace = _pace(processor, len(processor.jobs))
        processor.virtual += (now - processor.last) * pace
    processor.last = now


def _crowd(processor: Processor, scene: Scene) -> None:
    """Note how many jobs there are; those that no core is left for count as waiting."""
    pool = scene.pools[processor.pool]
    pool.busy = min(len(processor.jobs), processor.cores)
    pool.crowd = len(processor.jobs) - pool.busy


def _plan_end(index: int, scene: Scene) -> None:
    """Plan the end of the first job; what was planned before counts no more."""
    processor = scene.processors[index]
    processor.plan = None
    if not processor.jobs:
        return
    left = max(0.0, processor.jobs[0].ends - processor.virtual)
    plan = simpy.Event(scene.clock)
    processor.plan = plan
    assert plan.callbacks is not None
    plan.callbacks.append(lambda event: _end_job(index, event, scene))
    scene.clock.at(scene.now + left / _pace(processor, len(processor.jobs)), plan)


def _end_job(index: int, event: simpy.Event, scene: Scene) -> None:
    """Let the token whose job is done go on."""
    processor = scene.processors[index]
    if processor.plan is not event:
        return
    _catch_up(processor, scene.now)
    job = processor.jobs.pop(0)
    processor.virtual = job.ends
    scene.leaf(job.token)
    job.token.state = State.EVENT
    _crowd(processor, scene)
    _plan_end(index, scene)
    scene.resume(job.token)


def break_off(token: Token, scene: Scene) -> None:
    """Take a token's job off its processor, done or not."""
    step = scene.steps[token.step - 1]
    index = step.site + token.registers[step.by]
    processor = scene.processors[index]
    _catch_up(processor, scene.now)
    processor.jobs = [job for job in processor.jobs if job.token is not token]
    _crowd(processor, scene)
    _plan_end(index, scene)
