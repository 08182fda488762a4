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


def knobs(scenario: Scenario) -> list[Knob]:
    """Return every knob of a scenario: the few that matter most first, then by layer."""
    found = [knob for layer in LAYERS for knob in _of(getattr(scenario, layer), layer, layer)]
    return sorted(found, key=lambda knob: knob.advanced)


def _of(model: BaseModel, path: str, layer: str) -> Iterator[Knob]:
    for name, field in type(model).model_fields.items():
        value, here = getattr(model, name), f"{path}.{name}"
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("knob"):
            yield from _knob(here, layer, field, extra, value)
        elif name == "enabled":
            yield Knob(path=here, title=field.title or "On", unit="", layer=layer, kind="bool",
                       value=bool(value), help=field.description or "")  # fmt: skip
        elif isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, BaseModel):
                    yield from _of(inner, f"{here}.{key}", layer)
        elif isinstance(value, BaseModel) and not isinstance(value, Distribution):
            yield from _of(value, here, layer)


def _knob(path: str, layer: str, field: FieldInfo, extra: dict[str, Any], value: Any) -> Iterator[Knob]:
    """Yield the knob of a field; a distribution's is its scale, where it has but one number."""
    bounds: dict[str, float] = {}
    for constraint in field.metadata:
        if isinstance(constraint, Ge):
            bounds["low"] = float(typing.cast("float", constraint.ge))
        elif isinstance(constraint, Le):
            bounds["high"] = float(typing.cast("float", constraint.le))
    common = {"title": field.title or path, "unit": extra.get("unit") or "", "layer": layer,
              "help": field.description or "", "advanced": not extra.get("main")}  # fmt: skip
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
    elif value is not None:
        kind: Literal["int", "float"] = "int" if isinstance(value, int) else "float"
        yield Knob(path=path, kind=kind, value=value, low=low, high=high, step=extra.get("step"), **common)


def _time_knob(path: str, value: Distribution, common: dict[str, Any]) -> Iterator[Knob]:
    places = {
        "constant": ("constant", value.constant), "exponential": ("exponential", value.exponential),
        "lognormal.median": ("lognormal", value.lognormal and value.lognormal.median),
        "erlang.mean": ("erlang", value.erlang and value.erlang.mean),
    }  # fmt: skip
    for inner, (_, number) in places.items():
        if number is not None:
            high = max(1.0, number * 10)
            if inner == "lognormal.median":
                assert value.lognormal is not None
                high = value.lognormal.p99 * 0.99
            title = common["title"] + (", median" if "median" in inner else ", mean" if "." in inner or
                                       inner == "exponential" else "")  # fmt: skip
            yield Knob(path=f"{path}.{inner}", kind="time", value=number,
                       low=number / 1000 if inner != "constant" else 0.0,
                       high=high, **{**common, "title": title, "advanced": True})  # fmt: skip
