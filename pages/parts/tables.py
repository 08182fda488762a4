"""The tables of a scenario: services, datasets, workers, journeys with their steps, settings.

What the browser gets is plain values; what comes back is a list of edits (`edits.edited`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import BaseModel

from engine import Scenario
from pages.parts import forms
from pages.parts.forms import JOURNEYS, NAMED, Model
from pages.parts.lines import Path as Place

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "strata_tables",
    html="<div class='tables'></div>",
    css=_HERE.joinpath("tables.css").read_text(encoding="utf-8"),
    js="".join(_HERE.joinpath(n).read_text(encoding="utf-8") for n in ("door.js", "tables.js")),
)

KEY = "tables"
TITLES = {"service": "Services", "dataset": "Datasets", "worker": "Workers"}
QUICK = 2  # fields that a row shows without being unfolded

Rows = list[dict[str, Any]]


def tables(data: dict[str, Any], on_edits: Callable[[], None]) -> None:
    """Draw the `content` of a scenario; `edits()` says in the callback what was changed."""
    _component(key=KEY, data=data, on_edits_change=on_edits)


def edits() -> tuple[int, str, list[dict[str, Any]]]:
    """Return the stamp that the browser knows, which tables speak, and their edits by number."""
    sent = (st.session_state.get(KEY) or {}).get("edits") or {}
    return int(sent.get("stamp", 0)), str(sent.get("mount", "")), list(sent.get("edits", []))


def content(scenario: Scenario, lines: dict[Place, int]) -> dict[str, Any]:
    """Return everything the tables show of a scenario; `lines` says where it is in the text."""
    steps = forms.step_kinds()
    tabs = [
        {
            "id": kind,
            "title": TITLES[kind],
            "one": kind,
            "path": list(path),
            "form": kind,
            "rows": _entries(scenario, path, kind, lines),
        }
        for kind, path in NAMED.items()
    ]
    journeys: dict[str, Any] = {
        "id": "journey",
        "title": "Journeys",
        "one": "journey",
        "path": list(JOURNEYS),
        "form": "journey",
        "rows": _entries(scenario, JOURNEYS, "journey", lines),
    }
    for row in journeys["rows"]:
        row["steps"] = list(_steps(scenario, (*row["path"], "steps"), 0, lines))
    parts = list(_settings(scenario, (), lines))
    settings: dict[str, Any] = {"id": "settings", "title": "Settings", "rows": parts}
    models = {kind: forms.model_at(path) for kind, path in NAMED.items()}
    models["journey"] = forms.journey_model()
    return {
        "tabs": [journeys, *tabs, settings],
        "forms": {
            **{kind: forms.form(model) for kind, model in models.items()},
            **{f"step {do}": forms.form(model) for do, model in steps.items()},
            **{row["form"]: forms.form(_model(scenario, row["path"])) for row in settings["rows"]},
        },
        "times": forms.time_examples(),
        "names": {kind: forms.names_of(scenario, kind) for kind in NAMED},
        "steps": {
            do: {"help": _about(m), "holds": [*forms.step_fields(m)]} for do, m in steps.items()
        },
    }


def _entries(scenario: Scenario, path: Place, kind: str, lines: dict[Place, int]) -> Rows:
    """Return the rows of a mapping of names to things."""
    return [
        {
            "path": [*path, name],
            "name": name,
            "form": kind,
            "values": _values(thing),
            "line": lines.get((*path, name), 0),
            "quick": list(_values(thing))[:QUICK],
        }
        for name, thing in forms.inside(scenario, path).items()
    ]


def _steps(
    scenario: Scenario, path: Place, depth: int, lines: dict[Place, int]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a list of steps and of the steps within them, in reading order."""
    steps = forms.inside(scenario, path)
    for index, step in enumerate(steps):
        here = (*path, index)
        model: Model = type(step)
        held = list(forms.step_fields(model))
        needed = [field["name"] for field in forms.form(model) if field["needed"]]
        yield {
            "path": list(here),
            "do": step.do,
            "form": f"step {step.do}",
            "values": _values(step),
            "line": lines.get(here, 0),
            "quick": needed[:QUICK],
            "depth": depth,
            "up": index > 0,
            "down": index < len(steps) - 1,
            "in": index > 0 and any(forms.step_fields(type(steps[index - 1]))),
            "out": depth > 0,
            "holds": held,
        }
        for field in held:
            yield from _steps(scenario, (*here, field), depth + 1, lines)


def _settings(scenario: Scenario, path: Place, lines: dict[Place, int]) -> Iterator[dict[str, Any]]:
    """Yield a row for each part of the scenario that has fields of its own."""
    value: BaseModel = forms.inside(scenario, path)
    model = type(value)
    if forms.form(model):
        title = forms.title_of(str(path[-1])) if path else "Scenario"
        yield {
            "path": list(path),
            "title": title,
            "form": f"part {'.'.join(map(str, path))}",
            "values": _values(value),
            "line": lines.get(path, 0),
            "quick": [],
            "depth": max(0, len(path) - 1),
            "help": _about(model),
        }
    for name in model.model_fields:
        inner = getattr(value, name)
        if (
            isinstance(inner, BaseModel)
            and forms.kind_of(model.model_fields[name], name, {}) == "part"
        ):
            yield from _settings(scenario, (*path, name), lines)


def _values(thing: BaseModel) -> dict[str, Any]:
    """Return what the inputs of a form show."""
    fields = forms.form(type(thing))
    return {f["name"]: forms.shown(getattr(thing, f["name"]), f["kind"]) for f in fields}


def _model(scenario: Scenario, path: list[str | int]) -> Model:
    return type(forms.inside(scenario, tuple(path)))


def _about(model: Model) -> str:
    """Return the first sentence that a model says about itself."""
    return (model.__doc__ or "").partition("\n")[0]
