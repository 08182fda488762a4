"""Explain: where a system spends its time, what limits it, and what theory says of it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd

from engine.result import Result
from engine.scenario import Scenario
from engine.study.headroom import FULL, NEAR
from engine.study.statistics import batch_means


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One run in plain words."""

    bottleneck: str  # a station
    sentences: tuple[str, ...]
    stations: pd.DataFrame  # measured against Little's law and Erlang's formula
    spent: pd.DataFrame  # layer × kind, in the mean and the P99


def explain(result: Result) -> Explanation:
    """Return what limits a run and why, and where its time is spent."""
    stations = checked(result)
    spent = result.shares[result.shares["journey"] == "all"]
    name = bottleneck(result)
    half = float(stations["wait_half_width_ms"].get(name, math.nan))
    return Explanation(name, tuple(_sentences(result, name, half, spent)), stations, spent)


def bottleneck(result: Result) -> str:
    """Return the station that limits a run: where most wait, else the busiest.

    A station whose slots are all held by requests that wait elsewhere is not where it begins.
    """
    table = result.stations.dropna(subset=["utilisation"])
    own = table["cpu_utilisation"].fillna(table["utilisation"])
    full, seen = table[own >= FULL], table["layer"] != "asynchronous"  # nobody waits for the rest
    for some in (full[seen[full.index]], full):
        if not some.empty:
            return str(some["waiting_mean"].fillna(0.0).idxmax())
    felt = own[seen]
    return str(felt.idxmax()) if not felt.empty else ""


def _sentences(result: Result, name: str, half: float, spent: pd.DataFrame) -> list[str]:
    nothing = ["No part has limits, so that nothing limits it."]
    said = _limits(result, name, half) if name else nothing
    for of, what in (("mean", "On average"), ("p99", "In the slowest hundredth")):
        part = spent[spent["of"] == of].nlargest(2, "ms")
        told = [
            (row.share, _kind_words(row.kind, row.layer)) for row in part.itertuples() if row.ms
        ]
        words = " and ".join(
            f"{share:.0%}{'' if place else ' of the time'} is {where}"
            for place, (share, where) in enumerate(told)
        )
        if words:
            said.append(f"{what} {words}.")
    return said


def _limits(result: Result, name: str, half: float) -> list[str]:
    """Say which part limits a run, and why.  `half`: how sure its wait is, ms."""
    row = result.stations.loc[name]
    cpu, slots, threads = (
        float(row[each]) for each in ("cpu_utilisation", "utilisation", "thread_utilisation")
    )
    busy = slots if math.isnan(cpu) else cpu
    wait, rate = float(row["wait_ms_mean"]), float(row["rate_per_s"])
    sure = "" if math.isnan(half) else f" ± {half:,.{0 if wait >= 100 else 1}f}"
    told = f"{wait:,.{0 if wait >= 100 else 1}f}{sure} ms"
    waits = f", and each request waits {told} there" if wait >= 0.1 else ""
    if busy >= FULL:
        first = f"{row['title']} limits it: it is {busy:.0%} busy at {rate:,.0f}/s{waits}."
        why = "More comes in than it can do, so that lines grow: here, or at whoever calls it."
        if not math.isnan(cpu) and threads >= FULL:
            why = "Its CPU is what is short: more comes in than it can compute, and its line grows."
        return [first, why]
    first = (
        f"Nothing is full. {row['title']} is the busiest part that users wait for:"
        f" {busy:.0%} busy at {rate:,.0f}/s"
    )
    held = not math.isnan(cpu) and threads > NEAR and threads > cpu + 0.2
    if held:
        why = (
            f"But {threads:.0%} of its threads are held while they wait for what they call: look"
            " at the slow part behind it, or give it more threads."
        )
    elif busy > 0:
        why = f"If load grew, it would be full first, at {1 / busy:.1f} times the load of now."
    else:
        why = ""
    why = " ".join(filter(None, (why, _behind(result, busy))))
    return [f"{first}{waits}.", *filter(None, (why,))]


def _behind(result: Result, busy: float) -> str:
    """Say which part, if any, is busier than `busy` where nobody waits for it."""
    table = result.stations
    share = table.loc[table["layer"] == "asynchronous", "utilisation"].dropna()
    if share.empty or share.max() <= busy:
        return ""
    title = table.loc[share.idxmax(), "title"]
    return f"In the background {title} is busier, {share.max():.0%}, but no user waits for it."


