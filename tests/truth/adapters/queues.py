"""One queue: Poisson or metronome arrivals, some slots, perhaps a limit or impatience."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import Any

from scipy.special import ndtri

from engine import Scenario
from tests.truth.answer import Beside, NotExpressibleError, Share, TooLongError
from tests.truth.case import Case
from tests.truth.machine import Run, begin, census, one_server, play, system

AT = "application.server"
ARRIVALS_MIN = 2_000_000
ARRIVALS_MAX = 32_000_000  # six seconds
NEEDED_MAX = 100_000_000  # a case that needs more is left to a run with TRUTH_LONG set
NEAR_THE_EDGE = 0.02
QUANTILE = re.compile(r"(?P<of>sojourn|wait)_p(?P<digits>\d+)_s")
AT_LEAST = re.compile(r"prob_at_least_(?P<count>\d+)_in_system")


def arrivals_for(load: float, variability: float = 1.0, off: float = 0.02) -> float:
    """Return how many arrivals bring a mean wait within `off`, usually.

    The spread of the mean wait of n arrivals is about 2.7 / (1 - load) / √n of it in M/M/1
    (W. Whitt, "Planning queueing simulations", 1989, and measured here); the arrivals are
    those that make `off` twice the spread and a little more, within the time there is.
    """
    needed = (1 + variability) / 2 * (2.2 * 2.7 / off / (1 - load)) ** 2
    return min(ARRIVALS_MAX, max(ARRIVALS_MIN, needed))


def level(digits: str) -> float:
    """Return the share that a percentile's digits mean: 999 is 0.999."""
    return int(digits) / 10 ** len(digits)


def quantiles(run: Run, expect: dict[str, Any]) -> dict[str, Any]:
    """Return every percentile that a case asks for."""
    tables = {"sojourn": "stays", "wait": "waits"}
    waits = expect.get("prob_wait", expect.get("erlang_c_prob_wait"))
    found: dict[str, Any] = {}
    for name in expect:
        if match := QUANTILE.fullmatch(name):
            q = level(match["digits"])
            found[name] = run.quantile(tables[match["of"]], AT, q)
            if match["of"] == "wait" and waits and abs(q - (1 - waits)) < NEAR_THE_EDGE:
                found[name] = Beside(
                    f"{1 - waits:.2%} do not wait at all: a percentile so near to"
                    " them is next to 0, and chance decides how near"
                )
    return found


def one_queue(run: Run) -> dict[str, Any]:
    """Return the means that every queue has, by all the names they go by."""
    row = run.row(AT)
    wait, sojourn = row["wait_ms_mean"] / 1e3, row["residence_ms_mean"] / 1e3
    return {
        "utilisation": row["utilisation"],
        "server_utilisation": row["utilisation"],
        "offered_load_erlang": row["in_service_mean"],
        "mean_in_system_L": row["waiting_mean"] + row["in_service_mean"],
        "mean_queue_Lq": row["waiting_mean"],
        "mean_wait_s": wait,
        "mean_wait_of_accepted_s": wait,
        "mean_sojourn_s": sojourn,
        "mean_sojourn_of_accepted_s": sojourn,
        "ratio_to_mm1_wait": row["wait_ms_mean"] / row["theory_wait_ms"],
    }


def mmc(case: Case) -> dict[str, Any]:
    """M/M/c, and M/M/1 with it."""
    rate, service_ms = case.given["arrival_rate"], 1e3 / case.given["service_rate"]
    slots = case.given["servers"]
    load = rate / case.given["service_rate"] / slots
    needed = case.more.get("min_arrivals_for_2pct", 0)
    if needed > NEEDED_MAX and not os.environ.get("TRUTH_LONG"):
        raise TooLongError(f"it needs {needed:,} arrivals; TRUTH_LONG=1 plays them")
    count = max(needed, arrivals_for(load))
    rare = "sojourn_p999_s" in case.expect  # one in a thousand: half the spread is wanted
    played = max(needed, arrivals_for(load, off=0.01)) if rare else count
    run = play(one_server(rate, {"exponential": service_ms}, slots), played)
    waited = run.had_to_wait(AT)
    found = {
        **one_queue(run),
        **quantiles(run, case.expect),
        "prob_wait": waited,
        "erlang_c_prob_wait": waited,
        "sojourn_stddev_s": run.spread(AT),
    }
    for name in case.expect:
        if match := AT_LEAST.fullmatch(name):
            enough = max(count / 2, min(count, 9_000_000)) + 20_000 / case.expect[name]
            found[name] = at_least(int(match["count"]), rate, service_ms, enough)
    return found


