"""How much memory a run needs, and that it does not grow with the number of requests.

Each run has a process of its own.  Its peak is read from Linux (`VmHWM` of /proc/self/status), less
what the process held once the libraries and the machine code were loaded.
"""

import pathlib
import subprocess
import sys

from engine import load, simulate

PRESET = "amazon"
REQUESTS = (1_000_000, 10_000_000)
KIB_PER_MIB = 1024


def resident_mib(field: str) -> float:
    """Return `VmRSS` (now) or `VmHWM` (the peak so far) of this process, in MiB."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines[field].split()[0]) / KIB_PER_MIB


def peak_mib(requests: int) -> float:
    """Simulate `requests` requests of the preset here; return the peak above the libraries."""
    scenario = load(PRESET)
    rate = float(scenario.get("client.requests_per_second"))
    simulate(scenario.change({"duration_seconds": 1.0, "warm_up_seconds": 0.0}))
    before = resident_mib("VmRSS")
    simulate(scenario.change({"duration_seconds": requests / rate}))
    return resident_mib("VmHWM") - before


def peak_mib_apart(requests: int) -> float:
    """Return `peak_mib` of a new process."""
    command = [sys.executable, "-m", "benchmarks.memory", str(requests)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def report() -> str:
    """Return the measurements as Markdown."""
    rows = [f"| {requests:,} | {peak_mib_apart(requests):.0f} |" for requests in REQUESTS]
    return "\n".join(
        [
            f"## Memory: preset `{PRESET}`, metrics and traces on",
            "",
            "| requests in one run | peak above the libraries, MiB |",
            "|---:|---:|",
            *rows,
        ]
    )


if __name__ == "__main__":
    print(peak_mib(int(sys.argv[1])) if sys.argv[1:] else report())
