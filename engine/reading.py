"""Reading scenarios from files and text, which are hostile until parsed."""

from __future__ import annotations

import functools
import pathlib
import re
from typing import Any

import yaml
from yaml.composer import Composer

from engine.distribution import Frozen
from engine.errors import ScenarioError, close_to, shown
from engine.scenario import DEPTH_MAX, Scenario, parse

FILE_MAX = 1_000_000  # bytes; the largest preset has a hundredth of it
NODES_MAX = 30_000  # values and names; a preset written out in full has some 2,000
PRESETS = pathlib.Path(__file__).parents[1] / "presets"
_HALF = re.compile("[\ud800-\udfff]")


class PresetInfo(Frozen):
    """What a preset is called and about."""

    title: str
    blurb: str


class _Loader(Composer, yaml.CSafeLoader):
    """YAML without what scenarios do not need: aliases, duplicate keys, great depth or number.

    What reads characters is libyaml, which PyYAML's wheels carry: PyYAML's own reader would take
    twelve seconds for the largest file.
    """

    depth = nodes = 0

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.nodes += 1
        self.depth += 1
        if self.nodes > NODES_MAX:
            raise ScenarioError(
                f"{self._line()} is where it gets too long: a scenario has at most"
                f" {NODES_MAX:,} values; leave some out"
            )
        if self.check_event(yaml.events.AliasEvent):
            raise ScenarioError(f"{self._line()} uses a YAML alias; write the value out instead")
        if self.depth > DEPTH_MAX:
            raise ScenarioError(
                f"{self._line()} is nested deeper than {DEPTH_MAX} levels; flatten it"
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _line(self) -> str:
        """Return where the parser is."""
        event: Any = self.peek_event()
        return f"line {event.start_mark.line + 1}"

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                raise ScenarioError(f"line {line} has a key that is no word; use a plain name")
            if key.value in seen:
                raise ScenarioError(
                    f"line {key.start_mark.line + 1} says {shown(key.value)} a second"
                    " time; leave one out"
                )
            seen.add(key.value)
            if key.tag == "tag:yaml.org,2002:bool":
                key.tag = (
                    "tag:yaml.org,2002:str"  # as in YAML 1.2: `on: true` switches something on
                )
        return super().construct_mapping(node, deep)


def values(text: str, name: str) -> Any:
    """Return the plain values that YAML or JSON text says; ScenarioError if it is neither."""
    if len(text.encode("utf-8", "replace")) > FILE_MAX:
        raise ScenarioError(
            f"{name} has {len(text):,} characters; a scenario has at most {FILE_MAX:,}"
        )
    try:
        return sayable(yaml.load(text, Loader=_Loader))  # noqa: S506  (a safe loader, made stricter)
    except ScenarioError as error:
        raise ScenarioError(f"{name}: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ScenarioError(f"{name}{line} is not YAML: {error.problem}; mend that line") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{name} is not YAML: {' '.join(str(error).split())[:120]}") from None
    except (RecursionError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        # What PyYAML raises for a tag whose text does not fit it.
        raise ScenarioError(f"{name} is not YAML: {shown(str(error))}; leave tags out") from None


def sayable(tree: Any) -> Any:
    r"""Return a tree of plain values as it is, if all its text can be written down again.

    JSON and YAML can spell halves of a character, which no file can hold.  Raises ScenarioError.

    >>> sayable({"a": ["b", 1]})
    {'a': ['b', 1]}
    """
    level = [tree]
    while level:
        held: list[Any] = []
        for node in level:
            if isinstance(node, str) and _HALF.search(node):
                raise ScenarioError(f"{shown(node)} has half a character in it; leave it out")
            if isinstance(node, dict):
                held += [*node, *node.values()]
            elif isinstance(node, list | tuple):
                held += node
        level = held
    return tree


def read_text(text: str, name: str = "the text", folder: pathlib.Path | None = None) -> Scenario:
    """Return the scenario that YAML or JSON text says; files it names lie in a folder."""
    tree = values(text, name)
    try:
        return parse(tree, folder)
    except ScenarioError as error:
        raise ScenarioError(f"{name}: {error}") from None


def presets() -> dict[str, PresetInfo]:
    """Return the presets that ship, by name: systems first, then those on which things happen."""
    return dict(_shipped())


@functools.cache
def _shipped() -> dict[str, PresetInfo]:
    """Return the presets, read once: reading all of them takes half a second."""
    scenarios = {path.stem: load(path.stem) for path in sorted(PRESETS.glob("*.yaml"))}
    days = {name for name, each in scenarios.items() if each.faults or each.changes}
    return {
        name: PresetInfo(title=scenarios[name].title, blurb=scenarios[name].blurb)
        for name in sorted(scenarios, key=lambda name: (name in days, name))
    }


def load(name: str | pathlib.Path) -> Scenario:
    """Return the preset of this name, or the scenario in this YAML or JSON file."""
    names = {path.stem: path for path in PRESETS.glob("*.yaml")}
    path = names.get(str(name), pathlib.Path(name))
    try:
        with path.open("rb") as file:
            held = file.read(FILE_MAX + 1)
        if len(held) > FILE_MAX:
            raise ScenarioError(f"{path} is larger than {FILE_MAX:,} bytes; a scenario is smaller")
        text = held.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ScenarioError(
            f"{name} is neither a preset nor a file{close_to(str(name), names)}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path} cannot be read as text: {shown(str(error))}") from None
    return read_text(text, str(name), path.parent)
