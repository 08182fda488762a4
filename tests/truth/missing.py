"""What the product cannot say yet, case by case: the reason that is given for not judging one."""

from __future__ import annotations

from collections.abc import Callable

from tests.truth.case import Case

MISSING: list[tuple[Callable[[Case], bool], str]] = [
    (
        lambda case: "breakdowns" in str(case.given.get("model")),
        "servers do not break down and resume their work by themselves (MTBF, MTTR)",
    ),
    (
        lambda case: str(case.given.get("model")).endswith("-PS"),
        "cores serve one call after the other; there is no processor sharing",
    ),
    (
        lambda case: case.given.get("reset_on_hit") is True,
        "a hit does not renew an entry's time to live (sliding expiry)",
    ),
    (lambda case: "beta" in case.given, "entries are not refreshed early (XFetch)"),
    (
        lambda case: case.id == "memcache.lease",
        "a miss takes no lease, so every miss may fill the cache",
    ),
    (
        lambda case: "samples" in case.given and "policy" in case.given,
        "eviction is exact LRU; Redis samples keys, by LRU, LFU or at random, with a clock of 1 s",
    ),
    (
        lambda case: "test" in case.given and "ttl_ms" in case.given,
        "expired entries stay until they are asked for; there is no active expiry",
    ),
    (
        lambda case: case.id.startswith("nginx.passive."),
        "a balancer does not notice failures by itself (max_fails, fail_timeout, next upstream)",
    ),
    (
        lambda case: case.id.startswith(("nginx.chash.", "nginx.hash.")),
        "a balancer does not hash by key, neither modulo nor on a ring",
    ),
    (
        lambda case: "hedge_percentile" in case.given,
        "a second request is not sent before the first has failed (hedging)",
    ),
]


def reason(case: Case) -> str:
    """Return why a case cannot be said."""
    known = (why for applies, why in MISSING if applies(case))
    return next(known, f"no adapter says this kind of {case.group} case")
