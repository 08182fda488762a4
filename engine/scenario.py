"""Scenarios: everything a person can set, in one frozen value.

One section a layer, the journeys through them, the traffic, the clock, the price list.  A
scenario is parsed at the border, here, and trusted inside.
"""

from __future__ import annotations

import functools
import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from engine.assembly import label_hash
from engine.component import Layer, Line, Step, knob
from engine.distribution import Frozen
from engine.errors import ScenarioError, close_to, plain, shown
from engine.faults import CHANGES_MAX, FAULTS_MAX, Change, Chaos, Fault, check
from engine.kernel.tables import Op
from engine.layers import (
    Application,
    Asynchronous,
    Cache,
    Client,
    Data,
    Edge,
    Observability,
)
from engine.program import LAYERS, Program

DEPTH_MAX = 60
STEPS_MAX = 500

if TYPE_CHECKING:
    AnyStep = Step
    AnyFault = Fault
else:
    AnyFault = Annotated[Union[tuple(Fault.kinds.values())], Field(discriminator="do")]  # noqa: UP007
    AnyStep = Annotated[Union[tuple(Step.kinds.values())], Field(discriminator="do")]  # noqa: UP007
for _kind in Step.kinds.values():
    _kind.model_rebuild(_types_namespace={"AnyStep": AnyStep})


class Dataset(Frozen):
    """Things that requests are about, some asked for more often than others."""

    keys: int = Field(default=10_000, ge=1, le=10_000_000, description="How many there are.")
    zipf: float = Field(
        default=0.9,
        ge=0,
        le=3,
        description="Zipf exponent of their popularity; 0: all alike. Web objects: 0.64 to 0.83"
        " (Breslau et al. 1999); Twitter's caches: mostly 1 to 1.5 (Yang et al. 2020).",
    )
    hot_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of requests that are about one thing, such as a celebrity or the item"
        " on sale, beside what its popularity brings it.",
    )
    missing_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of look-ups in the cache that ask for what does not exist.",
    )


class Journey(Frozen):
    """A kind of request: how often it comes, and its way through the layers."""

    title: str = Field(default="", max_length=80)
    weight: float = Field(default=1.0, ge=0, le=1e9, description="How often, among all journeys.")
    priority: Literal["critical", "sheddable"] = Field(
        default="critical",
        description="Sheddable journeys are refused first when servers have too long a line.",
    )
    steps: tuple[AnyStep, ...] = Field(min_length=1)

    def walk(self) -> Iterator[tuple[str, Step]]:
        """Yield (path, step) for every step, those within others included."""
        stack: list[tuple[str, Step]] = [(f"steps[{i}]", s) for i, s in enumerate(self.steps)]
        while stack:
            path, step = stack.pop(0)
            yield path, step
            within = enumerate(getattr(step, "then", ()))
            stack[:0] = [(f"{path}.then[{i}]", inner) for i, inner in within]


class Prices(Frozen):
    """What things cost, in US dollars.

    Rounded from AWS's public on-demand list for us-east-1 in 2024; set your own.
    """

    app_core_usd_per_hour: float = Field(default=0.045, ge=0, description="A vCPU of a c7i server.")
    balancer_usd_per_hour: float = Field(
        default=0.03, ge=0, description="An application load balancer."
    )
    cdn_usd_per_million: float = Field(default=1.0, ge=0, description="CloudFront, HTTPS requests.")
    waf_usd_per_million: float = Field(default=0.6, ge=0, description="AWS WAF, requests.")
    cache_usd_per_hour: float = Field(default=0.16, ge=0, description="A cache.m7g.large node.")
    database_usd_per_hour: float = Field(default=0.36, ge=0, description="A db.m6g.xlarge server.")
    search_usd_per_hour: float = Field(
        default=0.26, ge=0, description="Two m6g.large.search nodes."
    )
    worker_usd_per_hour: float = Field(default=0.045, ge=0, description="A vCPU.")
    broker_usd_per_hour: float = Field(
        default=0.63, ge=0, description="Three kafka.m5.large brokers."
    )
    queue_usd_per_million: float = Field(default=0.4, ge=0, description="SQS, standard queue.")
    observability_usd_per_hour: float = Field(
        default=0.2, ge=0, description="A host for metrics and traces."
    )
    samples_usd_per_million: float = Field(
        default=0.09, ge=0, description="Managed Prometheus, samples taken in."
    )
    traces_usd_per_gb: float = Field(default=0.5, ge=0, description="Spans taken in; as logs.")
    logs_usd_per_gb: float = Field(default=0.5, ge=0, description="CloudWatch Logs, taken in.")


class Expectation(Frozen):
    """What has to come out: a figure, between two bounds; `engine.expect` knows which there are."""

    low: float = -1e300
    high: float = 1e300
    of: str = Field(default="", max_length=80, description="The figure; empty: as it is called.")
    from_seconds: float | None = Field(default=None, ge=0, description="Only from this time on.")
    to_seconds: float | None = Field(default=None, ge=0, description="Only up to this time.")