def at_least(threads: int, rate: float, service_ms: float, count: float) -> float:
    """Return the share of arrivals that find so many in the system or more (PASTA).

    As many threads on one core are the same queue, told in two: whoever finds all threads
    taken has to wait for one.
    """
    scenario = one_server(rate, {"exponential": service_ms}, threads, cores=1)
    return play(scenario, count).had_to_wait(AT)


def with_limit(case: Case) -> dict[str, Any]:
    """M/M/c/K: whoever finds the line full is refused."""
    given = case.given
    room = given["capacity_total"] - given["servers"]
    scenario = one_server(
        given["arrival_rate"],
        {"exponential": 1e3 / given["service_rate"]},
        given["servers"],
        queue=room,
    )
    run = play(scenario, 2_500_000)
    return {
        **one_queue(run),
        "reject_probability": run.failed_share,
        "throughput": run.result.summary.answered_per_second,
    }


def loss(case: Case) -> dict[str, Any]:
    """M/G/c/c: no line at all; the distribution of service does not matter, only its mean."""
    slots, offered = case.given["servers"], case.given["offered_load_erlang"]
    count = min(9_000_000, 6_000_000 + 40_000 * slots)  # large systems forget slowly
    services: dict[str, tuple[Any, float]] = {
        "": ({"exponential": 100}, 1.0),
        ", constant service": (100, 0.6),
        ", lognormal service": (lognormal(100, 1.0), 0.6),
    }
    if slots > 50:
        del services[", lognormal service"]
    found: dict[str, Any] = {}
    for how, (time, part) in services.items():
        run = play(one_server(offered * 10, time, slots, queue=0), count * part)
        found[f"blocking_probability{how}"] = run.failed_share
        found[f"carried_erlang{how}"] = Share(run.row(AT)["in_service_mean"], offered)
    return found


def lognormal(mean: float, scv: float) -> dict[str, Any]:
    """Return the lognormal of this mean and squared coefficient of variation."""
    sigma, median = math.sqrt(math.log(1 + scv)), mean / math.sqrt(1 + scv)
    return {"lognormal": {"median": median, "p99": median * math.exp(sigma * ndtri(0.99))}}


def metronome(case: Case) -> dict[str, Any]:
    """D/M/1: a load generator's fixed gaps; sigma is the share that has to wait."""
    rate, service = case.given["arrival_rate"], {"exponential": 1e3 / case.given["service_rate"]}
    count = arrivals_for(rate / case.given["service_rate"])
    run = play(one_server(rate, service, gap="fixed"), count / 2)
    poisson = play(one_server(rate, service), count)
    return {
        **one_queue(run),
        **quantiles(run, case.expect),
        "sigma": run.had_to_wait(AT),
        "mm1_wait_for_comparison_s": one_queue(poisson)["mean_wait_s"],
    }


def constant_service(case: Case) -> dict[str, Any]:
    """M/D/1."""
    rate, service = case.given["arrival_rate"], case.given["service_time_s"]
    run = play(one_server(rate, service * 1e3), arrivals_for(rate * service))
    return {**one_queue(run), **quantiles(run, case.expect)}


def general_service(case: Case) -> dict[str, Any]:
    """M/G/1: the wait follows from the first two moments of service (Pollaczek–Khinchine)."""
    given = case.given
    time = service_time(given)
    count = arrivals_for(given["arrival_rate"] * given["es"], given["scv"], off=0.03)
    return one_queue(play(one_server(given["arrival_rate"], time), count))


