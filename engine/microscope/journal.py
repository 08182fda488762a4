"""The journal: for every step what was sent, what was answered, what changed, what was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import NonRecordingSpan, SpanContext

from engine.kernel.tables import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span

    from engine.microscope.done import Done
    from engine.microscope.scene import Scene, Token
    from engine.microscope.script import Script, Step
    from engine.microscope.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of one request, message or errand."""

    number: int
    time_seconds: float
    who: str  # request 3, message 3 for payment, flush …
    request: int
    journey: str
    station: str  # the place on the map that lights up
    title: str
    operation: str
    row: int  # of the program
    text: str
    command: str
    answer: str
    changed: tuple[str, ...]
    metric: str
    log: str
    trace_id: str
    span_id: str
    span: str  # name of the span that it belongs to
    background: bool
    level: str
    minor: bool  # a draw or a table look-up: of interest, but nothing moves


class Journal:
    """All entries of one microscope; spans are opened and closed as the steps go by."""

    def __init__(self, script: Script, telemetry: Telemetry) -> None:
        self.script, self.telemetry = script, telemetry
        self.entries: list[Entry] = []
        self.on = True
        self.watch: Callable[[Entry], None] | None = None  # is told of each entry as it is written

    # ------------------------------------------------------------ entries

    def say(
        self,
        scene: Scene,
        token: Token,
        step: Step,
        text: str,
        done: Done | None = None,
        *,
        metric: str = "",
        level: str = "info",
        minor: bool = False,
    ) -> None:
        """Write an entry about a token's step."""
        if not self.on:
            return
        span = token.spans[-1][1] if token.spans else token.carries.get("span")
        self._write(
            scene.now, self.who(token), token.request, token.journey, step, text, done, span,
            metric, level, minor,
        )  # fmt: skip

    def note(self, now: float, station: str, text: str, done: Done | None = None) -> None:
        """Write an entry about something that a hand, or the control plane, has done."""
        if self.on:
            step = _Place(station)
            self._write(now, "hand", NOBODY, NOBODY, step, text, done, None, "", "warning", False)

    def _write(
        self,
        now: float,
        who: str,
        request: int,
        journey: int,
        step: Any,
        text: str,
        done: Done | None,
        span: Span | None,
        metric: str,
        level: str,
        minor: bool,
    ) -> None:
        context = span.get_span_context() if span is not None else None
        trace = f"{context.trace_id:032x}" if context else ""
        mine = f"{context.span_id:016x}" if context else ""
        names = self.script.program.journeys
        command, answer = (done.command, done.answer) if done else ("", "")
        fields: dict[str, Any] = {
            "ts": round(now, 6), "level": level, "station": step.station, "who": who, "msg": text,
        }  # fmt: skip
        if command:
            fields |= {"command": command, "answer": answer}
        if trace:
            fields |= {"trace_id": trace, "span_id": mine}
        self.entries.append(
            Entry(
                number=len(self.entries) + 1,
                time_seconds=now,
                who=who,
                request=request,
                journey=names[journey] if 0 <= journey < len(names) else "",
                station=step.station,
                title=self.script.title(step.station),
                operation=step.operation,
                row=step.row,
                text=text,
                command=command,
                answer=answer,
                changed=done.changed if done else (),
                metric=metric,
                log=self.telemetry.log(**fields),
                trace_id=trace,
                span_id=mine,
                span=str(getattr(span, "name", "")),
                background=step.background,
                level=level,
                minor=minor,
            )
        )
        if self.watch:
            self.watch(self.entries[-1])

    def who(self, token: Token) -> str:
        """Return who walks: a request, a message, a leg, an errand, an orphan."""
        if token.request < 0:
            return f"flush {-token.request}"
        name = f"request {token.request}"
        if token.channel != NOBODY:
            name = f"message {token.request} for {self.script.kind_of(token.channel)}"
        elif token.parent is not None:
            name += ", a leg"
        return name + (", given up" if token.orphan != NOBODY else "")

    # ------------------------------------------------------------ spans

    def enter(self, scene: Scene, token: Token, step: Step) -> None:
        """Open and close spans so that those of the step's visits are open."""
        if not self.on or step.node == NOBODY:
            return
        path = self._path(token, step)
        if token.spans and token.spans[-1][0] == step.node:
            return
        shared = 0
        while (
            shared < len(token.spans)
            and shared < len(path)
            and token.spans[shared][0] == path[shared]
        ):
            shared += 1
        self._close(token, shared, scene.now)
        for node in path[shared:]:
            parent = token.spans[-1][1] if token.spans else token.carries.get("span")
            visit = self.script.program.nodes[node]
            span = self.telemetry.open(
                token.request, parent, f"{visit.station} {visit.operation}", scene.now,
                station=visit.station,
            )  # fmt: skip
            token.spans.append((node, span))

    def _path(self, token: Token, step: Step) -> tuple[int, ...]:
        """Return the visits that a step is in, but for those that a leg's parent has open."""
        path, above = self.script.paths[step.node], token.carries.get("above", ())
        shared = 0
        while shared < min(len(path), len(above)) and path[shared] == above[shared]:
            shared += 1
        return path[shared:]

    def under(self, token: Token, leg: Token) -> None:
        """Let a leg's spans hang on the visit that has sent it."""
        if token.spans or "span" in token.carries:
            leg.carries["span"] = token.spans[-1][1] if token.spans else token.carries["span"]
            own = tuple(node for node, _ in token.spans)
            leg.carries["above"] = (*token.carries.get("above", ()), *own)

    def inherit(self, token: Token, heir: Token, step: Step) -> None:
        """Let an heir go on with the visits around the try that was given up."""
        depth = len(self._path(token, step)) if step.node != NOBODY else 0
        heir.spans, token.spans = token.spans[:depth], token.spans[depth:]
        heir.carries |= {name: token.carries[name] for name in ("span", "above")
                         if name in token.carries}  # fmt: skip
        if heir.spans:
            token.carries["span"] = heir.spans[-1][1]

    def parent_of(self, token: Token) -> str:
        """Return what a message says of the span it was sent in (W3C Trace Context, 3.2)."""
        if not token.spans:
            return ""
        context = token.spans[-1][1].get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    @staticmethod
    def parent_in(text: str) -> Span | None:
        """Return the span that a message was sent in."""
        if not text:
            return None
        _, trace, span, _ = text.split("-")
        return NonRecordingSpan(SpanContext(int(trace, 16), int(span, 16), is_remote=True))

    def over(self, token: Token, now: float) -> None:
        """Close what a token that is no more has open."""
        error = self.script.reasons.get(token.reason, "") if token.reason else ""
        self._close(token, 0, now, error)

    def _close(self, token: Token, down_to: int, now: float, error: str = "") -> None:
        while len(token.spans) > down_to:
            _, span = token.spans.pop()
            self.telemetry.close(span, now, error)


class _Place:
    """A place where something was done that is no step of the program."""

    row, operation, background = NOBODY, "", False

    def __init__(self, station: str) -> None:
        self.station = station