class Scenario(Frozen):
    """A system, its users, and how long to watch them."""

    title: str = Field(default="Scenario", max_length=80)
    blurb: str = Field(default="", max_length=600)
    duration_seconds: float = knob(
        60.0,
        "Duration",
        unit="s",
        low=0.1,
        high=86_400,
        step=10,
        slider_high=600,
        help="How long to simulate.",
    )
    warm_up_seconds: float = knob(
        5.0,
        "Warm-up",
        unit="s",
        low=0,
        high=43_200,
        step=1,
        slider_high=60,
        help="Left out of all figures but the time series.",
    )
    client: Client = Client()
    edge: Edge = Edge()
    application: Application = Application()
    cache: Cache = Cache()
    asynchronous: Asynchronous = Asynchronous()
    data: Data = Data()
    observability: Observability = Observability()
    datasets: dict[str, Dataset] = Field(default_factory=dict)
    journeys: dict[str, Journey]
    faults: tuple[AnyFault, ...] = Field(
        default=(),
        max_length=FAULTS_MAX,
        title="Faults",
        description="What goes wrong, when and for how long.",
    )
    changes: tuple[Change, ...] = Field(
        default=(),
        max_length=CHANGES_MAX,
        title="Changes",
        description="Knobs that are turned while the system runs.",
    )
    chaos: Chaos = Chaos()
    prices: Prices = Prices()
    expect: dict[str, Expectation] = Field(default_factory=dict)

    @field_validator("journeys")
    @classmethod
    def journeys_can_happen(cls, journeys: dict[str, Journey]) -> dict[str, Journey]:
        """Some journey has a weight, and a program is of finite length."""
        if not journeys:
            raise ValueError("there is no journey; add at least one")
        if not any(journey.weight > 0 for journey in journeys.values()):
            raise ValueError(
                "the weights of all journeys are 0; give at least one a weight above 0"
            )
        if sum(1 for journey in journeys.values() for _ in journey.walk()) > STEPS_MAX:
            raise ValueError(f"there are more than {STEPS_MAX} steps; leave some out")
        return journeys

    @model_validator(mode="after")
    def names_exist(self) -> Scenario:
        """Every name that a journey uses exists; the warm-up is shorter than the run."""
        known: dict[str, Mapping[str, object]] = {
            "service": self.application.services,
            "dataset": self.datasets,
            "worker": self.asynchronous.kinds,
        }
        for name, journey in self.journeys.items():
            for path, step in journey.walk():
                for kind, wanted in step.names():
                    if wanted not in known[kind]:
                        raise ValueError(
                            f"journeys.{name}.{path} names the {kind} {shown(wanted)}, which does"
                            f" not exist{close_to(wanted, known[kind])}"
                        )
        if self.warm_up_seconds >= self.duration_seconds:
            raise ValueError(
                f"warm_up_seconds is {self.warm_up_seconds:g}, not below duration_seconds"
                f" {self.duration_seconds:g}; use a shorter warm-up or a longer run"
            )
        return self

    @model_validator(mode="after")
    def plan_can_be(self) -> Scenario:
        """What is planned fits the scenario as it is at that time."""
        if self.faults or self.changes:
            check(self)
        return self

    # ------------------------------------------------------------ asking

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Yield (name, layer) in the order a request meets them."""
        return ((name, getattr(self, name)) for name in LAYERS)

    def walk(self) -> Iterator[tuple[str, str, Step]]:
        """Yield (journey, path, step) for every step of every journey."""
        for name, journey in self.journeys.items():
            for path, step in journey.walk():
                yield name, path, step

    def uses(self, do: str, name: str | None = None) -> bool:
        """Return whether some journey has a step of this kind, naming this."""
        return any(
            getattr(step, "do", "") == do and (name is None or name in [n for _, n in step.names()])
            for _, _, step in self.walk()
        )

    def share_of(self, do: str) -> float:
        """Return the share of requests whose journey has a step of this kind."""
        total = sum(journey.weight for journey in self.journeys.values())
        with_it = {name for name, _, step in self.walk() if getattr(step, "do", "") == do}
        return sum(self.journeys[name].weight for name in with_it) / total

    def datasets_of(self, do: str) -> list[str]:
        """Return the datasets that steps of a kind name."""
        return sorted(
            {
                name
                for _, _, step in self.walk()
                if getattr(step, "do", "") == do
                for kind, name in step.names()
                if kind == "dataset"
            }
        )

    def room_for(self, dataset: str, do: str, capacity: int) -> int:
        """Return a dataset's part of a store that it shares, by the number of its keys."""
        total = sum(self.datasets[other].keys for other in self.datasets_of(do))
        return max(min(1, capacity), round(capacity * self.datasets[dataset].keys / total))

    def writes(self, dataset: str) -> bool:
        """Return whether some journey writes a dataset."""
        return any(
            getattr(step, "do", "") == "write" and step.names()[0][1] == dataset
            for _, _, step in self.walk()
        )

    def bill(self) -> list[Line]:
        """Return what everything that is on costs an hour."""
        return [line for _, layer in self.layers() if layer.enabled for line in layer.bill(self)]

    def get(self, path: str) -> Any:
        """Return the value at a dotted path such as `application.replicas`."""
        node, last = _holder(self.model_dump(mode="json"), path)
        return node[last]

    def digest(self) -> str:
        """Return a short name for exactly this scenario, the same everywhere."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    # ------------------------------------------------------------ changing

    def change(self, changes: Mapping[str, Any]) -> Scenario:
        """Return a scenario with the values at some dotted paths changed, checked anew."""
        tree = self.model_dump(mode="json")
        for path, value in changes.items():
            node, last = _holder(tree, path)
            node[last] = value
        return parse(tree)

    def to_yaml(self) -> str:
        """Return the scenario as YAML; loading it gives the same scenario."""
        tree = self.model_dump(mode="json", exclude_defaults=True)
        return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100))

    # ------------------------------------------------------------ mechanisms

    def draw_key(self, program: Program, dataset: str) -> None:
        """Emit which thing of a dataset the request is about."""
        data, row = self.datasets[dataset], program.here
        program.key(dataset, data.keys, data.zipf)
        if data.hot_share and program.here > row:
            row = program.here
            program.chance("hot", data.hot_share, lambda: self._hot_key(program), always=True)
            # However often it is drawn in one journey, it is the same thing.
            program.patch(row, label=label_hash(f"{program.journey}/hot key of {dataset}"))

    def _hot_key(self, program: Program) -> None:
        """Emit that the request is about the most popular thing of all."""
        program.step(Op.KEY, site=program.keyspace(1, 0.0))

    def program(self) -> Program:
        """Return the scenario spelled in mechanisms."""
        program = Program()
        if self.client.arrivals == "closed":
            with program.at(program.station("client.web", "Users", "source"), "ask"):
                program.step(Op.ARRIVE)
        starts = []
        for name, journey in self.journeys.items():
            starts.append(program.begin(name))
            program.journeys.append(name)
            self.client.emit(program, self, name, functools.partial(self._arrive, program, journey))
            program.flush()
        self.client.source(program, self, starts)
        self.observability.emit(program)
        return program

    def _arrive(self, program: Program, journey: Journey) -> None:
        """Emit what happens to a request that has reached the edge."""
        self.edge.admit(program, self)
        self.emit(program, journey.steps)

    def emit(self, program: Program, steps: tuple[Step, ...]) -> None:
        """Emit steps one after the other."""
        for step in steps:
            within = getattr(step, "then", ())
            step.emit(program, self, functools.partial(self.emit, program, within))


def _holder(tree: Any, path: str) -> tuple[Any, Any]:
    """Return the mapping or list that a dotted path leads into, and the key or index there."""
    node, done = tree, 0
    while True:
        part = _part(node, path, done)
        key = int(part) if isinstance(node, list) else part
        done += len(part) + 1
        if done > len(path):
            return node, key
        node = node[key]


def _part(node: Any, path: str, done: int) -> str:
    """Return a path's next part, or say in one line that there is none; names may have dots."""
    rest = path[done:]
    if isinstance(node, dict):
        here = [name for name in node if f"{rest}.".startswith(f"{name}.")]
        if here:
            return str(max(here, key=len))
    part = rest.partition(".")[0]
    if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
        return part
    where, names = path[: max(0, done - 1)], node if isinstance(node, dict) else ()
    raise ScenarioError(
        f"{path} does not exist: {where or 'a scenario'} has no {part!r}{close_to(part, names)}"
    )


