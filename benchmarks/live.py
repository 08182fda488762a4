"""What the Live page costs: frames a second in the browser, and the server's processor.

A headless Chromium plays the Amazon preset (1,000 requests/s) at ten simulated seconds a second.
Frames are counted in the page by `requestAnimationFrame`; the server's time is its process's own,
user and system, from /proc.  Wanted: 50 frames a second, and less than 40 % of one core.
"""

import os
import pathlib
import socket
import subprocess
import sys
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

from benchmarks.slider import CHROMIUM, CHROMIUM_ARGUMENTS, START_SECONDS, wait_until_healthy

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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(f"http://127.0.0.1:{port}/live?preset=amazon")
            page.locator(".live[data-run]").wait_for(timeout=START_SECONDS * 1e3)
            page.get_by_label("Speed", exact=True).select_option(SPEED)
            page.get_by_role("button", name="▶ Play").click()
            page.wait_for_timeout(LEAD_MS)
            used, at = processor_seconds(server.pid), shown_seconds(page)
            frames, late = page.evaluate(COUNTER, COUNT_SECONDS)
            used, at = processor_seconds(server.pid) - used, shown_seconds(page) - at
            browser.close()
    finally:
        server.terminate()
        server.wait()
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
