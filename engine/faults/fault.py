"""What every fault is made of: when, for how long, what it needs, what it does and undoes.

A fault is one class.  `refuse` says in one line why it cannot be in a scenario; `targets` names
what it takes for itself, so that nothing is killed twice; `act` does it, says so, and puts it
right again when it is resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_serializer

from engine.component import ControlPlane, knob
from engine.distribution import Frozen

if TYPE_CHECKING:
    import numpy as np

    from engine.scenario import Scenario

SECONDS_MAX = 86_400  # no run is longer


class Fault(Frozen):
    """Something that goes wrong at a time; `do` names its kind."""

    kinds: ClassVar[dict[str, type[Fault]]] = {}
    title: ClassVar[str]
    layer: ClassVar[str]  # of the seven, or "" where it is of none
    state: ClassVar[str] = ""  # what its targets are meanwhile: "killed", "down"

    at_seconds: float = knob(
        0.0,
        "At",
        unit="s",
        low=0,
        high=SECONDS_MAX,
        step=1,
        slider_high=600,
        help="When it happens, in simulated seconds since the start.",
    )
    order: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        title="Order",
        description="Among what happens at the same instant: lower first; then changes before"
        " faults. A recorded run needs it.",
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **more: Any) -> None:
        """Note each kind of fault."""
        super().__pydantic_init_subclass__(**more)
        if "do" in cls.model_fields:
            Fault.kinds[cls.model_fields["do"].default] = cls

    @model_serializer(mode="wrap")
    def with_its_kind(self, handler: Any) -> Any:
        """Keep `do` in every output: without it a fault could not be read again."""
        return {"do": self.kind, **handler(self)}

    @property
    def kind(self) -> str:
        """What `do` says."""
        return str(type(self).model_fields["do"].default)

    @property
    def until(self) -> float:
        """When it is over, simulated seconds; at once where it does not last."""
        return self.at_seconds

    def refuse(self, scenario: Scenario) -> str:
        """Return the one line why this cannot be in a scenario, or nothing.

        It begins with the name of the field that is wrong, if it is one.
        """
        if self.layer and not getattr(scenario, self.layer).enabled:
            return f"the {self.layer} layer is off; switch it on with {self.layer}.enabled"
        return ""

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """Yield what it has for itself: no other fault with the same target can be meanwhile."""
        return iter(())

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Do it and yield (station, what is seen); resumed, undo it and yield that."""
        raise NotImplementedError

    @classmethod
    def choices(cls, scenario: Scenario) -> Mapping[str, tuple[str, ...]]:  # noqa: ARG003  (some do)
        """Return the names that a scenario has for fields that name something; the first is it."""
        return {}

    @classmethod
    def usual(cls, scenario: Scenario) -> Fault:
        """Return one as a form begins with it: the first of the names there are."""
        choices = cls.choices(scenario)
        first: dict[str, Any] = {field: names[0] for field, names in choices.items() if names}
        return cls(**first)

    @classmethod
    def drawn(cls, scenario: Scenario, rng: np.random.Generator) -> dict[str, Any]:
        """Return fields that chaos draws: one of the names there are, each as likely."""
        return {
            field: names[int(rng.integers(len(names)))]
            for field, names in cls.choices(scenario).items()
            if names
        }


class Lasting(Fault):
    """A fault that is over after some time, and then all is as it would have been."""

    length_seconds: float | None = knob(
        30.0,
        "For",
        unit="s",
        low=0,
        high=SECONDS_MAX,
        step=1,
        slider_high=300,
        help="How long it lasts; empty: to the end of the run.",
    )

    @property
    def until(self) -> float:
        """When it is over, simulated seconds."""
        if self.length_seconds is None:
            return float("inf")
        return self.at_seconds + self.length_seconds


def seconds(value: float) -> str:
    """Return a time as the log says it.

    >>> seconds(42.0), seconds(0.1 + 0.2), seconds(float("inf"))
    ('42 s', '0.3 s', 'the end')
    """
    return "the end" if value == float("inf") else f"{value:.10g} s"
