"""How long a person waits: from letting go of a slider to a new map and new charts.

A headless Chromium opens the playground with the Amazon preset (60 s at 1,000 requests/s) and steps
one slider through values that nobody has asked for yet, so that every step is simulated anew.  The
clock is the browser's: it starts when the key is let go and stops with the first frame after the
map (`data-run`) and every chart (its description names the run, once its canvas has it) show the
new run.
"""

import statistics

from benchmarks.browser import opened, picture_ms
from engine import knobs, load

PRESET = "amazon"
KNOB = "cache.ttl_seconds"
MOVES = 40
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


def measure() -> list[float]:
    """Step the slider `MOVES` times; return how long each new picture took, in milliseconds."""
    title = next(knob.title for knob in knobs(load(PRESET)) if knob.path == KNOB)
    with opened("", "[data-run]") as (page, _):
        page.wait_for_timeout(SETTLE_MS)
        page.get_by_role("slider", name=title).focus()
        return [picture_ms(page, STOPWATCH, REST_MS) for _ in range(MOVES)]


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
