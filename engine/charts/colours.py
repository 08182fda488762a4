"""The colours of charts on paper: Okabe and Ito's, as the pages have them on light ground.

Source: Okabe and Ito, Color Universal Design, https://jfly.uni-koeln.de/color/ (2008).
"""

LAYERS = {
    "client": "#7B8794",
    "edge": "#56B4E9",
    "application": "#0072B2",
    "cache": "#009E73",
    "asynchronous": "#CC79A7",
    "data": "#3A404B",
    "observability": "#B8960C",
}
WARN, BAD, MUTED, INK = "#E69F00", "#D55E00", "#8A8F96", "#23272E"
PERCENTILES = {"p50": "#8CC3E3", "p95": "#2F8CC4", "p99": "#003F66"}
ANSWERED = "#009E73"
GRID, SHADE, PAPER = "#E3E6EA", "#EEF0F3", "#FFFFFF"
