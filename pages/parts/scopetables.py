"""The stores of the microscope as small tables: what a person looks at between two steps.

A time to live is sent as the moment at which it ends, so that the browser counts it down; equal
pictures are then equal, whenever they were taken.
"""

from typing import Any

from engine import Scenario

ROWS_MAX = 12
VALUE_MAX = 60
HIDDEN = ("buffer:", "session:")  # keys of Redis that have a table of their own


def tables(state: dict[str, Any], scenario: Scenario) -> list[dict[str, Any]]:
    """Return the tables, in the order in which they are read."""
    found = []
    if scenario.cache.enabled:
        found.append(_redis(state))
        if scenario.application.keeps_sessions("store"):
            found.append(_sessions(state))
    if state["queues"]:
        found.append(_queue(state))
    if scenario.data.enabled:
        found.append(_rows(state))
    if state["buffer"]:
        found.append(_buffer(state))
    if state["effects"]:
        found.append(_effects(state))
    return found


def keys(state: dict[str, Any]) -> set[str]:
    """Return the names of all keys in Redis."""
    return {row["key"] for row in state["redis"]}


def workers(state: dict[str, Any]) -> list[str]:
    """Return who has a message in hand."""
    owners = [row["owner"] for queue in state["queues"].values() for row in queue["pending"]]
    return list(dict.fromkeys(owners))


def _table(
    title: str, empty: str, columns: list[str], rows: list[list[Any]], note: str = ""
) -> dict[str, Any]:
    shown = rows[-ROWS_MAX:]
    more = len(rows) - len(shown)
    if more:
        note = f"{note} {more} older ones are not shown.".strip()
    return {"title": title, "empty": empty, "columns": columns, "rows": shown, "note": note}


def _until(row: dict[str, Any], now: float) -> Any:
    """Return when a key ends, as the browser counts it down."""
    left = row["ttl_seconds"]
    return "for ever" if left is None else {"until": round(now + left, 2)}


def _redis(state: dict[str, Any]) -> dict[str, Any]:
    now = state["now_seconds"]
    rows = [
        [row["key"], _short(row["value"]), _until(row, now)]
        for row in state["redis"]
        if not row["key"].startswith(HIDDEN)
    ]
    return _table("Cache (Redis)", "no key", ["key", "value", "lives for"], rows)


def _sessions(state: dict[str, Any]) -> dict[str, Any]:
    now = state["now_seconds"]
    rows = [[row["key"], _short(row["value"]), _until(row, now)] for row in state["sessions"]]
    return _table("Sessions (Redis)", "nobody is signed in", ["key", "who", "lives for"], rows)


def _queue(state: dict[str, Any]) -> dict[str, Any]:
    rows: list[list[Any]] = []
    done = again = 0
    for kind, queue in state["queues"].items():
        done, again = done + queue["processed"], again + queue["redelivered"]
        rows += [[kind, row["id"], f"with {row['owner']}{_times(row)}"] for row in queue["pending"]]
        rows += [[kind, row["id"], "waits for a worker"] for row in queue["waiting"]]
        rows += [[kind, row["id"], f"dead letter: {row.get('why', '')}"] for row in queue["dead"]]
    note = f"{done} done" + (f", {again} delivered again" if again else "")
    note = note + "." if done or again else ""
    return _table("Queue (Redis streams)", "no message", ["for", "message", "where"], rows, note)


def _times(row: dict[str, Any]) -> str:
    times = int(row["delivered"])
    return f", delivery {times}" if times > 1 else ""


def _rows(state: dict[str, Any]) -> dict[str, Any]:
    rows = []
    many = len(state["shards"]) > 1
    for shard in state["shards"]:
        late = [
            (each["replica"] + 1, {missing["row"] for missing in each["behind"]})
            for each in shard["replicas"]
        ]
        for dataset, found in shard["rows"].items():
            for row in found:
                text = f"version {row['version']}"
                text += f", {row['views']} views" if row["views"] else ""
                missing = [n for n, behind in late if f"{dataset} {row['id']}" in behind]
                place = [str(shard["shard"] + 1)] if many else []
                rows.append([*place, _row_name(dataset, row), text, _copies(late, missing)])
    kind = state["on"]["database"].partition(" at ")[0]
    columns = [*(["shard"] if many else []), "row", "primary has", "replicas"]
    return _table(f"Database ({kind})", "no row was touched yet", columns, rows)


def _row_name(dataset: str, row: dict[str, Any]) -> str:
    """Return what a row is called: "order 7" says enough, "iPhone 15" could be anything."""
    name = str(row["name"])
    return name if name.endswith(f" {row['id']}") else f"{name} ({dataset}, id {row['id']})"


def _copies(replicas: list[tuple[int, set[str]]], missing: list[int]) -> Any:
    """Return whether the replicas have a row as it is now."""
    if not replicas:
        return "none"
    if not missing:
        return "✓ the same"
    late = "all" if len(missing) == len(replicas) else " and ".join(map(str, missing))
    return {"late": f"✕ not on {late} yet"}


def _buffer(state: dict[str, Any]) -> dict[str, Any]:
    rows = [
        [f"{dataset} {key}", f"{count} not in the database yet"]
        for dataset, counts in state["buffer"].items()
        for key, count in counts.items()
    ]
    return _table("Write buffer (Redis hash)", "empty", ["row", "counted"], rows)


def _effects(state: dict[str, Any]) -> dict[str, Any]:
    times: dict[tuple[str, int], int] = {}
    for each in state["effects"]:
        place = (each["kind"], each["request"])
        times[place] = times.get(place, 0) + 1
    rows = [
        [kind, f"request {request}", "once" if count == 1 else {"late": f"✕ {count} times"}]
        for (kind, request), count in times.items()
    ]
    return _table("Done by the workers", "nothing", ["what", "for", "how often"], rows)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= VALUE_MAX else f"{text[: VALUE_MAX - 1]}…"
