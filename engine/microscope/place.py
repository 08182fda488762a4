"""Places: what the microscope calls its own on a server that is somebody else's."""

from __future__ import annotations

from urllib.parse import urlsplit

from engine.errors import ScenarioError

PREFIX = "strata_microscope"  # of every key and every schema that the microscope makes
MARK = "made by Strata's microscope at"  # and when, in seconds since 1970: whose it is
WAIT_SECONDS = 2  # for a server that is slow
DAY_SECONDS = 86_400  # then what somebody has left is swept
LINE_MAX = 160


class PlaceError(ScenarioError):
    """A server that cannot be used: which, why, and the way out, in one line."""


def without_password(url: str) -> str:
    """Return a URL that may be shown.

    >>> without_password("redis://me:secret@localhost:6379/0?password=x")
    'redis://me@localhost:6379/0'
    """
    try:
        parts = urlsplit(url)
        user = f"{parts.username}@" if parts.username else ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(which is no URL)"
    if not parts.scheme:
        return "(which is no URL)"
    return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}"


def told(error: BaseException) -> str:
    """Return the first line of what an error says."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else type(error).__name__
    return text if len(text) <= LINE_MAX else text[: LINE_MAX - 1] + "…"
