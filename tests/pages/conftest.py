"""One server and one browser for all tests of pages; a fresh context for each test.

A page may only ask this machine for things and may not complain on its console: the fixtures watch
that in every test.
"""

import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from benchmarks.browser import CHROMIUM_ARGUMENTS

ROOT = pathlib.Path(__file__).parents[2]
CHROMIUM = pathlib.Path("/usr/bin/chromium")
# As large as a projector's, and at rest: a map that plays keeps a core busy that draws by software.
QUIET: dict[str, object] = {
    "viewport": {"width": 1280, "height": 720},
    "reduced_motion": "reduce",
}
START_SECONDS = 240  # the first start may compile the kernel
# Streamlit looks for its own services beside an inner page first, and does not find them there.
HARMLESS = ("Failed to load resource: the server responded with a status of 404",)


class Watch(NamedTuple):
    """What a browser context did that it should not have done."""

    requests: list[str]
    complaints: list[str]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(process: subprocess.Popen[bytes], url: str) -> None:
    """Return when a server answers; fail if it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended before it answered"
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):  # noqa: S310
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not answer within {START_SECONDS} s")


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start servers that nobody has visited yet; all are ended with the session."""
    processes: list[subprocess.Popen[bytes]] = []
    kept = tmp_path_factory.mktemp("runs") / "runs.sqlite"  # not among the user's own
    env = {**os.environ, "STRATA_RUNS": str(kept)}

    def start(**settings: str) -> str:
        port = free_port()
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
        processes.append(
            subprocess.Popen(command, cwd=ROOT, env=env | settings, stdout=subprocess.DEVNULL)
        )
        url = f"http://127.0.0.1:{port}"
        wait_until_up(processes[-1], url)
        return url

    yield start
    for process in processes:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the browser; without one, skip at home and fail where every test must run."""
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is missing; on Debian or Ubuntu: sudo apt install chromium"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(serve: Callable[[], str], browser: Browser) -> str:
    """Return the address of a server whose kernel is compiled."""
    url = serve()
    page = browser.new_page()
    page.goto(url)
    page.locator("[data-run]").wait_for(state="attached", timeout=START_SECONDS * 1000)
    page.close()
    return url


@pytest.fixture(scope="session")
def watch() -> Watch:
    """Keep what contexts did that they should not have done."""
    return Watch([], [])


@pytest.fixture(scope="session")
def context_of(browser: Browser, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    """Make browser contexts that are watched; equal ones are the same, and so keep their cache."""
    contexts: dict[str, BrowserContext] = {}

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(HARMLESS):
            watch.complaints.append(message.text)

    def make(**options: object) -> BrowserContext:
        name = repr(sorted(options.items()))
        if name not in contexts:
            context = browser.new_context(**{**QUIET, **options})
            context.on("request", lambda request: watch.requests.append(request.url))
            context.on("console", note)
            context.on("weberror", lambda error: watch.complaints.append(str(error.error)))
            contexts[name] = context
        return contexts[name]

    yield make
    for context in contexts.values():
        context.close()


@pytest.fixture
def page_of(
    context_of: Callable[..., BrowserContext], watch: Watch
) -> Iterator[Callable[..., Page]]:
    """Open pages, close them after the test, and judge what they did."""
    pages: list[Page] = []

    def make(**options: object) -> Page:
        pages.append(context_of(**options).new_page())
        return pages[-1]

    watch.requests.clear()
    watch.complaints.clear()
    yield make
    for page in pages:
        page.close()
    local = ("http://127.0.0.1:", "data:", "blob:")
    assert [url for url in watch.requests if not url.startswith(local)] == []
    assert watch.complaints == []


@pytest.fixture
def page(page_of: Callable[..., Page]) -> Page:
    """Return a blank page, as large as a projector's."""
    return page_of()
