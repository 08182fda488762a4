"""What a person has set for every visit: size of type, prices, seed, scheduler.

It is kept in a cookie of the browser: it comes with the first message of a session, so that the
first picture is already as it should be, and it needs nobody but this server.  What comes back is
from outside: whatever in it makes no sense is left out.  Light or dark is Streamlit's own, kept
by Streamlit in the browser; `settings.js` writes it where Streamlit reads it.
"""

import base64
import binascii
import functools
import json
import math
from typing import Any, NamedTuple

import streamlit as st

from engine import Prices, words
from pages.parts.base import Base

COOKIE = "strata"
COOKIE_MAX = 3_500  # characters; browsers keep 4,096 bytes of a cookie (RFC 6265, section 6.1)
SEED_MAX = 2**53 - 1
PRICE_MAX = 1e6
_SETTINGS, _LOOK = "_settings", "_look"


class Settings(NamedTuple):
    """What is set; the defaults are those of somebody who was never here."""

    projector: bool = False
    seed: int | None = None  # None: the presets' usual one
    scheduler: str = ""
    prices: tuple[tuple[str, float], ...] = ()  # (name, US dollars) of those that differ
    units: words.Units = words.USUAL

    def to_cookie(self) -> str:
        """Return it as a word that a cookie takes."""
        said = {k: v for k, v in self._asdict().items() if v != Settings._field_defaults[k]}
        text = json.dumps(said, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def from_cookie(word: str | None) -> Settings:
    """Return what a cookie says; of junk, only what makes sense.

    >>> said = Settings(projector=True, seed=3, units=words.Units(bill="month"))
    >>> from_cookie(said.to_cookie()) == said
    True
    >>> from_cookie("junk") == from_cookie(None) == Settings()
    True
    """
    if not word or len(word) > COOKIE_MAX:
        return Settings()
    try:
        said = json.loads(base64.b64decode(word + "=" * (-len(word) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return Settings()
    if not isinstance(said, dict):
        return Settings()
    seed, scheduler, prices = said.get("seed"), said.get("scheduler"), said.get("prices")
    return Settings(
        projector=said.get("projector") is True,
        seed=seed if type(seed) is int and 0 <= seed <= SEED_MAX else None,
        scheduler=scheduler if isinstance(scheduler, str) else "",
        prices=priced(prices if isinstance(prices, list) else []),
        units=_units(said.get("units")),
    )


def _units(said: Any) -> words.Units:
    """Return those units that there are; else the usual ones."""
    if not isinstance(said, list) or len(said) != 2:
        return words.USUAL
    rate, bill = (each if isinstance(each, str) else "" for each in said)
    return words.Units(
        rate if rate in words.RATES else words.USUAL.rate,
        bill if bill in words.BILLS else words.USUAL.bill,
    )


def priced(pairs: list[Any]) -> tuple[tuple[str, float], ...]:
    """Return those prices that are some and differ from the list's, in the list's order."""
    usual = usual_prices()
    found = {}
    for pair in pairs:
        if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str):
            name, value = pair
            if name in usual and type(value) in (int, float) and math.isfinite(value):
                found[name] = min(max(float(value), 0.0), PRICE_MAX)
    return tuple(
        (name, found[name]) for name in usual if found.get(name, usual[name]) != usual[name]
    )


@functools.cache
def usual_prices() -> dict[str, float]:
    """Return the list prices, in US dollars, by name."""
    return {name: float(value) for name, value in Prices().model_dump().items()}


_THINGS = {"app_core": "app core", "samples": "metric samples", "cdn": "CDN", "waf": "WAF"}


@functools.cache
def price_fields() -> dict[str, tuple[str, str]]:
    """Return each price's title with its unit, and what it is for, by name."""
    found = {}
    for name, field in Prices.model_fields.items():
        thing, _, unit = name.partition("_usd_per_")
        title = _THINGS.get(thing, thing)
        per = {"hour": "an hour", "million": "a million", "gb": "a GB"}[unit]
        found[name] = (f"{title[0].upper()}{title[1:]}, {per}", str(field.description))
    return found


# ---------------------------------------------------------------- this session


def current() -> Settings:
    """Return what is set in this session; at its beginning, what the browser has kept."""
    found: Settings | None = st.session_state.get(_SETTINGS)
    if found is None:
        found = from_cookie(st.context.cookies.get(COOKIE))
        st.session_state[_SETTINGS] = found
    return found


def change(**fields: Any) -> None:
    """Set something from now on; the page of settings hands it to the browser."""
    st.session_state[_SETTINGS] = current()._replace(**fields)


@functools.lru_cache(maxsize=64)
def with_prices(base: Base, prices: tuple[tuple[str, float], ...]) -> Base:
    """Return a base whose scenario has these prices."""
    return Base(base.name, base.scenario.change({f"prices.{name}": v for name, v in prices}))


# A projector stands far away: everything that is measured in rem grows by a fifth, and so does
# what the map and the charts draw, by the browser's own zoom.
PROJECTOR = """
html { font-size: 17px !important; }
.st-key-flowmap { --map-zoom: 1.12; }
"""


def style() -> str:
    """Return the rules of style that the settings add to the page's."""
    return PROJECTOR if current().projector else ""
