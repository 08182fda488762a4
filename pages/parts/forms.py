"""Forms for everything in a scenario, read off its models: a new field or step appears by itself.

A form is a list of fields as plain values, for the browser.  What a field takes is its kind:
text, bool, choice, number, name (of a service, dataset or worker), names, or value: anything that
is written as one line of YAML, such as `{exponential: 8}`.
"""

import functools
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine import Scenario, ScenarioError

Model = type[BaseModel]
Kind = Literal["text", "bool", "choice", "number", "name", "names", "value", "steps", "part"]

# Where the things live that a step can name.
NAMED = {
    "service": ("application", "services"),
    "dataset": ("datasets",),
    "worker": ("asynchronous", "kinds"),
}
JOURNEYS = ("journeys",)
SHORT = {"cdn", "cpu", "dns", "ttl"}  # written in capitals
DEPTH_MAX = 20  # of steps that a new step needs inside it


# ---------------------------------------------------------------- models


def journey_model() -> Model:
    """Return the model of a journey."""
    return _entry(Scenario, "journeys")


@functools.cache
def step_kinds() -> dict[str, Model]:
    """Return the models of all kinds of steps, by what `do` says."""
    found: dict[str, Model] = {}
    for model in _classes(journey_model().model_fields["steps"].annotation):
        found[str(model.model_fields["do"].default)] = model
    return found


def model_at(path: tuple[str, ...]) -> Model:
    """Return the model of the entries of a mapping such as `application.services`."""
    model: Model = Scenario
    for part in path[:-1]:
        model = _classes(model.model_fields[part].annotation)[0]
    return _entry(model, path[-1])


def _entry(model: Model, field: str) -> Model:
    return _classes(model.model_fields[field].annotation)[0]


def _classes(annotation: Any) -> list[Model]:
    """Return every model that an annotation speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in _classes(inner)]


# ---------------------------------------------------------------- fields


@functools.cache
def form(model: Model) -> tuple[dict[str, Any], ...]:
    """Return a model's fields for the browser, steps and parts within left out."""
    named = references(model)
    fields = []
    for name, field in model.model_fields.items():
        kind = kind_of(field, name, named)
        if kind in {"steps", "part"} or name == "do":
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        fields.append(
            {
                "name": name,
                "title": field.title or title_of(name),
                "kind": kind,
                "time": _is_time_field(field),
                "of": named.get(name, ""),
                "choices": choices_of(field.annotation),
                "unit": str(extra.get("unit") or ""),
                "help": field.description or "",
                "needed": field.is_required(),
            }
        )
    return tuple(fields)


def kind_of(field: FieldInfo, name: str, named: Mapping[str, str]) -> Kind:
    """Return what kind of input a field takes."""
    inner = _bare(field.annotation)
    if name in named:
        return "names" if typing.get_origin(inner) is tuple else "name"
    if _holds_steps(field.annotation):
        return "steps"
    if choices_of(inner):
        return "choice"
    if inner is bool:
        return "bool"
    if inner in {int, float}:
        return "number"
    if inner is str:
        return "text"
    if isinstance(inner, type) and issubclass(inner, BaseModel) and not _is_time(inner):
        return "part" if inner is field.annotation else "value"
    if typing.get_origin(inner) is dict:
        return "part"
    return "value"


def choices_of(annotation: Any) -> list[str]:
    """Return the words that a field may say, where there are few."""
    inner = _bare(annotation)
    words = typing.get_args(inner) if typing.get_origin(inner) is Literal else ()
    return [word for word in words if isinstance(word, str)]


