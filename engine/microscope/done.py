"""What was done to a real part: the command, its answer, and what it changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """A command as it was sent, the answer as it came, and what is different now."""

    command: str
    answer: str = ""
    changed: tuple[str, ...] = ()


def shown(value: object, limit: int = 120) -> str:
    """Return an answer as a person reads it: nil, a number, a text cut to so many letters."""
    if value is None:
        return "nil"
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
