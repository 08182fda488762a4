"""Migrations: what older versions of a link said, in today's words.

A link holds only what differs from the defaults.  So it is not only names that make an old link
old: whoever changes a default, renames a knob or moves one adds a version and a step here, which
writes out what the old version meant.  Stored links of every version are tested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

VERSION = 1  # that is written today
Tree = dict[str, Any]
STEPS: dict[int, Callable[[Tree], Tree]] = {}  # from a version to the one after it


def migrated(
    tree: Tree,
    version: int,
    steps: dict[int, Callable[[Tree], Tree]] | None = None,
    today: int = VERSION,
) -> Tree:
    """Return a scenario's tree of an older version as today's; steps are made one by one.

    >>> rename = {1: lambda tree: {"cache": tree["store"]}}
    >>> migrated({"store": {"nodes": 3}}, 1, rename, today=2)
    {'cache': {'nodes': 3}}
    """
    known = STEPS if steps is None else steps
    for number in range(version, today):
        tree = known[number](tree)
    return tree
