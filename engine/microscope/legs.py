"""Legs that run side by side; twin of kernel/fork.py."""

from __future__ import annotations

from engine.kernel.tables import LEAVES, NOBODY, State, Verdict
from engine.microscope.lines import unwind
from engine.microscope.scene import Scene, Token
from engine.microscope.script import Step
from engine.microscope.tries import die, disarm


def fork(step: Step, token: Token, scene: Scene) -> int:
    """Send the legs off."""
    now = scene.now
    token.legs = step.jump * step.register
    token.needed = int(step.number) if step.number > 0.0 else token.legs
    token.state, token.began, token.reason = State.JOINING, now, 0
    scene.tickets += 1
    token.ticket = scene.tickets & 0x7FFFFFFF
    number = 0
    for _ in range(step.register):
        for start in range(step.site, step.site + step.jump):
            number += 1
            leg = scene.fresh(token.request, token.root, now)
            leg.key, leg.journey, leg.user = token.key, token.journey, token.user
            leg.source, leg.parent, leg.bound = token.source, token, token.ticket
            leg.visit = (token.visit * 1000003 + number * 4096) & 0x7FFFFFFF
            leg.step = int(scene.script.world.starts[start])
            leg.registers, leg.asked = list(token.registers), token.asked
            if step.by:
                leg.registers[step.by] = number - 1
            scene.journal.under(token, leg)
            scene.wake(leg, now)
            scene.start(leg)
    text = f"{token.legs} legs side by side, {token.needed} of them needed"
    scene.journal.say(scene, token, step, text)
    return Verdict.WAIT


def _awaited(token: Token) -> bool:
    """Return whether the parent of a leg still waits for it."""
    parent = token.parent
    return parent is not None and parent.state == State.JOINING and parent.ticket == token.bound


def join(token: Token, scene: Scene, *, well: bool) -> int:
    """End a leg, well or not; the one that decides wakes its parent."""
    parent = token.parent
    if parent is None or not _awaited(token):
        scene.wasted += 1
        scene.free(token)
        return Verdict.OVER
    parent.legs -= 1
    if well:
        parent.needed -= 1
    else:
        parent.reason = token.reason
    for _ in range(min(token.leaves, LEAVES)):
        if parent.leaves < LEAVES:
            parent.leaves += 1
    some = scene.steps[parent.step - 1].number > 0.0
    enough = parent.needed == 0
    if some and enough:
        parent.reason = 0
    if parent.legs == 0 or (some and (enough or parent.legs < parent.needed)):
        scene.wake(parent, scene.now)
    scene.free(token)
    return Verdict.OVER


def gather(step: Step, token: Token, scene: Scene) -> int:
    """Go on after the last leg, or fail with it."""
    return Verdict.FAILED if token.reason else Verdict.NEXT


def still(step: Step, token: Token, scene: Scene) -> int:
    """Go on only while somebody waits for the answer."""
    orphan = token.orphan != NOBODY
    if not orphan and (token.parent is None or _awaited(token)):
        return Verdict.NEXT
    scene.journal.say(scene, token, step, "nobody waits for this any more: it ends here")
    while token.scopes:
        disarm(token.scopes.pop(), scene)
    if orphan:
        die(token, scene)
    else:
        unwind(token, 0, scene)
        scene.free(token)
    return Verdict.OVER
