"""How long a person waits: from letting go of a slider to a new map and new charts.

A headless Chromium opens the playground with the Amazon preset (60 s at 1,000 requests/s) and steps
one slider through values that nobody has asked for yet, so that every step is simulated anew.  The
clock is the browser's: it starts when the key is let go and stops with the first frame after the
map (`data-run`) and every chart (its description names the run, once its canvas has it) show the
new run.
"""

import contextlib
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

from engine import knobs, load

CHROMIUM = "/usr/bin/chromium"
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
PRESET = "amazon"
KNOB = "cache.ttl_seconds"
MOVES = 40
START_SECONDS = 60.0
SETTLE_MS = 2000  # after the first picture
REST_MS = 500  # between two moves: a person looks at the picture first

# Watches every frame: resolves with the milliseconds between the key's release and the new picture.
STOPWATCH = """
() => new Promise((resolve) => {
  // Found once: a search of the whole page in every frame would slow what is measured.
  const hosts = [document, ...[...document.querySelectorAll('*')].map((e) => e.shadowRoot)];
  const find = (what) => hosts.flatMap((host) => [...(host?.querySelectorAll(what) ?? [])]);
  const [map] = find('[data-run]');
  const charts = find('.timechart [role=img]');
  const before = map.dataset.run;
  let released = 0;
  addEventListener('keyup', () => { released = performance.now(); }, { once: true, capture: true });
  const look = () => {
    const run = map.dataset.run;
    const stay = [map, ...charts].every((each) => each.isConnected) && charts.length === 3;
    const fresh = charts.every((chart) => chart.ariaLabel.includes(`Run ${run}.`));
    if (!stay) resolve(NaN);  // drawn anew: nothing that is watched here would ever change
    else if (released && run !== before && fresh) resolve(performance.now() - released);
    else requestAnimationFrame(look);
  };
  look();
})
"""


@contextlib.contextmanager
def playground() -> Iterator[str]:
    """Serve the app on a free port; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def wait_until_healthy(address: str) -> None:
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


def slider_to_picture_ms(page: Page) -> list[float]:
    """Step the slider `MOVES` times; return how long each new picture took, in milliseconds."""
    title = next(knob.title for knob in knobs(load(PRESET)) if knob.path == KNOB)
    slider = page.get_by_role("slider", name=title)
    slider.focus()
    took = []
    for _ in range(MOVES):
        page.evaluate(f"() => {{ window.picture = ({STOPWATCH})(); }}")  # starts it, waits not
        page.keyboard.press("ArrowRight")
        took.append(float(page.evaluate("window.picture")))
        page.wait_for_timeout(REST_MS)
    return took


def measure() -> list[float]:
    """Open the playground in a browser and measure it."""
    with playground() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(address)
        page.locator("[data-run]").wait_for(timeout=START_SECONDS * 1e3)
        page.wait_for_timeout(SETTLE_MS)
        took = slider_to_picture_ms(page)
        browser.close()
    return took


def report() -> str:
    """Return the measurements as Markdown."""
    took = measure()
    p50, p95 = (statistics.quantiles(took, n=100)[percent - 1] for percent in (50, 95))
    return (
        f"## From a slider to the new picture: preset `{PRESET}`, `{KNOB}`\n\n"
        f"{len(took)} moves, each simulated anew: p50 {p50:.0f} ms, p95 {p95:.0f} ms,"
        f" slowest {max(took):.0f} ms."
    )


if __name__ == "__main__":
    print(report())
