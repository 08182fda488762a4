"""Words: names and texts of a person's file, made harmless for other programs' files.

A name that other programs have to read is replaced by a plain one (`Namer`); a text that is only
to be read by people is kept, on one line, where the file's own quoting or a comment holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

NAME_MAX = 40  # of the 63 characters that a DNS label has (RFC 1035): prefixes need some
LINE_MAX = 500
WIDTH = 1000  # of YAML: long expressions stay on one line


class Namer:
    """Gives each thing a DNS label (RFC 1035) of its own: Kubernetes, nginx and Docker take it."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def name(self, text: str, prefix: str = "") -> str:
        """Return a label that nobody else has, as like the text as it can be.

        >>> namer = Namer(["nginx"])
        >>> namer.name('a"; return 200;'), namer.name("A return 200"), namer.name("nginx")
        ('a-return-200', 'a-return-200-2', 'nginx-2')
        """
        plain = re.sub(r"[^a-z0-9]+", "-", f"{prefix}{text}".lower())[:NAME_MAX].strip("-")
        if not plain[:1].isalpha():
            plain = f"x-{plain}".strip("-")
        name, count = plain, 1
        while name in self._taken:
            count += 1
            name = f"{plain}-{count}"
        self._taken.add(name)
        return name


def line(text: str) -> str:
    r"""Return a text on one line without anything that a terminal or parser would act upon.

    >>> line("a\nb\x1b[0m"), line("\u2028x")
    ('a b [0m', 'x')
    """
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= LINE_MAX else shown[:LINE_MAX] + "…"


@dataclass(frozen=True)
class Note:
    """What a file says at its beginning: what it is, and what of the scenario it carries."""

    what: str
    carries: tuple[str, ...]
    cannot: tuple[str, ...] = ()

    def lines(self, title: str) -> list[str]:
        """Return the note line by line, without comment signs."""
        told = [f"{self.what}, made by Strata from the scenario: {line(title)}", "", "It carries:"]
        told += [f"  - {line(text)}" for text in self.carries]
        if self.cannot:
            told += ["", "It cannot carry, or does not:"]
            told += [f"  - {line(text)}" for text in self.cannot]
        return told

    def comment(self, title: str, sign: str = "#") -> str:
        """Return the note as comment lines, with an empty line behind."""
        return "".join(f"{sign} {text}".rstrip() + "\n" for text in self.lines(title)) + "\n"

    def text(self, title: str) -> str:
        """Return the note as a text, for formats that have a place for one and no comments."""
        return "\n".join(self.lines(title))


def as_yaml(*documents: Any) -> str:
    """Return documents as YAML; what was typed stays text, whatever is in it."""
    return str(
        yaml.dump_all(
            documents,
            Dumper=Plain,
            sort_keys=False,
            allow_unicode=True,
            width=WIDTH,
            explicit_start=len(documents) > 1,
        )
    )


def as_json(value: Any) -> str:
    """Return a value as JSON in ASCII: a literal of JavaScript and Python as well."""
    return json.dumps(value, indent=2, allow_nan=False)


class Plain(yaml.CSafeDumper):
    """Writes what is the same twice, twice: aliases are hard to read.

    libyaml writes as PyYAML does, ten times as fast.
    """

    def ignore_aliases(self, data: Any) -> bool:
        """No value is written as an alias."""
        return True


def seconds(value: float) -> str:
    """Return a time as Prometheus, Go and k6 read it, to the millisecond.

    >>> seconds(15), seconds(0.25), seconds(0)
    ('15s', '250ms', '0s')
    """
    thousandths = round(value * 1000)
    return f"{thousandths // 1000}s" if thousandths % 1000 == 0 else f"{thousandths}ms"


def number(value: float) -> str:
    """Return a number as short as it can be said exactly.

    >>> number(0.01), number(10000.0), number(0.1 + 0.2)
    ('0.01', '10000', '0.30000000000000004')
    """
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
