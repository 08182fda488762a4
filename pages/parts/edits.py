"""What tables do to a scenario's text: the change, and nothing but the change.

The text keeps its comments and its layout (ruamel.yaml).  Each change is made twice, in the text
and in plain values; where the two would not say the same, the text is written anew.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from engine import Scenario, ScenarioError, values
from pages.parts.draft import NAME, checked, no_name
from pages.parts.forms import (
    JOURNEYS,
    NAMED,
    first_kind,
    inside,
    new_step,
    step_fields,
    step_kinds,
)
from pages.parts.lines import last_line, node_at
from pages.parts.renames import Renaming, rekey

Edit = dict[str, Any]
Path = tuple[str | int, ...]
CELL_MAX = 20_000  # characters of one field


def edited(text: str, scenario: Scenario, edit: Edit) -> tuple[str, str]:
    """Return a text after an edit, and what was done.  Raises ScenarioError.

    `text` says `scenario`.  An edit is what the browser sends: {"op": "set", "path": […], …}.
    """
    change, what = _planned(scenario, edit)
    plain = values(text, "the text")
    change(plain)
    expected = checked(json.dumps(plain))
    found = _replaced(text, edit, expected) or _appended(text, edit, plain, expected)
    return found or _kept(text, change, expected), what


def written(text: str, scenario: Scenario, changes: dict[str, Any]) -> str:
    """Return a text that says what sliders say, by dotted path.  Raises ScenarioError."""

    def change(tree: Any) -> None:
        for dotted, value in changes.items():
            *parents, last = dotted.split(".")
            _reach(tree, scenario, tuple(parents))[last] = value

    return _kept(text, change, scenario.change(changes))


def _kept(text: str, change: Callable[[Any], None], expected: Scenario) -> str:
    """Return the text with a change, its comments kept; written anew if that would be wrong."""
    try:
        writer = _writer()
        tree = writer.load(text)
        change(tree)
        out = io.StringIO()
        writer.dump(tree, out)
        found = out.getvalue()
        if checked(found) == expected:
            return found
    except (YAMLError, ScenarioError, ValueError, TypeError, KeyError, AttributeError):
        pass  # a layout that cannot be kept
    return expected.to_yaml()


def _replaced(text: str, edit: Edit, expected: Scenario) -> str:
    """Return the text with a plain value written over another; "" if it cannot be."""
    value = _value(edit) if edit["op"] == "set" else None
    node = node_at(text, tuple(edit["path"])) if isinstance(value, str | int | float) else None
    if not isinstance(node, yaml.ScalarNode) or node.style in {"|", ">"}:
        return ""
    # Within brackets a word is quoted that would mean something else there.
    listed = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=1e9)
    written = listed.strip().removeprefix("[").removesuffix("]")
    found = text[: node.start_mark.index] + written + text[node.end_mark.index :]
    try:
        return found if checked(found) == expected else ""
    except ScenarioError:
        return ""


def _appended(text: str, edit: Edit, plain: Any, expected: Scenario) -> str:
    """Return the text with a new last entry or step as new lines of their own; "" if it cannot be.

    A comment between the last entry and the next section belongs to the section: it stays there.
    """
    path = tuple(edit["path"])
    node = node_at(text, path) if edit["op"] in {"add", "add step"} else None
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return ""
    added = inside(plain, path)
    last = list(added)[-1]
    new = {last: added[last]} if isinstance(added, dict) else [last]
    margin, place = " " * node.start_mark.column, last_line(node)
    lines = text.splitlines(keepends=True)
    if not lines[place - 1].endswith("\n"):
        lines[place - 1] += "\n"
    out = io.StringIO()
    _writer().dump(_laid_out(new, outermost=True), out)
    inset = 0 if isinstance(new, dict) else 2  # the writer sets a list's items in
    written = out.getvalue().splitlines(keepends=True)
    lines[place:place] = [margin + line[inset:] for line in written]
    found = "".join(lines)
    try:
        return found if checked(found) == expected else ""
    except ScenarioError:
        return ""


def _writer() -> YAML:
    """Return a writer of YAML in the presets' layout."""
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    return writer


