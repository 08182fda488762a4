"""k6 and Locust scripts can be read, and ask for what the scenario's users ask for."""

import ast
import collections
import json
import pathlib
import shutil
import subprocess
import sys
import types
from typing import Any

import esprima
import pytest

from engine import Scenario, presets
from engine.deploy import files
from engine.deploy.load import rates
from engine.deploy.site import Site
from tests.deploy.conftest import load, preset_files

K6, LOCUST = "load/k6.js", "load/locustfile.py"
NODE = shutil.which("node")


def plan(scenario: Scenario) -> dict[str, Any]:
    """Return the plan that the k6 script has in it."""
    text = files(scenario)[K6]
    begin = text.index("const plan = ") + len("const plan = ")
    return json.JSONDecoder().raw_decode(text[begin:])[0]


@pytest.fixture
def locust(monkeypatch) -> Any:
    """Return what runs a Locust script without Locust, and hands over what is in it."""
    stand_in = types.ModuleType("locust")
    for name in ("HttpUser", "LoadTestShape"):
        setattr(stand_in, name, type(name, (), {}))
    stand_in.task = lambda function: function
    monkeypatch.setitem(sys.modules, "locust", stand_in)

    def run(scenario: Scenario) -> dict[str, Any]:
        inside: dict[str, Any] = {"__name__": "locustfile"}
        exec(compile(files(scenario)[LOCUST], LOCUST, "exec"), inside)  # noqa: S102, our own
        return inside

    return run


@pytest.mark.parametrize("name", presets())
def test_both_scripts_can_be_read(name: str) -> None:
    """A script with a syntax error is found out only when the machines are paid for."""
    made = preset_files(name)
    esprima.parseModule(made[K6])
    ast.parse(made[LOCUST])


@pytest.mark.skipif(NODE is None, reason="node is not installed; esprima reads the script too")
def test_node_reads_the_k6_script_too(tmp_path: pathlib.Path, hostile: Scenario) -> None:
    """A second parser, of today's language."""
    file = tmp_path / "k6.mjs"
    file.write_text(files(hostile)[K6], "utf-8")
    read = subprocess.run([str(NODE), "--check", file], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


def test_hostile_names_stay_strings(hostile: Scenario, locust: Any) -> None:
    """A journey's title could otherwise end a string and begin a program."""
    made = files(hostile)
    tree = esprima.parseModule(made[K6]).toDict()
    kinds = [node["type"] for node in tree["body"] if node["type"] != "VariableDeclaration"]
    assert set(kinds) <= {
        "ImportDeclaration",
        "FunctionDeclaration",
        "ExportNamedDeclaration",
        "ExportDefaultDeclaration",
    }
    assert not made[K6].split("import http")[0].replace("//", "").count("process.exit()\n")
    assert [each["name"] for each in plan(hostile)["journeys"]] == [
        each["name"] for each in locust(hostile)["JOURNEYS"]
    ]
    assert [each["path"] for each in plan(hostile)["journeys"]] == ["/j-1", "/import-os", "/plan"]
    imported = [node for node in ast.walk(ast.parse(made[LOCUST])) if isinstance(node, ast.Import)]
    assert {name.name for node in imported for name in node.names} == {
        "json",
        "math",
        "random",
        "time",
    }


def test_journeys_come_by_their_weights(locust: Any) -> None:
    """Another mix of requests is another load."""
    inside = locust(load("amazon"))
    assert inside["WEIGHTS"] == [65, 22, 10, 3]
    methods = {each["path"]: each["method"] for each in inside["JOURNEYS"]}
    assert methods == {"/assets": "GET", "/view": "GET", "/search": "GET", "/buy": "POST"}


@pytest.mark.parametrize("shape", ["constant", "ramp", "spike", "step", "diurnal", "flash_crowd"])
def test_the_rate_follows_the_pattern(shape: str, locust: Any) -> None:
    """A spike that is a ramp there would break nothing."""
    scenario = load("amazon").change({"client.pattern.shape": shape})
    inside = locust(scenario)
    for tenth in range(1, 600, 7):  # never where it jumps
        seconds = tenth / 10 + 0.03
        wanted = scenario.client.rate_at(seconds, 7)
        assert inside["rate_at"](seconds) == pytest.approx(wanted, rel=0.02)


def test_a_spike_that_is_planned_as_a_fault_is_part_of_the_rate() -> None:
    """A game day without its spike is a day like any other."""
    points = rates(Site(load("spike_fast_autoscaler")))
    assert points == [[0, 150], [60, 150], [60, 750], [240, 750], [240, 150], [300, 150]]


def test_closed_users_think_as_long(locust: Any) -> None:
    """The mean think time sets the rate of a closed system."""
    scenario = load("amazon").change(
        {
            "client.arrivals": "closed",
            "client.users": 40,
            "client.think_time": {"lognormal": {"median": 2000, "p99": 9000}},
        }
    )
    inside = locust(scenario)
    told = plan(scenario)
    assert (told["closed"], told["users"], told["rates"]) == (True, 40, [])
    drawn = [inside["drawn"](told["think"]) for _ in range(4000)]
    mean = scenario.client.think_time.mean_ms / 1e3
    assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.1)
    assert inside["Shape"].tick.__doc__
    esprima.parseModule(files(scenario)[K6])


