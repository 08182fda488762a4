"""The page from which things are taken away, as a test sees it."""

import pathlib

from playwright.sync_api import Locator, Page

from tests.pages.playground import ANSWER_MS


class TakePage:
    """Report, data, charts, link, configuration, class report."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, url: str, section: str = "Report", query: str = "") -> "TakePage":
        """Go to one of its sections and wait until it is there."""
        self.page.goto(f"{url}/take?take={section.replace(' ', '+')}&{query}")
        self.page.get_by_text("What is on the screen:").first.wait_for(timeout=ANSWER_MS)
        return self

    def button(self, name: str) -> Locator:
        """Return a button."""
        return self.page.get_by_role("button", name=name)

    def download(self, name: str) -> tuple[str, bytes]:
        """Take a file away; return its name and what is in it."""
        with self.page.expect_download(timeout=3 * ANSWER_MS) as waiting:
            self.button(name).first.click(timeout=3 * ANSWER_MS)
        got = waiting.value
        return got.suggested_filename, pathlib.Path(got.path()).read_bytes()

    def put(self, label: str, text: str) -> None:
        """Fill a field in, and leave it."""
        field = self.page.get_by_label(label, exact=True)
        field.fill(text)
        field.blur()
