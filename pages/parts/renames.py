"""A new name, taken over wherever a scenario says the old one.

A service, dataset, worker or journey is named by steps, by faults, by paths of planned changes, by
lists such as the autoscaler's, and as a station by alerts and expectations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ruamel.yaml.comments import CommentedMap

from pages.parts.forms import JOURNEYS, NAMED, references, step_kinds

KINDS = {section: kind for kind, section in NAMED.items()} | {JOURNEYS: "journey"}
STATIONS = {("application", "services"), ("asynchronous", "kinds")}  # each entry is a station


class Renaming(NamedTuple):
    """An entry of a section, such as `application.services`, from its old name to a new one."""

    section: tuple[str, ...]
    old: str
    new: str

    @property
    def kind(self) -> str:
        """What it is: service, dataset, worker or journey."""
        return KINDS.get(self.section, "")

    def everywhere(self, tree: Any) -> None:
        """Take the new name over in all that names the entry; the entry itself is left alone."""
        if not self.kind:
            return
        for change in tree.get("changes") or ():
            for path, value in list(change["set"].items()):
                self._within(path.split("."), value)
                rekey(change["set"], path, self._path(path))
        for figure, expectation in list((tree.get("expect") or {}).items()):
            if not expectation.get("of"):
                rekey(tree["expect"], figure, self._station(figure))
        self._walk(tree)

    def _walk(self, node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                self._walk(each)
        elif isinstance(node, dict):
            fields = self._naming(node)
            for key, value in list(node.items()):
                field = str(key).rpartition(".")[2]  # a planned change is a path
                if field in fields and value == self.old:
                    node[key] = self.new
                elif field in fields and isinstance(value, list):
                    value[:] = [self.new if each == self.old else each for each in value]
                elif field in {"station", "of"} and isinstance(value, str):
                    node[key] = self._station(value)
                self._walk(value)

    def _naming(self, node: dict[Any, Any]) -> set[str]:
        """Return which fields of a part name such entries."""
        kinds = step_kinds()
        do = str(node.get("do", ""))
        if do in kinds:
            return {name for name, of in references(kinds[do]).items() if of == self.kind}
        return {self.kind, f"{self.kind}s"}

    def _station(self, text: str) -> str:
        """Return a station, or a figure of one, with the new name."""
        name, colon, column = text.partition(":")
        if self.section in STATIONS and name == f"{self.section[0]}.{self.old}":
            return f"{self.section[0]}.{self.new}{colon}{column}"
        return text

    def _path(self, path: str) -> str:
        """Return a dotted path with the new name."""
        parts, depth = path.split("."), len(self.section)
        if tuple(parts[:depth]) == self.section and parts[depth : depth + 1] == [self.old]:
            parts[depth] = self.new
        return ".".join(parts)

    def _within(self, path: list[str], value: Any) -> None:
        """Rename the entry in a planned change that sets a whole section, or more than that."""
        if tuple(path) != self.section[: len(path)]:
            return
        for part in self.section[len(path) :]:
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict) and self.old in value:
            rekey(value, self.old, self.new)


def rekey(node: Any, old: str, new: str) -> None:
    """Give an entry of a mapping another key; it keeps its place and its comment.

    >>> rooms = {"a": 1, "b": 2}
    >>> rekey(rooms, "a", "z"); rooms
    {'z': 1, 'b': 2}
    """
    if old == new:
        return
    place = list(node).index(old)
    if isinstance(node, CommentedMap):
        comment = node.ca.items.get(old)
        node.insert(place, new, node.pop(old))
        if comment is not None:
            node.ca.items.pop(old, None)
            node.ca.items[new] = comment
        return
    later = list(node.items())[place:]
    for key, _ in later:
        del node[key]
    node.update([(new, later[0][1]), *later[1:]])
