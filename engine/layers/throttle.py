"""Adaptive throttling: a client that is refused too often refuses some of its own requests.

The client-side throttling of the Google SRE book, chapter 21, "Handling Overload": over the
last two minutes it knows how many requests were made and how many of them were accepted, and
rejects a new one by itself with probability max(0, (requests - K × accepts) / (requests + 1)).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

from engine.component import Component, ControlPlane, Inner, knob
from engine.kernel.tables import Op
from engine.policy import rejection
from engine.program import Program

REASON = "throttled by the client"
LOOKS_EVERY = 1.0  # s; the chance changes little meanwhile: a window has many such


class Throttle(Component):
    """Rejects requests before they are sent, as many as the servers would refuse anyhow."""

    on: bool = knob(
        False,
        "Adaptive throttling",
        help="Clients that are refused too often refuse some of their own requests, all clients"
        " together (Google SRE book, 'Handling Overload').",
    )
    multiplier: float = knob(
        2.0,
        "Accepts multiplier",
        unit="×",
        low=1.0,
        high=100.0,
        step=0.1,
        slider_high=4.0,
        help="K: so many requests are sent for each one that is accepted. Google SRE book: 2;"
        " lower throttles harder.",
    )
    window_seconds: float = knob(
        120.0,
        "Throttling window",
        unit="s",
        low=1,
        high=3600,
        step=10,
        slider_high=300,
        help="Over how long requests and accepts are counted. Google SRE book: two minutes.",
    )

    def emit(self, program: Program, body: Inner) -> None:
        """Emit one attempt, which may end before it is sent."""
        if not self.on:
            body()
            return
        gates = program.laid_out.setdefault("client.throttle", [])
        row = program.step(Op.CHANCE, "throttle", number=1.0)  # nothing is rejected at first
        program.fail(REASON)
        program.patch(row, jump=program.here)
        body()
        program.step(Op.STILL)  # an answer that comes too late accepts nothing
        accepted = program.step(Op.GO)
        program.patch(accepted, jump=program.here)
        gates.append((row, accepted))

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Set the chance of rejection from what was made and accepted."""
        if self.on:
            yield self._watch(run)

    def _watch(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        seen: deque[tuple[int, int]] = deque([(0, 0)])
        throttling = False
        while True:
            yield run.env.timeout(LOOKS_EVERY)
            rules = run.scenario.client.throttle
            gates = run.plane.program.laid_out["client.throttle"]
            visits = run.plane.world.visits
            made, accepted = (int(visits[list(rows)].sum()) for rows in zip(*gates, strict=True))
            seen.append((made, accepted))
            while len(seen) > rules.window_seconds / LOOKS_EVERY + 1:
                seen.popleft()
            requests, accepts = (now - then for now, then in zip(seen[-1], seen[0], strict=True))
            chance = rejection(requests, accepts, rules.multiplier)
            for row, _ in gates:
                run.plane.world.steps["number"][row] = 1.0 - chance
            if throttling != (chance > 0):
                throttling = chance > 0
                run.note("throttle", "client.web", said(requests, accepts, throttling=throttling))


def said(requests: int, accepts: int, *, throttling: bool) -> str:
    """Say what was seen, and what clients do now."""
    what = "clients reject some requests themselves" if throttling else "clients send all again"
    return f"{accepts:,} of {requests:,} requests were accepted: {what}"
