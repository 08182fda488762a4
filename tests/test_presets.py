"""Presets tell a story that the engine must bear out."""

import re

import pytest

from engine import load, presets, read_text, simulate
from engine.expect import missed
from engine.reading import PRESETS

NAMES = sorted(presets())


@pytest.mark.parametrize("seed", [1, 2026])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_preset_expects_comes_out(name, seed) -> None:
    """Its comments would promise what the system does not do."""
    scenario = load(name)
    assert scenario.expect, f"{name} says nothing in expect:"
    assert not list(missed(simulate(scenario, seed)))


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_says_where_its_numbers_are_from(name) -> None:
    """A number without a source would be believed because it stands there."""
    text = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    sections = re.split(r"^(?=\w)", text, flags=re.MULTILINE)
    layers = [s for s in sections if re.match(r"(client|application|data):", s)]
    numeric = [s for s in layers if re.search(r"\d", s)]
    assert numeric
    for section in numeric:
        assert "#" in section, f"{name}: {section.splitlines()[0]} has no word on its numbers"


def test_a_preset_survives_a_round_trip_through_yaml() -> None:
    """Saving and loading would change the system."""
    for name in NAMES:
        scenario = load(name)
        assert read_text(scenario.to_yaml()) == scenario


def test_a_search_is_slow_cold_and_fast_when_cached() -> None:
    """The story of the search would not be told: some 200 ms cold, far less when cached."""
    amazon = load("amazon")
    only = {f"journeys.{name}.weight": 0 for name in amazon.journeys if name != "search"}
    home = {
        "client.regions": [{"name": "here", "share": 1, "origin_round_trip": 20}],
        "client.requests_per_second": 50,
        "warm_up_seconds": 0,
    }
    cold = simulate(amazon.change({**only, **home, "cache.ttl_seconds": 0})).summary
    warm = simulate(amazon.change({**only, **home, "cache.warm": True, "cache.capacity": 150000}))
    assert cold.latency_ms_p50 is not None
    assert warm.summary.latency_ms_p50 is not None
    assert 120 < cold.latency_ms_p50 < 280
    assert warm.summary.latency_ms_p50 < 0.65 * cold.latency_ms_p50


def test_buy_now_answers_before_its_workers_have_finished() -> None:
    """The customer would wait for the e-mail."""
    trace = simulate(load("amazon")).trace("buy", "p50")
    assert trace is not None
    behind = [span for span in trace.spans if span.background]
    assert behind
    assert max(span.start_ms + span.duration_ms for span in behind) > 0
    assert all(not span.critical for span in behind)
    off = simulate(load("amazon").change({"asynchronous.enabled": False}))
    on = simulate(load("amazon"))
    assert off.journeys.latency_ms_p50["buy"] > on.journeys.latency_ms_p50["buy"] + 100
