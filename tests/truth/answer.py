"""Answers: what an adapter may say of a figure besides its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Share:
    """A rate or a load, of which an absolute tolerance means a share."""

    value: float
    of: float


@dataclass(frozen=True)
class Pair:
    """A figure whose expectation follows from the run itself, or from the case's words."""

    expected: Any
    value: Any


@dataclass(frozen=True)
class Lacking:
    """A figure that the product cannot say yet."""

    reason: str


@dataclass(frozen=True)
class Beside:
    """A figure that its case does not ask a simulator for."""

    reason: str


class NotExpressibleError(Exception):
    """The product lacks what the whole case is about; the message says what."""


class TooLongError(Exception):
    """The case needs more arrivals than an everyday run has time for; the message says how many."""
