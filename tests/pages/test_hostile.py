"""Ten thousand inputs from outside: none crashes what reads it, or keeps it for a second."""

import base64
import copy
import io
import json
import random
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, expect

from engine import Scenario, ScenarioError, load, presets, to_link
from pages.parts import limits, settings
from pages.parts.takeclass import gathered
from pages.parts.takein import FILE_MAX, of_link, taken
from tests.pages.playground import ANSWER_MS, Playground

SECOND = 1.0  # of computing: the clock of a machine with other work would say more
Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

# Values that somebody might put where another is meant.
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 2**70, -1e-320, "", "x" * 5_000, "../../etc/passwd", [], {},
    [[]] * 500, {"do": "call"}, {"a": 1}, "<script>alert(1)</script>", "=1+1", "\ud800", "\x00",
    "NaN", ".inf", "%s%n{0}", "\u202e", ["call"] * 300, {"exponential": -1},
)  # fmt: skip
# Pieces of text that mean something to YAML, JSON, base64, zip, Python, spreadsheets or browsers.
PIECES = (
    "!!python/object/apply:os.system ['id']", "!!python/name:os.system", "&a [*a]", "*a", "&a",
    "<<: *a", "{", "}", "[" * 50, "- " * 60, ": ", "\n", "\t", "|", "%YAML 9.9\n", "---\n", "!!set",
    "!!timestamp x", "!!int x", "!!binary =", "0x", "1_000", "1e999", "'", '"', "#", "\ufeff",
    "\x85", "<script>", "=cmd()", "s1.", "s9.", "?s=", "../", "PK\x03\x04", "\x00", "é",
    "\U0001f4a5", "title: x\ntitle: y", "journeys: {}", "duration_seconds: 1e9",
    "application.replicas: 5",
)  # fmt: skip


def scenario_texts() -> list[str]:
    """Return what inputs are made from: what people really hand in."""
    return [load(name).to_yaml() for name in presets()][:4]


def bent(tree: Any, luck: random.Random) -> Any:
    """Return a tree with some of its values replaced by odd ones, or its keys."""
    tree = json.loads(json.dumps(tree))
    for _ in range(luck.randint(1, 3)):
        node = tree
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = luck.choice(keys)
            inner = node[key]
            if isinstance(inner, dict | list) and luck.random() < 0.8:
                node = inner
                continue
            if isinstance(node, dict) and luck.random() < 0.2:
                node[str(luck.choice(ODD))[:60]] = inner
            else:
                node[key] = copy.deepcopy(luck.choice(ODD))
            break
    return tree


def torn(text: str, luck: random.Random) -> str:
    """Return text with pieces cut out, doubled, or put in."""
    for _ in range(luck.randint(1, 4)):
        a, b = sorted(luck.randrange(len(text) + 1) for _ in range(2))
        b = min(b, a + 40)
        text = luck.choice(
            (
                text[:a] + text[b:],
                text[:a],
                text[:a] + luck.choice(PIECES) + text[a:],
                text[:b] + text[a:b] + text[b:],
                text[:a] + chr(luck.randrange(0x3000)) + text[a:],
            )
        )
    return text


def packed(tree: Any, version: object = 1) -> str:
    """Return a link made by hand."""
    squeezed = zlib.compress(json.dumps(tree).encode("utf-8", "surrogatepass"))
    return f"s{version}." + base64.urlsafe_b64encode(squeezed).rstrip(b"=").decode()


