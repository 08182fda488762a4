"""The component reference: every component, knob and step, as Markdown made from the classes."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel

from engine.component import Step
from engine.distribution import Distribution, Frozen
from engine.faults import Change, Chaos, Fault
from engine.program import LAYERS
from engine.scenario import Dataset, Journey, Scenario

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HEAD = """# Components

Every part of a system that a scenario can have: what it is, what can be set, its default, and
where that is from. Everything here is a field of the scenario, under the path that the table
gives; what is in a list or a table of its own has a `…` for its name. In the shell, `--set
PATH=VALUE` sets it; in the browser, the side bar does. Times are in milliseconds unless a name
says otherwise, and each may be a number or a distribution (`{exponential: 4}`).

This page is made from the classes in `engine/layers/`:

    python -m engine reference > docs/components.md
"""
COLUMNS = "| path | what | default | range | |\n|---|---|---|---|---|\n"
INTERNAL = {"enabled", "do", "then", "title"}
COMMON = frozenset({"at_seconds", "length_seconds", "order"})
PLAN = """Faults stand in a list, `faults`; each says what it does (`do`), when (`at_seconds`) and,
if it lasts, for how long (`length_seconds`, 30 if not said; empty: to the end of the run). In the
shell: `python -m engine run amazon --fault 'kill_server at=30 for=20 service=product'`."""


def reference() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for layer in LAYERS:
        model = _model_in(Scenario.model_fields[layer].annotation)
        assert model is not None
        parts.append(f"\n## {layer.capitalize()}\n\n{_words(model)}\n")
        parts.extend(_sections(model, layer, layer.capitalize(), layer))
    parts.append("\n## What there is\n\nThings that requests are about, and what people do.\n")
    parts.extend(_section(Dataset, "datasets.…"))
    parts.extend(_section(Journey, "journeys.…"))
    parts.append("\n## Steps\n\nA journey is a list of steps; `then` are the steps within one.\n")
    for kind, step in sorted(Step.kinds.items()):
        parts.extend(_section(step, f"do: {kind}", by_name=True))
    parts.extend(_plan())
    return "\n".join("".join(parts).rstrip().splitlines()) + "\n"


def _plan() -> Iterator[str]:
    """Yield what can be planned for a run: changes, chaos, and every kind of fault."""
    yield f"\n## What goes wrong\n\n{PLAN}\n"
    yield from _section(Change, "changes[…]")
    yield from _section(Chaos, "chaos")
    order = [*LAYERS, ""]
    for kind, fault in sorted(Fault.kinds.items(), key=lambda each: order.index(each[1].layer)):
        yield from _section(fault, f"do: {kind}", by_name=True, but=COMMON)


def _sections(model: type[BaseModel], path: str, title: str, layer: str) -> Iterator[str]:
    """Yield a component's own table, then those of the components within."""
    yield from _section(model, path, heading=path != layer)
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None and inner is not Distribution and name not in INTERNAL:
            many = typing.get_origin(field.annotation) in (dict, tuple)
            here = f"{path}.{name}" + (".…" if many else "")
            yield from _sections(inner, here, title, layer)


def _section(
    model: type[BaseModel],
    path: str,
    *,
    heading: bool = True,
    by_name: bool = False,
    but: frozenset[str] = frozenset(),
) -> Iterator[str]:
    """Yield the heading and the table of one class, but for some fields."""
    rows = [
        _row(name if by_name else f"{path}.{name}", field)
        for name, field in model.model_fields.items()
        if name not in INTERNAL and name not in but and _is_plain(field)
    ]
    if heading:
        yield f"\n### {model.__name__}: `{path}`\n\n{_words(model)}\n"
    if rows:
        yield "\n" + COLUMNS + "\n".join(rows) + "\n"


def _row(path: str, field: FieldInfo) -> str:
    """Return one line of a table."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = str(extra.get("unit") or "")
    default = field.get_default(call_default_factory=True) if not field.is_required() else None
    shown = "needed" if field.is_required() else _text(default)
    if unit and shown not in {"–", "needed"} and not isinstance(default, bool):
        shown = f"{shown} {unit}"
    cells = (
        f"`{path}`",
        field.title or path.rpartition(".")[2],
        shown,
        _range(field),
        field.description or "",
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _text(value: Any) -> str:
    """Return a default as it would be written in YAML."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Distribution):
        return _distribution(value)
    if isinstance(value, float):
        return f"{value:,.10g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, tuple):
        return ", ".join(_text(each) for each in value) or "–"
    return str(value)


def _distribution(value: Distribution) -> str:
    """Return a distribution in a few words."""
    tree = value.model_dump(exclude_none=True)
    if "constant" in tree:
        return f"{tree['constant']:,.10g}"
    ((family, rest),) = tree.items()
    if isinstance(rest, dict):
        return f"{family} " + ", ".join(f"{name} {number:,.10g}" for name, number in rest.items())
    return f"{family} {rest:,.10g}" if isinstance(rest, float) else family


def _range(field: FieldInfo) -> str:
    """Return what a value may be: its choices, or its ends."""
    choices = [
        str(choice)
        for part in (field.annotation, *typing.get_args(field.annotation))
        if typing.get_origin(part) is typing.Literal
        for choice in typing.get_args(part)
    ]
    if choices:
        return ", ".join(choices)
    ends: dict[str, Any] = {}
    for constraint in field.metadata:
        for kind, name in ((Ge, "ge"), (Gt, "gt"), (Le, "le"), (Lt, "lt")):
            if isinstance(constraint, kind):
                ends[name] = getattr(constraint, name)
    low, high = ends.get("ge", ends.get("gt")), ends.get("le", ends.get("lt"))
    if low is None and high is None:
        return ""
    if high is None:
        return f"from {low:,.10g}"
    return f"{low or 0:,.10g} to {high:,.10g}"


def _words(model: type[BaseModel]) -> str:
    """Return a class's docstring on lines of its own paragraphs."""
    paragraphs = (model.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).strip()


def _is_plain(field: FieldInfo) -> bool:
    """Return whether a field is a value, and not a component with a table of its own."""
    inner = _model_in(field.annotation)
    return inner is None or inner is Distribution


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation speaks of, also within dict, tuple and optional."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation if issubclass(annotation, Frozen) else None
    found = (_model_in(part) for part in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)
