"""Knobs: every field that a person may turn, with all that a form needs to show it."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel

from engine.distribution import Distribution, Frozen
from engine.program import LAYERS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from engine.scenario import Scenario


class Knob(Frozen):
    """A field that a person may turn."""

    path: str
    title: str
    unit: str
    help: str
    layer: str
    kind: Literal["int", "float", "choice", "bool", "time"]
    value: int | float | str | bool | None
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    advanced: bool = True
    optional: bool = False  # it may be empty, and then does nothing


def knobs(scenario: Scenario) -> list[Knob]:
    """Return every knob of a scenario: the few that matter most first, then by layer."""
    found = [knob for layer in LAYERS for knob in _of(getattr(scenario, layer), layer, layer)]
    if scenario.client.arrivals == "closed":  # then users make the traffic, not a rate
        swap = {"client.users": False, "client.requests_per_second": True}
        found = [k.model_copy(update={"advanced": swap.get(k.path, k.advanced)}) for k in found]
    return sorted(found, key=lambda knob: knob.advanced)


def knobs_of(model: BaseModel, layer: str) -> list[Knob]:
    """Return the knobs of one value that stands alone, such as a fault; paths are its fields."""
    return list(_of(model, "", layer))


def _of(model: BaseModel, path: str, layer: str) -> Iterator[Knob]:
    for name, field in type(model).model_fields.items():
        value, here = getattr(model, name), f"{path}.{name}" if path else name
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("knob"):
            yield from _knob(here, layer, field, extra, value)
        elif name == "enabled":
            yield Knob(
                path=here,
                title=field.title or "On",
                unit="",
                layer=layer,
                kind="bool",
                value=bool(value),
                help=field.description or "",
            )
        elif isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, BaseModel):
                    yield from _of(inner, f"{here}.{key}", layer)
        elif isinstance(value, BaseModel) and not isinstance(value, Distribution):
            yield from _of(value, here, layer)


def _knob(
    path: str, layer: str, field: FieldInfo, extra: dict[str, Any], value: Any
) -> Iterator[Knob]:
    """Yield the knob of a field; a distribution's is its scale, where it has but one number."""
    bounds: dict[str, float] = {}
    for constraint in field.metadata:
        if isinstance(constraint, Ge):
            bounds["low"] = float(typing.cast("float", constraint.ge))
        elif isinstance(constraint, Le):
            bounds["high"] = float(typing.cast("float", constraint.le))
    common: dict[str, Any] = {
        "title": field.title or path,
        "unit": extra.get("unit") or "",
        "layer": layer,
        "help": field.description or "",
        "advanced": not extra.get("main"),
    }
    if value is None or (_optional(field) and not isinstance(value, Distribution)):
        yield _optional_knob(path, field, value, bounds, common)
        return
    if isinstance(value, Distribution):
        yield from _time_knob(path, value, common)
        return
    low = extra.get("slider_low") if extra.get("slider_low") is not None else bounds.get("low")
    high = extra.get("slider_high") if extra.get("slider_high") is not None else bounds.get("high")
    choices = typing.get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        yield Knob(path=path, kind="choice", value=value, choices=choices, **common)
    elif isinstance(value, bool):
        yield Knob(path=path, kind="bool", value=value, **common)
    else:
        kind: Literal["int", "float"] = "int" if isinstance(value, int) else "float"
        yield Knob(
            path=path, kind=kind, value=value, low=low, high=high, step=extra.get("step"), **common
        )


def _optional(field: FieldInfo) -> bool:
    """Return whether a field may be empty."""
    return type(None) in typing.get_args(field.annotation)


def _optional_knob(
    path: str, field: FieldInfo, value: Any, bounds: dict[str, float], common: dict[str, Any]
) -> Knob:
    """Return the knob of a field that is empty or a number; a time's number is a constant."""
    inside = str(field.annotation)
    kind: Literal["int", "float", "time"] = "int" if "int" in inside else "float"
    if "Distribution" in inside:
        kind, bounds = "time", {"low": 0.0}
    low, high = bounds.get("low"), bounds.get("high")
    return Knob(path=path, kind=kind, value=value, optional=True, low=low, high=high, **common)


def _time_knob(path: str, value: Distribution, common: dict[str, Any]) -> Iterator[Knob]:
    """Yield a knob for the one number that moves a distribution as a whole."""
    if value.constant is not None:
        place, what, number, low = "constant", "", value.constant, 0.0
        high = max(1.0, number * 10)
    elif value.exponential is not None:
        place, what, number = "exponential", ", mean", value.exponential
        low, high = number / 1000, number * 10
    elif value.lognormal is not None:
        place, what, number = "lognormal.median", ", median", value.lognormal.median
        low, high = number / 1000, value.lognormal.p99 * 0.99
    elif value.erlang is not None:
        place, what, number = "erlang.mean", ", mean", value.erlang.mean
        low, high = number / 1000, number * 10
    else:
        return
    words = {**common, "title": common["title"] + what, "advanced": True}
    yield Knob(path=f"{path}.{place}", kind="time", value=number, low=low, high=high, **words)
