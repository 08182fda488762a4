"""Verdicts: a case's figures, measured and judged."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.truth.adapters import (
    balancers,
    data,
    databases,
    deliveries,
    failures,
    hpa,
    messaging,
    networks,
    passive,
    processors,
    prometheus,
    queues,
    resilience,
    stores,
    tail,
)
from tests.truth.answer import Beside, Lacking, NotExpressibleError, Pair, Share, TooLongError
from tests.truth.case import Case, shipped
from tests.truth.disputed import DISPUTES, Dispute
from tests.truth.missing import reason
from tests.truth.tolerance import Rule, rule_for

Word = Literal[
    "passed", "passed in part", "failed", "not expressible", "left for a long run", "disputed"
]
Adapter = Callable[[Case], dict[str, Any]]
ADAPTERS: list[tuple[Callable[[Case], bool], Adapter]] = [
    *queues.ADAPTERS,
    *processors.ADAPTERS,
    *networks.ADAPTERS,
    *stores.ADAPTERS,
    *passive.ADAPTERS,
    *balancers.ADAPTERS,
    *tail.ADAPTERS,
    *messaging.ADAPTERS,
    *deliveries.ADAPTERS,
    *data.ADAPTERS,
    *databases.ADAPTERS,
    *resilience.ADAPTERS,
    *failures.ADAPTERS,
    *hpa.ADAPTERS,
    *prometheus.ADAPTERS,
]


@dataclass(frozen=True)
class Figure:
    """One number or word that a case expects, and what came out."""

    name: str
    expected: Any
    measured: Any
    rule: Rule
    holds: bool

    def __str__(self) -> str:
        return f"{self.name} is {self.measured}, expected {self.expected} ({self.rule})"


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a case."""

    case: Case
    word: Word
    why: str = ""  # where it was not judged
    figures: tuple[Figure, ...] = ()
    lacking: dict[str, str] = field(default_factory=dict)  # figure -> what the product lacks
    beside: dict[str, str] = field(default_factory=dict)  # figure -> why it is not compared

    @property
    def wrong(self) -> list[str]:
        """The figures that are off, a sentence each."""
        return [str(figure) for figure in self.figures if not figure.holds]


@functools.cache
def judged(case_id: str) -> Verdict:
    """Return the verdict on a case of the project's own, worked out once."""
    return judge(next(case for case in shipped() if case.id == case_id))


def judge(case: Case) -> Verdict:
    """Measure a case and compare every figure that it expects."""
    adapter = next((adapter for fits, adapter in ADAPTERS if fits(case)), None)
    if adapter is None:
        return Verdict(case, "not expressible", reason(case))
    try:
        measured = adapter(case)
    except NotExpressibleError as error:
        return Verdict(case, "not expressible", str(error))
    except TooLongError as error:
        return Verdict(case, "left for a long run", str(error))
    return _verdict(case, measured)


def _verdict(case: Case, measured: dict[str, Any]) -> Verdict:
    figures: list[Figure] = []
    lacking: dict[str, str] = {}
    beside: dict[str, str] = {}
    for name, answer in measured.items():
        expected = case.expect.get(name.split(",")[0])
        if isinstance(answer, Pair):
            figures += compared(case, name, answer.expected, answer.value)
        elif expected is None:
            continue  # more than was asked for
        elif isinstance(answer, Lacking):
            lacking[name] = answer.reason
        elif isinstance(answer, Beside):
            beside[name] = answer.reason
        else:
            figures += compared(case, name, expected, answer)
    told = {figure.name.split(",")[0].split("[")[0] for figure in figures} | {*lacking, *beside}
    lacking |= {name: "no adapter measures it" for name in case.expect if name not in told}
    if not figures:
        return Verdict(case, "not expressible", reason(case), (), lacking, beside)
    word, why = _word(case, figures, lacking)
    return Verdict(case, word, why, tuple(figures), lacking, beside)


def _word(case: Case, figures: list[Figure], lacking: dict[str, str]) -> tuple[Word, str]:
    if all(figure.holds for figure in figures):
        return ("passed in part" if lacking else "passed"), ""
    dispute = DISPUTES.get(case.id)
    if dispute and all(figure.holds or settled(dispute, figure) for figure in figures):
        return "disputed", dispute.why
    return "failed", ""


def settled(dispute: Dispute, figure: Figure) -> bool:
    """Return whether a figure is what was found when the case was looked into."""
    found = dispute.recorded.get(figure.name)
    return found is not None and figure.rule.allows(found, figure.measured)


def compared(case: Case, name: str, expected: Any, answer: Any) -> list[Figure]:
    """Return a figure held to its rule; a list of numbers, one by one."""
    value, per = (answer.value, answer.of) if isinstance(answer, Share) else (answer, 1.0)
    rule = rule_for(case.tolerance, name, expected, case.given)
    if isinstance(expected, list) and isinstance(value, list) and rule.kind != "exact":
        assert len(expected) == len(value), f"{name} has {len(value)} parts, not {len(expected)}"
        return [
            Figure(f"{name}[{index}]", one, other, rule, rule.allows(one, other))
            for index, (one, other) in enumerate(zip(expected, value, strict=True))
        ]
    return [Figure(name, expected, value, rule, rule.allows(expected, value, per))]
