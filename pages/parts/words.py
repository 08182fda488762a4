"""Numbers as people read them, in the engine's words: reports say them as the screen does.

Rates and running costs come in the units of this session's settings.
"""

from engine import words
from pages.parts import settings

RATES = words.RATES
SPACE = words.SPACE
USUAL = words.USUAL
Units = words.Units
dollars = words.dollars
figures = words.figures
milliseconds = words.milliseconds
percent = words.percent
plain = words.plain


def per_second(value: float, units: Units | None = None) -> str:
    """Return a rate, which is given by the second; in the units of the settings, or in others."""
    return words.per_second(value, units or settings.current().units)


def running(usd_per_hour: float, units: Units | None = None) -> str:
    """Return what something costs that runs on; in the units of the settings, or in others."""
    return words.running(usd_per_hour, units or settings.current().units)
