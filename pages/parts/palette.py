"""One palette for every page and chart: Okabe and Ito's, which colour-blind eyes can tell apart.

Each layer has one fixed colour.  Orange and vermilion belong to no layer: they say "look here"
and nothing else, and they never say it alone, for every state also has its glyph.

Source: Okabe and Ito, Color Universal Design, https://jfly.uni-koeln.de/color/ (2008).
"""

from typing import NamedTuple

import streamlit as st


class Colour(NamedTuple):
    """A colour as it looks on light paper and on dark slate."""

    light: str
    dark: str

    def here(self) -> str:
        """Return the one that suits the theme which the reader has chosen."""
        return self.dark if st.context.theme.type == "dark" else self.light

    def css(self) -> str:
        """Return it as CSS: the browser picks the theme's side."""
        return f"light-dark({self.light},{self.dark})"


LAYERS = {
    "client": Colour("#7B8794", "#97A3B0"),
    "edge": Colour("#56B4E9", "#56B4E9"),
    "application": Colour("#0072B2", "#2E8FCB"),
    "cache": Colour("#009E73", "#1BB58A"),
    "asynchronous": Colour("#CC79A7", "#D68FB7"),
    "data": Colour("#3A404B", "#DCE1E7"),
    "observability": Colour("#B8960C", "#D9B62B"),
}

WARN = Colour("#E69F00", "#E69F00")
BAD = Colour("#D55E00", "#E8701A")
MUTED = Colour("#8A8F96", "#8B949F")
INK = Colour("#23272E", "#E4E7EB")

# Percentiles share a hue: the rarer, the stronger.
PERCENTILES = {
    "p50": Colour("#8CC3E3", "#3C7FA8"),
    "p95": Colour("#2F8CC4", "#56B4E9"),
    "p99": Colour("#003F66", "#D3ECFA"),
}
ANSWERED = Colour("#009E73", "#1BB58A")

# Glyph and word of each state of a part; the keys are what the map is sent.
STATES = {
    "o": ("✓", "fine"),
    "w": ("!", "under strain"),
    "b": ("✕", "overloaded or failing"),
    "x": ("–", "off"),
}


def variables() -> str:
    """Return the palette as CSS variables, for the stylesheets of the page and its components.

    The browser picks the theme's side, so a change of theme needs no answer from the server.
    """
    named = {f"layer-{layer}": colour for layer, colour in LAYERS.items()}
    named |= {"warn": WARN, "bad": BAD, "muted": MUTED, "ink": INK}
    pairs = (f"--{name}:{colour.css()};" for name, colour in named.items())
    return ":root{" + "".join(pairs) + "}"
