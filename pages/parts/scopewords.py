"""The microscope's steps in words that need no manual.

The journal says what was done in the words of the part that did it; here each kind of step gets a
headline and, where there is something to learn, a sentence that says what it means.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from engine import Entry, Microscope, Scenario

YOU = "you"  # who does what no request does


class Told(NamedTuple):
    """A step as a person reads it."""

    head: str
    why: str = ""
    glyph: str = "·"


def sentence(text: str) -> str:
    """Return a text as a sentence."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def lasting(seconds: float) -> str:
    """Return a length of time as people say it.

    >>> lasting(300), lasting(60), lasting(0.25), lasting(86400), lasting(1), lasting(301)
    ('5 minutes', '1 minute', '0.25 seconds', '24 hours', '1 second', '5 minutes and 1 second')
    """
    if seconds > 60 and seconds % 60 and seconds == int(seconds):
        rest = seconds % 60
        return f"{lasting(seconds - rest)} and {lasting(rest)}"
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds >= unit and seconds % unit == 0:
            count = int(seconds // unit)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"


# ---------------------------------------------------------------- steps


def shown(entry: Entry, scenario: Scenario) -> dict[str, Any]:
    """Return a step of the journal as the browser shows it."""
    told = tell(entry, scenario)
    warned = entry.level != "info"
    return {
        "time": entry.time_seconds,
        "who": YOU if entry.who == "hand" else entry.who,
        "request": entry.request,
        "station": entry.station,
        "title": entry.title,
        "head": told.head,
        "why": told.why,
        "glyph": "!" if warned and told.glyph == "·" else told.glyph,
        "warned": warned,
        "command": entry.command,
        "answer": entry.answer,
        "changed": list(entry.changed),
        "metric": entry.metric,
        "log": entry.log,
        "span": entry.span,
        "spanId": entry.span_id,
        "traceId": entry.trace_id,
    }


def pause(now: float, text: str) -> dict[str, Any]:
    """Return the moment at which a person has let time go by."""
    blank: dict[str, Any] = dict.fromkeys(
        ("station", "command", "answer", "metric", "log", "span", "spanId", "traceId"), ""
    )
    return blank | {
        "time": now,
        "who": YOU,
        "request": -1,
        "title": "Clock",
        "head": "the clock goes on",
        "why": text,
        "glyph": "⏩",
        "warned": False,
        "changed": [],
    }


def tell(entry: Entry, scenario: Scenario) -> Told:
    """Return a step in plain words; what no rule knows is said as the journal says it."""
    title = scenario.journeys[entry.journey].title or entry.journey if entry.journey else ""
    if title and (entry.text == title or entry.text.startswith(f"{title}: ")):
        return Told(f"A customer asks: {title}", "A request begins its way down the layers.", "▶")
    for pattern, say in _RULES:
        found = re.fullmatch(pattern, entry.text)
        if found:
            return say(found, entry, scenario)
    return Told(sentence(entry.text).rstrip("."))


def _store(name: str, entry: Entry) -> str:
    """Return what a store is called: the cache of a dataset by that, others by their station."""
    what, _, dataset = name.partition(" ")
    if what == "cache" and dataset:
        return "cache"
    if what in {"keys", "seen"}:
        return "list of what is done"
    return entry.title or name


def _hit(found: re.Match[str], entry: Entry, _: Scenario) -> Told:
    store = _store(found[1], entry)
    if entry.station == "edge.dns":
        return Told("Address known: a DNS hit", "Nobody has to be asked where the shop is.", "✓")
    if store == "list of what is done":
        return Told(
            "This was done before: it is not done again",
            "The idempotency key is there already, so that nobody pays twice.",
            "✓",
        )
    return Told(
        f"Found in the {store}: a hit",
        "The key was there and has time left to live, so nobody further down is asked.",
        "✓",
    )


def _miss(found: re.Match[str], entry: Entry, _: Scenario) -> Told:
    store = _store(found[1], entry)
    if entry.station == "edge.dns":
        return Told(
            "Address unknown: a DNS miss", "The name server has to be asked where the shop is.", "✕"
        )
    if store == "list of what is done":
        return Told("This was not done before", "No such idempotency key yet, so go on.", "·")
    return Told(
        f"Not in the {store}: a miss",
        "The key was not there. The request has to go on and ask further down, which takes longer.",
        "✕",
    )


def _kept(found: re.Match[str], entry: Entry, _: Scenario) -> Told:
    time = lasting(float(found[2]))
    if entry.station == "edge.dns":
        return Told(f"Address kept for {time}", "The same resolver need not ask again.", "+")
    if _store(found[1], entry) == "list of what is done":
        return Told("Noted: this is done", "Whoever comes with the same key will be told so.", "+")
    return Told(
        f"Now stored for {time}",
        f"Whoever asks for the same within {time} finds it: a hit. After that it is gone.",
        "+",
    )


def _forgotten(_: re.Match[str], entry: Entry, __: Scenario) -> Told:
    there = entry.answer not in {"0", ""}
    why = "The row has changed: what the cache had is out of date, so it is deleted."
    if not there:
        why = "The row has changed, so its key is deleted from the cache. It was not in there."
    return Told("Deleted from the cache", why, "−")


def _picked(found: re.Match[str], entry: Entry, _: Scenario) -> Told:
    which = found[2].rpartition(" ")[2]
    how = {
        "least": "It has the fewest requests in hand.",
        "round robin": "They are taken in turn.",
    }.get(found[1], f"How it is chosen: {found[1]}.")
    return Told(f"{entry.title} {which} of {found[3]} is chosen", how, "→")


def _hop(found: re.Match[str], entry: Entry, _: Scenario) -> Told:
    asks = {"get": "ask for a key", "set": "store a key", "del": "delete a key"}
    what = (found[1] or "").strip()
    why = f"Over the network to {entry.title}"
    why += f", to {asks.get(what, what)}." if what else "."
    return Told(f"To {entry.title}", why, "→")


def _work(_: re.Match[str], entry: Entry, __: Scenario) -> Told:
    if entry.who.startswith("message"):
        return Told(
            f"{entry.title}: the work is done",
            "It happens in the background: the customer does not wait for it. It is not"
            " acknowledged yet: if the worker died now, it would be done again.",
            "●",
        )
    return Told(f"{entry.title} works on it", "Time on one of its processor cores.", "●")


def _fixed(
    head: str, why: str = "", glyph: str = "·"
) -> Callable[[re.Match[str], Entry, Scenario], Told]:
    """Return a rule that says the same each time; {title} and {0}, {1} … are filled in."""

    def say(found: re.Match[str], entry: Entry, _: Scenario) -> Told:
        parts = [each or "" for each in (found[0], *found.groups())]
        fill = functools.partial(str.format, title=entry.title)
        return Told(fill(head, *parts), fill(why, *parts), glyph)

    return say


def _message(_: re.Match[str], entry: Entry, __: Scenario) -> Told:
    found = re.fullmatch(r"(.+) gets the message (.+)", entry.text)
    assert found
    if found[2] == "again":
        return Told(
            f"{found[1]} gets it once more",
            "Nobody had acknowledged it, so it is delivered again: “at least once”.",
            "↻",
        )
    return Told(
        f"{found[1]} takes the message",
        "It is now pending with this worker, until that acknowledges it.",
        "→",
    )


_RULES: list[tuple[str, Callable[[re.Match[str], Entry, Scenario], Told]]] = [
    (r"(.+): hit", _hit),
    (r"(.+): (?:miss|absent)", _miss),
    (r"(.+): kept for ([\d.e+-]+) s", _kept),
    (r"(.+): forgotten", _forgotten),
    (r"(.+) is full: one goes", _fixed("The store is full: one key goes", "It is evicted.", "−")),
    (r"(.+) picks (.+) of (\d+)", _picked),
    (r"((?:get|set|del|read|write|search|count) )?hop", _hop),
    (r"cpu|work", _work),
    (r"lookup", _fixed("The name server answers", "It knows the address of the shop.", "→")),
    (
        r"request",
        _fixed("The request arrives", "It came over the internet: half a round trip.", "→"),
    ),
    (r"to the origin", _fixed("On to the shop's data centre", "", "→")),
    (r"forward", _fixed("{title} takes the request", "", "→")),
    (r"get|set|del", _fixed("The cache's turn has come", "It does one command at a time.", "·")),
    (
        r"publish",
        _fixed(
            "The queue is ready for the order", "It answers when a message is safely written.", "→"
        ),
    ),
    (r"answer", _fixed("The answer goes back", "Over the internet to the customer.", "←")),
    (
        r"answered after ([\d.]+) ms",
        _fixed(
            "Answered after {1} ms",
            "That is this request's latency: how long the customer waited.",
            "✓",
        ),
    ),
    (
        r"the index answers",
        _fixed("The search index answers", "It knows which products have these words.", "●"),
    ),
    (
        r"replica (\d+) is ([\d.]+) ms behind: fresh",
        _fixed(
            "Read from replica {1}: up to date",
            "The replica is {2} ms behind the primary, and nobody has changed the row since.",
            "✓",
        ),
    ),
    (
        r"replica (\d+) is ([\d.]+) ms behind: stale",
        _fixed(
            "Read from replica {1}: an old version",
            "The row was changed less than {2} ms ago, and the replica has not heard of it yet.",
            "!",
        ),
    ),
    (r"read (.+)", _fixed("{title} reads the row", "", "●")),
    (
        r"write (.+)",
        _fixed("The row is written on the primary", "The replicas hear of it a moment later.", "●"),
    ),
    (
        r"counted in memory, not in the database yet",
        _fixed(
            "Counted in the write buffer",
            "Fast, but not in the database yet: a crash of the cache now would lose it.",
            "+",
        ),
    ),
    (
        r"what was counted is written",
        _fixed("The write buffer is flushed", "All that was counted is in the database now.", "●"),
    ),
    (
        r"a message for (.+)",
        _fixed("A message for {1}", "It stands in the queue now; a worker does it later.", "+"),
    ),
    (r"(.+) gets the message (.+)", _message),
    (
        r"done: the message is acknowledged",
        _fixed("Acknowledged", "The message is done and leaves the queue for good.", "✓"),
    ),
    (
        r"(.+): it stays pending and comes again in (\d+) ms",
        _fixed("It failed ({1}); tried again in {2} ms", "The message stays pending.", "↻"),
    ),
    (
        r"(.+): a dead letter",
        _fixed("It failed too often ({1}): a dead letter", "It is put aside for a person.", "✕"),
    ),
    (
        r"(.+): done (\d+) times",
        _fixed("{title}: done {2} times!", "Without an idempotency key it happened again.", "!"),
    ),
    (
        r"(.+): done",
        _fixed(
            "{title}: it has happened in the world", "A row says so: charged, reserved, sent.", "●"
        ),
    ),
    (
        r"waits in line at (.+), place (\d+)",
        _fixed("Waits in line at {title}, place {2}", "All are busy.", "!"),
    ),
    (
        r"time-out: nobody waits for the answer any more",
        _fixed("Time-out: the customer has stopped waiting", "The server does not know that.", "!"),
    ),
    (
        r"429 Too Many Requests",
        _fixed("Refused: too many requests", "The rate limiter lets no more through.", "✕"),
    ),
]


# ---------------------------------------------------------------- what a hand has done


def advanced(seconds: float, gone: list[str]) -> str:
    """Say what the clock's going on has done to the cache."""
    text = f"{lasting(seconds)} have gone by."
    if seconds in {1.0, 60.0, 3600.0}:
        text = text.replace("have", "has")
    if not gone:
        return f"{text} No key's time to live has run out."
    named = ", ".join(gone[:4]) + (f" and {len(gone) - 4} more" if len(gone) > 4 else "")
    return f"{text} Gone from the cache, their time to live over: {named}."


def killed(worker: str, messages: int) -> str:
    """Say what the death of a worker has done."""
    if not messages:
        return f"{worker} was killed with nothing in hand: no message has to be delivered again."
    many = "message it" if messages == 1 else f"{messages} messages it"
    return (
        f"{worker} was killed. The {many} had in hand was not acknowledged, so it is still in the"
        " queue and will be delivered again."
    )


def cache_lost(lost: dict[str, dict[str, int]], scope: Microscope) -> str:
    """Say what a crash of the cache has lost, and what it has not."""
    orders = sum(len(shard["rows"].get("orders", ())) for shard in scope.state()["shards"])
    counts = [f"{key} ({count})" for each in lost.values() for key, count in each.items()]
    text = "The cache is empty: the next ones to ask will all miss."
    if counts:
        text += f" Lost for good, counted but never written: {', '.join(counts[:6])}."
    else:
        text += " The write buffer was empty, so no count is lost."
    if orders:
        text += " No order is lost: "
        text += "it is in the database." if orders == 1 else f"all {orders} are in the database."
    return text


def promoted(lost: list[str], replica: int, shard: int) -> str:
    """Say what a promotion has lost."""
    text = f"Replica {replica + 1} is now the primary of shard {shard + 1}."
    if not lost:
        return f"{text} It had heard of every write: nothing is lost."
    return f"{text} It had not heard of these writes, which are lost: {'; '.join(lost[:6])}."


def split(moved: list[str]) -> str:
    """Say which rows a split has moved."""
    if not moved:
        return "There is one shard more. None of the rows that were touched belongs to it."
    return f"There is one shard more. Moved to their new shard: {'; '.join(moved[:8])}."
