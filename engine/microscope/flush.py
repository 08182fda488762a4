"""Flushes: the write buffer is written to the database every so often; twin of layers/buffer.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.kernel.tables import NOBODY
from engine.microscope.clock import AFTER_ALL

if TYPE_CHECKING:
    from engine.microscope.scene import Scene


def begin(scene: Scene) -> None:
    """Let each dataset that is counted be flushed in its turn."""
    scenario = scene.script.scenario
    if scenario.cache.enabled:
        for dataset in scenario.cache.buffered(scenario):
            _later(dataset, scene)


def _later(dataset: str, scene: Scene) -> None:
    every = scene.script.scenario.cache.buffer.flush_seconds
    scene.clock.call(scene.now + every, lambda: _flush(dataset, scene), AFTER_ALL)


def _flush(dataset: str, scene: Scene) -> None:
    """Take what was counted out of the buffer and let errands write it, a batch each."""
    script, parts = scene.script, scene.parts
    ledger = next(each for each in parts.ledgers if each.name == f"buffer {dataset}")
    writes, keys = ledger.open(scene.now)
    if keys:
        size = script.scenario.cache.buffer.batch
        rows, done = parts.buffer.take(dataset)
        batches = -(-keys // size)
        text = f"flush: {writes} counts of {dataset} under {keys} keys, {batches} batches"
        scene.journal.note(scene.now, "cache.buffer", text, done)
        for number in range(batches):
            last = len(rows) if number == batches - 1 else (number + 1) * size
            _launch(dataset, number, rows[number * size : last], scene)
    _later(dataset, scene)


def _launch(dataset: str, key: int, rows: list[tuple[int, int]], scene: Scene) -> None:
    """Start an errand that writes some rows."""
    scene.errands += 1
    request = -scene.errands
    token = scene.fresh(request, scene.base(request), scene.now)
    token.registers = [0] * len(token.registers)
    token.key, token.journey = key, 0
    token.step = scene.script.named[f"flush {dataset}"]
    token.source = token.user = NOBODY
    scene.parts.buffer.batches[request] = rows
    scene.wake(token, scene.now)
    scene.start(token)
