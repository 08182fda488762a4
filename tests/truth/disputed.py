"""Cases whose words say one thing and whose program does another, as run by hand.

A dispute does not let a case pass: it is counted by itself, by name, and only while the engine
gives exactly what the program gave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dispute:
    """What the program gave when it was run as the case says."""

    why: str
    recorded: dict[str, Any]


DISPUTES: dict[str, Dispute] = {
    "nginx.least_conn.sequential": Dispute(
        "the order expected is the one that follows no held requests, or a whole turn of 22 to 30"
        " of them; after 15, as the case says, nginx 1.22.1 (run on loopback, one worker) picks"
        " aacabcaacbaacabcaacb, and so does the engine",
        {"sequence": "aacabcaacbaacabcaacb", "counts": [10, 4, 6]},
    ),
}
