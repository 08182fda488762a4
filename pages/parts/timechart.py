"""Charts over time, side by side, and where the browser gets what draws them.

`static/timechart.js` and uPlot, which it needs, are served as files: the text of a component goes
to the browser with every answer, files only once.  All charts of a page share one cursor, which
`timechart.point(seconds)` moves.  A component with charts of its own puts `IMPORT` before its
script, `CSS` before its styles, and calls `timechart.create`.
"""

import hashlib
import json
from pathlib import Path

import streamlit as st

from pages.parts.charts import Chart

_HERE = Path(__file__).parent
_STATIC = _HERE.parents[1] / "static"


def _address(name: str) -> str:
    """Return where the browser finds a file of `static/`; a changed file has a new address."""
    digest = hashlib.sha256(_STATIC.joinpath(name).read_bytes()).hexdigest()[:8]
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/app/static/{name}?v={digest}".replace("//", "/")


CSS = "".join(
    _STATIC.joinpath(name).read_text(encoding="utf-8")
    for name in ("uplot/uPlot.min.css", "timechart.css")
)
IMPORT = (
    "const timechart = await"
    f" import(new URL('{_address('timechart.js')}', window.location.origin).href);\n"
)
_component = st.components.v2.component(
    "strata_timecharts",
    html="<div class='timecharts'></div>",
    css=CSS,
    js=IMPORT + _HERE.joinpath("timechart.js").read_text(encoding="utf-8"),
)


def row(charts: list[Chart], key: str) -> None:
    """Draw charts side by side; a change of their data only moves their lines."""
    _component(key=key, data=json.dumps(charts).encode())
