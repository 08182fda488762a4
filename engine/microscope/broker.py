"""The broker: Redis streams, one a partition, with a consumer group for each kind of worker."""

from __future__ import annotations

from typing import Any

from engine.microscope.done import Done, shown


class Broker:
    """Streams that wait, and who has what in hand."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.streams: dict[tuple[str, int], str] = {}

    def _stream(self, kind: str, partition: int) -> str:
        """Return a partition's stream, made with its group on first use."""
        if (kind, partition) not in self.streams:
            name = f"{kind}:{partition}"
            self.redis.execute_command("XGROUP CREATE", name, kind, "0", "MKSTREAM")
            self.streams[kind, partition] = name
        return self.streams[kind, partition]

    def add(
        self, kind: str, partition: int, now: float, fields: dict[str, Any]
    ) -> tuple[str, Done]:
        """XADD, with an id of simulated milliseconds; return the message's id."""
        name = self._stream(kind, partition)
        flat = [part for pair in fields.items() for part in pair]
        entry = self.redis.execute_command("XADD", name, f"{int(now * 1e3)}-*", *flat)
        about = f"request {fields['request']} delivery {fields['delivery'] + 1}"
        return entry, Done(f"XADD {name} * {about}", str(entry), (f"{name}: {entry} waits",))

    def take(
        self, kind: str, partition: int, consumer: str, entry: str
    ) -> tuple[dict[str, str], Done]:
        """XREADGROUP: the next message that nobody in the group has seen."""
        name = self._stream(kind, partition)
        answer = self.redis.xreadgroup(kind, consumer, {name: ">"}, count=1)
        found, fields = _first(answer)
        assert found == entry, f"{name} gave {found}, not {entry}"
        command = f"XREADGROUP GROUP {kind} {consumer} COUNT 1 STREAMS {name} >"
        return fields, Done(command, f"{entry} request {fields['request']}",
                            (f"{name}: {entry} pending with {consumer}",))  # fmt: skip

    def claim(
        self, kind: str, partition: int, consumer: str, entry: str
    ) -> tuple[dict[str, str], Done]:
        """XCLAIM: what a dead worker had in hand is another's now."""
        name = self._stream(kind, partition)
        ((found, fields),) = self.redis.xclaim(name, kind, consumer, 0, [entry])
        assert found == entry
        return fields, Done(f"XCLAIM {name} {kind} {consumer} 0 {entry}", str(found),
                            (f"{name}: {entry} pending with {consumer}",))  # fmt: skip

    def acknowledge(self, kind: str, partition: int, entry: str) -> Done:
        """XACK: done."""
        name = self._stream(kind, partition)
        count = self.redis.execute_command("XACK", name, kind, entry)
        return Done(f"XACK {name} {kind} {entry}", shown(count), (f"{name}: {entry} done",))

    def bury(self, kind: str, partition: int, entry: str, now: float, why: str) -> Done:
        """XADD to the dead letters, and XACK."""
        name, grave = self._stream(kind, partition), f"{kind}:dead"
        self.redis.execute_command("XADD", grave, f"{int(now * 1e3)}-*", "of", entry, "why", why)
        self.redis.execute_command("XACK", name, kind, entry)
        return Done(f"XADD {grave} * of {entry}", "", (f"{grave}: {entry}",))

    def born(self, kind: str, partition: int, entry: str) -> float:
        """Return when a message was published first, seconds."""
        name = self._stream(kind, partition)
        ((_, fields),) = self.redis.xrange(name, entry, entry)
        return float(fields["born"])

    def drop(self, kind: str, partition: int, entry: str) -> Done:
        """XDEL: too old to be read."""
        name = self._stream(kind, partition)
        count = self.redis.execute_command("XDEL", name, entry)
        return Done(f"XDEL {name} {entry}", shown(count), (f"{name}: {entry} expired",))

    # ------------------------------------------------------------ looking

    def pending(self, kind: str, partition: int) -> list[dict[str, Any]]:
        """Return what is in somebody's hand: id, owner, how often it was delivered."""
        name = self._stream(kind, partition)
        rows = self.redis.xpending_range(name, kind, "-", "+", 1000)
        return [
            {"id": row["message_id"], "owner": row["consumer"], "delivered": row["times_delivered"]}
            for row in rows
        ]

    def waiting(self, kind: str, partition: int) -> list[dict[str, Any]]:
        """Return what nobody has been given yet."""
        name = self._stream(kind, partition)
        (group,) = self.redis.xinfo_groups(name)
        last = group["last-delivered-id"]
        rows = self.redis.xrange(name, f"({last}", "+", count=1000)
        return [{"id": entry, "request": int(fields["request"])} for entry, fields in rows]

    def dead(self, kind: str) -> list[dict[str, str]]:
        """Return the dead letters of a kind."""
        rows = self.redis.xrange(f"{kind}:dead", "-", "+", count=1000)
        return [{"id": entry, **fields} for entry, fields in rows]


def _first(answer: Any) -> tuple[str, dict[str, str]]:
    """Return the one message of an answer of XREADGROUP, which is a list or a mapping."""
    streams = answer.items() if isinstance(answer, dict) else answer
    for _, messages in streams:
        entry, fields = messages[0] if not isinstance(messages[0], list) else messages[0][0]
        return entry, fields
    return "nothing", {}
