"""Live runs: a run that goes on while people watch it, act on it, and ask what would have been.

A `Live` run hands out frames, each what was measured in so many simulated seconds.  A frame is the
difference of two readings of counters that the data plane keeps anyway, so that a run that is
watched is the same run, bit for bit.  What people do is noted with its moment; a branch is a run
from the start in which the same is done at the same moments, but for one knob.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from engine.errors import ScenarioError
from engine.record import QUANTILES, quantiles
from engine.run import Simulation
from engine.topology import topology

if TYPE_CHECKING:
    from engine.component import Line
    from engine.result import Result
    from engine.scenario import Scenario

FRAMES_MAX = 3600  # of one run, so that what is kept of it stays small: an hour of seconds
FRAME_SECONDS = 1.0

Event = tuple[float, str, str, str]  # seconds, kind, station, text


class Action(NamedTuple):
    """What a person did, and when."""

    time: float
    do: Literal["change", "inject", "mend"]
    what: Mapping[str, Any]  # a change's values by path, a fault's fields, or which fault ends


class Frame(NamedTuple):
    """What was measured between two moments; arrays are in the order of `Live.stations`."""

    time: float  # when it ended, seconds
    asked_per_s: float
    answered_per_s: float
    failed_per_s: float
    error_ratio: float
    latency_ms: tuple[float, float, float]  # P50, P95, P99 of the answers; NaN without any
    in_flight: int
    rate_per_s: np.ndarray
    utilisation: np.ndarray  # of slots or cores, whichever are busier; NaN where there are none
    waiting: np.ndarray  # in line, on average; NaN where nobody can wait
    stay_ms: np.ndarray  # mean stay; NaN where nobody left
    hit_ratio: np.ndarray  # NaN where nothing was looked up
    failed_share: np.ndarray  # of those who came
    servers: np.ndarray  # in service at the end of the frame; 0 where there are none
    flow_per_s: np.ndarray  # in the order of `Live.edges`


class Live:
    """A run that is advanced, watched and acted upon; `script` is done at its moments."""

    def __init__(self, scenario: Scenario, seed: int = 7, script: Iterable[Action] = ()) -> None:
        self.started = scenario
        self.seed = seed
        self.run = Simulation(scenario, seed)
        self.history: list[Action] = []
        self.refused: list[tuple[float, str]] = []  # what of the script could not be done
        self.topology = topology(self.run.plane.program)
        self.stations: list[str] = list(self.topology.nodes)
        self.edges: list[tuple[str, str]] = list(self.topology.edges)
        self.frame_seconds = max(FRAME_SECONDS, scenario.duration_seconds / FRAMES_MAX)
        self._frames = 0
        self._seen = 0  # events handed out
        self._script = sorted(script, key=lambda action: action.time)
        self._bill: tuple[Scenario, list[Line]] = scenario, scenario.bill()
        self._gauge = Gauge(self)
        self._follow_script()

    # ------------------------------------------------------------ asking

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""
        return float(self.run.env.now)

    @property
    def ended(self) -> bool:
        """Whether the scenario's time is over."""
        return self.now >= self.started.duration_seconds

    def has(self, what: Literal["pools", "stores"], name: str) -> bool:
        """Return whether a station has slots to fill, or stores to look things up in."""
        station = self.run.plane.program.stations.get(name)
        return bool(station and getattr(station, what))

    def cost_usd_per_hour(self) -> float:
        """Return what everything that is on costs an hour now, what was scaled included."""
        if self._bill[0] is not self.run.scenario:
            self._bill = self.run.scenario, self.run.scenario.bill()
        paid = self.run.recorder.paid
        return sum(
            (paid[line.station][-1][1] if paid.get(line.station) else line.quantity)
            * line.usd_per_hour_each
            for line in self._bill[1]
        )

    def in_force(self) -> list[tuple[str, float, float]]:
        """Return the faults in force now: title, since and until when in seconds, maybe inf."""
        return [(each.fault.title, each.since, each.until) for each in self.run.timeline.in_force]

    def recorded(self) -> Scenario:
        """Return the scenario with all that was done on its timeline, as long as it has gone on."""
        return self.run.recorded().change({"duration_seconds": self.now})

    def result(self) -> Result:
        """Return all that has come out so far."""
        return self.run.result()

    def events(self) -> list[Event]:
        """Return what has happened since this was last asked."""
        log = self.run.recorder.events
        new, self._seen = log[self._seen :], len(log)
        return new

    # ------------------------------------------------------------ going on

    def advance(self, seconds: float) -> list[Frame]:
        """Play so many simulated seconds, to the scenario's end at most; return the new frames."""
        return self.advance_to(self.now + seconds)

    def advance_to(self, until: float) -> list[Frame]:
        """Play until this simulated time, in seconds; return the frames that are complete."""
        until = min(until, self.started.duration_seconds)
        frames = []
        while self.now < until:
            due = (self._frames + 1) * self.frame_seconds
            scripted = self._script[0].time if self._script else until
            self.run.advance_to(min(until, due, max(scripted, self.now)))
            if self.now >= due:
                self._frames += 1
                frames.append(self._gauge.frame())
            self._follow_script()
        return frames

    def _follow_script(self) -> None:
        """Do what the script has for this moment; what is refused is noted."""
        while self._script and self._script[0].time <= self.now:
            action = self._script.pop(0)
            try:
                self._do(action)
            except ScenarioError as error:
                self.refused.append((self.now, str(error)))

    def _do(self, action: Action) -> None:
        if action.do == "change":
            self.change_all(action.what)
        elif action.do == "inject":
            self.inject(action.what)
        else:
            self.mend(int(action.what["number"]))

    # ------------------------------------------------------------ acting

    def change(self, path: str, value: Any) -> None:
        """Turn one knob now.  Raises ScenarioError, and goes on as it was, if it cannot be."""
        self.change_all({path: value})

    def change_all(self, changes: Mapping[str, Any]) -> None:
        """Turn several knobs at once, now."""
        self.run.change_all(changes)
        self.history.append(Action(self.now, "change", dict(changes)))

    def inject(self, fault: Mapping[str, Any]) -> None:
        """Let a fault begin now; it has what one of the timeline has, its start apart.

        Raises ScenarioError, and goes on as it was, if it makes no sense here.
        """
        self.run.inject(fault)
        self.history.append(Action(self.now, "inject", dict(fault)))

    def mend(self, number: int) -> None:
        """End the `number`-th of the faults in force now, from 0 on.  Raises ScenarioError."""
        self.run.mend(number)
        self.history.append(Action(self.now, "mend", {"number": number}))

    def also(self, action: Action) -> None:
        """Have something done at a moment that has not passed."""
        assert action.time >= self.now, "what is past cannot be changed"
        self._script.append(action)

    # ------------------------------------------------------------ starting over

    def restart(self) -> Live:
        """Return the same run at its start, with nothing done to it."""
        return Live(self.started, self.seed)

    def branch(self, changes: Mapping[str, Any], at_seconds: float = 0.0) -> Live:
        """Return a run from the start that only differs in some knobs, from a moment on.

        What was done to this run is done to it at the same moments; whoever turned these very
        knobs later did not.  From the start on any knob may differ, later only those that can be
        turned while a run goes on.  Raises ScenarioError where the knobs make no sense.
        """
        script = [
            left
            for action in self.history
            if (left := _without(action, changes) if action.time >= at_seconds else action)
        ]
        changed = self.started.change(changes)
        if at_seconds <= 0:
            return Live(changed, self.seed, script)
        return Live(self.started, self.seed, [*script, Action(at_seconds, "change", changes)])


