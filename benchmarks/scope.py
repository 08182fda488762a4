"""How long a person waits for a step under the microscope: from the key to the new picture.

A headless Chromium opens the Microscope page with the Amazon preset, sends a Buy Now, and steps
through all that comes of it.  The clock is the browser's: it starts with the key and stops with
the first frame after the page shows the next step (`data-at`), map and tables included.
"""

import statistics

from benchmarks.browser import START_SECONDS, opened, picture_ms

SETTLE_MS = 2000  # after the first picture
STEPS = 60
REST_MS = 60  # between two steps

# Watches every frame: resolves with the milliseconds between the key and the new picture.
STOPWATCH = """
() => new Promise((resolve) => {
  const hosts = [document, ...[...document.querySelectorAll('*')].map((e) => e.shadowRoot)];
  const [root] = hosts.flatMap((host) => [...(host?.querySelectorAll('.scope[data-bench]') ?? [])]);
  const before = root.dataset.at;
  let pressed = 0;
  const note = () => { pressed = performance.now(); };
  addEventListener('keydown', note, { once: true, capture: true });
  const look = () => {
    const late = pressed && performance.now() - pressed > 5000;
    if (late) resolve(NaN);
    else if (pressed && root.dataset.at !== before) resolve(performance.now() - pressed);
    else requestAnimationFrame(look);
  };
  look();
})
"""


def measure() -> list[float]:
    """Step through a purchase; return how long each step took, in milliseconds."""
    took: list[float] = []
    with opened("microscope", ".scope[data-bench]") as (page, _):
        page.wait_for_timeout(SETTLE_MS)
        root = page.locator(".scope[data-bench]")
        root.get_by_label("Journey", exact=True).select_option("buy")
        root.get_by_label("What it asks for").fill("iPhone 15")
        root.get_by_role("button", name="Send").click()
        root.locator(".steps li").first.wait_for(timeout=START_SECONDS * 1e3)
        root.locator(".steps ol").focus()
        while len(took) < STEPS and root.locator("button.step").is_enabled():
            took.append(picture_ms(page, STOPWATCH, REST_MS))
    return took


def report() -> str:
    """Return the measurements as Markdown."""
    took = measure()
    p50, p95 = (statistics.quantiles(took, n=100)[percent - 1] for percent in (50, 95))
    return (
        "## A step under the microscope: preset `amazon`, Buy Now\n\n"
        f"{len(took)} steps, from the key to the new picture: p50 {p50:.0f} ms,"
        f" p95 {p95:.0f} ms, slowest {max(took):.0f} ms."
    )


if __name__ == "__main__":
    print(report())
