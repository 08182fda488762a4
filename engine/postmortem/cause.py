"""Cause: what happened just before users were harmed, and whether it was that.

It is looked up in the log and then checked: the same run is played without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from engine.distribution import Frozen
from engine.postmortem.impact import CAUSES, Impact

if TYPE_CHECKING:
    from engine.result import Result
    from engine.scenario import Scenario

MORE_TRAFFIC = 1.2  # times what was usual: traffic has risen
TRIES = 3  # what happened last, and what before that
BUSY = 0.9


class Cause(Frozen):
    """What set it off."""

    at_seconds: float
    kind: str  # as in the log; "traffic" or "capacity" where the log has nothing
    text: str
    station: str = ""  # where; "" if nowhere in particular
    failed_without: int | None = None  # requests, in the same run without it; None: not played
    harmed_seconds_without: float | None = None
    also: tuple[str, ...] = ()  # what was wrong already


class Suspect(NamedTuple):
    """Something that happened before the harm, and the scenario without it, if that can be said."""

    cause: Cause
    without: Scenario | None = None


def suspects(result: Result, scenario: Scenario, found: Impact) -> Iterator[Suspect]:
    """Yield what may have been the cause, the latest first.

    What happened in the window in which harm began counts as before it: nothing finer is seen.
    """
    series = result.timeseries
    window = float(series["time_s"].iloc[0])
    until = found.began_seconds + window + 1e-9
    events = result.events
    before = events[(events["time_s"] <= until) & events["kind"].isin(CAUSES)]
    told = [
        (float(row.time_s), str(row.kind), str(row.text), str(row.station))
        for row in before.iloc[::-1].itertuples()
    ]
    standing = {
        one.at_seconds
        for one in scenario.faults
        if one.at_seconds < found.began_seconds < one.until
    }
    for at, kind, text, station in told[:TRIES]:
        others = [other for when, _, other, _ in told if when in standing and other != text]
        cause = Cause(at_seconds=at, kind=kind, text=text, station=station, also=tuple(others))
        yield Suspect(cause=cause, without=without(scenario, kind, at))
    if not told:
        yield Suspect(cause=by_itself(result, found))


def without(scenario: Scenario, kind: str, at: float) -> Scenario | None:
    """Return the scenario without what happened at a time; None if that was not planned."""
    if kind not in {"fault", "change"}:
        return None
    name = f"{kind}s"
    kept = tuple(one for one in getattr(scenario, name) if abs(one.at_seconds - at) > 1e-9)
    if len(kept) == len(getattr(scenario, name)):
        return None
    return scenario.model_copy(update={name: kept})


def by_itself(result: Result, found: Impact) -> Cause:
    """Say what it was where nothing had gone wrong: traffic, or too little of something."""
    series = result.timeseries
    at, warm_up = found.began_seconds, result.scenario.warm_up_seconds
    usual = series.loc[(series["time_s"] > warm_up) & (series["time_s"] <= at), "started_per_s"]
    window = float(series["time_s"].iloc[0])
    now = series.loc[
        (series["time_s"] > at) & (series["time_s"] <= at + 3 * window), "started_per_s"
    ]
    if len(usual) and len(now) and now.max() > MORE_TRAFFIC * usual.median():
        rise = now.max() / usual.median()
        text = f"traffic rose to {rise:.1f} times what it was, {now.max():,.0f} requests a second"
        return Cause(at_seconds=at, kind="traffic", text=text, station="client.web")
    text, station = busiest(result, at)
    return Cause(at_seconds=at, kind="capacity", text=text, station=station)


def busiest(result: Result, at: float) -> tuple[str, str]:
    """Say which station had most to do when harm began, and return it; "" if none had much."""
    series = result.station_series
    window = float(result.timeseries["time_s"].iloc[0])
    then = series[(series["time_s"] > at) & (series["time_s"] <= at + 3 * window)]
    load = then.groupby("station", observed=True)["utilisation"].mean().dropna()
    if load.empty or load.max() < BUSY:
        return "nothing in the log explains it, and no station was busy", ""
    station = str(load.idxmax())
    busy = f"{result.stations['title'][station]} was {load.max():.0%} busy"
    return f"nothing had gone wrong: {busy}, more came than it can do", station
