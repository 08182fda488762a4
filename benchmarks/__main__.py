"""Measure everything and write `benchmarks/results.md`."""

import datetime as dt
import os
import pathlib
import platform
from importlib.metadata import version

from benchmarks import day, live, memory, scope, slider, speed, sweep

RESULTS = pathlib.Path(__file__).with_name("results.md")
PACKAGES = ("numba", "numpy", "simpy", "ciw", "streamlit", "playwright")


def cpu_model() -> str:
    """Return the processor's own name for itself."""
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def heading() -> str:
    """Return where and with what these numbers were taken."""
    today = dt.datetime.now(dt.UTC).date()
    cores = f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return "\n".join(
        [
            "# Benchmark results",
            "",
            "Written by `make bench`.  Medians; other work may share the processor, which the load",
            "average of the last minute shows: it stretches waiting times more than CPU times.",
            "",
            f"- {today}, {cpu_model()}, {cores}",
            f"- Python {platform.python_version()}, {versions}",
        ]
    )


def main() -> None:
    """Run the benchmarks one after another and keep their report."""
    parts = [heading()]
    for part in (speed, day, sweep, memory, slider, live, scope):
        parts.append(part.report())
        print(parts[-1], end="\n\n", flush=True)
    RESULTS.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
