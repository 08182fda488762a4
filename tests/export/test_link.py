"""A link is the scenario: pasted into another Strata it gives the same run, or one clear line."""

import base64
import json
import pathlib
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Scenario, ScenarioError, load, presets, read_text, simulate
from engine.__main__ import figures
from engine.export import from_link, to_link
from engine.export.link import LINK_MAX, SEED_MAX, TEXT_MAX
from engine.export.migrations import STEPS, VERSION, migrated
from tests.strategies import scenarios

STORED = pathlib.Path(__file__).with_name("links_v1.json")
VISIT = {"journeys": {"visit": {"steps": [{"do": "call", "service": "server"}]}}}


def packed(tree: Any, version: int = 1) -> str:
    """Return a link made by hand."""
    text = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return f"s{version}." + base64.urlsafe_b64encode(zlib.compress(text)).rstrip(b"=").decode()


def one_line(link: str) -> str:
    """Return the one line with which a link is refused."""
    with pytest.raises(ScenarioError) as caught:
        from_link(link)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    return line


@pytest.mark.parametrize("name", presets())
def test_a_link_gives_back_every_preset_and_its_seed(name: str) -> None:
    """What a colleague opens would be another system."""
    scenario = load(name)
    link = to_link(scenario, 11)
    assert from_link(link) == (scenario, 11)
    assert from_link(f"https://strata.example/playground?x=1&s={link}#map") == (scenario, 11)
    assert len(link) < LINK_MAX / 4


@settings(max_examples=15, deadline=None)
@given(scenarios(), st.integers(0, SEED_MAX))
def test_links_and_files_give_back_any_scenario(scenario: Scenario, seed: int) -> None:
    """Some knob would be lost or rounded on its way."""
    assert from_link(to_link(scenario, seed)) == (scenario, seed)
    assert read_text(scenario.to_yaml()) == scenario
    assert read_text(scenario.model_dump_json()) == scenario


def test_a_link_gives_the_same_bytes_of_result() -> None:
    """An opened link would show other figures than those that were shared."""
    scenario = load("worker_outage").change({"duration_seconds": 6, "warm_up_seconds": 1})
    again, seed = from_link(to_link(scenario, 5))
    first, second = (json.dumps(figures(simulate(each, seed))) for each in (scenario, again))
    assert first == second


def test_the_order_of_journeys_survives() -> None:
    """Tables would list journeys in another order, and streams of luck be told apart by it."""
    steps = VISIT["journeys"]["visit"]
    scenario = Scenario.model_validate({"journeys": {"zebra": steps, "ant": steps}})
    assert list(from_link(to_link(scenario, 1))[0].journeys) == ["zebra", "ant"]


def test_equal_scenarios_have_equal_links() -> None:
    """Two people with the same system would think that theirs differ."""
    assert to_link(load("amazon"), 7) == to_link(load("amazon").change({}), 7)


# ---------------------------------------------------------------- older versions


