"""Plans: what cannot be is refused in one line with its place, and the run goes on."""

import json
from typing import Any

import pytest

from engine import Fault, ScenarioError, Simulation, catalogue, load, read_text, simulate
from engine.__main__ import main
from engine.faults.timeline import length_to
from tests.test_faults import shop

PLAN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a service that does not exist": (
        {"faults": [{"do": "cache_flush"}, {"do": "kill_server", "service": "shpo"}]},
        ["faults[1].service", "'shpo'", "does not exist", "did you mean shop?"],
    ),
    "a kind that does not exist": (
        {"faults": [{"do": "kill_servers"}]},
        ["faults[0]", "'kill_servers'", "did you mean kill_server?"],
    ),
    "no kind": ({"faults": [{"at_seconds": 3}]}, ["faults[0]", "say do:"]),
    "an unknown field": (
        {"faults": [{"do": "kill_server", "sevice": "shop"}]},
        ["faults[0].sevice", "did you mean service?"],
    ),
    "a server beyond their number": (
        {"faults": [{"do": "kill_server", "server": 3}]},
        ["faults[0].server is 3", "shop has 2", "at most 2"],
    ),
    "more servers than there are": (
        {"faults": [{"do": "hang_server", "servers": 3}]},
        ["faults[0].servers is 3", "use at most 2"],
    ),
    "a time below zero": (
        {"faults": [{"do": "cache_flush", "at_seconds": -1}]},
        ["faults[0].at_seconds", "-1", "at least 0"],
    ),
    "a length of what is over at once": (
        {"faults": [{"do": "cache_flush", "length_seconds": 5}]},
        ["faults[0].length_seconds is not known here"],
    ),
    "a part that is off": (
        {"faults": [{"do": "cache_flush"}], "cache": {"enabled": False}},
        ["faults[0]", "cache layer is off", "cache.enabled"],
    ),
    "a shard too many": (
        {"faults": [{"do": "primary_down", "shard": 2}]},
        ["faults[0].shard is 2", "at most 1"],
    ),
    "a region that is not watched": (
        {"faults": [{"do": "region_down", "region": "south"}]},
        ["faults[0]", "edge.dns.failover"],
    ),
    "what is dead is killed": (
        {"faults": [{"do": "kill_server", "at_seconds": at} for at in (3, 9)]},
        ["faults[1]", "server 1 of shop is killed already, from 3 s to 33 s (faults[0])"],
    ),
    "what is hung to the end is killed": (
        {"faults": [{"do": "kill_server", "at_seconds": 29, "share": 1},
                    {"do": "hang_server", "at_seconds": 3, "length_seconds": None}]},
        ["faults[0]", "hung already", "the end"],
    ),
    "a change of what is not there": (
        {"changes": [{"at_seconds": 3, "set": {"cache.tll_seconds": 3}}]},
        ["changes[0].set", "cache.tll_seconds", "did you mean ttl_seconds?"],
    ),
    "a change beyond limits": (
        {"changes": [{"at_seconds": 3, "set": {"data.shards": 0}}]},
        ["changes[0].set", "data.shards is 0", "at least 1"],
    ),
    "a change of nothing": ({"changes": [{"at_seconds": 3, "set": {}}]}, ["changes[0].set"]),
    "a change of the plan": (
        {"changes": [{"at_seconds": 3, "set": {"chaos.on": True}}]},
        ["changes[0].set", "chaos.on", "part of the plan"],
    ),
    "chaos of no kind": ({"chaos": {"kinds": ["kil_server"]}}, ["chaos.kinds", "kill_server"]),
}  # fmt: skip


@pytest.mark.parametrize(("plan", "said"), PLAN.values(), ids=PLAN)
def test_a_plan_that_cannot_be_is_refused_in_one_line(plan, said) -> None:
    """Somebody would wait for a fault that never comes."""
    tree = shop().model_dump(mode="json")
    for name, section in plan.items():
        tree[name] = {**tree[name], **section} if isinstance(section, dict) else section
    with pytest.raises(ScenarioError) as caught:
        read_text(json.dumps(tree))
    line = str(caught.value)
    assert "\n" not in line
    for word in said:
        assert word in line, line


def test_what_is_refused_in_a_run_leaves_it_as_it_was() -> None:
    """A slip of the hand in front of a class must not end the show."""
    run, other = Simulation(shop()), Simulation(shop())
    run.advance(3)
    run.inject({"do": "kill_server", "server": 2, "length_seconds": 2})
    for bad in ({"do": "kill_server", "server": 2}, {"do": "sessions_down"}, {"do": "dance"}, {},
                {"do": "kill_server", "server": 9}, {"do": "region_down"}, [1]):  # fmt: skip
        with pytest.raises(ScenarioError):
            run.inject(bad)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match="at least 1"):
        run.change("application.replicas", 0)
    with pytest.raises(ScenarioError, match="structure"):
        run.change("data.shards", 3)
    with pytest.raises(ScenarioError, match="no fault number 4"):
        run.mend(4)
    other.advance(3)
    other.inject({"do": "kill_server", "server": 2, "length_seconds": 2})
    run.advance_to(9)
    other.advance_to(9)
    assert run.result().summary == other.result().summary
    assert run.recorded() == other.recorded()


