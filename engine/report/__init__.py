"""Reports: what a run says, for people: HTML, Markdown with SVG, PDF.

from engine.report import report, to_html
to_html(report(result))
"""

from engine.report.build import Asked, headline, report
from engine.report.classroom import class_report
from engine.report.document import Document
from engine.report.html import to_html
from engine.report.markdown import to_markdown
from engine.report.pdf import to_pdf

__all__ = [
    "Asked",
    "Document",
    "class_report",
    "headline",
    "report",
    "to_html",
    "to_markdown",
    "to_pdf",
]
