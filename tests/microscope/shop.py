"""The shop under the microscope, and how tests step through it."""

from engine import load
from engine.microscope import Microscope


def amazon(**changes) -> Microscope:
    """Return the shop under the microscope."""
    return Microscope(load("amazon").change({"cache.buffer.flush_seconds": 3600, **changes}))


def played(scope: Microscope, journey: str, key: str | None = None) -> int:
    """Play a request and all that comes of it; return where in the journal it begins."""
    start = len(scope.journal)
    scope.request(journey, key=key)
    scope.finish()
    return start


def commands(scope: Microscope, start: int = 0) -> list[tuple[str, str]]:
    """Return commands and answers from an entry on."""
    return [(each.command, each.answer) for each in scope.journal[start:] if each.command]
