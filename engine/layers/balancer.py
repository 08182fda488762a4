"""Balancer: which server gets a request, and what happens when that one does not answer.

The rules and defaults are nginx's (ngx_http_upstream_module, ngx_http_proxy_module), checks and
further tries switched off.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from engine.assembly import Station
from engine.component import Component, ControlPlane, knob
from engine.distribution import Distribution, Time
from engine.hashing import nginx_hash, nginx_ring
from engine.kernel.tables import TRIED, WATCHED, Op, Policy
from engine.layers.checks import Checks
from engine.layers.outliers import GROUPS, Outliers
from engine.policy import slow_start_factor
from engine.program import Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

POLICIES = {
    "round_robin": Policy.ROUND_ROBIN,
    "weighted": Policy.WEIGHTED,
    "least_connections": Policy.LEAST,
    "ip_hash": Policy.IP_HASH,
    "random": Policy.RANDOM,
    "power_of_two": Policy.CHOICES,
    "hash": Policy.WEIGHTED,  # after its first pick has failed, as in nginx
    "consistent_hash": Policy.WEIGHTED,
}
PolicyName = Literal[
    "round_robin",
    "weighted",
    "least_connections",
    "ip_hash",
    "random",
    "power_of_two",
    "hash",
    "consistent_hash",
]
HASHED = 1 << 16  # keys that are hashed one by one; beyond them the pattern repeats
FINE = 100  # weights are multiplied by this where a part of a weight is needed


class Servers(Protocol):
    """What a balancer has to know of the servers behind it."""

    @property
    def station(self) -> Station:
        """Where they are on the map."""

    @property
    def first(self) -> int:
        """The pool of the first one's threads."""

    @property
    def count(self) -> int:
        """How many there are."""


Place = Callable[[], Servers]  # lay the servers out, or find them where they are
# Emit the pick of a server: (name of the group, the servers, register for the pick).
Route = Callable[[str, Servers, int], None]
# Emit a server's part: (how it is picked, how much slower it is).
Serve = Callable[[Route, float], None]


class Canary(Component):
    """A new version that gets a share of the requests, on the same servers."""

    share: float = knob(
        0.0,
        "Canary share",
        low=0,
        high=1,
        step=0.01,
        help="Share of requests that the new version answers. 0: there is none.",
    )
    latency_factor: float = knob(
        1.0,
        "Canary CPU",
        unit="×",
        low=0.01,
        high=100,
        step=0.1,
        slider_high=5,
        help="CPU time of the new version, against that of the old one.",
    )
    error_rate: float = knob(
        0.0,
        "Canary errors",
        low=0,
        high=1,
        step=0.01,
        help="Share of the new version's answers that are errors.",
    )