def test_back_to_back_is_no_contradiction() -> None:
    """One that ends when the next begins is over by then."""
    faults = [{"do": "kill_server", "at_seconds": 3, "length_seconds": 2},
              {"do": "kill_server", "at_seconds": 5, "length_seconds": 2}]  # fmt: skip
    events = simulate(shop(faults=faults)).events
    assert events["kind"].tolist() == ["fault", "fault_over", "fault", "fault_over"]
    assert events["time_s"].tolist() == [3, 5, 5, 7]


def test_a_fault_fits_the_scenario_as_it_is_by_then() -> None:
    """Who adds servers at 3 s can break one of them at 5 s."""
    change = {"at_seconds": 3, "set": {"application.replicas": 4}}
    fault = {"do": "kill_server", "at_seconds": 5, "server": 4, "length_seconds": 2}
    with pytest.raises(ScenarioError, match="server is 4"):
        shop(faults=[fault])
    result = simulate(shop(changes=[change], faults=[fault], duration_seconds=8))
    assert result.events["kind"].tolist() == ["change", "fault", "fault_over"]


def test_a_fault_that_has_become_impossible_is_told_and_the_run_goes_on() -> None:
    """What was planned for a server that is gone by then cannot be done to it."""
    fault = {"do": "kill_server", "at_seconds": 5, "server": 2}
    run = Simulation(shop(faults=[fault]))
    run.change("application.replicas", 1)
    run.advance(8)
    (event,) = [e for e in run.result().events.to_dict("records") if e["kind"] == "refused"]
    assert "faults[0].server is 2" in event["text"]
    assert simulate(run.recorded().change({"duration_seconds": 8})).summary == run.result().summary


def test_a_record_survives_being_written_down() -> None:
    """A live run that is shared is read from a file."""
    run = Simulation(shop(duration_seconds=6))
    run.advance(1.1)
    run.inject({"do": "kill_server", "length_seconds": None})
    run.change("cache.ttl_seconds", 3)
    run.advance(0.7)
    run.mend(0)
    run.inject({"do": "kill_server", "length_seconds": 0.3})
    run.advance_to(6)
    again = read_text(run.recorded().to_yaml())
    assert again == run.recorded()
    assert simulate(again).summary == run.result().summary
    assert simulate(again).events.equals(run.result().events)


def test_a_length_adds_up_to_its_end_to_the_last_bit() -> None:
    """A fault that ended beside the end of the one that was recorded would be another."""
    for start, end in ((0.1, 0.3), (1 / 3, 2 / 3), (59.999, 60.0000001), (0.0, 1e-9), (7.3, 7.3)):
        assert start + length_to(start, end) == end


def test_chaos_is_the_same_with_the_same_seed_and_another_with_another() -> None:
    """Random faults that could not be repeated could not be explained."""
    scenario = shop(**{"chaos.on": True, "chaos.every_seconds": 2, "chaos.length_seconds": 1})
    one, same, other = simulate(scenario), simulate(scenario), simulate(scenario, 8)
    assert one.events.equals(same.events)
    assert not one.events.equals(other.events)
    assert (one.events["kind"] == "fault").sum() > 5


def test_chaos_brings_only_the_kinds_that_are_asked_for() -> None:
    """A class that learns about caches does not want its database to die."""
    scenario = shop(**{"chaos.on": True, "chaos.every_seconds": 2, "chaos.kinds": ["cache_flush"],
                       "chaos.begin_seconds": 10})  # fmt: skip
    found = scenario.chaos.faults(scenario, 7)
    assert {fault.kind for fault in found} == {"cache_flush"}
    assert min(fault.at_seconds for fault in found) > 10


def test_the_catalogue_says_what_can_be_here_and_why_the_rest_cannot() -> None:
    """A button that does nothing but complain is a trap."""
    infos = {info.do: info for info in catalogue(load("monolith"))}
    assert set(infos) == set(Fault.kinds)
    assert infos["kill_server"].why_not == ""
    assert "cache layer is off" in infos["cache_flush"].why_not
    fields = {field.path: field for field in infos["kill_server"].fields}
    assert fields["service"].choices == ("server",)
    assert fields["length_seconds"].optional
    assert infos["kill_server"].lasts
    assert not infos["cache_flush"].lasts
    for info in infos.values():
        assert info.title
        assert info.help
        assert "\n" not in info.why_not


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("kill_server at=30 for=60 service=prduct servers=1", "did you mean product"),
        ("kill_server at=soon", "faults[0].at_seconds is 'soon'"),
        ("kill_server at", "no NAME=VALUE"),
        ("kill_server at=3 at=4", "a second time"),
        ("kill_server at=[1", "not YAML"),
        ("", "faults[0]"),
        ("dance", "'dance'"),
    ],
)
def test_a_fault_on_the_command_line_that_cannot_be_is_code_2_and_one_line(
    fault, said, capsys
) -> None:
    """A traceback is for us, not for them."""
    assert main(["run", "amazon", "--fault", fault]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_fault_on_the_command_line_is_told_in_the_summary(capsys) -> None:
    """Who breaks something wants to see that it broke."""
    arguments = ["run", "monolith", "--set", "duration_seconds=30",
                 "--fault", "kill_server at=22 for=3"]  # fmt: skip
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "22 s" in out
    assert "server server 1 is killed" in out
    assert "connection re" in out


def test_the_command_line_lists_what_can_go_wrong(capsys) -> None:
    """Nobody knows two dozen names by heart."""
    assert main(["faults", "monolith"]) == 0
    out = capsys.readouterr().out
    for kind in Fault.kinds:
        assert kind in out
    assert "cannot be here: the cache layer is off" in out
