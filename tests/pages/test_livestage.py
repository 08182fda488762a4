"""What the browser asks of a live run, and what it gets: nothing is lost, nothing is done twice."""

import json
import time
from typing import Any

from engine import load
from pages.parts.base import Base
from pages.parts.livestage import Stage, lasting


def stage() -> Stage:
    """Return a small shop's run, not begun."""
    scenario = load("amazon").change({"client.requests_per_second": 50})
    found = Stage(1, Base("small", scenario), {}, 7)
    found.work_seconds = 60.0  # however slow the machine
    return found


def ask(found: Stage, until: float, *acts: dict[str, Any], **known: Any) -> dict[str, Any]:
    """Ask as the browser does, and return the answer as it travels."""
    numbered = [{"number": n, "run": found.id, **act} for n, act in enumerate(acts, start=1)]
    found.hear({"run": found.id, "until": until, "acts": numbered, **known})
    return dict(json.loads(json.dumps(found.data())))


def test_an_answer_brings_what_is_missing_and_no_more() -> None:
    """Each second travels once; who has lost all of it gets all of it."""
    found = stage()
    first = ask(found, 3.0)
    assert len(first["rows"]) == 3
    assert first["still"]["nodes"]
    second = ask(found, 5.0, rows=3, still=True)
    assert (second["first"], len(second["rows"]), second["still"]) == (3, 2, None)
    again = ask(found, 5.0)
    assert again["rows"] == first["rows"] + second["rows"]


def test_asking_twice_does_not_play_twice() -> None:
    """An answer that got lost is asked for again; the run must not be ahead then."""
    found = stage()
    ask(found, 4.0)
    assert ask(found, 4.0)["now"] == 4.0
    assert ask(found, 2.0)["now"] == 4.0


def test_an_act_that_is_heard_twice_is_done_once() -> None:
    """A click is a click, however often the line drops."""
    found = stage()
    spike = {"do": "inject", "fault": {"do": "traffic_spike", "length_seconds": 5}}
    ask(found, 2.0, spike)
    answer = ask(found, 3.0, spike)
    assert answer["heard"] == 1
    assert [event[1] for event in answer["events"]].count("fault") == 1
    assert len(found.live.history) == 1


def test_a_refusal_is_told_until_something_else_is_done() -> None:
    """One clear line beside the run, and not for ever."""
    found = stage()
    answer = ask(found, 2.0, {"do": "inject", "fault": {"do": "region_down"}})
    assert len(answer["told"]) == 1
    assert "\n" not in answer["told"][0]
    found.follow({"application.replicas": 4})
    assert ask(found, 3.0)["told"] == []
    assert found.live.run.scenario.application.replicas == 4


def test_a_slider_before_the_start_begins_another_run() -> None:
    """Before anything has happened there is no structure that could not be changed."""
    found = stage()
    before = found.id
    found.follow({"data.shards": 3})
    assert found.id != before
    assert found.live.started.data.shards == 3
    assert found.told == []


def test_the_run_beside_hears_of_what_is_done_later() -> None:
    """Both lines must differ in one thing only, whatever happens after the question."""
    found = stage()
    ask(found, 3.0)
    question = {"do": "branch", "path": "application.replicas", "value": 5, "at": 0}
    ask(found, 4.0, question)
    found.follow({"client.requests_per_second": 90.0})
    answer = ask(found, 8.0, rows=4)
    assert found.rival
    assert found.rival.live.run.scenario.client.requests_per_second == 90.0
    assert len(answer["rival"]["rows"]) == 8
    assert "App servers 5" in answer["rival"]["label"]


def test_the_post_mortem_is_written_beside() -> None:
    """What is known at once is said at once; why, and what would have helped, when it is known."""
    found = stage()
    spike = {"do": "inject", "fault": {"do": "traffic_spike", "factor": 60, "length_seconds": 10}}
    ask(found, 20.0)
    ask(found, 40.0, spike)
    answer = ask(found, 60.0, {"do": "finish"}, {"do": "finish"})
    assert answer["over"]
    assert answer["writing"]
    assert ["head", "What people saw"] in answer["report"]
    deadline = time.monotonic() + 120
    while answer["writing"] and time.monotonic() < deadline:
        time.sleep(0.2)
        answer = ask(found, 60.0)
    assert ["head", "First cause"] in answer["report"]
    assert ["head", "What would have prevented it"] in answer["report"]


def test_a_story_keeps_its_length_and_all_else_goes_on_for_half_an_hour() -> None:
    """A game day ends when its story does; who just plays should not be stopped after a minute."""
    plain = load("amazon")
    assert lasting(plain).duration_seconds == 1800
    story = plain.change({"faults": [{"do": "traffic_spike", "at_seconds": 20}]})
    assert lasting(story).duration_seconds == plain.duration_seconds
