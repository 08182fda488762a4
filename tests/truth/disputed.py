"""Cases whose figures do not follow from what they say, as run or worked out by hand.

A dispute does not let a case pass: it is counted by itself, by name, and only while the engine
gives what was found instead, within the tolerance that the case itself has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Dispute:
    """What came out instead, and how that is known."""

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