OLD = {stored["name"]: stored for stored in json.loads(STORED.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("stored", OLD.values(), ids=OLD)
def test_stored_links_of_version_1_still_mean_the_same(stored: dict[str, Any]) -> None:
    """A default or a name has changed, so that old links mean another system: add a migration."""
    scenario, seed = from_link(stored["link"])
    assert seed == stored["seed"]
    assert list(lost(stored["scenario"], scenario.model_dump(mode="json"))) == []


def lost(before: Any, now: Any, path: str = "") -> Any:
    """Yield the places at which what was stored is not there any more; what is new may be."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            yield from lost(value, now.get(name, "nothing"), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for place, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from lost(old, new, f"{path}[{place}]")
    elif before != now:
        yield path, before, now


def test_every_older_version_has_its_step() -> None:
    """A link of a version in between could not be opened."""
    assert set(STEPS) == set(range(1, VERSION))


def test_migrations_are_made_one_after_the_other() -> None:
    """A link two versions old would be read as if it were one."""
    steps = {1: lambda tree: {**tree, "b": 1}, 2: lambda tree: {**tree, "c": tree["b"] + 1}}
    assert migrated({"a": 0}, 1, steps, today=3) == {"a": 0, "b": 1, "c": 2}
    assert migrated({"b": 5}, 2, steps, today=3) == {"b": 5, "c": 6}


# ---------------------------------------------------------------- hostile

WORDS = {
    "nothing": ("", "no link"),
    "a word": ("hello", "no link"),
    "HTML": ("<script>alert(1)</script>", "no link"),
    "from the future": (packed(VISIT, 9), "version 9"),
    "version nought": (packed(VISIT, 0), "version 0"),
    "not base64": ("s1.abcde", "cut or changed"),
    "not packed": ("s1." + base64.urlsafe_b64encode(b"hello there").decode(), "cut or changed"),
    "no JSON": (packed(b"hello"), "no scenario"),
    "no UTF-8": (packed(b"\xff\xfe{}"), "no scenario"),
    "no mapping": (packed([1, 2]), "not a scenario"),
    "no seed": (packed({"scenario": VISIT}), "seed"),
    "a seed that is true": (packed({"seed": True, "scenario": VISIT}), "seed"),
    "a negative seed": (packed({"seed": -1, "scenario": VISIT}), "seed"),
    "a broken scenario": (packed({"seed": 1, "scenario": {"data": {"shards": 0}}}), "the link"),
    "more than a scenario": (packed({"seed": 1, "scenario": VISIT, "x": 1}), "no scenario"),
    "infinity": (packed(b'{"seed":1,"scenario":{"x":Infinity}}'), "no number"),
    "a key said twice": (packed(b'{"seed":1,"seed":2}'), "second time"),
    "a huge number": (packed(b'{"seed":' + b"9" * 5000 + b"}"), "no scenario"),
    "too deep": (packed(b"[" * 5_000 + b"]" * 5_000), "no"),
    "deep": (packed({"seed": 1, "scenario": json.loads('{"a":' * 80 + "1" + "}" * 80)}), "deep"),
    "a bomb": (packed(b" " * 9_000_000), "unpacks"),
    "too long": ("s1." + "A" * 10 * LINK_MAX, "characters"),
}


@pytest.mark.parametrize(("link", "says"), WORDS.values(), ids=WORDS)
def test_what_is_no_good_link_is_refused_in_one_line(link: str, says: str) -> None:
    """A hostile link would crash a page, or fill the memory."""
    assert says in one_line(link)


def test_a_link_that_was_cut_anywhere_is_refused() -> None:
    """Half a link would open half a system."""
    link = to_link(load("monolith"), 7)
    for end in range(len(link)):
        one_line(link[:end])


@settings(max_examples=300, deadline=1000)
@given(
    st.one_of(
        st.text(max_size=300),
        st.binary(max_size=300).map(packed),
        st.text(alphabet="s1.AZaz09_-=?&", max_size=80),
    )
)
def test_nonsense_is_refused_or_read_but_never_crashes(text: str) -> None:
    """Some input would end in a traceback."""
    said = ""
    try:
        from_link(text)
    except ScenarioError as error:
        said = str(error)
    assert "\n" not in said


@settings(max_examples=200, deadline=1000)
@given(st.integers(0, 10_000), st.characters())
def test_a_link_with_a_changed_letter_is_refused_or_says_the_same(place: int, letter: str) -> None:
    """Noise on the line would open another system without a word."""
    scenario = load("monolith")
    link = to_link(scenario, 7)
    place %= len(link)
    try:
        found = from_link(link[:place] + letter + link[place + 1 :])
    except ScenarioError:
        return
    assert found == (scenario, 7)


def test_a_scenario_too_large_for_an_address_says_so() -> None:
    """The address would be cut by some server on its way."""
    names = {f"d{hash_:x}": {"keys": hash_ % 9_999_991 + 1} for hash_ in noise(3_000)}
    scenario = Scenario.model_validate({**VISIT, "datasets": names})
    with pytest.raises(ScenarioError, match="hand over the file"):
        to_link(scenario, 7)
    assert len(scenario.model_dump_json()) < TEXT_MAX * 5
    with pytest.raises(ScenarioError, match="seed"):
        to_link(load("amazon"), -1)


def noise(count: int) -> list[int]:
    """Return numbers that cannot be compressed."""
    return [zlib.crc32(str(n).encode()) * 2_654_435_761 % 2**48 for n in range(count)]
