"""Every chart of a run, small, with its ways out: SVG as it is, PNG as the browser paints it."""

from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from engine import charts

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "strata_chartshelf",
    html="<div class='shelf'></div>",
    css=_HERE.joinpath("chartshelf.css").read_text(encoding="utf-8"),
    js=_HERE.joinpath("chartshelf.js").read_text(encoding="utf-8"),
)


def chartshelf(stem: str, pictures: Iterable[charts.Picture]) -> None:
    """Draw the charts; files are called `stem`-name.svg and .png."""
    drawn = [{"name": p.name, "title": p.title, "said": p.caption, "svg": p.svg} for p in pictures]
    _component(key="chartshelf", data={"stem": stem, "charts": drawn})