def service_time(given: dict[str, Any]) -> dict[str, Any]:
    """Return the distribution that a case describes in words."""
    words, mean, scv = given["service"], given["es"] * 1e3, given["scv"]
    if match := re.match(r"Erlang-(\d+)", words):
        return {"erlang": {"mean": mean, "phases": int(match[1])}}
    if "hyperexponential" in words:
        often = given["h2_p"]
        return {
            "bimodal": {
                "fast": mean / 2 / often,
                "slow": mean / 2 / (1 - often),
                "slow_share": 1 - often,
                "exponential": True,
            }
        }
    if words.startswith("bimodal"):
        (_, fast), (share, slow) = re.findall(r"([\d.]+)% take ([\d.]+) ms", words)
        return {
            "bimodal": {"fast": float(fast), "slow": float(slow), "slow_share": float(share) / 100}
        }
    if words.startswith("lognormal"):
        return lognormal(mean, scv)
    if match := re.match(r"uniform ([\d.]+)-([\d.]+) ms", words):
        return {"uniform": {"low": float(match[1]), "high": float(match[2])}}
    raise NotExpressibleError(f"there is no distribution of service times like {words!r}")


def impatient(case: Case) -> dict[str, Any]:
    """M/M/c+M (Erlang-A): who waits too long leaves; patience is exponential.

    The mean wait is of all, those who leave included: by Little's law the line's mean length
    over the rate of arrivals.
    """
    given = case.given
    patience = {"exponential": 1e3 / given["patience_rate"]}
    count = 16_000_000 if "prob_wait" in case.expect else 2_000_000
    run = play(
        one_server(
            given["arrival_rate"],
            {"exponential": 1e3 / given["service_rate"]},
            given["servers"],
            queue_timeout_ms=patience,
        ),
        count,
    )
    return {
        "abandon_probability": run.failed_share,
        "fluid_abandon": run.failed_share,
        "prob_wait": run.had_to_wait(AT),
        "mean_wait_s": run.row(AT)["waiting_mean"] / given["arrival_rate"],
    }


def timed_out(case: Case) -> dict[str, Any]:
    """M/M/1+D: patience is a time-out in the queue."""
    given = case.given
    run = play(
        one_server(
            given["arrival_rate"],
            {"exponential": 1e3 / given["service_rate"]},
            queue_timeout_ms=given["queue_timeout_s"] * 1e3,
        ),
        3_000_000,
    )
    answered = run.result.summary.answered_per_second
    return {
        "timeout_probability": run.failed_share,
        "goodput": Share(answered, given["arrival_rate"]),
    }


def no_queue(case: Case) -> dict[str, Any]:
    """M/G/∞: nobody waits, so the number in flight is Poisson."""
    scenario = endless(
        case.given["arrival_rate"], {"exponential": case.given["mean_service_s"] * 1e3}
    )
    run = begin(scenario, seconds := 60_000 * case.given["mean_service_s"])
    run.advance(20 * case.given["mean_service_s"])
    pool = run.plane.program.stations["data.search"].pools[0]
    found = census(
        run, seconds, case.given["mean_service_s"], lambda: run.plane.world.pools["busy"][pool]
    )
    limits = {name: int(name[12:]) for name in case.expect if name.startswith("p_more_than_")}
    return {
        "mean_in_flight": float(found.mean()),
        "variance_in_flight": float(found.var()),
        **{name: float((found > limit).mean()) for name, limit in limits.items()},
    }


def endless(per_second: float, time: Any) -> Scenario:
    """Return a scenario in which so many are served at once that nobody ever waits."""
    search = {"slots": 10_000, "query_time": time}
    return system([{"do": "search"}], per_second, data={"hop": 0, "search": search})


MODELS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "M/M/1": mmc,
    "M/M/c": mmc,
    "M/M/c/K": with_limit,
    "M/G/c/c (loss)": loss,
    "D/M/1": metronome,
    "M/D/1": constant_service,
    "M/G/1": general_service,
    "M/M/c+M": impatient,
    "M/M/1+D (reneging from queue)": timed_out,
    "M/G/inf": no_queue,
}
ADAPTERS = [
    (lambda case, model=model: case.given.get("model") == model, adapter)
    for model, adapter in MODELS.items()
]
