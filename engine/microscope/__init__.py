"""The microscope: the same scenario a second time, slowly and on real parts.

`Microscope` walks a scenario's program as SimPy processes, with the kernel's own draws, over
an embedded Redis, SQLite, OpenTelemetry and Prometheus's client; or over the Redis and the
PostgreSQL that `REDIS_URL` and `DATABASE_URL` name.
"""

from engine.microscope.backends import EMBEDDED, Backends
from engine.microscope.coverage import NOT_COVERED, uncovered, without
from engine.microscope.journal import Entry
from engine.microscope.microscope import Microscope
from engine.microscope.place import PlaceError

__all__ = [
    "EMBEDDED",
    "NOT_COVERED",
    "Backends",
    "Entry",
    "Microscope",
    "PlaceError",
    "uncovered",
    "without",
]
