"""Sessions: how a server knows who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.component import Component, ControlPlane, knob
from engine.distribution import Distribution, Time
from engine.kernel.tables import Op
from engine.layers.cachenodes import SESSIONS, Gone, back, down
from engine.layers.servers import Servers
from engine.program import Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

PLACES_MAX = 2_000_000  # of all servers' session stores together, some 60 MB
FORGETS_MAX = 256  # servers that a new sign-in is told to


class Sessions(Component):
    """How a server knows who asks: a signed token, or a session in its memory or in a store.

    With sessions in memory a server is stateful: a user who comes to another one, or to one
    that was restarted, has to sign in again, and only where they came to last are they known.
    The balancer's policy ip_hash keeps users where they are.
    """

    kind: Literal["none", "token", "memory", "store"] = knob(
        "none",
        "Sign-in",
        help="token: each call verifies a signature. memory: sessions in the server's memory."
        " store: sessions in a shared store, a cache command away (none with the cache off).",
    )
    verify_time: Time = knob(
        Distribution(constant=0.1),
        "Verify time",
        unit="ms",
        help="CPU for a token's signature. `openssl speed`: 0.03 ms RSA-2048, 0.1 ms ECDSA P-256.",
    )
    everywhere: bool = knob(
        False, "Zero trust", help="Every service verifies the token, not only the first."
    )
    ttl_seconds: float = knob(
        1800.0,
        "Session TTL",
        unit="s",
        low=1,
        high=2_592_000,
        step=60,
        slider_high=7200,
        help="A session ends when it was not used for so long. Tomcat, Jakarta: 30 min.",
    )
    sign_in_time: Time = knob(
        Distribution(constant=70),
        "Sign-in time",
        unit="ms",
        help="CPU for a sign-in. One bcrypt of cost 10, Spring Security's default: some 70 ms.",
    )

    def emit(self, program: Program, scenario: Scenario, place: Servers, server: int) -> None:
        """Emit how this server finds out who asks; `server` is the register that names it."""
        entry = program.depth("application") == 1
        if self.kind == "token" and (entry or self.everywhere):
            place.compute(program, "verify", server, self.verify_time)
        elif entry and self.kind == "memory":
            self._in_memory(program, scenario, place, server)
        elif entry and self.kind == "store" and scenario.cache.enabled:
            self._in_store(program, scenario, place, server)

    def _in_memory(self, program: Program, scenario: Scenario, place: Servers, server: int) -> None:
        """Emit a look into the server's own memory."""
        keys = max(1, min(scenario.client.users, PLACES_MAX // place.laid))
        service = place.station.name.split(".", maxsplit=1)[1]
        name = f"sessions {service}"
        if name not in program.named:
            life = Distribution(constant=self.ttl_seconds * 1e3)
            stores = [
                program.store(place.station, keys, keys, life, sliding=True)
                for _ in range(place.laid)
            ]
            program.named[name] = stores[0]
            program.laid_out.setdefault(f"memory of {service}", []).append(stores[0])
        first = program.named[name]
        program.key_by("user", keys)
        known = program.step(Op.GET, site=first, by=server)
        place.compute(program, "sign in", server, self.sign_in_time)
        # The browser keeps one cookie: the session before this one is of no use any more.
        for other in range(first, first + min(place.laid, FORGETS_MAX)):
            program.step(Op.DROP, site=other)
        program.step(Op.PUT, "session", site=first, by=server)
        program.patch(known, jump=program.here)
        program.forget_key()

    def _in_store(self, program: Program, scenario: Scenario, place: Servers, server: int) -> None:
        """Emit a look into the shared store, and a sign-in that is kept there."""
        cache, keys = scenario.cache, scenario.client.users
        station = program.station("cache.sessions", "Session store", "store", cache.nodes)
        program.key_by("user", keys)
        with program.at(station, "session"):
            if not station.stores:
                life = Distribution(constant=self.ttl_seconds * 1e3)
                program.store(station, keys, keys, life, sliding=True)
            cache.choose_node(program, "sessions", keys)
            cache.command(program, station, "session")
            known = program.step(Op.GET, site=station.stores[0])
        place.compute(program, "sign in", server, self.sign_in_time)
        with program.at(station, "new session"):
            cache.choose_node(program, "sessions", keys)
            cache.command(program, station, "new session")
            program.step(Op.PUT, "session", site=station.stores[0])
        program.patch(known, jump=program.here)
        program.forget_key()

    # ------------------------------------------------------------ what can break

    def store_down(
        self, run: ControlPlane, node: int | None = None, *, hangs: bool = False
    ) -> Gone:
        """Kill the session store, or one node of it, or let it hang; `store_back` ends that.

        Nobody is known meanwhile: calls fail ("session store down").  A dead one has lost all
        sessions when it is back.
        """
        return down(run, (SESSIONS,), node, hangs=hangs)

    def store_back(self, run: ControlPlane, gone: Gone) -> None:
        """Let the session store come back; its users have to sign in again if it was dead."""
        back(run, gone)

    def lose_memory(self, run: ControlPlane, service: str, server: int) -> int:
        """Let a server that dies lose the sessions in its memory; return how many had one.

        What else it kept there is lost, too: its own copies of what the cache holds.
        """
        program = run.plane.program
        first = program.named.get(f"sessions {service}")
        known = 0 if first is None else int(run.plane.world.stores["count"][first + server])
        for memory in program.laid_out.get(f"memory of {service}", ()):
            run.plane.empty(memory + server)
        if known:
            run.tally("sessions lost", known)
            text = f"server {server + 1} of {service} is gone with {known:,} sessions"
            run.note("loss", f"application.{service}", f"{text}; their users sign in again")
        return known
