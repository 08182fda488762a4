"""Errors that a person made, said in one line: the place, the value, the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

VALUE_MAX = 60


class ScenarioError(ValueError):
    """A scenario, a path or a value that cannot be used; the message is one clear line."""


def close_to(name: str, names: Iterable[str]) -> str:
    """Return "; did you mean x?" or "; use one of …" for a name that does not exist."""
    known = sorted(names)
    near = difflib.get_close_matches(name, known, 1)
    near = near or [word for word in known if name and word.startswith(name)][:3]
    if near:
        return f"; did you mean {' or '.join(near)}?"
    known.sort(key=lambda word: -difflib.SequenceMatcher(None, word, name).ratio())
    return f"; use one of {', '.join(known[:12])}" if known else ""


def shown(value: Any) -> str:
    """Return a value on one line, cut if it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= VALUE_MAX else text[:VALUE_MAX] + "…"


def plain(error: ValidationError, fields_at: Any = None, kind: str = "step") -> str:
    """Return the first thing that is wrong, as one line; `kind` is what `do` tells apart."""
    details = error.errors(include_url=False)
    # A list counts as too short when what it holds is wrong: the cause is said, not what follows.
    places = [detail["loc"] for detail in details]
    details = [
        detail
        for detail in details
        if detail["type"] != "too_short"
        or not any(
            loc != detail["loc"] and loc[: len(detail["loc"])] == detail["loc"] for loc in places
        )
    ]
    first = min(
        details, key=lambda detail: len(detail["loc"]) if detail["type"] == "missing" else 0
    )
    where = place(first["loc"])
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"{where} {_what(first, fields_at, kind)}{more}"


def place(loc: tuple[int | str, ...]) -> str:
    """Return a path as a person writes it: journeys.search.steps[2].service."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith(("function-", "tagged-")):
            path += f".{part}" if path else part
    return path or "the scenario"


def _what(detail: Any, fields_at: Any, thing: str) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail.get("input")
    if kind == "extra_forbidden":
        names = fields_at(detail["loc"][:-1]) if fields_at else ()
        return f"is not known here{close_to(str(detail['loc'][-1]), names)}"
    if kind == "missing":
        return "is missing; add it"
    if kind == "greater_than_equal":
        return f"is {shown(value)}; use at least {context['ge']}"
    if kind == "greater_than":
        return f"is {shown(value)}; use more than {context['gt']}"
    if kind == "less_than_equal":
        return f"is {shown(value)}; use at most {context['le']}"
    if kind == "literal_error":
        return f"is {shown(value)}; use one of {context['expected']}"
    if kind == "union_tag_invalid":
        tags = context["expected_tags"].replace("'", "").split(", ")
        near = close_to(str(context["tag"]), tags) if thing == "fault" else ""
        rest = near or f"; use one of {context['expected_tags']}"
        return f"is a {thing} of kind {shown(str(context['tag']))}{rest}"
    if kind == "union_tag_not_found":
        first = "kill_server, cache_flush" if thing == "fault" else "call, read, write"
        return f"is a {thing} without a kind; say do: {first} … first"
    if kind == "value_error":
        return f"is {shown(value)}: {context['error']}"
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"is {shown(value)}; use a mapping of names to values"
    return f"is {shown(value)}; {detail['msg'][0].lower()}{detail['msg'][1:]}"
