"""Access logs: when requests came to a real web server, as the shape of traffic to replay.

Reads Apache's and nginx's common and combined formats.  A log is a stranger's file: its name
must be plain, it must lie beside the scenario or among the presets, and every line is checked.
"""

from __future__ import annotations

import functools
import pathlib
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np

from engine.errors import shown

PRESETS = pathlib.Path(__file__).parents[2] / "presets"
FILE_MAX = 64_000_000  # bytes
LINE_MAX = 16_384  # bytes; nginx takes request heads of 8 kB
LINES_MAX = 1_000_000

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# address identity user [time] "request" status size, then whatever a combined format adds
LINE = re.compile(
    r'\S+ [^\[\]"]*\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\]'
    r' "(?:[^"\\]|\\.)*" \d{3} (?:\d+|-)(?: .*)?'
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def read(name: str, folder: pathlib.Path | None, parts: int) -> tuple[int, ...]:
    """Return how many requests of a log came in each of so many equal parts of its time.

    Raises ValueError, one line that names the file, the line and the reason.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"the log's name {shown(name)} has to be plain: letters, digits, . _ and -, no folder;"
            " put the file beside the scenario"
        )
    for place in (folder, PRESETS):
        path = place / name if place else None
        if path and path.is_file() and path.resolve().parent == path.parent.resolve():
            known = path.stat()
            return counted(_times(path, known.st_mtime_ns, known.st_size), parts)
    raise ValueError(
        f"the log {name} is not there; put it beside the scenario's file or into presets/"
    )


@functools.lru_cache(maxsize=8)
def _times(path: pathlib.Path, changed_ns: int, size: int) -> np.ndarray:
    """Return when the requests of a file came, seconds; each version of it is read once."""
    if size > FILE_MAX:
        raise ValueError(f"{path.name} has {size:,} bytes; a log has at most {FILE_MAX:,}")
    times = []
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LINE_MAX + 1):
                number += 1
                if number > LINES_MAX:
                    raise ValueError(f"{path.name} has more than {LINES_MAX:,} lines; cut it")
                when = _time_of(line, f"{path.name} line {number}")
                if when is not None:
                    times.append(when)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
    if not times:
        raise ValueError(f"{path.name} has no requests; use a log that has some")
    return np.array(times)


def _time_of(line: bytes, where: str) -> float | None:
    """Return when a line's request came, seconds; None for an empty line or a comment."""
    if len(line) > LINE_MAX:
        raise ValueError(f"{where} is longer than {LINE_MAX:,} bytes; remove it")
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    if not text.strip() or text.startswith("#"):
        return None
    found = LINE.fullmatch(text)
    if not found:
        raise ValueError(
            f"{where} is {shown(text)}, which is no line of an access log: address, [time],"
            ' "request", status, size; mend or remove it'
        )
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    if month not in MONTHS:
        raise ValueError(f"{where} has the month {month}; use Jan to Dec")
    try:
        away = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
        moment = datetime(
            int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second),
            tzinfo=timezone(away),
        )  # fmt: skip
        return moment.astimezone(UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where} has a time that does not exist: {error}; mend it") from None


def counted(times: np.ndarray, parts: int) -> tuple[int, ...]:
    """Return how many times lie in each of so many equal parts between the first and the last.

    Servers write a line when a request ends, so lines may be a little out of order.  A stamp is
    a whole second: what it stamps is counted in its middle.

    >>> counted(np.array([10.0, 10.0, 13.0]), 2)
    (2, 1)
    """
    first, last = float(times.min()), float(times.max()) + 1.0
    counts, _ = np.histogram(times + 0.5, bins=parts, range=(first, last))
    return tuple(int(count) for count in counts)