# ---------------------------------------------------------------- kinds of edits


def _planned(scenario: Scenario, edit: Edit) -> tuple[Callable[[Any], None], str]:
    """Return what an edit does to a tree of values, and its name."""
    path = tuple(edit["path"])
    if edit["op"] == "set":
        value = _value(edit)
        return lambda tree: _set(tree, scenario, path, value), f"{path[-1]} of {where(path[:-1])}"
    if edit["op"] == "add":
        return _add(scenario, path, str(edit["name"]).strip())
    if edit["op"] == "rename":
        return _rename(scenario, path, str(edit["name"]).strip())
    if edit["op"] == "remove":
        _unused(scenario, path)
        return lambda tree: _remove(tree, scenario, path), f"remove {where(path)}"
    if edit["op"] == "add step":
        step = new_step(str(edit["do"]), scenario)
        return lambda tree: _append(tree, scenario, path, step), f"add step {edit['do']}"
    assert edit["op"] == "move"
    return lambda tree: _move(tree, scenario, path, str(edit["to"])), f"move {where(path)}"


def _value(edit: Edit) -> Any:
    """Return what a field was set to; None leaves the field out."""
    value = edit["value"]
    if edit["kind"] not in {"number", "value"}:
        return None if value in ("", []) else value
    text = str(value).strip()
    name = edit["path"][-1]
    if len(text) > CELL_MAX:
        raise ScenarioError(f"{name} has {len(text):,} characters; use at most {CELL_MAX:,}")
    try:
        return values(text, "the text")
    except ScenarioError:
        raise ScenarioError(
            f"{name} is {text[:60]!r}; use a number or one line of YAML, such as {{exponential: 8}}"
        ) from None


def _set(tree: Any, scenario: Scenario, path: Path, value: Any) -> None:
    """Set a field; None takes it out, so that its default holds."""
    node, field = _reach(tree, scenario, path[:-1]), path[-1]
    if value is None:
        node.pop(field, None)
        return
    node[field] = _laid_out(value) if isinstance(node, CommentedMap) else value


def _add(scenario: Scenario, path: Path, name: str) -> tuple[Callable[[Any], None], str]:
    """Return how to add a service, dataset, worker or journey."""
    _free(scenario, path, name)
    entry: dict[str, Any] = {}
    if path == JOURNEYS:
        entry = {"steps": [new_step(first_kind(), scenario)]}
    return lambda tree: _enter(tree, scenario, path, name, entry), f"add {name}"


def _enter(tree: Any, scenario: Scenario, path: Path, name: str, entry: dict[str, Any]) -> None:
    node = _reach(tree, scenario, path)
    node[name] = _laid_out(entry) if isinstance(node, CommentedMap) else entry


def _rename(scenario: Scenario, path: Path, name: str) -> tuple[Callable[[Any], None], str]:
    """Return how to rename a service, dataset, worker or journey, and all that names it."""
    section, old = tuple(str(part) for part in path[:-1]), str(path[-1])
    _free(scenario, section, name)

    def change(tree: Any) -> None:
        rekey(_reach(tree, scenario, section), old, name)
        Renaming(section, old, name).everywhere(tree)

    return change, f"rename {old} to {name}"


def _free(scenario: Scenario, path: Path, name: str) -> None:
    """Refuse a name that is none, or that somebody has."""
    if not NAME.fullmatch(name):
        raise ScenarioError(no_name(name))
    if name in inside(scenario, path):
        raise ScenarioError(f"{where((*path, name))} exists already; use another name")


def _unused(scenario: Scenario, path: Path) -> None:
    """Refuse to remove what some step names."""
    kind = next((kind for kind, where in NAMED.items() if where == path[:-1]), "")
    uses = [
        f"journeys.{journey}.{place}"
        for journey, place, step in scenario.walk()
        if (kind, path[-1]) in [tuple(each) for each in step.names()]
    ]
    if uses:
        more = f" and {len(uses) - 1} more" if len(uses) > 1 else ""
        raise ScenarioError(f"{path[-1]} is used by {uses[0]}{more}; change or remove that first")


