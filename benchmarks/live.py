"""What the Live page costs: frames a second in the browser, and the server's processor.

A headless Chromium plays the Amazon preset (1,000 requests/s) at ten simulated seconds a second.
Frames are counted in the page by `requestAnimationFrame`; the server's time is its process's own,
user and system, from /proc.  Wanted: 50 frames a second, and less than 40 % of one core.
"""

import os
import pathlib
from typing import NamedTuple

from playwright.sync_api import Page

from benchmarks.browser import opened

SPEED = "10"
LEAD_MS = 5000  # of playing, before anything is counted
COUNT_SECONDS = 15
FRAMES_WANTED, CORE_WANTED = 50.0, 0.4

# Counts pictures for so many seconds; also how many came later than at 50 a second.
COUNTER = """
(seconds) => new Promise((resolve) => {
  let count = 0, late = 0, last = performance.now();
  const end = last + 1000 * seconds;
  const look = (now) => {
    count += 1;
    late += now - last > 21;
    last = now;
    if (now < end) requestAnimationFrame(look);
    else resolve([count / seconds, late / count]);
  };
  requestAnimationFrame(look);
})
"""


class Measured(NamedTuple):
    """What was measured while the page played."""

    frames_per_second: float
    late_share: float  # of pictures, those that came more than 21 ms after the one before
    core_share: float  # of one processor core, by the server
    simulated_seconds: float  # that went by a second


def processor_seconds(process: int) -> float:
    """Return what a process has used so far, in seconds; see proc(5), utime and stime."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shown_seconds(page: Page) -> int:
    """Return the moment that the page shows."""
    minutes, seconds = page.locator(".live .clock").inner_text().split(":")
    return 60 * int(minutes) + int(seconds)


def measure() -> Measured:
    """Play the page in a browser and measure both sides."""
    with opened("live?preset=amazon", ".live[data-run]") as (page, server):
        page.get_by_label("Speed", exact=True).select_option(SPEED)
        page.get_by_role("button", name="▶ Play").click()
        page.wait_for_timeout(LEAD_MS)
        used, at = processor_seconds(server), shown_seconds(page)
        frames, late = page.evaluate(COUNTER, COUNT_SECONDS)
        used, at = processor_seconds(server) - used, shown_seconds(page) - at
    return Measured(frames, late, used / COUNT_SECONDS, at / COUNT_SECONDS)


def report() -> str:
    """Return the measurements as Markdown."""
    found = measure()
    return (
        f"## The Live page at {SPEED}×: preset `amazon`, 1,000 requests/s\n\n"
        f"{found.frames_per_second:.0f} frames a second (wanted {FRAMES_WANTED:.0f}),"
        f" {found.late_share:.0%} of them late; the server uses {found.core_share:.0%} of one core"
        f" (wanted below {CORE_WANTED:.0%}); {found.simulated_seconds:.1f} simulated seconds a"
        " second."
    )


if __name__ == "__main__":
    print(report())