class Balancer(Component):
    """A load balancer in front of the application."""

    on: bool = knob(True, "Load balancer", help="Off: names resolve to a server at random.")
    policy: PolicyName = knob(
        "least_connections",
        "Policy",
        help="Which server gets the next request. hash and consistent_hash: always the same one"
        " for the same user or key, as nginx's hash.",
    )
    latency: Time = knob(
        Distribution(constant=0.5), "Latency", unit="ms", help="What the balancer itself takes."
    )
    draws: int = knob(
        2,
        "Draws",
        low=2,
        high=16,
        step=1,
        help="Power of two: how many servers are drawn to choose the least busy of.",
    )
    hash_by: Literal["user", "key"] = knob(
        "user",
        "Hash by",
        help="Hash policies: by who asks, or by the first thing that the journey is about.",
    )
    max_fails: int = knob(
        0,
        "Max fails",
        low=0,
        high=1000,
        step=1,
        slider_high=10,
        help="Failures within the fail time-out after which a server is left alone. nginx: 1;"
        " 0: servers are not watched.",
    )
    fail_timeout_seconds: float = knob(
        10.0,
        "Fail time-out",
        unit="s",
        low=0.1,
        high=86_400,
        step=1,
        slider_high=60,
        help="How long a server that failed is left alone; then one request probes it. nginx: 10.",
    )
    next_upstream: int = knob(
        1,
        "Servers tried",
        low=0,
        high=TRIED,
        step=1,
        help="How many servers a request may try when calls fail; 1: only the first, 0: all of"
        " them, nginx's default. Any failure counts, as with nginx's error, timeout and http_5xx.",
    )
    connect_timeout_seconds: float = knob(
        5.0,
        "Connect time-out",
        unit="s",
        low=0.001,
        high=75,
        step=1,
        help="How long who calls waits for a server that drops connections (application.full) to"
        " accept one. proxy_connect_timeout: 60 s by default and 75 at most; usual are 5.",
    )
    read_timeout_seconds: float = knob(
        60.0,
        "Read time-out",
        unit="s",
        low=0.001,
        high=86_400,
        step=1,
        slider_high=120,
        help="Where failures are watched or tried elsewhere: how long a server may take."
        " proxy_read_timeout: 60.",
    )
    slow_start_seconds: float = knob(
        0.0,
        "Slow start",
        unit="s",
        low=0,
        high=86_400,
        step=5,
        slider_high=120,
        help="In what time a server that comes up gets its full weight (nginx's slow_start,"
        " Envoy's window); 0: at once. For least connections, round robin and weighted.",
    )
    checks: Checks = Checks()
    outliers: Outliers = Outliers()
    canary: Canary = Canary()

    # ------------------------------------------------------------ picking

    def picked_by(self) -> tuple[Policy, int]:
        """Return how a server is picked, and among how many draws."""
        policy = POLICIES[self.policy]
        if policy == Policy.ROUND_ROBIN and self.slow_start_seconds > 0:
            policy = Policy.WEIGHTED  # taking turns knows no weights
        return policy, 1 if self.policy == "random" else self.draws

    def hand_over(
        self, program: Program, scenario: Scenario, place: Place, service: str, serve: Serve
    ) -> None:
        """Emit the pick of a server and its part, or those of a canary."""
        if self.slow_start_seconds > 0:
            program.laid_out.setdefault("balanced", {})[service] = place()
        route = functools.partial(self._first_pick, program, scenario, service)
        if self.canary.share <= 0:
            self._watched(program, place, serve, route, 1.0)
            return
        old = program.step(Op.CHANCE, "canary", number=1.0 - self.canary.share)
        self._watched(program, place, serve, route, self.canary.latency_factor)
        program.chance("canary error", self.canary.error_rate, lambda: program.fail("canary error"))
        over = program.step(Op.GO)
        program.patch(old, jump=program.here)
        program.forget_key()
        self._watched(program, place, serve, route, 1.0)
        program.patch(over, jump=program.here)
        program.forget_key()

    def _first_pick(
        self,
        program: Program,
        scenario: Scenario,
        service: str,
        name: str,
        place: Servers,
        server: int,
        tried: int = 0,
    ) -> None:
        """Emit the first pick of a server."""
        if self.policy not in {"hash", "consistent_hash"}:
            self._pick(program, name, place, server, tried)
            return
        keys = self._draw_key(program, scenario)
        weights = scenario.application.services[service].weights or (1,)
        known = f"{self.policy} {keys} {place.count} {weights}"
        if known not in program.laid_out:
            table = hashed(self.policy, keys, place.count, weights)
            program.laid_out[known] = program.lookup(table)
        program.step(Op.LOOKUP, site=program.laid_out[known], register=server)
        program.forget_key()

    def _pick(
        self, program: Program, name: str, place: Servers, server: int, tried: int = 0
    ) -> None:
        """Emit a pick by policy, among servers that were not tried yet."""
        policy, draws = self.picked_by()
        group = program.shared_group(name, policy, place.first, place.count, draws)
        if tried:
            strict = self.max_fails or self.outliers.on
            watched = place.count if strict else min(WATCHED, place.count)
            program.watch(
                group,
                place.first,
                watched,
                self.max_fails,
                self.fail_timeout_seconds,
                in_a_row=self.outliers.consecutive_5xx if self.outliers.on else 0,
                ejection_seconds=self.outliers.base_ejection_seconds,
                ejected_max=self.outliers.max_ejection_percent / 100,
            )
        program.step(
            Op.ROUTE,
            "route",
            site=group,
            register=server,
            jump=place.first,
            reason=program.reason("no healthy server"),
            number=tried,
        )

    def _draw_key(self, program: Program, scenario: Scenario) -> int:
        """Emit what is hashed; return how many keys there are."""
        if self.hash_by == "key":
            steps = scenario.journeys[program.journey].walk()
            names = (pair for _, step in steps for pair in step.names())
            dataset = next((name for kind, name in names if kind == "dataset"), None)
            if dataset:
                scenario.draw_key(program, dataset)
                return scenario.datasets[dataset].keys
        users = min(HASHED, scenario.client.users)
        program.key_by("user", users)
        return users

    # ------------------------------------------------------------ watching

    def _watched(
        self, program: Program, lay_out: Place, serve: Serve, route: Any, scale: float
    ) -> None:
        """Emit calls to one server after the other until one goes well."""
        if self.max_fails == 0 and self.next_upstream == 1 and not self.outliers.on:
            serve(route, scale)
            return
        place = lay_out()
        group = (place.station.name.rpartition(".")[2], place.first, place.count)
        if group not in program.laid_out.setdefault(GROUPS, []):
            program.laid_out[GROUPS].append(group)
        server, tried = program.register("server 0"), program.register("tried")
        nobody = self._nobody(program, place)

        def failed() -> None:
            program.step(Op.OUTCOME, site=place.first, by=server, number=0, jump=place.count)

        def call(pick: Route) -> None:
            failed()  # the server of the try before; at first nobody
            program.step(Op.SET, register=server, number=nobody)
            program.forget_key()  # the try before may have ended with another
            serve(pick, scale)
            program.step(Op.OUTCOME, site=place.first, by=server, number=1, jump=place.count)

        def gives_up() -> None:
            failed()
            program.step(Op.FAIL)

        def others(name: str, place: Servers, server: int) -> None:
            self._pick(program, name, place, server, tried)

        program.step(Op.SET, register=tried, number=0)
        program.step(Op.SET, register=server, number=nobody)
        patience = Distribution(constant=self.read_timeout_seconds * 1e3)
        tries = self.next_upstream or min(TRIED, place.count)
        if self.policy not in {"hash", "consistent_hash"}:
            program.attempt(
                lambda: call(others),
                timeout=patience,
                attempts=tries,
                jitter="none",
                otherwise=gives_up,
                what="upstream",
            )
            return

        def elsewhere() -> None:
            if tries == 1:
                gives_up()
            else:
                program.attempt(
                    lambda: call(others),
                    timeout=patience,
                    attempts=tries - 1,
                    jitter="none",
                    otherwise=gives_up,
                    what="next upstream",
                )

        program.attempt(
            lambda: call(functools.partial(route, tried=tried)),
            timeout=patience,
            otherwise=elsewhere,
            what="upstream",
        )

    @staticmethod
    def _nobody(program: Program, place: Servers) -> int:
        """Return how far behind the servers a pool stands that is nobody's, to blame at first."""
        name = f"nobody {place.station.name}"
        if name not in program.named:
            program.named[name] = program.pools(place.station, 1, 0, 0, 0, meter=program.meter())
        return program.named[name] - place.first

    # ------------------------------------------------------------ slow start

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Warm up servers that come up; compare how well each does."""
        if self.on and self.slow_start_seconds > 0:
            yield self._warm_up(run)
        if self.on and self.outliers.on:
            yield self.outliers.compare(run)
        if self.on and self.checks.on:
            yield from self.checks.tend(run)

    def _warm_up(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Give servers that have come up a growing part of their weight."""
        since: dict[int, float] = {}  # pool -> when it came up
        begun = False
        while True:
            window = max(1e-3, run.scenario.edge.balancer.slow_start_seconds)
            pools = run.plane.world.pools
            for service, place in run.plane.program.laid_out.get("balanced", {}).items():
                weights = run.scenario.application.services[service].weights or (1,)
                for index in range(place.count):
                    pool = place.first + index
                    if pools["up"][pool] < 1 or not pools["slots"][pool]:
                        since.pop(pool, None)
                        continue
                    if pool not in since:
                        since[pool] = run.env.now if begun else -window
                    warm = slow_start_factor(run.env.now - since[pool], window)
                    weight = max(1, round(FINE * weights[index % len(weights)] * warm))
                    if pools["weight"][pool] != weight:
                        pools["weight"][pool] = pools["effective"][pool] = weight
            begun = True
            yield run.env.timeout(min(1.0, window / 20))


@functools.lru_cache(maxsize=16)
def hashed(policy: str, keys: int, servers: int, weights: tuple[int, ...]) -> np.ndarray:
    """Return the server of each key, as nginx's `hash` or `hash … consistent` picks it.

    Servers are called 10.0.0.1:80, 10.0.0.2:80 and so on, keys by their number.
    """
    each = [weights[index % len(weights)] for index in range(servers)]
    names = [str(key) for key in range(min(keys, HASHED))]
    if policy == "hash":
        found = np.array([nginx_hash(name, each) for name in names])
    else:
        hosts = [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}:80" for i in range(1, servers + 1)]
        sums = np.array([zlib.crc32(name.encode()) for name in names], np.uint32)
        found = nginx_ring(hosts, each).owner(sums)
    table: np.ndarray = np.resize(found, keys).astype(np.int32)
    table.flags.writeable = False
    return table