def _without(action: Action, changes: Mapping[str, Any]) -> Action | None:
    """Return an action less what it did to some knobs; None if nothing is left of it."""
    if action.do != "change":
        return action
    left = {path: value for path, value in action.what.items() if path not in changes}
    return action._replace(what=left) if left else None


# ---------------------------------------------------------------- frames


BY_STATION = (
    "rate_per_s",
    "utilisation",
    "waiting",
    "stay_ms",
    "hit_ratio",
    "failed_share",
    "servers",
)


class Reading(NamedTuple):
    """Counters at one moment, by station or edge."""

    time: float
    journeys: np.ndarray  # started, answered, failed
    latency: np.ndarray  # histogram of all answers
    busy: np.ndarray  # slot-seconds, by pool
    waiting: np.ndarray  # by pool
    queued: np.ndarray  # by channel
    served: np.ndarray  # by meter
    failed: np.ndarray
    stay: np.ndarray
    gets: np.ndarray  # by store
    hits: np.ndarray
    visits: np.ndarray  # by step


class Gauge:
    """Reads a run's counters and makes a frame of each two readings.

    What is copied is a few thousand numbers, whatever the traffic.
    """

    def __init__(self, live: Live) -> None:
        self.live = live
        self._before = self._read()

    def frame(self) -> Frame:
        """Return what has been measured since the frame before."""
        before, after = self._before, self._read()
        self._before = after
        seconds = after.time - before.time
        started, answered, failed = ((after.journeys - before.journeys) / seconds).tolist()
        p50, p95, p99 = (quantiles(after.latency - before.latency, QUANTILES) * 1e3).tolist()
        flows = self._flows(after.visits - before.visits) / seconds
        delta = Reading._make(map(operator.sub, after, before))
        return Frame(
            after.time,
            started,
            answered,
            failed,
            failed / (failed + answered) if failed + answered else 0.0,
            (p50, p95, p99),
            int(self.live.run.plane.world.journeys["in_flight"].sum()),
            **self._stations(delta, flows, started),
            flow_per_s=flows,
        )

    def _read(self) -> Reading:
        plane = self.live.run.plane
        world, now = plane.world, plane.now
        pools, channels = world.pools, world.channels
        meters, stores, journeys = world.meters, world.stores, world.journeys
        elapsed = now - pools["last"]
        return Reading(
            now,
            np.array([journeys[name].sum() for name in ("started", "answered", "failed")]),
            world.latency.sum(axis=0),
            pools["busy_area"] + pools["busy"] * elapsed,
            pools["waiting_area"] + pools["waiting"] * elapsed,
            channels["waiting_area"] + channels["waiting"] * (now - channels["last"]),
            meters["served"].copy(),
            meters["failed"].copy(),
            meters["stay"].copy(),
            stores["gets"].copy(),
            stores["hits"].copy(),
            world.visits.copy(),
        )

    def _flows(self, visits: np.ndarray) -> np.ndarray:
        """Return how many went along each edge; web and mobile users share one program."""
        live = self.live
        place = {edge: index for index, edge in enumerate(live.edges)}
        mobile = live.run.scenario.client.mobile_share if "client.mobile" in live.stations else 0.0
        flows = np.zeros(len(live.edges))
        for row, source, target in live.run.plane.program.entries:
            if (source, target) not in place:
                continue
            part = mobile if source == "client.web" else 0.0
            flows[place[source, target]] += (1.0 - part) * visits[row]
            if part:
                flows[place["client.mobile", target]] += part * visits[row]
        return flows

    def _stations(self, delta: Reading, flows: np.ndarray, started: float) -> dict[str, np.ndarray]:
        """Return what a frame says of each station."""
        live, world = self.live, self.live.run.plane.world
        slots, plane = world.pools["slots"], live.run.plane
        into = np.zeros(len(live.stations))
        place = {name: index for index, name in enumerate(live.stations)}
        np.add.at(into, [place[target] for _, target in live.edges], flows)
        table = np.full((len(BY_STATION), len(live.stations)), np.nan)
        rate, busy, waiting, stay, hits, failures, servers = table
        rate[:] = into
        servers[:] = 0
        mobile = live.run.scenario.client.mobile_share if "client.mobile" in place else 0.0
        for station in live.run.plane.program.stations.values():
            row = place.get(station.name)
            if row is None:
                continue
            if station.kind == "source":
                rate[row] = started * (mobile if station.name == "client.mobile" else 1 - mobile)
            if station.pools:
                busy[row] = _busy(delta, station.pools, slots)
                if station.cpus:
                    busy[row] = max(busy[row], _busy(delta, station.cpus, slots))
                waiting[row] = delta.waiting[station.pools].sum() / delta.time
                up = sum(plane.is_up(pool) and plane.answers(pool) for pool in station.pools)
                servers[row] = up * station.hands
                if delta.served[station.meter]:
                    served = delta.served[station.meter]
                    stay[row] = delta.stay[station.meter] / served * 1e3
            if station.channel >= 0:
                waiting[row] = delta.queued[station.channel] / delta.time
            if station.stores and (gets := delta.gets[station.stores].sum()):
                hits[row] = delta.hits[station.stores].sum() / gets
            failed = delta.failed[station.meter] / delta.time
            failures[row] = min(1.0, failed / rate[row]) if rate[row] > 0 else float(failed > 0)
        np.nan_to_num(failures, copy=False)
        return dict(zip(BY_STATION, table, strict=True))


def _busy(delta: Reading, pools: list[int], slots: np.ndarray) -> float:
    """Return which share of the slots of some pools was busy."""
    return float(delta.busy[pools].sum() / delta.time / max(1, slots[pools].sum()))