# ---------------------------------------------------------------- reading


def parse(tree: Any, folder: pathlib.Path | None = None) -> Scenario:
    """Return the scenario that a tree of plain values says; files it names lie in a folder.

    Raises ScenarioError, one line naming place, value and way out.
    """
    if not isinstance(tree, dict):
        raise ScenarioError(f"a scenario is a mapping of names to values; this is {shown(tree)}")
    try:
        return Scenario.model_validate(tree, context={"folder": folder})
    except ValidationError as error:
        raise ScenarioError(_line(error)) from None
    except RecursionError:
        raise ScenarioError(
            f"the scenario is nested deeper than {DEPTH_MAX} levels; flatten it"
        ) from None


def _line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error" and len(first["loc"]) <= 1:
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        return f"{where}{first['ctx']['error']}"
    if first["loc"][0] == "faults":
        return _fault_line(error)
    return plain(error, _fields_at)


def _fault_line(error: ValidationError) -> str:
    """Return what is wrong with a fault; the kind of one is no part of its place."""
    first = error.errors(include_url=False)[0]
    tag = str(first["loc"][2]) if len(first["loc"]) > 2 else ""
    line = plain(error, lambda _: list(Fault.kinds[tag].model_fields), kind="fault")
    return line.replace(f"].{tag} ", "] ", 1).replace(f"].{tag}.", "].", 1) if tag else line


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Return the fields that exist at a place of a scenario."""
    kind: Any = Scenario
    for part in loc:
        if isinstance(part, int) or kind is None:
            return []
        if str(part) in Step.kinds and kind is not Scenario:
            kind = Step.kinds[str(part)]
            continue
        field = getattr(kind, "model_fields", {}).get(str(part))
        kind = field.annotation if field else None
    return list(getattr(kind, "model_fields", {}))
