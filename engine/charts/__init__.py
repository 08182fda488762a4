"""Charts as SVG, written by hand: small, script-free, the same bytes for the same run.

from engine.charts import pictures
pictures(result)["latency"].svg
"""

from engine.charts.picture import Picture
from engine.charts.run import pictures, waterfalls

__all__ = ["Picture", "pictures", "waterfalls"]
