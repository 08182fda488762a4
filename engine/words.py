"""Numbers as people read them: three figures at most, and always a unit.

A no-break space keeps a number and its unit on one line.
"""

import math
from typing import NamedTuple

SPACE = "\N{NO-BREAK SPACE}"
RATES = {"second": (1.0, "s"), "minute": (60.0, "min")}
# 730 hours: a month as AWS's pricing calculator has it.
BILLS = {"hour": (1.0, "h"), "day": (24.0, "day"), "month": (730.0, "month")}
_MARKDOWN = frozenset(r"\`*_[]<>#$:~|")


class Units(NamedTuple):
    """What rates and running costs are said by: keys of `RATES` and `BILLS`."""

    rate: str = "second"
    bill: str = "hour"


USUAL = Units()


def figures(value: float) -> str:
    """Return a number with about three figures.

    >>> [figures(value) for value in (0, 0.042, 3.14159, 52.6, 895.5, 1234.5, 12_345)]
    ['0', '0.04', '3.1', '53', '896', '1,234', '12.3k']
    """
    size = abs(value)
    if not math.isfinite(value):
        return "–"
    if size >= 999_950:
        return f"{value / 1e6:.1f}M"
    if size >= 9_999.5:
        return f"{value / 1e3:.1f}k"
    if size >= 9.95 or size < 0.005:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 0.95 else f"{value:.2f}"


def milliseconds(value: float) -> str:
    r"""Return a time; from ten seconds on, in seconds.

    >>> milliseconds(412.6), milliseconds(12_345)
    ('413\xa0ms', '12.3\xa0s')
    """
    if value >= 9_999.5:
        return f"{value / 1e3:.1f}{SPACE}s"
    return f"{figures(value)}{SPACE}ms"


def percent(ratio: float) -> str:
    r"""Return a share of one in percent, exact enough to tell "none" from "few".

    >>> [percent(ratio) for ratio in (0, 0.00042, 0.153, 1)]
    ['0\xa0%', '0.042\xa0%', '15\xa0%', '100\xa0%']
    """
    value = 100 * ratio
    if not math.isfinite(value):
        return "–"
    number = f"{value:.0f}" if value >= 9.95 or value == 0 else f"{value:.2g}"
    return f"{number}{SPACE}%"


def per_second(value: float, units: Units = USUAL) -> str:
    r"""Return a rate, which is given by the second.

    >>> per_second(895.5), per_second(2.5, Units(rate="minute"))
    ('896\xa0/s', '150\xa0/min')
    """
    factor, unit = RATES[units.rate]
    return f"{figures(value * factor)}{SPACE}/{unit}"


def running(usd_per_hour: float, units: Units = USUAL) -> str:
    """Return what something costs that runs on and on.

    >>> running(3.2), running(3.2, Units(bill="month"))
    ('$3.20/h', '$2,336/month')
    """
    factor, unit = BILLS[units.bill]
    return f"{dollars(usd_per_hour * factor)}/{unit}"


def dollars(value: float) -> str:
    """Return an amount of US dollars.

    >>> dollars(3.2), dollars(1234)
    ('$3.20', '$1,234')
    """
    return f"${value:,.2f}" if abs(value) < 1_000 else f"${value:,.0f}"


def plain(text: str) -> str:
    r"""Return text that markdown leaves as it is: titles come from people's files.

    >>> print(plain("a*b [c]"))
    a\*b \[c\]
    """
    return "".join(f"\\{each}" if each in _MARKDOWN else each for each in text)
