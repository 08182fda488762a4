"""Lines: pools of equal slots, first come, first served; twin of kernel/pool.py."""

from __future__ import annotations

from engine.kernel.tables import NOBODY, State, Verdict
from engine.microscope.scene import Held, Scene, Token
from engine.microscope.script import Step


def seize(step: Step, token: Token, scene: Scene) -> int:
    """Take a slot, or stand in line for one, or be refused because the line is full."""
    index = step.site + token.registers[step.by]
    pool, now = scene.pools[index], scene.now
    if pool.busy < pool.slots:
        pool.busy += 1
        token.holds.append(Held(index, now, now))
        return Verdict.NEXT
    name = scene.script.pool_names.get(index, step.station)
    if 0 <= pool.room <= pool.waiting:
        token.reason = pool.reason or step.reason
        scene.journal.say(scene, token, step, f"refused by {name}: {_reason(scene, token)}")
        return Verdict.FAILED
    token.state, token.queue, token.began = State.QUEUED, index, now
    pool.line[token] = None
    scene.journal.say(scene, token, step, f"waits in line at {name}, place {len(pool.line)}")
    return Verdict.WAIT


def _reason(scene: Scene, token: Token) -> str:
    return scene.script.reasons.get(token.reason, "") or "no room in the line"


def shed(step: Step, token: Token, scene: Scene) -> int:
    """Fail a token before it joins a line that is too long for it."""
    pool = scene.pools[step.site + token.registers[step.by]]
    if pool.busy < pool.slots or pool.waiting < step.number:
        return Verdict.NEXT
    token.reason = step.reason
    return Verdict.FAILED


def leave_line(token: Token, scene: Scene) -> None:
    """Take a token out of the line that it stands in."""
    del scene.pools[token.queue].line[token]
    token.queue = NOBODY


def admit(index: int, scene: Scene) -> None:
    """Give a free slot to the first in line and let it walk on."""
    pool, now = scene.pools[index], scene.now
    lucky = next(iter(pool.line))
    leave_line(lucky, scene)
    pool.busy += 1
    lucky.holds.append(Held(index, lucky.began, now))
    scene.leaf(lucky)
    scene.wake(lucky, now)


def release(token: Token, scene: Scene) -> None:
    """Give back the slot taken last."""
    index = token.holds.pop().pool
    if index == NOBODY:  # its heir holds it
        return
    pool = scene.pools[index]
    pool.busy -= 1
    if pool.line and pool.busy < pool.slots:
        admit(index, scene)


def unwind(token: Token, down_to: int, scene: Scene) -> None:
    """Give back every slot above `down_to`, as a failure does."""
    while len(token.holds) > down_to:
        release(token, scene)