def zipped(name: str, content: bytes) -> bytes:
    """Return a zip with one file in it."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return held.getvalue()


class Inputs:
    """What is generated: as many different ones as are asked for, the same each time."""

    def __init__(self) -> None:
        self.luck = random.Random(8)
        self.texts = scenario_texts()
        self.trees = [yaml.safe_load(text) for text in self.texts]
        self.links = [to_link(load(name), 7) for name in presets()]

    def links_bent(self) -> Iterator[str]:
        """Yield links whose scenario makes no sense, or another one than it did."""
        while True:
            seed = self.luck.choice((7, 7, 7, -1, None, 2**60, "7"))
            tree = {"seed": seed, "scenario": bent(self.luck.choice(self.trees), self.luck)}
            yield packed(tree, self.luck.choice((1, 1, 1, 1, 0, 2, 99999)))

    def links_torn(self) -> Iterator[str]:
        """Yield links as mail programs, people and vandals leave them."""
        while True:
            yield torn(self.luck.choice(self.links), self.luck)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield files with names: scenarios bent and torn, zips of them, and noise."""
        luck = self.luck
        while True:
            name = luck.choice(("a.yaml", "../../x.yaml", "<b>.json", "=1.zip", "\n", "a" * 300))
            kind = luck.randrange(5)
            if kind == 0:
                content = torn(luck.choice(self.texts), luck).encode("utf-8", "surrogatepass")
            elif kind == 1:
                content = json.dumps(bent(luck.choice(self.trees), luck)).encode()
            elif kind == 2:
                content = zipped(
                    luck.choice(("scenario.yaml", "../scenario.yaml", "x")), luck.randbytes(200)
                )
            elif kind == 3:
                content = bytearray(zipped("scenario.yaml", self.texts[0].encode()))
                for _ in range(3):
                    content[luck.randrange(len(content))] = luck.randrange(256)
                content = bytes(content)
            else:
                content = "".join(luck.choices(PIECES, k=luck.randint(1, 12))).encode(
                    "utf-8", "surrogatepass"
                )
            yield name, content

    def cookies(self) -> Iterator[str]:
        """Yield cookies of settings that nobody has set."""
        names = [*settings.Settings._fields, "x"]
        while True:
            said = {self.luck.choice(names): self.luck.choice(ODD) for _ in range(3)}
            text = json.dumps(said).encode("utf-8", "surrogatepass")
            word = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
            yield word if self.luck.random() < 0.7 else torn(word, self.luck)

    def classes(self) -> Iterator[str]:
        """Yield what a class might type into the field for links."""
        while True:
            lines = [torn(self.luck.choice(self.links), self.luck) for _ in range(2)]
            yield "\n".join(f"{self.luck.choice(PIECES)}: {line}" for line in lines)


def tried(read: Callable[[Any], object], given: Any) -> Scenario | None:
    """Read an input; it is read, or refused in one line of a bearable length, within a second."""
    begun, found, said = time.process_time(), None, ""
    try:
        found = read(given)
    except ScenarioError as error:
        said = str(error)
    assert time.process_time() - begun < SECOND, given
    assert "\n" not in said, given
    assert len(said) < 1_000, given
    return getattr(found, "scenario", None)


@pytest.mark.thorough
def test_ten_thousand_inputs_are_read_or_refused_in_one_line() -> None:
    """Somebody's junk would end a session, or keep the server from all others."""
    inputs = Inputs()
    counted = 0
    opened: list[Scenario] = []
    for count, source, read in (
        (2_500, inputs.links_bent(), of_link),
        (3_000, inputs.links_torn(), of_link),
        (2_200, inputs.files(), lambda file: taken(*file)),
        (2_000, inputs.cookies(), settings.from_cookie),
        (300, inputs.classes(), lambda text: gathered([], text)),
    ):
        for _ in range(count):
            scenario = tried(read, next(source))
            counted += 1
            opened += [scenario] if scenario is not None else []
    assert counted == 10_000
    assert len(opened) > 40  # else what makes sense would not have been tried
    # What can be read is laid out as the pages do it: it works, or is refused in one line.
    for scenario in opened:
        tried(lambda each: (limits.refuse_hours(each), each.program()), scenario)


@pytest.mark.parametrize("name", ["huge.yaml", "huge.zip"])
def test_fifty_megabytes_are_refused_at_once(name: str) -> None:
    """A page would be busy with them for minutes."""
    content = (b"PK" if name.endswith("zip") else b"") + b"a: [" + b"1," * 25_000_000
    assert len(content) > 10 * FILE_MAX
    begun = time.process_time()
    with pytest.raises(ScenarioError, match="below 5 MB"):
        taken(name, content)
    assert time.process_time() - begun < SECOND


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{after}: &{after} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}]"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch /tmp/strata-was-here']",
        "title: !!python/name:os.system",
        BOMB,
        "journeys: &a {x: *a}",
        "journeys: [" + "1," * 490_000 + "]",
        "a: " * 300_000,
    ],
    ids=["object", "name", "bomb", "loop", "long", "deep"],
)
def test_objects_and_aliases_in_yaml_are_refused(text: str) -> None:
    """A file would run a program here, or grow in memory until the server ends."""
    begun = time.process_time()
    with pytest.raises(ScenarioError):
        taken("a.yaml", text.encode())
    assert time.process_time() - begun < SECOND


@pytest.mark.xdist_group("browser")
def test_a_link_to_hours_of_computing_is_refused_and_the_page_works(
    server: str, page: Page
) -> None:
    """A link made by hand would keep a core of the server busy for a day."""
    scenario = load("amazon").change(
        {"duration_seconds": 86_400, "client.requests_per_second": 200_000}
    )
    Playground(page).open(server, f"/?s={to_link(scenario, 7)}")
    told = page.get_by_test_id("stAlert")
    expect(told.first).to_contain_text("17,280,000,000 requests", timeout=ANSWER_MS)
