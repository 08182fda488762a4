"""The catalogue: every kind of fault, with all that a form needs, and whether it can be here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.distribution import Frozen
from engine.faults.fault import Fault
from engine.knobs import Knob, knobs_of
from engine.program import LAYERS

if TYPE_CHECKING:
    from engine.scenario import Scenario

PLANNED = ("do", "order")


class FaultInfo(Frozen):
    """A kind of fault, as a form or a list shows it."""

    do: str
    title: str
    layer: str  # of the seven, or "" where it is of none
    help: str
    fields: tuple[Knob, ...]  # at_seconds and length_seconds first
    why_not: str = ""  # one line, if it cannot be in this scenario

    @property
    def lasts(self) -> bool:
        """Whether it has a length; else it is over at once."""
        return any(field.path == "length_seconds" for field in self.fields)


def catalogue(scenario: Scenario) -> list[FaultInfo]:
    """Return every kind of fault, in the order of the layers that requests meet."""
    order = [*LAYERS, ""]
    kinds = sorted(Fault.kinds.values(), key=lambda kind: order.index(kind.layer))
    return [_info(kind, scenario) for kind in kinds]


def _info(kind: type[Fault], scenario: Scenario) -> FaultInfo:
    plain, names = kind.usual(scenario), kind.choices(scenario)
    why_not = plain.refuse(scenario)
    fields = []
    for knob in knobs_of(plain, kind.layer):
        if knob.path in PLANNED:
            continue
        if knob.path in names:
            named = names[knob.path]
            value = named[0] if named else ""
            fields.append(
                knob.model_copy(update={"kind": "choice", "choices": named, "value": value})
            )
        else:
            fields.append(knob)
    return FaultInfo(
        do=plain.kind,
        title=kind.title,
        layer=kind.layer,
        help=" ".join((kind.__doc__ or "").split()),
        fields=tuple(sorted(fields, key=lambda field: not field.path.endswith("_seconds"))),
        why_not=why_not,
    )
