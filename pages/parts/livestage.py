"""One session's live run, and the one beside it in which one thing is otherwise.

The browser asks, about once a second, for what comes next: it says what it has, up to when it
wants to know, and what the person did.  An answer that is lost is asked for again, an act that is
heard twice is done once.  Nobody asks while a run is paused or its tab is hidden, and then nothing
is computed.
"""

import dataclasses
import math
import time
from typing import Any

from engine import LAYERS, Knob, Live, Scenario, ScenarioError, catalogue
from pages.parts import limits, sidebar
from pages.parts.base import Base
from pages.parts.liveautopsy import Autopsy
from pages.parts.livereport import report
from pages.parts.liverows import Rows, node

LIVE_SECONDS = 1800.0  # a run without a timeline of its own ends after half an hour
AHEAD_MAX = 60.0  # simulated seconds that one answer may bring
WORK_SECONDS = 0.45  # of the server, for one answer; what is missing is asked for again
EVENTS_MAX = 4000


@dataclasses.dataclass
class Known:
    """What the browser said that it has."""

    run: str = ""
    rows: int = 0
    events: int = 0
    still: bool = False
    rival: str = ""
    rival_rows: int = 0


@dataclasses.dataclass
class Rival:
    """The run in which one thing is otherwise."""

    id: str
    label: str
    live: Live
    rows: Rows


