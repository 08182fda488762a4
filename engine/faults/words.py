"""Words: how the log counts and names things."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, one: str, many: str = "") -> str:
    """Return how many there are, with the verb.

    >>> counted(1, "call"), counted(1200, "call"), counted(0, "entry", "entries")
    ('1 call is', '1,200 calls are', 'no entries are')
    """
    if count == 1:
        return f"1 {one} is"
    return f"{f'{count:,}' if count else 'no'} {many or one + 's'} are"


def named(thing: str, indices: Sequence[int]) -> str:
    """Return things as a person counts them: from 1 on.

    >>> named("server", [2]), named("server", [0, 1, 2]), named("server", [])
    ('server 3', 'servers 1 to 3', 'no server')
    """
    if not indices:
        return f"no {thing}"
    if len(indices) == 1:
        return f"{thing} {indices[0] + 1}"
    return f"{thing}s {indices[0] + 1} to {indices[-1] + 1}"


def numbered(thing: str, indices: Sequence[int]) -> str:
    """Return them with the verb.

    >>> numbered("server", [2]), numbered("server", [0, 1])
    ('server 3 is', 'servers 1 to 2 are')
    """
    return f"{named(thing, indices)} {'are' if len(indices) > 1 else 'is'}"