def _remove(tree: Any, scenario: Scenario, path: Path) -> None:
    """Remove an entry or a step; an empty list of steps within goes with it."""
    node = _reach(tree, scenario, path[:-1])
    if path[0] == "journeys" and len(path) == 4 and len(node) == 1:
        raise ScenarioError(
            f"{where(path)} is the journey's only step; add another first, or remove the journey"
        )
    del node[path[-1]]
    if not node and isinstance(node, list) and len(path) > 4:
        del _reach(tree, scenario, path[:-2])[path[-2]]


def _append(tree: Any, scenario: Scenario, path: Path, step: dict[str, Any]) -> None:
    """Add a step at the end of a list of steps."""
    owner = _reach(tree, scenario, path[:-1])
    if isinstance(owner, CommentedMap):
        owner.fa.set_block_style()
        owner.setdefault(path[-1], CommentedSeq()).append(_laid_out(step))
        owner[path[-1]].fa.set_block_style()
    else:
        owner.setdefault(path[-1], []).append(step)


def _move(tree: Any, scenario: Scenario, path: Path, to: str) -> None:
    """Move a step up or down among its neighbours, out behind its owner, or into its neighbour."""
    steps, index = _reach(tree, scenario, path[:-1]), int(path[-1])
    if to in {"up", "down"}:
        place = index + (-1 if to == "up" else 1)
        if 0 <= place < len(steps):
            steps.insert(place, steps.pop(index))
        return
    if to == "in" and index:
        step, field = steps.pop(index), _first_steps(steps[index - 1])
        before = (*path[:-1], index - 1)
        _append(tree, scenario, (*before, field), step)
        return
    if to == "out" and len(path) > 4:
        step = steps[index]
        _remove(tree, scenario, path)
        outer, owner = path[:-3], int(path[-3])
        _reach(tree, scenario, outer).insert(owner + 1, step)


def _first_steps(step: Any) -> str:
    fields = list(step_fields(step_kinds()[step["do"]]))
    if not fields:
        raise ScenarioError(f"a step “{step['do']}” holds no steps; choose another place")
    return fields[0]


# ---------------------------------------------------------------- trees


def _reach(tree: Any, scenario: Scenario, path: Path) -> Any:
    """Return the node at a path; what the text leaves to defaults is written out on the way."""
    node, value = tree, scenario
    for part in path:
        value = inside(value, (part,))
        if isinstance(node, dict) and not isinstance(node.get(part), dict | list):
            plain = _as_plain(value)
            rich = isinstance(node, CommentedMap)
            node[part] = _laid_out(plain, outermost=True) if rich else plain
        node = node[part]
    return node


def _as_plain(value: Any) -> Any:
    """Return values as a file says them, defaults left out."""
    if isinstance(value, dict):
        return {name: _as_plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_as_plain(each) for each in value]
    return value.model_dump(mode="json", exclude_defaults=True)


def _laid_out(value: Any, *, outermost: bool = False) -> Any:
    """Return new values as the text shows them: what holds no steps stands on one line."""
    if isinstance(value, dict):
        node = CommentedMap({key: _laid_out(each) for key, each in value.items()})
        if not outermost and not any(_steps(each) for each in value.values()):
            node.fa.set_flow_style()
        return node
    if isinstance(value, list | tuple):
        rows = CommentedSeq([_laid_out(each) for each in value])
        if not outermost and not _steps(value):
            rows.fa.set_flow_style()
        return rows
    return value


def _steps(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(each, dict) and "do" in each for each in value
    )


def where(path: Path) -> str:
    """Return a path as a person writes it.

    >>> where(("journeys", "buy", "steps", 0))
    'journeys.buy.steps[0]'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
