"""What every layer, component and journey step is made of.

A component is one class in its layer's file.  Its fields carry title, unit, bounds and help
in `knob(...)`; form, help text, schema and docs follow from them.  `emit` says in mechanisms
what a request does there; `tend` is a SimPy process that says what happens there over time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_serializer

from engine.distribution import Frozen

if TYPE_CHECKING:
    from collections.abc import Generator

    import simpy

    from engine.measured import Measured
    from engine.program import Program
    from engine.scenario import Scenario

Inner = Callable[[], None]


def knob(
    default: Any,
    title: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    main: bool = False,
    help: str = "",
    **more: Any,
) -> Any:
    """Declare a field that a person may turn: title, unit, bounds, step of the slider, help."""
    extra: dict[str, Any] = {"unit": unit, "step": step, "main": main, "knob": True}
    extra |= {
        "slider_low": more.pop("slider_low", low),
        "slider_high": more.pop("slider_high", high),
    }
    return Field(
        default=default,
        title=title,
        description=help,
        ge=low,
        le=high,
        json_schema_extra=extra,
        **more,
    )


class Line(Frozen):
    """One line of the bill."""

    item: str
    station: str
    quantity: float
    usd_per_hour_each: float

    @property
    def usd_per_hour(self) -> float:
        """Quantity times price."""
        return self.quantity * self.usd_per_hour_each


class Figure(Frozen):
    """One figure that a layer knows of a run besides what every station says."""

    name: str
    station: str
    value: float
    unit: str = ""
    help: str = ""


class Component(Frozen):
    """A part of a layer."""

    def tend(self, run: ControlPlane) -> Iterator[Generator[simpy.Event, Any, Any]]:
        """Yield the processes that watch, decide and act here over time; none by default."""
        return iter(())


class Layer(Component):
    """One of the seven layers: a section of the scenario."""

    enabled: bool = Field(
        default=True, title="On", description="Switch the whole layer off and on."
    )

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """Yield what this layer costs."""
        return iter(())

    def adopted(self, run: ControlPlane) -> None:
        """Do again what a run has done to parameters here: a turned knob has set them anew."""

    def figures(self, result: Measured) -> Iterator[Figure]:
        """Yield what else there is to know of this layer after a run; nothing by default."""
        return iter(())


class Step(Frozen):
    """One step of a journey; `do` names its kind, `then` what happens inside it."""

    kinds: ClassVar[dict[str, type[Step]]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **more: Any) -> None:
        """Note each kind of step."""
        super().__pydantic_init_subclass__(**more)
        Step.kinds[cls.model_fields["do"].default] = cls

    @model_serializer(mode="wrap")
    def with_its_kind(self, handler: Any) -> Any:
        """Keep `do` in every output: without it a step could not be read again."""
        kind = type(self).model_fields["do"].default
        return {"do": kind, **handler(self)}

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Say the step in mechanisms; `inner` emits the steps within."""
        raise NotImplementedError

    def names(self) -> Sequence[tuple[str, str]]:
        """Return (kind, name) for everything of the scenario that the step names."""
        return ()


class ControlPlane:
    """What a process of the control plane may see and do; `run.Simulation` is one."""

    scenario: Scenario  # as it is now; what is planned stands in the run's timeline
    env: simpy.Environment
    plane: Any
    spikes: list[float]  # by how much traffic is multiplied, one for each spike
    memory: dict[str, Any]  # what components know of this run, each under a name of its own
    metrics: Any
    recorder: Any

    def scrape(self) -> None:
        """Read all metrics."""
        raise NotImplementedError

    def note(self, kind: str, station: str, text: str) -> None:
        """Write an event in the log."""
        raise NotImplementedError

    def overlay(self, values: Mapping[str, Any]) -> int:
        """Lay values over knobs, by path, until `lift` takes them away again."""
        raise NotImplementedError

    def lift(self, handle: int) -> None:
        """Let knobs be as they were set, or have been turned since."""
        raise NotImplementedError

    def tally(self, name: str, amount: float) -> None:
        """Count something for a layer's figures, under a name."""
        raise NotImplementedError


if TYPE_CHECKING:
    AnyStep = Step  # at run time: whichever kind `do` names; `scenario` fills it in

__all__ = [
    "Component",
    "ControlPlane",
    "Field",
    "Figure",
    "Inner",
    "Layer",
    "Line",
    "Step",
    "knob",
]
