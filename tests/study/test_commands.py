"""Studies from the shell: words for people, JSON and CSV for programs, one line for mistakes."""

import io
import json

import pandas as pd
import pytest

from engine.__main__ import main
from tests.study.small import small

RATE = "client.requests_per_second"


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    """Ask the shell about one server; return its exit code, output and errors."""
    monkeypatch.setenv("STRATA_RUNS", str(tmp_path / "runs.sqlite"))
    files = {"one": small(client__requests_per_second=90)}
    files["two"] = files["one"].change({"application.replicas": 2})
    for name, scenario in files.items():
        (tmp_path / f"{name}.yaml").write_text(scenario.to_yaml(), encoding="utf-8")

    def ask(command, *words):
        words = [str(tmp_path / f"{w}.yaml") if w in files else str(w) for w in words]
        code = main([command, *words, "--processes", "1"])
        found = capsys.readouterr()
        return code, found.out, found.err

    return ask


def test_two_files_are_compared_and_what_differs_is_named(ask) -> None:
    """The shell would not say whether a change helps."""
    code, out, _ = ask("compare", "one", "two", "--runs", "5")
    assert code == 0
    assert "application.replicas: 1 → 2" in out
    assert "P99 latency: −" in out
    assert "better" in out


def test_a_scenario_is_compared_with_itself_turned_by_a_knob(ask) -> None:
    """A file would have to be written for each variant."""
    code, out, _ = ask("compare", "one", "--with", "data.shards=1", "--runs", "3", "--csv", "-")
    assert code == 0
    table = pd.read_csv(io.StringIO(out))
    assert set(table["scenario"]) == {"data.shards=1"}
    assert not table["real"].any()


def test_explain_says_what_limits_and_how_much_more_it_takes(ask) -> None:
    """A script could not ask for the headroom."""
    code, out, _ = ask("explain", "one", "--p99", "400", "--json", "-")
    found = json.loads(out)
    assert code == 0
    assert "Server" in found["says"][0]
    assert "requests/s" in found["says"][-1]
    assert {"wait_ms_mean", "theory_wait_ms", "little_number"} <= found["rows"][0].keys()


def test_next_ranks_the_levers_in_plain_words(ask) -> None:
    """Whoever has no browser would have to guess what helps."""
    code, out, _ = ask("next", "one", "--runs", "3")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith(("+1 app server", "+1 CPU core per app server"))
    assert "P99 −" in lines[0]


def test_a_sweep_is_a_table_and_its_repetition_the_same(ask) -> None:
    """Kept runs would differ from played ones."""
    asked = ("sweep", "one", "--knob", f"{RATE}=20..80:3", "--runs", "2", "--csv", "-")
    code, out, _ = ask(*asked)
    assert code == 0
    assert pd.read_csv(io.StringIO(out))[RATE].tolist() == [20, 50, 80]
    assert ask(*asked)[1] == out


def test_a_plan_names_the_cheapest_and_why_cheaper_ones_fail(ask) -> None:
    """The goal would be met too dearly."""
    code, out, _ = ask(
        "plan", "one", "--knob", "application.replicas=1,2,3", "--p99", "100", "--runs", "2"
    )
    assert code == 0
    assert "application.replicas" in out
    assert "P99" in out


@pytest.mark.parametrize(
    ("terminal", "answer", "code"), [(True, "\n", 0), (True, "n\n", 2), (False, "", 2)]
)
def test_a_scheduler_that_is_away_is_asked_about_and_then_this_machine_plays(
    ask, monkeypatch, terminal, answer, code
) -> None:
    """A study would hang, or begin anew by hand; a script would stand before a question."""
    monkeypatch.setattr("engine.study.crew.PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal)
    words = ("compare", "one", "two", "--runs", "2", "--scheduler", "tcp://127.0.0.1:9")
    found, out, err = ask(*words)
    assert found == code
    assert ("better" in out) == (code == 0)
    assert "does not answer" in err
    assert ("Play on this machine instead?" in err) == terminal


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("compare", "one"), "needs at least two scenarios"),
        (("compare", "one", "two", "--runs", "1"), "one run says nothing of noise"),
        (("compare", "one", "nonsense"), "nonsense"),
        (("next", "one", "--runs", "1"), "one run says nothing of noise"),
        (("next", "one", "--metric", "latency"), "there is no metric 'latency'"),
        (("sweep", "one", "--knob", "application.replicas=5..2:3"), "turn them around"),
        (("sweep", "one", "--knob", "application.replica=1,2"), "did you mean"),
        (("explain", "one", "--p99", "-5"), "is no promise"),
        (("explain", "one", "--errors", "2"), "is no promise"),
    ],
)
def test_a_mistake_gets_one_line(ask, words, says) -> None:
    """A traceback would not say what to change."""
    code, _, err = ask(*words)
    assert code == 2
    assert says in err
    assert err.strip().count("\n") == 0
