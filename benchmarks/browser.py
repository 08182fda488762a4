"""A browser on a page of the playground: what the benchmarks that watch a picture share."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# Nothing that the browser does of itself may look like a request of the page.
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 60.0


@contextlib.contextmanager
def opened(path: str, ready: str) -> Iterator[tuple[Page, int]]:
    """Serve the app on a free port and open a page of it, until `ready` is on it.

    Yields the page, 1280×720, and the number of the server's process.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    port = address.rpartition(":")[2]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", port]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_healthy(f"{address}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(f"{address}/{path}")
            page.locator(ready).wait_for(timeout=START_SECONDS * 1e3)
            yield page, server.pid
            browser.close()
    finally:
        server.terminate()
        server.wait()


def _wait_until_healthy(address: str) -> None:
    """Return once the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=1.0):
                return
        except OSError:
            time.sleep(0.1)
    sentence = f"the playground did not start within {START_SECONDS:g} s"
    raise TimeoutError(sentence)


def picture_ms(page: Page, stopwatch: str, rest_ms: int) -> float:
    """Press the right arrow, and return how long the new picture took, in milliseconds.

    `stopwatch` is the JavaScript that waits for the picture and knows the time.
    """
    page.evaluate(f"() => {{ window.picture = ({stopwatch})(); }}")  # starts it, waits not
    page.keyboard.press("ArrowRight")
    took = float(page.evaluate("window.picture"))
    page.wait_for_timeout(rest_ms)
    return took
