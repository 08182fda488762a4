"""Prometheus takes the rules, and they fire on a run's series exactly when the run's alerts did."""

import fnmatch
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine import Result, Scenario, presets, simulate
from engine.deploy import files, needs_run
from engine.deploy.firing import FILE, replay
from engine.deploy.prometheus import RULES_FILE, translated
from tests.deploy.conftest import HOSTILE, Run, load, preset_files

HERE = "prometheus/"
DAYS = [name for name in presets() if needs_run(load(name))]

# Errors that come, go and come again: some alerts only wait, some fire, some keep firing.
STUTTER = {
    "duration_seconds": 60,
    "warm_up_seconds": 1,
    "client": {"requests_per_second": 50, "attempts": 1, "timeout_seconds": 1},
    "application.replicas": 2,
    "observability.alerts.on": True,
    "faults": [
        {"do": "kill_server", "at_seconds": at, "length_seconds": length, "server": server}
        for at, length in ((6.0, 4.0), (20.0, 11.0), (41.0, 3.0))
        for server in (1, 2)
    ],
}


def held(name: str) -> list[str]:
    """Return which files of a preset Prometheus reads."""
    return [path for path in preset_files(name) if path.startswith(HERE)]


def assert_they_fire(results: Mapping[str, Result], promtool: Run) -> None:
    """Assert that the rules of some runs, each under a name, fire as the runs' alerts did."""
    made = {}
    for name, result in results.items():
        own = files(result.scenario, result)
        assert "this run" not in own[FILE], name
        made |= {f"{name}/{path}": text for path, text in own.items() if path.startswith(HERE)}
    tests = [f"{name}/{FILE}" for name in results]
    tested = promtool(made, "test", "rules", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert (tested.stdout + tested.stderr).count("SUCCESS") == len(tests)


def stutter(scrape: float, evaluation: float, **rules: Any) -> Scenario:
    """Return a scenario whose servers die now and then, watched at some intervals."""
    return load("monolith").change(
        STUTTER
        | {
            "observability.scrape_interval_seconds": scrape,
            "observability.alerts.evaluation_seconds": evaluation,
            "observability.alerts.rules": {
                "quick": {"title": "Quick", "window_seconds": None, "for_seconds": 0},
                "keeps": {
                    "title": "Keeps",
                    "window_seconds": 8,
                    "for_seconds": 4,
                    "keep_firing_seconds": 7,
                },
                "few": {
                    "title": "Few",
                    "metric": "servers_up",
                    "station": "application.*",
                    "comparison": "<",
                    "threshold": 1,
                    "window_seconds": None,
                    "for_seconds": 2.5,
                    "severity": "page",
                },
                **rules,
            },
        }
    )


# ---------------------------------------------------------------- rules


def test_promtool_accepts_configuration_and_rules_of_every_preset(promtool: Run) -> None:
    """One rule that cannot be read keeps Prometheus from starting."""
    made = {f"{name}/{path}": preset_files(name)[path] for name in presets() for path in held(name)}
    configurations = [path for path in made if path.endswith("prometheus.yml")]
    checked = promtool(made, "check", "config", *configurations)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("is valid prometheus config file syntax") == len(presets())
    rules = [path for path in made if path not in configurations]
    checked = promtool(made, "check", "rules", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert all(f"Checking {path}" in checked.stdout for path in rules), checked.stdout
    assert checked.stdout.count("SUCCESS") >= len(DAYS), checked.stdout


def test_a_rule_carries_its_own_times_and_threshold() -> None:
    """A lost `for` pages somebody for a hiccup."""
    made = files(stutter(5, 2.5))[RULES_FILE]
    (group,) = yaml.safe_load(made)["groups"]
    assert group["interval"] == "2500ms"
    found = {rule["alert"]: rule for rule in group["rules"]}
    assert found["Keeps"]["for"] == "4s"
    assert found["Keeps"]["keep_firing_for"] == "7s"
    assert found["Keeps"]["expr"] == 'strata_error_ratio{station="",window="8s"} > 0.01'
    assert found["Few"]["labels"] == {"severity": "page"}
    assert found["Few"]["expr"].startswith('strata_servers_up{station=~"application[.].*"')


def test_alerts_fire_on_counters_by_way_of_the_recording_rules(promtool: Run) -> None:
    """A rule about a gauge that nobody makes never fires, and nobody notices."""
    made = dict(preset_files("amazon"))
    count = 25
    series = {
        'strata_requests_total{station="system"}': f"0+500x{count}",
        'strata_requests_failed_total{station="system"}': f"0+50x{count}",
        'strata_requests_total{station="application.auth"}': f"0+50x{count}",
        'strata_request_duration_seconds_bucket{station="system",le="0.5"}': f"0+400x{count}",
        'strata_request_duration_seconds_bucket{station="system",le="1"}': f"0+500x{count}",
        'strata_request_duration_seconds_bucket{station="system",le="+Inf"}': f"0+500x{count}",
        'strata_cpu_utilisation{station="application.auth"}': f"0.95x{count}",
        'strata_queue_depth{station="asynchronous.email"}': f"20000x{count}",
        'strata_waiting{station="application.auth"}': f"3x{count}",
        'strata_waiting{station="application.product"}': f"4x{count}",
        'strata_hit_ratio{station="cache.read"}': f"0.1x{count}",
        'strata_replica_lag_seconds{station="data.replicas"}': f"9x{count}",
    }
    figures = {
        "strata_error_ratio{window='30s'}": 0.1,
        "strata_error_budget_ratio{window='15s'}": 0.1,
        "strata_requests_per_second{station='',window=''}": 100,
        "strata_requests_per_second{station='application.auth',window=''}": 10,
        "strata_latency_p99_seconds{station='',window='30s'}": 0.975,
        "strata_waiting{station=''}": 7,
        "strata_cpu_utilisation{station='',window=''}": 0.95,
    }
    firing = {
        "Error rate": {"severity": "page", "window": "30s"},
        "P99 latency": {"severity": "warn", "window": "30s"},
        "CPU": {"severity": "warn", "window": "30s", "station": "application.auth"},
        "Queue depth": {"severity": "warn", "station": "asynchronous.email"},
        "Replica lag": {"severity": "warn", "station": "data.replicas"},
        "Cache hit rate": {"severity": "warn", "window": "30s", "station": "cache.read"},
        "Error budget (fast)": {"severity": "page", "window": "180s"},
    }
    rules = yaml.safe_load(made[RULES_FILE])["groups"][0]["rules"]
    notes = {rule["alert"]: rule["annotations"] for rule in rules}
    test = {
        "interval": "5s",
        "input_series": [{"series": name, "values": said} for name, said in series.items()],
        "promql_expr_test": [
            {
                "expr": f"sum({name})",
                "eval_time": "2m",
                "exp_samples": [{"labels": "{}", "value": value}],
            }
            for name, value in figures.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": "2m",
                "alertname": name,
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": notes[name]}],
            }
            for name, labels in firing.items()
        ],
    }
    made[f"{HERE}way.yml"] = yaml.safe_dump(
        {
            "rule_files": ["recording.yml", "alerts.yml"],
            "evaluation_interval": "5s",
            "group_eval_order": ["strata gauges", "strata"],
            "tests": [test],
        }
    )
    tested = promtool(made, "test", "rules", f"{HERE}way.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@given(
    pattern=st.text("ab.*?[]!^-\\x", max_size=8).filter(lambda text: "[]" not in text),
    name=st.text("ab.-x[]\\", max_size=6),
)
def test_a_pattern_means_what_shells_mean(pattern: str, name: str) -> None:
    """A rule for application.* would also be about others, or about none."""
    try:
        found = re.compile(translated(pattern), re.DOTALL)
    except re.error:  # such as [b-a], which fnmatch takes for nothing
        return
    assert bool(found.fullmatch(name)) == fnmatch.fnmatchcase(name, pattern)


# ---------------------------------------------------------------- firing


@pytest.mark.thorough
def test_rules_of_every_preset_fire_exactly_when_the_runs_alerts_did(promtool: Run) -> None:
    """The alert that was tried out here would be another one there."""
    assert_they_fire({name: simulate(load(name), seed=7) for name in DAYS}, promtool)


INTERVALS = [(5, 5), (5, 2.5), (2, 7), (5, 15), (5, 10), (2.5, 10), (0.5, 0.75), (1.5, 1)]


def test_they_do_so_at_any_intervals(promtool: Run) -> None:
    """An evaluation sees the last scrape before it, also where the two do not go in step."""
    results = {
        f"{scrape}-{evaluation}": simulate(stutter(scrape, evaluation), seed=3)
        for scrape, evaluation in INTERVALS
    }
    for name, result in results.items():
        assert {"alert_pending", "alert"} <= {note.kind for note in result.alert_notes}, name
    assert_they_fire(results, promtool)


def test_the_replay_is_the_runs_own_log() -> None:
    """Tests of something else than what happened would say nothing."""
    result = simulate(stutter(5, 2.5), seed=3)
    played = replay(result)
    ours = [(time, kind, each.title) for each in played.alerts for time, kind in each.log]
    theirs = [(note.time, note.kind, note.title) for note in result.alert_notes]
    assert sorted(ours) == sorted(theirs)


def test_an_alert_that_fires_one_evaluation_later_is_found_out(promtool: Run) -> None:
    """A check that passes whatever it is given would be worth nothing."""
    result = simulate(stutter(5, 5), seed=3)
    right = files(result.scenario, result)
    made = {path: text for path, text in right.items() if path.startswith(HERE)}
    late = {title: f"{HERE}{title}_test.yml" for title in ("Quick", "Keeps", "Few")}
    for title, path in late.items():
        tree = yaml.safe_load(right[FILE])
        (test,) = tree["tests"]
        checks = [each for each in test["alert_rule_test"] if each["alertname"] == title]
        first = next(each for each in checks if each["exp_alerts"])
        first["exp_alerts"] = []
        made[path] = yaml.safe_dump(tree)
    tested = promtool(made, "test", "rules", *late.values())
    assert tested.returncode == 1
    assert tested.stderr.count("FAILED") == len(late), tested.stderr
    for title in late:
        assert title in tested.stderr


def test_a_run_whose_rules_change_has_no_unit_tests_and_says_why(promtool: Run) -> None:
    """Tests that fail for a good reason are taken for bad rules."""
    scenario = stutter(5, 5).change(
        {
            "changes": [
                {"at_seconds": 22, "set": {"observability.alerts.rules.quick.threshold": 0.9}}
            ]
        }
    )
    made = files(scenario, simulate(scenario, seed=3))
    assert "this run: a change turns knobs of observability" in made[FILE]
    assert promtool(made, "test", "rules", FILE).returncode == 0


def test_rules_of_one_title_are_told_apart(promtool: Run) -> None:
    """Two alerts of one name would be taken for one."""
    scenario = stutter(5, 5, again={"title": "Quick", "window_seconds": 20, "for_seconds": 5})
    made = files(scenario, simulate(scenario, seed=3))
    assert "Quick (again)" in made[RULES_FILE]
    tested = promtool(made, "test", "rules", FILE)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_hostile_names_stay_text(hostile: Scenario, promtool: Run) -> None:
    """A title with {{ in it would be run as a template, a station with a quote as a query."""
    result = simulate(hostile.change({"duration_seconds": 30}), seed=1)
    assert {note.station for note in result.alert_notes} >= {f"application.{HOSTILE}"}
    made = files(result.scenario, result)
    assert "this run" not in made[FILE]
    for words, path in ((("check", "rules"), RULES_FILE), (("test", "rules"), FILE)):
        checked = promtool(made, *words, path)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_scenario_without_alerts_needs_no_run() -> None:
    """Nobody waits for what is not used."""
    assert not needs_run(load("monolith"))
    assert RULES_FILE not in preset_files("monolith")