def _bare(annotation: Any) -> Any:
    """Return an annotation without what may be left empty, and without its rules."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _bare(inner[0])
    if origin in {Union, types.UnionType}:
        left = [each for each in inner if each is not type(None)]
        return _bare(left[0]) if len(left) == 1 else annotation
    return annotation


def title_of(name: str) -> str:
    """Return a field's name as a title.

    >>> title_of("cpu_time"), title_of("observability")
    ('CPU time', 'Observability')
    """
    first, *rest = name.split("_")
    return " ".join([first.upper() if first in SHORT else first.capitalize(), *rest])


@functools.cache
def time_examples() -> list[str]:
    """Return the ways to say a time, as the model of times gives them itself.

    >>> time_examples()[:2]
    ['4', '{exponential: 8}']
    """
    service = model_at(NAMED["service"])
    times = [field for field in service.model_fields.values() if _is_time_field(field)]
    return re.findall(r"`([^`]+)`", _classes(times[0].annotation)[0].__doc__ or "")


def _is_time_field(field: FieldInfo) -> bool:
    return any(_is_time(model) for model in _classes(field.annotation)[:1])


def _is_time(model: Model) -> bool:
    """Return whether a model is a distribution of times: one line says it best."""
    return {"constant", "exponential"} <= model.model_fields.keys()


def _holds_steps(annotation: Any) -> bool:
    return any("do" in model.model_fields for model in _classes(annotation))


@functools.cache
def references(model: Model) -> dict[str, str]:
    """Return which fields of a step name a service, dataset or worker: it is asked for its names.

    >>> references(step_kinds()["publish"])
    {'to': 'worker', 'dataset': 'dataset'}
    """
    if "do" not in model.model_fields:
        return {}
    probes: dict[str, Any] = {n: None for n, f in model.model_fields.items() if f.is_required()}
    for name, field in model.model_fields.items():
        inner = _bare(field.annotation)
        if name != "do" and inner is str:
            probes[name] = f"?{name}"
        elif typing.get_origin(inner) is tuple and _bare(typing.get_args(inner)[0]) is str:
            probes[name] = (f"?{name}",)
    step: Any = model.model_construct(**probes)
    asked = [(kind, str(named)) for kind, named in step.names() if kind in NAMED]
    return {named[1:]: kind for kind, named in asked if named.startswith("?")}


def step_fields(model: Model) -> Iterator[str]:
    """Yield the fields of a step that hold other steps."""
    for name, field in model.model_fields.items():
        if kind_of(field, name, references(model)) == "steps":
            yield name


# ---------------------------------------------------------------- values


def shown(value: Any, kind: Kind) -> Any:
    """Return a field's value as its input shows it.

    >>> shown(4.0, "number"), shown(None, "number"), shown(("a", "b"), "names")
    ('4', '', ['a', 'b'])
    """
    if kind == "bool":
        return bool(value)
    if kind == "names":
        return [str(each) for each in value]
    if value is None:
        return ""
    return str(value) if kind in {"text", "choice", "name"} else brief(value)


def brief(value: Any) -> str:
    """Return any value as one line of YAML; a constant time is its number.

    >>> brief({"exponential": 10.0}), brief(0.3), brief([1, 2])
    ('{exponential: 10}', '0.3', '[1, 2]')
    """
    tidy = _tidy(value)
    if tidy in ({}, []):
        return ""
    text = yaml.safe_dump(tidy, default_flow_style=True, sort_keys=False, width=1e9)
    return str(text).removesuffix("...\n").strip()


def _tidy(value: Any) -> Any:
    if isinstance(value, BaseModel):
        plain = value.model_dump(mode="json", exclude_defaults=True)
        constant = plain.get("constant") if _is_time(type(value)) else None
        return _tidy(plain if constant is None else constant)
    if isinstance(value, Mapping):
        return {key: _tidy(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_tidy(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


# ---------------------------------------------------------------- new steps


def new_step(do: str, scenario: Scenario, depth: int = 0) -> dict[str, Any]:
    """Return a step of a kind with as little in it as it needs, naming what exists."""
    model = step_kinds()[do]
    step: dict[str, Any] = {"do": do}
    for name, field in model.model_fields.items():
        if field.is_required():
            step[name] = _needed(do, name, field, scenario, depth)
    return step


def _needed(do: str, name: str, field: FieldInfo, scenario: Scenario, depth: int) -> Any:
    """Return a value for a field that must have one."""
    named = references(step_kinds()[do])
    kind = kind_of(field, name, named)
    if kind in {"name", "names"}:
        known = names_of(scenario, named[name])
        if not known:
            raise ScenarioError(
                f"a step “{do}” needs a {named[name]}, and there is none; add a {named[name]} first"
            )
        return known[0] if kind == "name" else [known[0]]
    if kind == "steps":
        if depth > DEPTH_MAX:
            raise ScenarioError(f"a step “{do}” cannot be made here; write it in the text")
        return [new_step(first_kind(), scenario, depth + 1)]
    if kind == "choice":
        return choices_of(field.annotation)[0]
    low = [float(rule.ge) for rule in field.metadata if isinstance(rule, annotated_types.Ge)]  # type: ignore[arg-type]
    return {"text": "new", "bool": False, "number": max([1.0, *low])}.get(kind, 1)


@functools.cache
def first_kind() -> str:
    """Return the kind of step that a new journey begins with: there always is a service to call.

    >>> first_kind()
    'call'
    """
    kinds = step_kinds()
    simple = [
        do
        for do, model in kinds.items()
        if not any(model.model_fields[name].is_required() for name in step_fields(model))
    ]
    return min(simple, key=lambda do: "service" not in references(kinds[do]).values())


def names_of(scenario: Scenario, kind: str) -> list[str]:
    """Return the names of all services, datasets or workers."""
    return list(inside(scenario, NAMED[kind]))


def inside(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return what stands at a path of a scenario's own values."""
    for part in path:
        held: Any = value
        within = isinstance(held, Mapping | tuple | list)
        value = held[part] if within else getattr(held, str(part))
    return value