class Stage:
    """A live run with all that has come of it so far."""

    def __init__(self, number: int, base: Base, wanted: dict[str, Any], seed: int) -> None:
        self.number, self.base, self.seed = number, base, seed
        self.wanted = dict(wanted)  # where the sliders stood when last looked at
        self.work_seconds = WORK_SECONDS
        self.heard = 0  # the newest act
        self.told: list[str] = []  # why the last thing that was asked for was refused
        self.restarts = 0
        self._begin(lasting(base.scenario.change(wanted)))

    def _begin(self, scenario: Scenario) -> None:
        """Set up a run at its start."""
        self.live = Live(scenario, self.seed)
        self.id = f"live-{scenario.digest()[:6]}-{self.seed}-{self.number}.{self.restarts}"
        self.names = list(dict.fromkeys([*self.base.whole.nodes, *self.live.stations]))
        self.rows = Rows(self.live, self.names)
        self.events: list[list[Any]] = []
        self.rival: Rival | None = None
        self.stopped = ""  # why a run ended before its time
        self.finished = False
        self._said: list[list[str]] = []
        self.autopsy: Autopsy | None = None
        self.known = Known()

    @property
    def over(self) -> bool:
        """Whether the run does not go on."""
        return self.live.ended or self.finished or bool(self.stopped)

    # ------------------------------------------------------------ what the browser says

    def hear(self, ask: dict[str, Any]) -> None:
        """Do what an ask wants: first what the person did, then go on up to a moment."""
        if ask.get("run") == self.id:
            self.known = Known(
                run=self.id,
                rows=int(ask.get("rows") or 0),
                events=int(ask.get("events") or 0),
                still=bool(ask.get("still")),
                rival=str(ask.get("rival") or ""),
                rival_rows=int(ask.get("rivalRows") or 0),
            )
        for act in ask.get("acts") or []:
            if act["number"] > self.heard and act.get("run") == self.id:
                self.heard = act["number"]
                self._do(act)
        if ask.get("run") == self.id:
            until = float(ask.get("until") or 0.0)
            self._go_on(min(until, self.live.now + AHEAD_MAX))

    def _do(self, act: dict[str, Any]) -> None:
        """Do one thing that a person asked for; say why, if it cannot be."""
        self.told = []
        try:
            self._acts(act)
        except ScenarioError as error:
            self.told.append(_sentence(str(error)))

    def _acts(self, act: dict[str, Any]) -> None:
        kind = act.get("do")
        if kind in {"inject", "mend"} and self.over:
            raise ScenarioError("this run is over; ↺ Restart begins it anew")
        if kind == "inject":
            self.live.inject(act["fault"])
            self._also()
        elif kind == "mend":
            self.live.mend(int(act["force"]))
            self._also()
        elif kind == "branch":
            self._branch(act)
        elif kind == "unbranch":
            self.rival = None
        elif kind == "finish":
            self.finished = True
        elif kind == "restart":
            self.restart()

    def _go_on(self, until: float) -> None:
        """Play up to a moment, as far as the work of one answer goes."""
        deadline = time.monotonic() + self.work_seconds
        live = self.live
        if not self.over:
            try:
                while live.now < until and time.monotonic() < deadline and not live.ended:
                    step = min(until, live.now + live.frame_seconds)
                    self.rows.add(live.advance_to(step))
            except ScenarioError as error:
                self.stopped = str(error)
            self._note_events()
        self._rival_catches_up()

    def _note_events(self) -> None:
        for at, kind, station, text in self.live.events():
            if len(self.events) < EVENTS_MAX:
                self.events.append([round(at, 2), kind, station, self._plain(kind, text)])

    def _plain(self, kind: str, text: str) -> str:
        """Return an event's text with the knob's title for its path."""
        path, said, value = text.partition(" is now ")
        if kind == "change" and said and path in self.base.knobs:
            return f"{sidebar.label(self.base.knobs[path])}{said}{value}"
        return text or kind

    # ------------------------------------------------------------ sliders

    def follow(self, wanted: dict[str, Any]) -> None:
        """Turn the knobs that have been turned on the page since this was last asked."""
        known = self.base.knobs
        paths = self.wanted.keys() | wanted.keys()
        moved = {
            path: wanted.get(path, known[path].value)
            for path in paths
            if path in known
            and wanted.get(path, known[path].value) != self.wanted.get(path, known[path].value)
        }
        if not moved:
            return
        self.wanted, self.told = dict(wanted), []
        if self.live.now == 0 and not self.live.history:  # nothing has happened yet
            self.restart()
            return
        if self.over:
            self.told.append("This run is over; ↺ Restart begins it anew, with the slider there.")
            return
        try:
            self.live.change_all(moved)
        except ScenarioError as error:
            self.told.append(f"{_sentence(str(error))} ↺ Restart begins with it.")
            return
        self._note_events()
        self._also()

    def restart(self) -> None:
        """Begin again with the same seed, as the sliders stand, and with nothing done to it."""
        scenario = lasting(self.base.scenario.change(self.wanted))
        self.restarts += 1
        self.leave()
        self.told = []
        self._begin(scenario)

    def leave(self) -> None:
        """Stop what is still being worked out for this run."""
        if self.autopsy:
            self.autopsy.give_up()

    # ------------------------------------------------------------ what if

    def _branch(self, act: dict[str, Any]) -> None:
        """Begin the run in which one knob stands elsewhere, from a moment on."""
        path, value, at = str(act["path"]), act["value"], float(act.get("at") or 0.0)
        knob = self.base.knobs[path]
        value = int(value) if knob.kind == "int" else value
        self._note_events()
        live = self.live.branch({path: value}, at)
        when = f" from {clock(at)} on" if at > 0 else " from the start"
        label = f"{sidebar.label(knob)} {value}{when}"
        self.rival = Rival(f"{self.id}/{act['number']}", label, live, Rows(live, live.stations))

    def _also(self) -> None:
        """Have the run beside do what was just done, at the same moment."""
        if self.rival:
            self.rival.live.also(self.live.history[-1])

    def _rival_catches_up(self) -> None:
        """Play the run beside up to the same moment, as far as the work of one answer goes."""
        rival, deadline = self.rival, time.monotonic() + self.work_seconds
        if not rival:
            return
        live = rival.live
        try:
            while live.now < self.live.now and time.monotonic() < deadline:
                step = min(self.live.now, live.now + live.frame_seconds)
                rival.rows.add(live.advance_to(step))
        except ScenarioError as error:
            self.told.append(f"The run with {rival.label} ended: {_sentence(str(error))}")
            self.rival = None

    # ------------------------------------------------------------ what the browser is told

    def data(self) -> dict[str, Any]:
        """Return what the browser does not have yet."""
        known = self.known if self.known.run == self.id else Known()
        live, rows = self.live, self.rows.rows
        return {
            "run": self.id,
            "heard": self.heard,
            "told": self.told[-3:],
            "report": self._report(),
            "writing": bool(self.autopsy and not self.autopsy.done),
            "now": live.now,
            "over": self.over,
            "stopped": self.stopped,
            "first": min(known.rows, len(rows)),
            "rows": rows[known.rows :],
            "firstEvent": min(known.events, len(self.events)),
            "events": self.events[known.events :],
            "forces": [
                [title, round(since, 1), None if until == math.inf else round(until, 1)]
                for title, since, until in live.in_force()
            ],
            "rival": self._rival_data(known),
            "still": None if known.still else self._still(),
        }

    def _report(self) -> list[list[str]]:
        """Return what there is to say after the run: at once what is known, later why."""
        if not self.over:
            return []
        if self.autopsy is None:
            self._said = report(self.live.result(), self.live.now)
            if self.live.now > self.live.started.warm_up_seconds:
                self.autopsy = Autopsy(self.live)
        if self.autopsy is None or (self.autopsy.done and not self.autopsy.lines):
            return self._said
        if self.autopsy.done:
            return self.autopsy.lines
        return [["wait", f"The post-mortem {self.autopsy.progress} …"], *self._said]

    def _rival_data(self, known: Known) -> dict[str, Any] | None:
        rival = self.rival
        if not rival:
            return None
        have = known.rival_rows if known.rival == rival.id else 0
        return {
            "id": rival.id,
            "label": rival.label,
            "refused": [line for _, line in rival.live.refused[-2:]],
            "first": have,
            "rows": [row[:10] for row in rival.rows.rows[have:]],
        }

    def _still(self) -> dict[str, Any]:
        """Return what stays the same for a whole run."""
        live, ghosts = self.live, self.base.whole
        scenario = live.started
        nodes = [node(live, name, dict(ghosts.nodes.get(name, {}))) for name in self.names]
        return {
            "frame": live.frame_seconds,
            "length": scenario.duration_seconds,
            "layers": [
                {"name": layer, "title": layer.capitalize(), "on": scenario.get(f"{layer}.enabled")}
                for layer in LAYERS
            ],
            "nodes": nodes,
            "edges": [
                [
                    self.names.index(source),
                    self.names.index(target),
                    int(live.topology[source][target]["telemetry"]),
                ]
                for source, target in live.edges
            ],
            "limits": {
                "latency": [limits.LATENCY_MS[name] for name in ("p50", "p95", "p99")],
                "errors": [limits.ERRORS_WARN, limits.ERRORS_BAD],
                "answered": [limits.ANSWERED_WARN, limits.ANSWERED_BAD],
            },
            "faults": self._faults(),
            "knobs": self._knobs(),
        }

    def _faults(self) -> list[dict[str, Any]]:
        """Return what can be broken, with the fields of its form; it always begins now."""
        return [
            {
                "do": info.do,
                "title": info.title,
                "layer": LAYERS.index(info.layer) if info.layer else -1,
                "help": info.help,
                "whyNot": info.why_not,
                "fields": [_field(knob) for knob in info.fields if knob.path != "at_seconds"],
            }
            for info in catalogue(self.live.started)
        ]

    def _knobs(self) -> list[dict[str, Any]]:
        """Return the knobs that one may ask "what if" about."""
        return [
            {
                **_field(knob),
                "title": sidebar.label(knob),
                "layer": LAYERS.index(knob.layer),
                "value": self.wanted.get(path, knob.value),
            }
            for path, knob in self.base.knobs.items()
            if not knob.optional
        ]


def _field(knob: Knob) -> dict[str, Any]:
    """Return a field of a form."""
    return {
        "path": knob.path,
        "title": knob.title,
        "help": knob.help,
        "kind": knob.kind,
        "value": knob.value,
        "low": knob.low,
        "high": knob.high,
        "unit": knob.unit,
        "choices": list(knob.choices),
        "optional": knob.optional,
    }


def _sentence(line: str) -> str:
    """Return an error's line as a sentence of its own."""
    return f"{line}." if line[-1:] not in ".!?" else line


def lasting(scenario: Scenario) -> Scenario:
    """Return a scenario that goes on for long enough to be broken and mended.

    One with a timeline of its own is a story with an end, and keeps its length.
    """
    if getattr(scenario, "faults", ()) or getattr(scenario, "changes", ()):
        return scenario
    return scenario.change({"duration_seconds": max(LIVE_SECONDS, scenario.duration_seconds)})


def clock(seconds: float) -> str:
    """Return a moment as people say it.

    >>> clock(42.4), clock(605)
    ('0:42', '10:05')
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
