"""Crashes: those whom a dead server had in hand fail, all at once; twin of kernel/crash.py."""

from __future__ import annotations

from collections.abc import Sequence

from engine.kernel.tables import NOBODY, Op, State
from engine.microscope.lines import leave_line, unwind
from engine.microscope.queues import hand_out, put_back, take_back
from engine.microscope.rare import break_off
from engine.microscope.scene import Scene, Token
from engine.microscope.tries import die, disarm


def crash(pools: Sequence[int], reason: int, scene: Scene) -> list[Token]:
    """Fail everyone who holds a slot of some pools or stands in their lines; return them."""
    struck = [token for token in scene.walking.values() if _inside(token, pools, scene)]
    struck.sort(key=lambda token: token.born if token.channel == NOBODY else -token.born)
    floors = [_floor(token, pools) for token in struck]
    for token in struck:
        _step_out(token, scene)
    for token, floor in zip(struck, floors, strict=True):
        _strike(token, floor, reason, scene)
    for index, channel in enumerate(scene.channels):
        for pool in pools:
            take_back(index, pool, scene)
        for place in range(channel.first, channel.first + channel.partitions):
            hand_out(index, scene.partitions[place].worker, channel.travel, scene)
    return struck


def _inside(token: Token, pools: Sequence[int], scene: Scene) -> bool:
    if any(held.pool in pools for held in token.holds):
        return True
    if token.state == State.QUEUED:
        return token.queue in pools
    if token.state == State.SHARING:
        step = scene.steps[token.step - 1]
        processor = scene.processors[step.site + token.registers[step.by]]
        return processor.pool in pools
    return False


def _floor(token: Token, pools: Sequence[int]) -> int:
    places = [place for place, held in enumerate(token.holds) if held.pool in pools]
    return places[0] if places else len(token.holds)


def _step_out(token: Token, scene: Scene) -> None:
    """Take a token out of what it waits for."""
    if token.state != State.EVENT:
        scene.leaf(token)
    if token.state == State.QUEUED:
        leave_line(token, scene)
    elif token.state == State.SHARING:
        break_off(token, scene)
    token.state, token.needed = State.EVENT, 0
    token.carries.pop("working", None)
    token.bell, token.struck = None, True
    if token.life is not None and token.life.is_alive:
        token.life.interrupt("struck")


def _strike(token: Token, floor: int, reason: int, scene: Scene) -> None:
    """Let a token fail, without the tries and slots above a floor."""
    now = back = scene.now
    while token.scopes and token.scopes[-1].holds > floor:
        scope = token.scopes.pop()
        if scope.lane != NOBODY and scene.script.retries[scene.steps[scope.step].jump].keeps:
            back = scope.due  # nobody else sees the message before
        disarm(scope, scene)
    unwind(token, floor, scene)
    if token.orphan >= len(token.scopes):
        die(token, scene)
        return
    token.reason = reason
    if floor == 0 and token.channel != NOBODY and token.orphan == NOBODY:
        put_back(token, back, scene)
        return
    token.step = len(scene.steps) - 1
    assert scene.steps[-1].op == Op.FAIL
    scene.wake(token, now)
