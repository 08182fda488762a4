"""What a person gets wrong is answered in one clear line: place, value, way out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import Scenario, ScenarioError, knobs, load, read_text
from engine.__main__ import main

ROOT = Path(__file__).parents[1]
VISIT = "journeys: {visit: {steps: [{do: call, service: server}]}}\n"

# A text, and what its one line has to name.
TEXTS = {
    "an unknown key": (VISIT + "clinet: {}", ["clinet", "did you mean client"]),
    "an unknown key inside": (VISIT + "cache: {ttl: 3}", ["cache.ttl", "ttl_seconds"]),
    "an unknown key far from all": (
        VISIT + "cache: {ttx: 3}",
        ["cache.ttx", "use one of ttl_jitter, ttl_seconds"],  # the nearest first
    ),
    "a negative rate": (
        VISIT + "client: {requests_per_second: -5}",
        ["client.requests_per_second", "-5", "at least 0"],
    ),
    "no shards": (VISIT + "data: {shards: 0}", ["data.shards", "0", "at least 1"]),
    "weights of zero": (
        "journeys: {visit: {weight: 0, steps: [{do: call, service: server}]}}",
        ["journeys", "weights", "above 0"],
    ),
    "a missing service": (
        "journeys: {visit: {steps: [{do: call, service: sever}]}}",
        ["journeys.visit.steps[0]", "sever", "did you mean server"],
    ),
    "a missing dataset": (
        "journeys: {visit: {steps: [{do: read, dataset: things}]}}",
        ["journeys.visit.steps[0]", "dataset", "things"],
    ),
    "a step that lacks its dataset": (
        "journeys: {visit: {steps: [{do: read}]}}",
        ["journeys.visit.steps[0]", "dataset", "is missing; add it"],
    ),
    "a missing worker": (
        "journeys: {visit: {steps: [{do: publish, to: [postman]}]}}",
        ["journeys.visit.steps[0]", "worker", "postman"],
    ),
    "an unknown step": (
        "journeys: {visit: {steps: [{do: dance}]}}",
        ["journeys.visit.steps[0]", "dance", "call"],
    ),
    "not a mapping": ("- 1\n- 2", ["mapping", "[1, 2]"]),
    "only a word": ("hello", ["mapping", "hello"]),
    "nothing": ("", ["mapping", "None"]),
    "not YAML": ("a: [1, 2", ["line", "not YAML"]),
    "infinity": (VISIT + "client: {requests_per_second: .inf}", ["requests_per_second", "inf"]),
    "not a number": (VISIT + "client: {requests_per_second: .nan}", ["requests_per_second", "nan"]),
    "a word for a number": (VISIT + "data: {shards: many}", ["data.shards", "many"]),
    "two distributions": (
        VISIT + "cache: {hop: {constant: 1, exponential: 2}}",
        ["cache.hop", "constant and exponential"],
    ),
    "a key said twice": (VISIT + VISIT, ["line 2", "journeys", "second time"]),
    "an alias": ("a: &x [1]\nb: *x", ["line 2", "alias"]),
    "great depth": ("a: " + "[" * 5000, ["line 1", "nested"]),
    "a Python object": ("a: !!python/object:os.system x", ["line 1", "not YAML"]),
    "a tag that does not fit": ("title: !!int ''", ["not YAML"]),
    "a key that is a list": ("? [a]\n: b", ["line 1", "key"]),
    "a warm-up longer than the run": (
        VISIT + "{warm_up_seconds: 90}".strip("{}"),
        ["warm_up_seconds", "90", "60"],
    ),
}


@pytest.mark.parametrize(("text", "said"), TEXTS.values(), ids=TEXTS)
def test_a_text_that_cannot_be_used_is_answered_in_one_line(text, said) -> None:
    """Somebody would not know what to mend."""
    with pytest.raises(ScenarioError) as caught:
        read_text(text)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    for word in said:
        assert word in line, line


def test_an_alias_bomb_is_refused_before_it_unfolds() -> None:
    """A small file would fill the memory."""
    bomb = "a: &a [x, x, x]\n" + "\n".join(
        f"{here}: &{here} [*{before}, *{before}, *{before}]"
        for before, here in zip("abcdefghijkl", "bcdefghijklm", strict=True)
    )
    with pytest.raises(ScenarioError, match="alias"):
        read_text(bomb)


def test_a_switch_is_no_truth_value() -> None:
    """YAML 1.1 reads the key `on` as true; whoever writes it means the word."""
    text = VISIT + "application: {services: {server: {}}}\nedge: {dns: {on: off}}"
    assert not read_text(text).edge.dns.on


def test_a_file_of_fifty_megabytes_is_refused(tmp_path) -> None:
    """A large upload would stop everybody."""
    file = tmp_path / "large.yaml"
    with file.open("wb") as out:
        out.truncate(50_000_000)
    with pytest.raises(ScenarioError, match=r"large\.yaml is larger than 1,000,000 bytes"):
        load(file)


def test_a_file_that_is_no_text_is_refused(tmp_path) -> None:
    """A picture would be answered with a traceback."""
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(ScenarioError, match="cannot be read as text"):
        load(file)


SHELL = {
    "no such preset": (["run", "amazn"], ["amazn", "did you mean amazon"]),
    "no such knob": (
        ["run", "amazon", "--set", "application.replcas=3"],
        ["application.replcas", "did you mean replicas"],
    ),
    "a knob too far": (
        ["run", "amazon", "--set", "application.replicas=0"],
        ["application.replicas", "0", "at least 1"],
    ),
    "no equals sign": (["run", "amazon", "--set", "replicas"], ["replicas", "PATH=VALUE"]),
    "a folder": (["validate", "presets"], ["presets"]),
    "a folder that is not there": (
        ["run", "monolith", "--set", "duration_seconds=21", "--json", "/no/such/folder/x.json"],
        ["/no/such/folder/x.json"],
    ),
}


@pytest.mark.parametrize(("arguments", "said"), SHELL.values(), ids=SHELL)
def test_the_shell_answers_with_one_line_and_exit_code_2(arguments, said, capsys) -> None:
    """A script could not tell bad input from a crash."""
    assert main(arguments) == 2
    line = capsys.readouterr().err.strip()
    assert line.count("\n") == 0
    for word in said:
        assert word in line, line


def test_no_traceback_reaches_the_shell(tmp_path) -> None:
    """The whole way, in a process of its own."""
    file = tmp_path / "bad.yaml"
    file.write_text(VISIT + "data: {shards: 0}", encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "engine", "validate", str(file)],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "data.shards is 0; use at least 1" in ran.stderr


def test_a_name_with_a_dot_in_it_is_a_name_like_any_other() -> None:
    """Every knob of a service called api.v2 can be read and turned by its path."""
    scenario = Scenario.model_validate({
        "application": {"services": {"api.v2": {"cpu_time": {"exponential": 5}}, "api": {}}},
        "journeys": {"go": {"steps": [{"do": "call", "service": "api.v2"}]}},
    })  # fmt: skip
    for knob in knobs(scenario):
        scenario.get(knob.path)
    changed = scenario.change({"application.services.api.v2.cpu_time.exponential": 7})
    assert changed.get("application.services.api.v2.cpu_time.exponential") == 7
    assert changed.get("application.services.api") == scenario.get("application.services.api")
    with pytest.raises(
        ScenarioError, match=r"application\.services has no 'apo'; did you mean api"
    ):
        scenario.get("application.services.apo.cpu_time")
