"""What leaves Strata as data: links, scenarios, tables, traces, metrics, and all in one file.

from engine.export import bundle, files, from_link, kinds, to_link
"""

from engine.export.bundle import Files, Kind, bundle, files, kinds, with_readme, zipped
from engine.export.link import PARAMETER, from_link, to_link

__all__ = [
    "PARAMETER",
    "Files",
    "Kind",
    "bundle",
    "files",
    "from_link",
    "kinds",
    "to_link",
    "with_readme",
    "zipped",
]
