"""What the documents say is true: their commands run, their links lead somewhere."""

import pathlib
import re
import shlex

import pytest

from engine.__main__ import main
from engine.reference import reference

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (python -m engine .*)$", README, re.MULTILINE)
STUDIES = ("explain", "next", "compare", "sweep", "plan")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(path) -> None:
    """A reader who follows a link would stand before nothing."""
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_two_commands_stand_at_the_top() -> None:
    """A newcomer would have to search for how to begin."""
    assert README.index("make run") < README.index("make test") < 200


@pytest.mark.thorough
@pytest.mark.parametrize("command", COMMANDS)
def test_a_shell_command_of_the_readme_runs(command, tmp_path, monkeypatch, capsys) -> None:
    """A newcomer would type it and be told that it is wrong."""
    command = re.sub(r"\bout\.(?=\w)", f"{tmp_path}/out.", command)
    words = shlex.split(re.sub(r"\bdeployed$", f"{tmp_path}/deployed", command))
    if words[3] in STUDIES:  # whoever plays, the figures are the same; processes take long to start
        words += ["--processes", "1"]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("STRATA_RUNS", str(tmp_path / "runs.sqlite"))
    assert main(words[3:]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.strip()


def test_the_python_of_the_readme_runs(capsys) -> None:
    """The first thing that somebody copies would fail."""
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102  (our own text)
    assert "latency_ms_p99" in capsys.readouterr().out


def test_the_component_reference_says_what_the_classes_say() -> None:
    """Somebody would look up a default that is none; `python -m engine reference` prints it."""
    page = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
    assert page == reference(), "python -m engine reference > docs/components.md writes it anew"


def test_every_knob_says_what_it_does() -> None:
    """A slider without a word is a riddle."""
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    silent = [row[0] for row in rows if row[2] != "needed" and row[-1].strip(" |") == ""]
    assert silent == []
