"""The Live page as a test sees it."""

from playwright.sync_api import Locator, Page, expect

ANSWER_MS = 20_000  # far more than it takes; a slow machine is no fault of the page


class LivePage:
    """The page on which a system runs on."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".live[data-run]")
        self.log = page.locator(".log")
        self.told = page.locator(".side .told")

    def open(self, url: str, path: str = "/live") -> "LivePage":
        """Go to the page and wait until the map is there."""
        self.page.goto(url + path)
        self.root.wait_for(timeout=ANSWER_MS)
        return self

    @property
    def run(self) -> str:
        """Which run is shown."""
        return self.root.get_attribute("data-run", timeout=ANSWER_MS) or ""

    def button(self, name: str) -> Locator:
        """Return a button of the page's own by its whole name."""
        return self.root.get_by_role("button", name=name, exact=True)

    def seconds(self) -> int:
        """Return the moment that is shown."""
        text = self.root.locator(".clock").inner_text()
        whole, part = text.split(":")
        return 60 * int(whole) + int(part)

    def at_speed(self, speed: str) -> None:
        """Choose how fast simulated time passes."""
        self.root.get_by_label("Speed", exact=True).select_option(speed)

    def play_until(self, seconds: int, speed: str = "20") -> "LivePage":
        """Play up to about a moment, and hold there."""
        self.at_speed(speed)
        if self.button("Play").count():
            self.button("Play").click()
        self.page.wait_for_function(
            """([least]) => {
              const hosts = [document, ...[...document.querySelectorAll('*')]
                .map((element) => element.shadowRoot)];
              const clock = hosts.map((host) => host?.querySelector('.clock')).find(Boolean);
              const [whole, part] = (clock?.textContent ?? '0:0').split(':').map(Number);
              return 60 * whole + part >= least;
            }""",
            arg=[seconds],
            timeout=3 * ANSWER_MS,
        )
        return self

    def pause(self) -> "LivePage":
        """Hold."""
        self.button("Pause").click()
        expect(self.button("Play")).to_be_visible()
        return self

    def strike(self, layer: str, fault: str) -> None:
        """Break something."""
        self.root.locator(".chips").get_by_role("button", name=layer).click()
        head = self.root.locator(".fault > button", has_text=fault)
        if head.get_attribute("aria-expanded") == "false":
            head.click()
        self.root.locator(".strike").click()

    def marks(self, kind: str) -> Locator:
        """Return the marks of a kind on the track."""
        return self.root.locator(f".marks [data-kind='{kind}']")
