"""Prometheus: its own tests of PromQL and of alerts, against the functions that alerts use."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from engine import promql
from engine.buckets import histogram_quantile
from tests.truth.answer import Pair
from tests.truth.case import Case

COMPARES: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


def number(said: Any) -> float:
    """Return a number as cases spell it: NaN, +Inf and -Inf are words."""
    return float(said)


def spelled(value: float, expected: Any) -> Any:
    """Return a number as its case spells it; nothing at all is null."""
    if expected is None:
        return Pair(None, None if math.isnan(value) else value)
    if math.isnan(value):
        return "NaN"
    return ("+Inf" if value > 0 else "-Inf") if math.isinf(value) else value


def over_time(case: Case) -> dict[str, Any]:
    """A counter over a window."""
    given = case.given
    function = {"rate": promql.rate, "increase": promql.increase, "irate": promql.irate}
    samples = [(float(at), number(value)) for at, value in given["samples"]]
    at = given["at_s"] - given.get("offset_s", 0)
    value = function[given["fn"]](samples, at, given["window_s"])
    seen = {"value": spelled(value, case.expect["value"])}
    return seen | ({"empty": math.isnan(value)} if "empty" in case.expect else {})


def quantile(case: Case) -> dict[str, Any]:
    """A quantile of samples."""
    value = promql.quantile_over_time(
        number(case.given["q"]), [number(value) for value in case.given["values"]]
    )
    return {"value": spelled(value, case.expect["value"])}


def from_buckets(case: Case) -> dict[str, Any]:
    """A quantile of a histogram's counts, or of how fast they grow."""
    given = case.given
    said = given.get("buckets_cumulative") or given["bucket_rates_per_s"]
    known = [(number(bound), number(count)) for bound, count in said]
    value = histogram_quantile(number(given["q"]), known)
    return {"value": spelled(value, case.expect["value"])}


def window(case: Case) -> dict[str, Any]:
    """What a window of so many minutes holds of samples that come at its border."""
    step, at = case.given["step_s"], case.given["at_s"]
    samples = [(float(time), float(time)) for time in range(0, at + step, step)]
    found: dict[str, Any] = {}
    for name, expected in case.expect.items():
        seconds = 60 * int(name.rpartition("_")[2].removesuffix("m"))
        if name.startswith("rate"):
            found[name] = spelled(promql.rate(samples, at, seconds), expected)
        else:
            found[name] = len(promql.within(samples, at, seconds))
    return found


def alerts(case: Case) -> dict[str, Any]:
    """The states of alerts, evaluation by evaluation."""
    given = case.given
    if "true" in given:
        return {"states": states([bool(true) for true in given["true"]], given)}
    symbol = next(symbol for symbol in COMPARES if given["threshold"].startswith(symbol))
    limit = float(given["threshold"].removeprefix(symbol))

    def holds(values: list[float]) -> list[bool]:
        return [value is not None and COMPARES[symbol](value, limit) for value in values]

    if isinstance(given["samples"], dict):
        return {name: states(holds(values), given) for name, values in given["samples"].items()}
    return {"states": states(holds(given["samples"]), given)}


def states(found: list[bool], given: dict[str, Any]) -> list[str]:
    """Return the state after each evaluation that found the condition so."""
    alert, seen = promql.Alert(), []
    for index, true in enumerate(found):
        alert = alert.after(
            true=true,
            now=index * given.get("eval_every_s", 60.0),
            for_seconds=given["for_s"],
            keep_seconds=given.get("keep_firing_for_s", 0.0),
        )
        seen.append(str(alert.state))
    return seen


def burn(case: Case) -> dict[str, Any]:
    """What a pair of windows means for an error budget."""
    given = case.given
    period = given["period_days"] * 86_400.0
    known = {(each.long_seconds, each.short_seconds): each for each in promql.BURNS}
    each = known[given["long_window_s"], given["short_window_s"]]
    return {
        "burn_rate": each.rate(period),
        "budget_consumed": each.budget_share,
        "error_ratio_threshold": each.threshold(given["slo"], period),
    }


def detection(case: Case) -> dict[str, Any]:
    """How long errors that begin at once go unseen by the fastest alert."""
    given, fastest = case.given, promql.BURNS[0]
    ratio, objective = given["error_ratio"], given["slo"]
    seconds = fastest.seconds_to_fire(ratio, objective)
    reset = fastest.seconds_to_reset(ratio, objective)
    return {
        "fires": seconds is not None,
        "seconds_to_fire": Pair(case.expect["seconds_to_fire"], seconds),
        "reset_after_recovery_s_approx": Pair(case.expect["reset_after_recovery_s_approx"], reset),
    }


ADAPTERS = [
    (lambda case: case.given.get("fn") in {"rate", "increase", "irate"}, over_time),
    (lambda case: case.given.get("fn") == "quantile_over_time", quantile),
    (
        lambda case: bool({"buckets_cumulative", "bucket_rates_per_s"} & set(case.given)),
        from_buckets,
    ),
    (lambda case: case.id.startswith("prom.window"), window),
    (lambda case: case.id.startswith("prom.alert"), alerts),
    (lambda case: case.id.startswith("slo.burn"), burn),
    (lambda case: case.id.startswith("slo.detect"), detection),
]
