"""Links: a whole scenario and its seed in one word that fits into an address.

`s1.` and base64url (RFC 4648, section 5, without padding) of zlib (RFC 1950) of JSON: what differs
from the defaults, in the order of the fields.  The number is the version (`migrations`).  What
comes from outside is hostile until parsed: at every step there is a limit to its size.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from typing import Any, NoReturn

from engine.errors import ScenarioError, shown
from engine.export.migrations import VERSION, migrated
from engine.scenario import DEPTH_MAX, Scenario, parse

LINK_MAX = 16_000  # characters; servers take request heads of at least 16 kB, browsers far more
TEXT_MAX = 200_000  # bytes of JSON; the largest preset has a fiftieth of it
SEED_MAX = 2**53 - 1  # the largest whole number that every reader of JSON gets right
PARAMETER = "s"  # of the address: ?s=s1.…

_FORM = re.compile(r"s(\d{1,4})\.([A-Za-z0-9_-]*)={0,2}")
_AGAIN = "copy the whole link again"


def to_link(scenario: Scenario, seed: int) -> str:
    """Return the word that says a scenario and a seed; the same for equal ones.

    Raises ScenarioError if it would be longer than an address may be.
    """
    if not 0 <= seed <= SEED_MAX:
        raise ScenarioError(f"seed is {seed}; a link carries whole numbers from 0 to {SEED_MAX}")
    tree = {"seed": seed, "scenario": scenario.model_dump(mode="json", exclude_defaults=True)}
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    packed = base64.urlsafe_b64encode(zlib.compress(text, 9)).rstrip(b"=").decode()
    link = f"s{VERSION}.{packed}"
    if len(link) > LINK_MAX or len(text) > TEXT_MAX:
        raise ScenarioError(
            f"the scenario makes a link of {len(link):,} characters; an address has at most"
            f" {LINK_MAX:,}: hand over the file instead"
        )
    return link


def from_link(text: str) -> tuple[Scenario, int]:
    """Return the scenario and the seed that a link says; all around the word may be there too.

    Raises ScenarioError, one line, for whatever is broken, too large or from the future.
    """
    version, packed = _parts(text)
    tree = _tree(_unpacked(packed))
    seed = tree.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= SEED_MAX:
        raise ScenarioError(f"the link's seed is {shown(seed)}; use a whole number from 0")
    if tree.keys() != {"seed", "scenario"} or not isinstance(tree["scenario"], dict):
        raise ScenarioError(f"the link holds no scenario; {_AGAIN}")
    try:
        scenario = migrated(tree["scenario"], version)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ScenarioError(
            f"the link says version {version} but is none of that version; {_AGAIN}"
        ) from None
    try:
        return parse(scenario), seed
    except ScenarioError as error:
        raise ScenarioError(f"the link: {error}") from None


def _parts(text: str) -> tuple[int, str]:
    """Return version and packed text of a link, or of an address that has one."""
    if len(text) > LINK_MAX + 2_000:
        raise ScenarioError(f"the link has {len(text):,} characters; one has at most {LINK_MAX:,}")
    found = _FORM.fullmatch(_word(text.strip()))
    if not found:
        raise ScenarioError(
            f"{shown(text.strip())} is no link; one begins with s{VERSION}. and goes on with"
            f" letters, digits, - and _: {_AGAIN}"
        )
    version, packed = int(found[1]), found[2]
    if version > VERSION:
        raise ScenarioError(
            f"the link is of version {version}, this Strata knows versions up to {VERSION};"
            " update Strata, or ask for the scenario's file"
        )
    if version < 1:
        raise ScenarioError(f"the link is of version {version}, which never was; {_AGAIN}")
    if len(packed) > LINK_MAX:
        raise ScenarioError(
            f"the link has {len(packed):,} characters; one has at most {LINK_MAX:,}"
        )
    return version, packed


def _word(text: str) -> str:
    """Return the link within an address, or the text itself if it is none."""
    _, asked, query = text.partition("?")
    for pair in query.partition("#")[0].split("&") if asked else ():
        name, _, value = pair.partition("=")
        if name == PARAMETER:
            return value
    return text


def _unpacked(packed: str) -> bytes:
    """Return the bytes that were packed; never more than `TEXT_MAX` of them are made."""
    try:
        squeezed = base64.b64decode(packed + "=" * (-len(packed) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ScenarioError(f"the link has been cut or changed; {_AGAIN}") from None
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(squeezed, TEXT_MAX + 1)
    except zlib.error:
        raise ScenarioError(f"the link has been cut or changed; {_AGAIN}") from None
    if len(text) > TEXT_MAX:
        raise ScenarioError(
            f"the link unpacks to more than {TEXT_MAX:,} bytes; a scenario is smaller"
        )
    if not reader.eof or reader.unused_data:
        raise ScenarioError(f"the link has been cut or changed; {_AGAIN}")
    return text


def _tree(text: bytes) -> dict[str, Any]:
    """Return the mapping that JSON text says, strictly read."""
    try:
        tree = json.loads(text, parse_constant=_refused, object_pairs_hook=_once)
    except ScenarioError:
        raise
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ScenarioError(f"the link holds no scenario; {_AGAIN}") from None
    if not isinstance(tree, dict):
        raise ScenarioError(f"the link holds {shown(tree)}, not a scenario; {_AGAIN}")
    if _depth(tree) > DEPTH_MAX:
        raise ScenarioError(f"the link is nested deeper than {DEPTH_MAX} levels; flatten it")
    return tree


def _refused(word: str) -> NoReturn:
    """Refuse what is no JSON, though Python reads it: NaN and Infinity."""
    raise ScenarioError(f"the link says {word}, which is no number; use a finite one")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a mapping in which nothing is said twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ScenarioError(f"the link says {shown(twice)} a second time; leave one out")
    return found


def _depth(tree: Any) -> int:
    """Return how deep a tree is nested, without recursion."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [
            inner
            for node in level
            if isinstance(node, dict | list)
            for inner in (node.values() if isinstance(node, dict) else node)
        ]
    return depth
