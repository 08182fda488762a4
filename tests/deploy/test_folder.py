"""All files together: what they say of themselves, and where they are written."""

import json
import pathlib
import re

import pytest

from engine import Scenario, presets, simulate
from engine.__main__ import main
from engine.deploy import files, kinds, write
from engine.errors import ScenarioError
from tests.deploy.conftest import load, preset_files

BEGINNINGS = {".json": "{", ".js": "// ", ".sh": "#!/bin/sh\n# "}


@pytest.mark.parametrize("name", presets())
def test_each_file_says_what_it_carries_and_what_it_cannot(name: str) -> None:
    """Who deploys it has to know what is missing."""
    for path, text in preset_files(name).items():
        beginning = text[:4000]
        assert beginning.startswith(BEGINNINGS.get(pathlib.PurePath(path).suffix, "# ")), path
        assert "made by Strata from the scenario" in beginning, path
        assert "It carries:" in beginning, path
        assert "It cannot carry, or does not:" in beginning, path


def test_every_file_is_of_a_kind_that_is_listed() -> None:
    """A page that offers kinds would hide the others."""
    names = {kind.name for kind in kinds()}
    assert {path.split("/")[0] for path in preset_files("amazon")} == names
    assert all(kind.title and kind.help.endswith(".") for kind in kinds())


def test_the_same_scenario_gives_the_same_bytes() -> None:
    """Files are kept in git; what has not changed should not look changed."""
    scenario = load("hot_shard")
    first, again = (files(scenario, simulate(scenario, seed=2)) for _ in range(2))
    assert first == again


def test_paths_are_plain_whatever_names_are(hostile: Scenario) -> None:
    """A service called ../../etc/passwd must not leave the folder."""
    assert all(re.fullmatch(r"[a-z0-9]+/[a-z0-9_-]+\.[a-z0-9]+", path) for path in files(hostile))


def test_no_text_of_a_scenario_begins_a_line_of_its_own(hostile: Scenario) -> None:
    """A title with a line break in it would end the comment that it stands in."""
    for path, text in files(hostile).items():
        assert not re.search(r"^\s*(evil|\}? ?evil on|- alert: evil|set -x)", text, re.MULTILINE), (
            path
        )
        assert not re.search("[\x00-\x08\x0b-\x1f\u2028\u2029\u202e]", text), path


def test_too_many_servers_to_write_down_are_refused_in_one_line() -> None:
    """A configuration of a million lines helps nobody, and takes for ever."""
    services = {f"s{i}": {"replicas": 1000} for i in range(60)}
    steps = [{"do": "call", "service": name} for name in services]
    scenario = load("monolith").change(
        {"application.services": services, "journeys": {"all": {"steps": steps}}, "expect": {}}
    )
    with pytest.raises(ScenarioError, match="more than 50000 servers"):
        files(scenario)


# ---------------------------------------------------------------- writing


def test_files_are_written_again_where_they_were(tmp_path: pathlib.Path) -> None:
    """Turning a knob and writing anew is what the folder is for."""
    write({"nginx/nginx.conf": "one\n"}, tmp_path / "out")
    write({"nginx/nginx.conf": "two\n"}, tmp_path / "out")
    assert (tmp_path / "out/nginx/nginx.conf").read_text() == "two\n"


@pytest.mark.parametrize("before", [{}, {"nginx/nginx.conf": "one\n"}])
def test_what_somebody_else_wrote_is_kept(before: dict[str, str], tmp_path: pathlib.Path) -> None:
    """A configuration that was mended by hand would be lost."""
    if before:
        write(before, tmp_path)
    mine = tmp_path / "nginx/nginx.conf"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine\n")
    with pytest.raises(ScenarioError, match=r"nginx/nginx\.conf.*--force"):
        write({"a/other.txt": "x", "nginx/nginx.conf": "two\n"}, tmp_path)
    assert mine.read_text() == "mine\n"
    assert not (tmp_path / "a").exists()
    write({"nginx/nginx.conf": "two\n"}, tmp_path, force=True)
    assert mine.read_text() == "two\n"


def test_the_shell_writes_all_of_it(tmp_path: pathlib.Path, capsys) -> None:
    """One command is the way from a scenario to a cluster."""
    out = tmp_path / "out"
    short = ["--set", "duration_seconds=20", "--set", "warm_up_seconds=1"]
    assert main(["deploy", "amazon", *short, "--out", str(out)]) == 0
    assert "13 files" in capsys.readouterr().out
    assert (out / "prometheus/alerts_test.yml").exists()
    assert json.loads((out / ".strata-deploy.json").read_text())
    assert main(["deploy", "amazon", "--no-run", "--out", str(out)]) == 0
    assert "12 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--out", "OUT"], "neither a preset nor a file"),
        (["amazon", "--out", "OUT/file"], "is a file; name a folder"),
        (["amazon", "--no-run", "--out", "OUT/file/deeper"], "Not a directory"),
        (["amazon", "--set", "application.replicas=0", "--out", "OUT"], "application.replicas"),
    ],
)
def test_errors_are_one_clear_line(
    words: list[str], said: str, tmp_path: pathlib.Path, capsys
) -> None:
    """A traceback says nothing to who mistyped a name."""
    (tmp_path / "file").write_text("x")
    assert main(["deploy", *(word.replace("OUT", str(tmp_path)) for word in words)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
