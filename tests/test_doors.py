"""Three doors, the same numbers: the shell, Python, and what the pages import."""

import json

import pytest

from engine import load, simulate
from engine.__main__ import figures, main

SHORT = {"duration_seconds": 4, "warm_up_seconds": 1, "application.replicas": 6}


def test_the_shell_and_python_give_the_same_numbers(tmp_path, capsys) -> None:
    """A figure in a report could not be found again on the screen."""
    file = tmp_path / "out.json"
    sets = [word for path, value in SHORT.items() for word in ("--set", f"{path}={value}")]
    assert main(["run", "amazon", "--seed", "7", *sets, "--json", str(file)]) == 0
    assert "requests" in capsys.readouterr().out
    ours = figures(simulate(load("amazon").change(SHORT), seed=7))
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(json.dumps(ours))


def test_json_to_standard_output_is_json_alone(capsys) -> None:
    """A pipe would choke on words for people."""
    assert main(["run", "monolith", "--set", "duration_seconds=25", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["answered"] > 0


def test_presets_are_listed_with_what_they_are_about(capsys) -> None:
    """Nobody would know what there is."""
    assert main(["presets"]) == 0
    out = capsys.readouterr().out
    assert "amazon" in out
    assert "monolith" in out


def test_a_valid_file_is_told_so(tmp_path, capsys) -> None:
    """A good file would be refused, or passed over in silence."""
    file = tmp_path / "mine.yaml"
    file.write_text(load("monolith").to_yaml(), encoding="utf-8")
    assert main(["validate", str(file)]) == 0
    assert "is a scenario" in capsys.readouterr().out


def test_the_schema_knows_every_layer_and_step(capsys) -> None:
    """Editors would mark right files as wrong."""
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"client", "edge", "application", "cache", "data"} <= set(schema["properties"])
    assert {"Call", "Fetch", "Lookup", "Read", "Write", "Publish"} <= set(schema["$defs"])


@pytest.mark.parametrize("seed", [0, 7])
def test_the_same_seed_gives_the_same_figures(seed) -> None:
    """Nothing could be shown to somebody else."""
    scenario = load("amazon").change(SHORT)
    assert figures(simulate(scenario, seed)) == figures(simulate(scenario, seed))
