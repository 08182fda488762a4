"""The last words of a test run: how many cases passed, failed, or could not be said, by name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.truth.verdict import Verdict

NOT_JUDGED = ("not expressible", "left for a long run", "disputed")


def properties(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Yield what a test's report has to carry, also from one process to another."""
    yield "truth", verdict.word
    if verdict.why:
        yield "truth why", verdict.why
    for figure, why in verdict.lacking.items():
        yield "truth lacking", f"{figure}\t{why}"


def lines(reports: Iterable[Any]) -> Iterator[str]:
    """Yield the summary of all reports of cases; nothing if no case was run."""
    words: Counter[str] = Counter()
    whole: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    parts: dict[str, set[str]] = defaultdict(set)
    for report in reports:
        told = dict(getattr(report, "user_properties", ()))
        if "truth" not in told or report.when != "call":
            continue
        name = report.nodeid.partition("[")[2].rstrip("]")
        words[told["truth"]] += 1
        if told["truth"] in NOT_JUDGED:
            whole[told["truth"]][told["truth why"]].append(name)
        for key, text in report.user_properties:
            if key == "truth lacking" and told["truth"] != "not expressible":
                parts[text.partition("\t")[2]].add(name)
    if not words:
        return
    passed = words["passed"] + words["passed in part"]
    others = ", ".join(f"{words[word]} {word}" for word in NOT_JUDGED if words[word])
    yield (
        f"{passed} passed ({words['passed in part']} of them in part), {words['failed']} failed"
        + (f", {others}" if others else "")
    )
    for word in NOT_JUDGED:
        for why, names in whole[word].items():
            yield f"{word}: {', '.join(names)} — {why}"
    for why, known in parts.items():
        yield f"in part: {', '.join(sorted(known))} — {why}"
