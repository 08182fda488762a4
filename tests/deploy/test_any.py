"""What holds for any scenario: every program takes its file."""

import ast
import json
import pathlib
import subprocess

import esprima
import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings

from engine import Scenario, simulate
from engine.deploy import files
from engine.deploy.firing import FILE
from tests.deploy.conftest import program
from tests.strategies import scenarios

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def asked(folder: pathlib.Path, *words: str) -> None:
    """Assert that a program accepts what is in a folder."""
    path = program(words[0])
    ran = subprocess.run(
        [path, *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def any_scenarios(tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    """Return folders with the files of random scenarios, each played for its alerts' tests."""
    place = tmp_path_factory.mktemp("any")
    found: list[pathlib.Path] = []

    @settings(max_examples=20)
    @given(scenarios())
    def make(scenario: Scenario) -> None:
        made = files(scenario, simulate(scenario, seed=5))
        found.append(place / str(len(found)))
        for path, text in {**made, "scenario.yaml": scenario.to_yaml()}.items():
            file = found[-1] / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")

    make()
    return found


@pytest.mark.thorough
def test_every_program_accepts_any_scenario(any_scenarios: list[pathlib.Path]) -> None:
    """What no preset has, somebody's scenario has."""
    for folder in any_scenarios:
        esprima.parseModule((folder / "load/k6.js").read_text("utf-8"))
        ast.parse((folder / "load/locustfile.py").read_text("utf-8"))
        json.loads((folder / "grafana/dashboard.json").read_text("utf-8"))
        for file in folder.glob("kubernetes/*"):
            for tree in yaml.load_all(file.read_text("utf-8"), Loader):
                kubernetes_validate.validate(tree, "1.37", strict=True)
        asked(folder, "nginx", "-t", "-e", "stderr", "-p", str(folder), "-c", "nginx/nginx.conf")


def test_any_scenarios_alerts_fire_there_as_here(any_scenarios: list[pathlib.Path]) -> None:
    """Rules that a preset does not have would fire at another time; all in one go: it is slow."""
    place = any_scenarios[0].parent
    configured = [f"{folder.name}/prometheus/prometheus.yml" for folder in any_scenarios]
    asked(place, "promtool", "check", "config", *configured)
    tested = [f"{folder.name}/{FILE}" for folder in any_scenarios if (folder / FILE).exists()]
    assert tested
    asked(place, "promtool", "test", "rules", *tested)
