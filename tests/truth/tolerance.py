"""Tolerances: what a case's sentence allows, as rules a figure can be held to.

A clause is a subject, `rel`, `abs` or `exact`, and a number: "mean rel 2%, p99 rel 4%".  A
figure goes by the clause that speaks of it; one that no clause speaks of keeps the tightest
relative rule of its case (the tightest of all, where none is relative).  Nothing is loosened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

CLAUSE = re.compile(
    r".*?\b(?P<kind>rel|abs|exact)\b\s*(?P<size>\d[\d.]*(?:e[+-]?\d+)?)?\s*(?P<percent>%)?"
)
AT_LOAD = re.compile(r"\((?P<size>[\d.]+)% at (?P<load>[\d.]+)\)")
BINOMIAL = re.compile(
    r"abs (?P<times>\d+)\*sqrt\(p\(1-p\)/n\), i\.e\."
    r" (?P<size>[\d.]+) with (?P<count>[\d.e]+) arrivals"
)
GENERIC = re.compile(r"^generic: [\d.]+ \+- (?P<size>[\d.]+)$")
RING = re.compile(r"consistent: abs (?P<times>\d+)\*CV/\(n\+1\)")
VIRTUAL_NODES = 160  # where a case does not say how many points of a ring a node has
SUBJECTS = {  # words of a clause, and the names of figures that they mean
    "percentiles": r"_p\d+|at_least",  # a tail's probability is a percentile read backwards
    "p99": r"_p99",
    "mean wait": r"mean_wait",
    "mean max": r"max_over_mean",
    "mean": r"mean",
    "CV": r"^coefficient_of_variation",
    "bounds": r"_range|min_|max_|expo_",
    "probability": r"^prob",
    "consistent": r"^consistent",
    "modulo": r"^modulo",
    "hash": r"^hash",
    "erlang_c": r"^erlang_c",
    "reject": r"^reject",
    "tail": r"more_than",
    "infinite-n": r"infinite",
    "n=100": r"n100",
    "starts and ends empty": r"empty",
    "goodput": r"^goodput",
    "recovery": r"recover",
}
EXACT = 1e-9  # of a sum of floats: to the last bit would hold the compiler, not the engine
SHARE = re.compile(r"prob|abandon|ratio|share|fraction")


@dataclass(frozen=True)
class Rule:
    """How far off a figure may be."""

    kind: Literal["rel", "abs", "exact", "least"]
    size: float
    means: str = ""  # a pattern for the names of the figures it is meant for; "": all

    def allows(self, expected: Any, measured: Any, per: float = 1.0) -> bool:
        """Return whether a figure is close enough; `per`: what an absolute rule is a share of."""
        if isinstance(expected, bool | str) or not isinstance(expected, int | float):
            return bool(expected == measured)
        if not isinstance(measured, int | float) or math.isnan(measured):
            return False
        if self.kind == "least":
            return measured >= expected
        off = abs(measured - expected)
        if self.kind == "abs":
            return off <= self.size * per
        return off <= self.size * abs(expected)

    def __str__(self) -> str:
        if self.kind == "rel":
            return f"±{self.size * 100:g} %"
        if self.kind == "abs":
            return f"±{self.size:.3g}"
        return "or more" if self.kind == "least" else "exact"


def rules(text: str, given: Mapping[str, Any]) -> list[Rule]:
    """Return what a tolerance's sentence says.

    >>> [str(rule) for rule in rules("mean rel 2%, p99 rel 4%", {})]
    ['±2 %', '±4 %']
    >>> [(rule.means, str(rule)) for rule in rules("reject abs 0.002; mean rel 2%", {})]
    [('^reject', '±0.002'), ('mean', '±2 %')]
    >>> [str(rule) for rule in rules("n=100 simulated: rel 2% (5% at .99)", {"load": 0.99})]
    ['±5 %']
    >>> [str(rule) for rule in rules("rel 25% per failover+mean over >=50 failovers rel 5%", {})]
    ['±25 %', '±5 %']
    """
    found = []
    for clause in re.split(r"[;,](?!\d)| / |\+(?=mean)", text):
        match = CLAUSE.match(clause)
        if not match:
            continue
        size = float(match["size"] or EXACT) / (100 if match["percent"] else 1)
        other = AT_LOAD.search(clause)
        if other and given.get("load") == float(other["load"]):
            size = float(other["size"]) / 100
        found.append(Rule(match["kind"], size, subject(clause)))  # type: ignore[arg-type]
    return found


def subject(words: str) -> str:
    """Return the pattern of the figures that a clause means."""
    return next((pattern for word, pattern in SUBJECTS.items() if word in words), "")


def rule_for(text: str, name: str, expected: Any, given: Mapping[str, Any]) -> Rule:
    """Return the rule that a figure is held to.

    >>> str(rule_for("reject abs 0.002; mean rel 2%", "throughput", 99.4, {}))
    '±2 %'
    >>> str(rule_for("abs 0.002 / rel 4%", "mean_wait_s", 0.04, {}))
    '±4 %'
    >>> str(rule_for("abs 3*sqrt(p(1-p)/n), i.e. 0.001 with 1e6 arrivals", "p", 0.01, {}))
    '±0.000298'
    >>> str(rule_for(">=", "executions_at_least", 3, {}))
    'or more'
    >>> str(rule_for("+- one evaluation interval", "seconds_to_fire", 518.4, {}))
    '±1'
    >>> [str(rule_for("generic: 0.8 +- 0.03", name, 0.8, {})) for name in ("ideal", "moved")]
    ['±0.03', 'exact']
    >>> str(rule_for("consistent: abs 3*CV/(n+1); modulo abs 0.01", "consistent_moved", 0.25,
    ...     {"nodes_after": 4}))
    '±0.0513'
    """
    binomial = BINOMIAL.search(text)
    if binomial:
        return _binomial(binomial, expected)
    if text == ">=":
        return Rule("least", 0.0)
    if text == "+- one evaluation interval":  # of which the case does not say how long it is
        return Rule("abs", 1.0)
    known = rules(text, given)
    if generic := GENERIC.match(text):  # what it speaks of is the ideal, not the recording
        known = [Rule("exact", EXACT), Rule("abs", float(generic["size"]), "^ideal")]
    if ringed := RING.search(text):
        known[0] = Rule("abs", float(ringed["times"]) * _ring_spread(given), "^consistent")
    if not known:
        return Rule("exact", EXACT)
    if len(known) == 2 and " / " in text:  # "abs 0.002 / rel 4%": shares, and all else
        wanted = "abs" if SHARE.search(name) else "rel"
        return next(rule for rule in known if rule.kind == wanted)
    meant = [rule for rule in known if rule.means and re.search(rule.means, name)]
    relative = [rule for rule in known if rule.kind != "abs" and not rule.means]
    relative = relative or [rule for rule in known if rule.kind == "rel"]
    return min(meant or relative or known, key=lambda rule: rule.size)


def _ring_spread(given: Mapping[str, Any]) -> float:
    """Return the spread of what a ring moves to one node more: CV / (n + 1).

    A node's share of a ring is Beta distributed: CV = √((nodes - 1) / (nodes × points + 1)).
    """
    nodes, points = given["nodes_after"], given.get("vnodes", VIRTUAL_NODES)
    return math.sqrt((nodes - 1) / (nodes * points + 1)) / nodes


def _binomial(said: re.Match[str], expected: Any) -> Rule:
    """Return the tighter of formula and example; a load carried is a share of the one offered."""
    share = expected if isinstance(expected, float) and expected < 1 else 0.5
    by_formula = float(said["times"]) * math.sqrt(share * (1 - share) / float(said["count"]))
    return Rule("abs", min(by_formula, float(said["size"])))
