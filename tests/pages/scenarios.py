"""The page of scenarios as a test sees it: tables on the left, the text on the right."""

from playwright.sync_api import Locator, Page, expect

from tests.pages.playground import ANSWER_MS


class ScenarioPage:
    """The page on which people build systems of their own."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.tables = page.locator(".tables")
        self.editor = page.locator(".editor")
        self.area = page.get_by_label("The scenario as YAML")
        self.status = self.editor.locator(".status")
        self.beside = self.editor.locator(".told")

    def open(self, url: str, query: str = "") -> "ScenarioPage":
        """Go to the page and wait until it has been drawn."""
        self.page.goto(f"{url}/scenario?{query}")
        self.wait()
        return self

    def wait(self) -> None:
        """Wait until tables and text are there."""
        self.tables.locator(".row").first.wait_for(timeout=ANSWER_MS)
        self.status.wait_for(timeout=ANSWER_MS)

    @property
    def text(self) -> str:
        """The text as it stands."""
        return self.area.input_value()

    def type(self, text: str) -> None:
        """Put another text in the place of the one that is there."""
        self.area.fill(text)

    def replace(self, old: str, new: str) -> None:
        """Change a piece of the text."""
        assert old in self.text
        self.type(self.text.replace(old, new, 1))

    def tab(self, title: str) -> None:
        """Show another table."""
        self.tables.get_by_role("tab", name=title).click()

    def row(self, path: str) -> Locator:
        """Return a row of the tables by its place in the scenario."""
        return self.tables.locator(f".row[data-path='{path}']")

    def add(self, tab: str, one: str, name: str) -> None:
        """Add a service, dataset, worker or journey."""
        self.tab(tab)
        self.tables.get_by_label(f"Name of a new {one}").fill(name)
        self.tables.get_by_role("button", name=f"Add a {one}").click()

    def start_from(self, name: str) -> None:
        """Begin with something else."""
        self.page.locator(".st-key-start input").click()
        self.page.get_by_role("option", name=name).click()

    def load(self, name: str, content: bytes) -> None:
        """Load a file."""
        self.page.get_by_role("button", name="Load").click()
        self.page.locator("input[type=file]").set_input_files(
            {"name": name, "mimeType": "application/yaml", "buffer": content}
        )

    def go(self, title: str) -> None:
        """Go to another page."""
        self.page.get_by_test_id("stTopNav").get_by_role("link", name=title).click()

    def preset(self) -> Locator:
        """Return the list of presets in the sidebar."""
        return self.page.locator(".st-key-preset input")

    def expect_text(self, piece: str) -> None:
        """Wait until the text has a piece."""
        self.page.wait_for_function(
            "piece => [...document.querySelectorAll('*')].some(each =>"
            " each.shadowRoot?.querySelector('textarea')?.value.includes(piece))",
            arg=piece,
            timeout=ANSWER_MS,
        )

    def expect_fine(self) -> None:
        """Wait until nothing is wrong with the text."""
        expect(self.status).to_contain_text("✓")
        expect(self.beside).to_have_count(0)
