"""A report as PDF, by WeasyPrint: contents with page numbers, and a number on every page."""

from __future__ import annotations

from typing import Any, NoReturn

from engine.errors import ScenarioError
from engine.report.document import Document
from engine.report.html import to_html

LACKING = (
    "a PDF needs WeasyPrint and Pango (Debian: apt install libpango-1.0-0 libpangoft2-1.0-0);"
    " write --out report.html instead and print it from the browser"
)


def to_pdf(document: Document) -> bytes:
    """Return a document as PDF.  Raises ScenarioError, one line, where Pango is missing."""
    try:
        from weasyprint import HTML  # noqa: PLC0415  (it takes a second to load, and may lack Pango)
    except (ImportError, OSError):
        raise ScenarioError(LACKING) from None
    held: Any = HTML(string=to_html(document), url_fetcher=_nothing).write_pdf()
    return bytes(held)


def _nothing(url: str, *_: Any, **__: Any) -> NoReturn:
    """Fetch nothing: a report asks nobody, not even for a file beside it."""
    raise ValueError(f"a report does not fetch {url[:60]}")