def test_popular_things_are_asked_for_as_often(locust: Any) -> None:
    """A cache would be hit more, or less, than in the simulation."""
    inside = locust(load("amazon"))
    journey = {"keys": 1000, "zipf": 0.9, "hot": 0.0}
    ranks = collections.Counter(inside["rank"](journey) for _ in range(40_000))
    weights = [rank**-0.9 for rank in range(1, 1001)]
    top = sum(ranks[rank] for rank in range(1, 101)) / 40_000
    assert top == pytest.approx(sum(weights[:100]) / sum(weights), abs=0.04)
    assert min(ranks) == 1
    assert max(ranks) <= 1000


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_k6_script_asks_for_what_is_planned(tmp_path: pathlib.Path) -> None:
    """Played with a stand-in of k6: paths by weight, tries while the system fails, stages."""
    script = files(load("amazon").change({"client.pattern.shape": "step"}))[K6]
    script = script.replace("'k6/http'", "'./http.mjs'").replace("'k6'", "'./k6.mjs'")
    (tmp_path / "k6.mjs").write_text(
        "export const check = () => true;\nexport const rests = [];\n"
        "export const sleep = (seconds) => rests.push(seconds);\n"
    )
    (tmp_path / "http.mjs").write_text(
        "export const asked = [];\n"
        "export default { request: (method, url) => {\n"
        "  asked.push(`${method} ${new URL(url).pathname}`);\n"
        "  return { status: asked.length % 3 === 0 ? 503 : 200 };\n"
        "} };\n"
    )
    (tmp_path / "script.mjs").write_text(script, "utf-8")
    (tmp_path / "main.mjs").write_text(
        "globalThis.__ENV = { BASE_URL: 'http://there:1/' };\n"
        "const { default: visit, options } = await import('./script.mjs');\n"
        "const { asked } = await import('./http.mjs');\n"
        "const { rests } = await import('./k6.mjs');\n"
        "for (let i = 0; i < 3000; i += 1) { visit(); }\n"
        "console.log(JSON.stringify({ asked, rests, options }));\n"
    )
    ran = subprocess.run(
        [str(NODE), "main.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    counts = collections.Counter(said["asked"])
    share = counts["GET /assets"] / sum(counts.values())
    assert share == pytest.approx(0.65, abs=0.04)
    assert set(counts) == {"GET /assets", "GET /view", "GET /search", "POST /buy"}
    assert len(said["asked"]) == 3000 + len(said["rests"])
    assert max(said["rests"]) <= 0.1
    assert said["options"]["scenarios"]["traffic"]["stages"] == [
        {"duration": "20000ms", "target": 60_000},
        {"duration": "0ms", "target": 180_000},
        {"duration": "40000ms", "target": 180_000},
    ]
