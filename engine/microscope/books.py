"""Books: rows that are written and read, and when; twin of kernel/ledger.py, on real tables."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.kernel.tables import Op, Verdict
from engine.microscope.names import key_name, title_of

if TYPE_CHECKING:
    from engine.microscope.scene import Scene, Token
    from engine.microscope.script import Step


@dataclass(slots=True, eq=False)
class Ledger:
    """When each key was last written."""

    name: str
    marked: dict[int, float] = field(default_factory=dict)
    marks: int = 0
    distinct: int = 0
    checks: int = 0
    stale: int = 0
    opened: float = 0.0

    def last(self, key: int) -> float:
        """Return when a key was written last."""
        return self.marked.get(key, -1e18)

    def version(self, key: int) -> int:
        """Return a number that is another after each write of a key: the time of it, folded."""
        (bits,) = struct.unpack("<q", struct.pack("<d", self.last(key)))
        return (bits ^ (bits >> 32)) & 0x7FFFFFFF

    def open(self, now: float) -> tuple[int, int]:
        """Return (writes, distinct keys) since it was last opened, and open it."""
        seen = self.marks, self.distinct
        self.marks = self.distinct = 0
        self.opened = now
        return seen


def mark(step: Step, token: Token, scene: Scene) -> int:
    """Write the token's key: into the log of its primary, or into the write buffer."""
    ledger, key, now = scene.parts.ledgers[step.site], token.key, scene.now
    if ledger.last(key) < ledger.opened:
        ledger.distinct += 1
    ledger.marks += 1
    ledger.marked[key] = now
    what, _, dataset = ledger.name.partition(" ")
    if what == "buffer":
        done = scene.parts.buffer.add(dataset, key)
        scene.journal.say(scene, token, step, "counted in memory, not in the database yet", done)
    elif what == "writes":
        shard = scene.parts.shard_of(dataset, key)
        change = scene.parts.shards[shard].ship(dataset, key, now)
        if change is not None:
            text = f"entry {change.lsn} of the log is on its way to the replicas"
            scene.journal.say(scene, token, step, text, minor=True)
    return Verdict.NEXT


def check(step: Step, token: Token, scene: Scene) -> int:
    """Read a row as far as the log has been applied, and count it if it is stale."""
    ledger, key = scene.parts.ledgers[step.site], token.key
    dist = step.dist + token.registers[step.by]
    lag = scene.draw(dist, token, step.label)
    ledger.checks += 1
    dataset = ledger.name.partition(" ")[2]
    parts = scene.parts
    replica = token.carries.pop("replica", None)
    if replica is None:  # a quorum, or no replica: nothing that lags has been asked
        ledger.stale += scene.now - ledger.last(key) < lag
        return Verdict.NEXT
    shard = parts.shards[parts.shard_of(dataset, key)]
    row, stale, done = shard.select_replica(replica, dataset, key, shard.horizon(scene.now, lag))
    ledger.stale += stale
    parts.read(token, row)
    metric = parts.telemetry.count(parts.telemetry.queries, database="replica", kind="select")
    text = f"replica {replica + 1} is {lag * 1e3:.1f} ms behind: {'stale' if stale else 'fresh'}"
    level = "warning" if stale else "info"
    scene.journal.say(scene, token, step, text, done, metric=metric, level=level)
    return Verdict.NEXT


def recent(step: Step, token: Token, scene: Scene) -> int:
    """Jump unless the token's key was written a short time ago."""
    if scene.now - scene.parts.ledgers[step.site].last(token.key) > step.number:
        token.step = step.jump
    return Verdict.NEXT


def stamp(step: Step, token: Token, scene: Scene) -> int:
    """Note the version of the token's key."""
    version = scene.parts.ledgers[step.site].version(token.key)
    token.registers[step.register] = version
    return Verdict.NEXT


def verify(step: Step, token: Token, scene: Scene) -> int:
    """Fail if the token's key was written since its version was noted."""
    if token.registers[step.register] == scene.parts.ledgers[step.site].version(token.key):
        return Verdict.NEXT
    token.reason = step.reason
    scene.journal.say(scene, token, step, "somebody else has written the row", level="warning")
    return Verdict.FAILED


# ---------------------------------------------------------------- what time was spent on


def worked(step: Step, token: Token, scene: Scene) -> None:
    """Do on real parts what a stretch of time stood for, when it is over."""
    parts = scene.parts
    deed = parts.deeds.get(step.row)
    if deed is None:
        scene.journal.say(scene, token, step, _spent(step))
        return
    if deed == "write":
        _write(step, token, scene)
    elif deed == "read":
        _read(step, token, scene)
    elif deed == "replica":  # the query is asked when it is known how far the replica is
        token.carries["replica"] = _replica(token, scene)
        scene.journal.say(scene, token, step, _spent(step), minor=True)
    elif deed == "search":
        words = title_of("searches", token.key) if "searches" in parts.datasets else "iphone"
        done = parts.index.find(words)
        token.carries["found"] = done.answer
        scene.journal.say(scene, token, step, "the index answers", done)


def _spent(step: Step) -> str:
    return step.what or "time passes"


def _replica(token: Token, scene: Scene) -> int:
    """Return which replica of its shard a token was sent to."""
    parts = scene.parts
    number = token.registers[parts.register("replica")]
    return number % max(1, scene.script.scenario.data.read_replicas)


def _read(step: Step, token: Token, scene: Scene) -> None:
    """Read a row on a primary, or on a replica of a dataset that nobody writes."""
    parts, key = scene.parts, token.key
    dataset = step.operation.partition(" ")[2]
    shard = parts.shards[parts.shard_of(dataset, key)]
    if step.station == "data.replicas":
        row, _, done = shard.select_replica(_replica(token, scene), dataset, key, len(shard.log))
    else:
        row, done = shard.select(dataset, key)
    parts.read(token, row)
    database = step.station.partition(".")[2]
    metric = parts.telemetry.count(parts.telemetry.queries, database=database, kind="select")
    scene.journal.say(scene, token, step, f"read {key_name(dataset, key)}", done, metric=metric)


def _write(step: Step, token: Token, scene: Scene) -> None:
    """Write a row, or a batch of what was counted."""
    parts = scene.parts
    dataset = scene.script.program.about.get(step.node, "")
    metric = parts.telemetry.count(parts.telemetry.queries, database="primary", kind="update")
    if token.request < 0:
        done = parts.buffer.write(token.request, dataset, parts)
        scene.journal.say(scene, token, step, "what was counted is written", done, metric=metric)
        return
    key = token.key
    shard = parts.shards[parts.shard_of(dataset, key)]
    done = shard.update(dataset, key, views=int(step.what == "count"))
    scene.journal.say(scene, token, step, f"write {key_name(dataset, key)}", done, metric=metric)
    if not parts.marked(step):
        shard.ship(dataset, key, scene.now)


def deeds_of(scene_steps: list[Step]) -> dict[int, str]:
    """Return what stretches of time stand for: row → write, read, replica, search."""
    found: dict[int, str] = {}
    checked = {step.node for step in scene_steps if step.op == Op.CHECK}
    for step in scene_steps:
        if step.op != Op.HOLD or not step.what or " hop" in step.what:
            continue
        if step.station == "data.search" and step.what == "search":
            found[step.row] = "search"
        elif step.station in {"data.primary", "data.quorum"} and step.what == step.operation:
            found[step.row] = "write"
        elif step.station.startswith("data.") and step.what == "read":
            late = step.station == "data.replicas" and step.node in checked
            found[step.row] = "replica" if late else "read"
    return found
