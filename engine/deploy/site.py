"""Site: the parts of a scenario under the names and addresses that all files share.

Every server has an address of its own, the same in the nginx configuration and in the local
stand-in; every journey has a path.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from engine.deploy.words import Namer
from engine.errors import ScenarioError

if TYPE_CHECKING:
    from engine.component import Step
    from engine.scenario import Scenario

PORT = 8080  # that servers listen on
NETWORK = "10.77"  # of the stand-in; of the private 10.0.0.0/8 (RFC 1918)
SERVERS_MAX = 50_000  # addresses of that network that are given to servers
TAKEN = ("nginx", "redis", "postgres", "broker", "objects", "nothing", "default")
WRITES = ("write", "publish")  # steps that change something


class Site:
    """Names and addresses; made once for all files of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        namer, paths = Namer(TAKEN), Namer()
        self.services = {name: namer.name(name) for name in self._services()}
        self.kinds = {kind: namer.name(kind, "worker-") for kind in self._kinds()}
        self.topics = dict(zip(self.kinds, map(Namer().name, self.kinds), strict=True))
        self.journeys = {name: paths.name(name) for name in scenario.journeys}
        if sum(self.count(name) for name in self.services) > SERVERS_MAX:
            raise ScenarioError(
                f"application has more than {SERVERS_MAX} servers in all; use fewer to write them"
                " down one by one"
            )

    def _services(self) -> Iterator[str]:
        """Yield the services that journeys call."""
        layer = self.scenario.application
        return (
            name for name in layer.services if layer.enabled and ("service", name) in self._used
        )

    def _kinds(self) -> Iterator[str]:
        layer = self.scenario.asynchronous
        return (kind for kind in layer.kinds if layer.enabled and ("worker", kind) in self._used)

    @functools.cached_property
    def _used(self) -> set[tuple[str, str]]:
        """What journeys name, as (kind, name); walked once, for there may be many names."""
        return {pair for _, _, step in self.scenario.walk() for pair in step.names()}

    def does(self, do: str) -> bool:
        """Return whether some journey has a step of this kind."""
        return any(getattr(step, "do", "") == do for _, _, step in self.scenario.walk())

    # ------------------------------------------------------------ servers

    def title(self, service: str) -> str:
        """Return what a service is called."""
        return self.scenario.application.services[service].title or service

    def count(self, service: str) -> int:
        """Return how many servers a service begins with."""
        return self.scenario.application.servers(service)

    @functools.cached_property
    def _first(self) -> dict[str, int]:
        """The number of each service's first server among all servers."""
        first, firsts = 256, {}  # 10.77.0.x is for nginx and stores
        for name in self.services:
            firsts[name] = first
            first += self.count(name)
        return firsts

    def address(self, service: str, server: int) -> str:
        """Return the address of one of a service's servers."""
        high, low = divmod(self._first[service] + server, 256)
        return f"{NETWORK}.{high}.{low}"

    def weight(self, service: str, server: int) -> int:
        """Return the weight of one of a service's servers; they repeat if there are too few."""
        weights = self.scenario.application.services[service].weights or (1,)
        return weights[server % len(weights)]

    # ------------------------------------------------------------ journeys

    def entry(self, journey: str) -> str | None:
        """Return the service that a journey calls first, from the edge; None if it calls none."""
        for _, step in self.scenario.journeys[journey].walk():
            if getattr(step, "do", "") == "call" and self.scenario.application.enabled:
                return str(step.names()[0][1])
        return None

    def calls(self, journey: str) -> int:
        """Return how many calls a journey makes from outside, one after the other."""
        steps = self.scenario.journeys[journey].steps
        return sum(getattr(step, "do", "") == "call" for step in steps)

    def entries(self) -> set[str]:
        """Return the services that requests from outside come to."""
        return {name for name in map(self.entry, self.scenario.journeys) if name is not None}

    def fetches(self, journey: str) -> bool:
        """Return whether a journey begins with what a CDN may hold."""
        first = self.scenario.journeys[journey].steps[0]
        return getattr(first, "do", "") == "fetch"

    def writes(self, journey: str) -> bool:
        """Return whether a journey changes something, so that its request is a POST."""
        steps = self.scenario.journeys[journey].walk()
        return any(getattr(step, "do", "") in WRITES for _, step in steps)

    def dataset(self, journey: str) -> str | None:
        """Return what a journey is about first."""
        return next(datasets(step for _, step in self.scenario.journeys[journey].walk()), None)

    def messages(self, journey: str) -> list[str]:
        """Return the kinds of workers that a journey leaves work for."""
        steps = [step for _, step in self.scenario.journeys[journey].walk()]
        return [
            name
            for step in steps
            if getattr(step, "do", "") == "publish"
            for kind, name in step.names()
            if kind == "worker" and name in self.kinds
        ]


def datasets(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the datasets that steps name."""
    return (name for step in steps for kind, name in step.names() if kind == "dataset")
