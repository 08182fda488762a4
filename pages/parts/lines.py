"""Where in a scenario's text something stands: errors and tables point at lines.

The engine names places as a person writes them (`journeys.search.steps[2].service`) or by line;
PyYAML's nodes know on which line each of them begins.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

Path = tuple[str | int, ...]

_LINE = re.compile(r"(?:the text:?\s+)?line (\d+)\b")
_INDEX = re.compile(r"\[([^\]]*)\]")
_ENDS = " .[:,;"  # what may follow a name in an error's sentence


class Problem(NamedTuple):
    """What is wrong with a text, in one line, and where; lines count from 1, 0 is nowhere."""

    message: str
    line: int


def problem_of(error: Exception, text: str) -> Problem:
    """Return an error about a text as its sentence and the line that it is about."""
    sentence = str(error)
    return Problem(bare(sentence), line_of(sentence, text))


def line_of(message: str, text: str) -> int:
    r"""Return the line that an error's sentence is about; 0 if it names none.

    >>> line_of("the text: line 3 uses a YAML alias", "a: 1\nb: 2\nc: *a")
    3
    >>> line_of("edge.dns.ttl is not known here", "title: x\nedge:\n  dns:\n    ttl: 5")
    4
    >>> line_of("edge.dns.ttl_seconds is missing", "title: x\nedge:\n  dns: {}")
    3
    """
    said = _LINE.match(message)
    if said:
        return min(int(said[1]), text.count("\n") + 1)
    root = _tree(text)
    return 0 if root is None else _follow(root, message.removeprefix("the text: "))


def lines(text: str) -> dict[Path, int]:
    """Return the line of every key and list item of a text that can be read, by path."""
    root = _tree(text)
    return {} if root is None else dict(_walk(root, ()))


def node_at(text: str, path: Path) -> yaml.Node | None:
    """Return the node at a path of a text; None if there is none."""
    node = _tree(text)
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [value for key, value in node.value if str(key.value) == str(part)]
            node = found[0] if found else None
        elif isinstance(node, yaml.SequenceNode) and int(part) < len(node.value):
            node = node.value[int(part)]
        else:
            return None
    return node


def last_line(node: yaml.Node) -> int:
    """Return the line on which a node's last value ends, comments after it left out."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return last_line(last[1] if isinstance(node, yaml.MappingNode) else last)
    line: int = node.end_mark.line + 1
    return line


def bare(sentence: str) -> str:
    """Return an error's sentence without the words for the place that the page shows anyway."""
    sentence = re.sub(r"^the text line \d+, column \d+ is", "this line is", sentence)
    sentence = re.sub(r"^the text: line \d+ ", "this line ", sentence)
    return sentence.removeprefix("the text: ")


def _tree(text: str) -> yaml.Node | None:
    """Return the nodes of a text; None if it is no YAML."""
    try:
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def _walk(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _walk(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _walk(item, (*path, index))


def _follow(node: yaml.Node, sentence: str) -> int:
    """Return the line of the deepest node that the beginning of a sentence leads to."""
    line = 0
    rest = sentence
    while True:
        step = _step(node, rest)
        if step is None:
            return _named(node, rest) or line
        node, rest, line = step[0], step[1], step[2] or line


def _step(node: yaml.Node, rest: str) -> tuple[yaml.Node, str, int] | None:
    """Return the next node, what is left of the sentence, and the line where it has a new one."""
    index = _INDEX.match(rest)
    if isinstance(node, yaml.SequenceNode):
        if index and index[1].isdecimal() and int(index[1]) < len(node.value):
            item = node.value[int(index[1])]
            return item, rest[index.end() :], item.start_mark.line + 1
        return None
    if not isinstance(node, yaml.MappingNode):
        return None
    entries = {str(key.value): (key, value) for key, value in node.value}
    if index and index[1] in entries:
        name, left = index[1], rest[index.end() :]
    else:
        rest = rest.removeprefix(".")
        name = max((each for each in entries if _begins(rest, each)), key=len, default="")
        left = rest[len(name) :]
    if name:
        key, value = entries[name]
        return value, left, key.start_mark.line + 1
    # A step's kind stands in the path, though it is no key: journeys.buy.steps[0].call.service.
    kind = entries["do"][1].value if "do" in entries else None
    if isinstance(kind, str) and kind and _begins(rest, kind):
        return node, rest[len(kind) :], 0
    return None


def _begins(rest: str, name: str) -> bool:
    """Return whether a sentence begins with a whole name."""
    return bool(name) and rest.startswith(name) and rest[len(name) : len(name) + 1] in {*_ENDS, ""}


def _named(node: yaml.Node, rest: str) -> int:
    """Return the line of a step's part whose value the sentence quotes; 0 if it quotes none."""
    parts: list[Any] = node.value if isinstance(node, yaml.MappingNode) else []
    for _, value in parts:
        for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(each, yaml.ScalarNode) and " names " in rest and repr(each.value) in rest:
                return each.start_mark.line + 1
    return 0
