"""The playground as a test sees it: what is on it, and how to wait for an answer."""

from playwright.sync_api import Locator, Page

ANSWER_MS = 20_000  # far more than it takes; a slow machine is no fault of the page
CHART = ".timechart [role=img]"


class Playground:
    """The page of the map, with its sliders, switches and charts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator("[data-run]")
        self.boxes = page.locator(".node")
        self.inspector = page.locator(".st-key-inspector")

    def open(self, url: str, path: str = "/") -> "Playground":
        """Go to an address and wait until everything has been drawn."""
        self.page.goto(url + path)
        self.wait_for_charts()
        return self

    @property
    def run(self) -> str:
        """Which run the map shows."""
        return self.root.get_attribute("data-run", timeout=ANSWER_MS) or ""

    def wait_for_another_run(self, before: str) -> str:
        """Wait until map and charts show a run other than `before`; return which."""
        self.page.locator(f"[data-run]:not([data-run='{before}'])").wait_for(
            state="attached", timeout=ANSWER_MS
        )
        self.wait_for_charts()
        return self.run

    def wait_for_charts(self) -> None:
        """Wait until the three charts show the run that the map shows."""
        drawn = self.page.locator(f"{CHART}[aria-label*='Run {self.run}.']")
        drawn.nth(2).wait_for(timeout=ANSWER_MS)

    def slider(self, title: str) -> Locator:
        """Return a slider by its title."""
        return self.page.locator(f"[data-testid=stSidebar] input[aria-label='{title}']")

    def add_knob(self, title: str) -> None:
        """Pick a knob from the long list."""
        self.page.locator(".st-key-more input").click()
        self.page.keyboard.type(title)
        self.page.keyboard.press("Enter")

    def switch(self, title: str) -> Locator:
        """Return a switch by its title."""
        return self.page.locator(f"[data-testid=stCheckbox] label:has(input[aria-label='{title}'])")

    def box(self, station: str) -> Locator:
        """Return a part's box on the map."""
        return self.page.locator(f".node[data-id='{station}']")

    def numbers(self) -> list[str]:
        """Return the key numbers of the whole run."""
        return self.page.locator(".kpi .value").all_inner_texts()

    def hold_still(self) -> None:
        """Stop the player, if it plays."""
        if self.page.get_by_role("button", name="Pause").count():
            self.page.get_by_role("button", name="Pause").click()
