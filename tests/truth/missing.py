"""What the product cannot say yet, case by case: the reason that is given for not judging one."""

from __future__ import annotations

from collections.abc import Callable

from tests.truth.case import Case

MISSING: list[tuple[Callable[[Case], bool], str]] = [
    (
        lambda case: "sync_standbys" in case.given,
        "a standby takes its time but does not die, so that no commit hangs",
    ),
    (
        lambda case: case.group == "prometheus" and "native" in case.title.lower(),
        "histograms have the buckets that are set, as classic ones; there are no native ones",
    ),
    (
        lambda case: "test" in case.given and "ttl_ms" in case.given,
        "expired entries stay until they are asked for; there is no active expiry",
    ),
]


def reason(case: Case) -> str:
    """Return why a case cannot be said."""
    known = (why for applies, why in MISSING if applies(case))
    return next(known, f"no adapter says this kind of {case.group} case")