def _kind_words(kind: str, layer: str) -> str:
    """Return a share of the time in plain words.

    >>> _kind_words("network", "client"), _kind_words("waiting", "data")
    ('the network of the client layer', 'waiting in line in the data layer')
    """
    if kind == "network":
        return f"the network of the {layer} layer"
    return f"{'waiting in line' if kind == 'waiting' else kind} in the {layer} layer"


def checked(result: Result) -> pd.DataFrame:
    """Return each station's measured wait beside what Erlang C and Little's law say of it.

    Little: the mean number there is the arrival rate times the mean stay (J. D. C. Little 1961);
    both sides are measured apart, so that a gap of more than noise would be a fault of the engine.
    """
    table = result.stations.dropna(subset=["utilisation"]).copy()
    rate = table["rate_per_s"]
    table["little_number"] = rate * table["residence_ms_mean"] / 1e3
    table["number_mean"] = table["waiting_mean"].fillna(0.0) + table["in_service_mean"]
    table["wait_half_width_ms"] = [_wait_half_width(result, str(name)) for name in table.index]
    table["says"] = [_why_not(result.scenario, row) for row in table.itertuples()]
    columns = [
        "title",
        "rate_per_s",
        "utilisation",
        "wait_ms_mean",
        "wait_half_width_ms",
        "theory_wait_ms",
        "number_mean",
        "little_number",
        "says",
    ]
    return table[columns]


def _wait_half_width(result: Result, name: str) -> float:
    """Return half the 95 % interval of a station's mean wait, ms, from batch means of the run.

    The mean wait is the mean line over the arrival rate (Little), a ratio: its error is that of the
    line less the line that this wait would make of each batch's arrivals (Law 2015, section 9.5.3).
    """
    series = result.windows.get(name)
    if series is None:
        return math.nan
    counted = result.timeseries["time_s"].to_numpy() > result.scenario.warm_up_seconds
    line, rate = (np.asarray(series[each], float)[counted] for each in ("waiting", "rate_per_s"))
    if not len(line) or np.isnan(line).any() or not rate.sum() > 0:
        return math.nan
    return batch_means(line - line.sum() / rate.sum() * rate).half_width / rate.mean() * 1e3


def _why_not(scenario: Scenario, row: Any) -> str:
    """Say how a station's wait and number stand to the formulas', and why they may differ."""
    inside, little = float(row.number_mean), float(row.little_number)
    said = _wait_says(scenario, row)
    if abs(inside - little) <= max(0.1, 0.1 * inside):
        return said
    refused = "many are turned away or give up before their turn"
    why = refused if row.failed_per_s > 0 else "the line still grows, and who is in it has not left"
    return f"{said}; Little's law is off: {why}"


def _wait_says(scenario: Scenario, row: Any) -> str:
    """Say how a station's wait stands to M/M/c's, and why it may differ."""
    wait, theory = float(row.wait_ms_mean), float(row.theory_wait_ms)
    if math.isnan(theory) or math.isnan(wait):
        return (
            "no formula: more comes in than it can do, so that its line has no mean"
            if row.utilisation >= FULL
            else "no formula fits: it is no simple queue"
        )
    if abs(wait - theory) <= max(0.1, 0.1 * theory):
        return "as Erlang C says"
    if abs(wait - theory) <= row.wait_half_width_ms:
        return "as Erlang C says, within noise: a longer run would tell more"
    if wait > theory:
        if row.thread_utilisation > 0.5 and row.cpu_utilisation < row.thread_utilisation - 0.2:
            return "longer: its threads are held while they wait for what they call"
        if scenario.client.attempts > 1 and row.failed_per_s > 0:
            return "longer: what failed comes again, in bursts"
        if scenario.client.pattern.shape != "constant":
            return "longer: load comes in waves, and the formula knows only the mean"
        return "longer: arrivals come in bursts, or some jobs are far longer than the mean"
    if row.service_ms_mean and row.in_service_mean:
        return "shorter: jobs vary less than the formula's, or the balancer evens out the lines"
    return "shorter"
