"""What leaves Strata as data: links, scenarios, tables, traces, metrics, and all in one file.

from engine.export import bundle, files, from_link, kinds, to_link
"""

from engine.export.bundle import Kind, bundle, files, kinds
from engine.export.link import PARAMETER, from_link, to_link

__all__ = ["PARAMETER", "Kind", "bundle", "files", "from_link", "kinds", "to_link"]
