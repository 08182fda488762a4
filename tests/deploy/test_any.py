"""What holds for any scenario: every program takes its file."""

import ast
import json
import pathlib
import subprocess
import tempfile

import esprima
import kubernetes_validate
import yaml
from hypothesis import given, settings

from engine import Scenario, simulate
from engine.deploy import files
from engine.deploy.firing import FILE
from tests.deploy.conftest import program
from tests.strategies import scenarios


def asked(folder: str, *words: str) -> None:
    """Assert that a program accepts what is in a folder."""
    path = program(words[0])
    ran = subprocess.run(
        [path, *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@settings(max_examples=20)
@given(scenarios())
def test_every_program_accepts_any_scenario(scenario: Scenario) -> None:
    """What no preset has, somebody's scenario has; and its alerts fire there as here."""
    made = files(scenario, simulate(scenario, seed=5))
    esprima.parseModule(made["load/k6.js"])
    ast.parse(made["load/locustfile.py"])
    json.loads(made["grafana/dashboard.json"])
    for path, text in made.items():
        if path.startswith("kubernetes/"):
            for tree in yaml.safe_load_all(text):
                kubernetes_validate.validate(tree, "1.37", strict=True)
    with tempfile.TemporaryDirectory() as folder:
        for path, text in made.items():
            place = pathlib.Path(folder, path)
            place.parent.mkdir(exist_ok=True)
            place.write_text(text, "utf-8")
        asked(folder, "nginx", "-t", "-e", "stderr", "-p", folder, "-c", "nginx/nginx.conf")
        asked(folder, "promtool", "check", "config", "prometheus/prometheus.yml")
        if FILE in made:
            asked(folder, "promtool", "test", "rules", FILE)
