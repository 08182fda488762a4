"""The microscope: the same scenario a second time, slowly and on real parts.

`Microscope` walks a scenario's program as SimPy processes, with the kernel's own draws, over
an embedded Redis, SQLite, OpenTelemetry and Prometheus's client.
"""

from engine.microscope.coverage import NOT_COVERED, uncovered, without
from engine.microscope.journal import Entry
from engine.microscope.microscope import Microscope

__all__ = ["NOT_COVERED", "Entry", "Microscope", "uncovered", "without"]
