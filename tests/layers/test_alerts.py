"""Alerts: what they see, when they fire, whom they tell, and that looking alters nothing."""

import math
from typing import Any

import pandas as pd
import pytest

from engine import Result, ScenarioError, Simulation, load, simulate
from engine.layers.alerts import RULES, Alerts
from tests.layers.test_layers import call, servers, system

OFF = {name: {"on": False} for name in RULES}
HALF = {"threads": 1, "cores": 1, "replicas": 1, "queue_limit": 0}


def alerts(**rules: Any) -> dict[str, Any]:
    """Return alerts with these rules alone."""
    burn = rules.pop("burn", {"on": False})
    more = {name: rules.pop(name) for name in ("evaluation_seconds",) if name in rules}
    return {"on": True, "rules": {**OFF, **rules}, "burn": burn, **more}


def watched(rules: dict[str, Any], per_second: float = 100, **more: Any) -> Simulation:
    """Return a run of a server that answers in 5 ms and refuses who comes meanwhile."""
    client = {"enabled": False, "requests_per_second": per_second}
    sections = {"client": client, "application": servers(5, **HALF), "duration_seconds": 600}
    watch = {"scrape_interval_seconds": 5, "alerts": rules}
    return Simulation(system(call(), **{**sections, **more}, observability=watch))


def told(result: Result, kind: str = "") -> list[tuple[float, str]]:
    """Return when which alerts were noted."""
    kinds = [kind] if kind else ["alert_pending", "alert", "alert_resolved"]
    events = result.events[result.events["kind"].isin(kinds)]
    return list(zip(events["time_s"], events["kind"], strict=True))


def errors(**fields: Any) -> dict[str, Any]:
    """Return the rule on errors, on."""
    return {"errors": {"on": True, "window_seconds": 10, "for_seconds": 10, **fields}}


def with_trouble(rules: dict[str, Any], begin: float = 52, end: float = 102) -> Result:
    """Return a run that refuses many requests for a while, and hardly any before and after."""
    run = watched(rules, per_second=1)
    run.advance_to(begin)
    run.change("client.requests_per_second", 400)
    run.advance_to(end)
    run.change("client.requests_per_second", 1)
    run.advance_to(200)
    return run.result()


def test_an_alert_waits_fires_and_is_resolved() -> None:
    """At each evaluation but at no other time: pending, then firing, then over."""
    found = told(with_trouble(alerts(**errors(threshold=0.2))))
    assert found == [(55.0, "alert_pending"), (65.0, "alert"), (110.0, "alert_resolved")]


def test_one_evaluation_that_finds_nothing_begins_the_wait_anew() -> None:
    """A burst every minute never fires an alert `for` a minute: what Prometheus users learn."""
    run = watched(alerts(**errors(threshold=0.2, window_seconds=None, for_seconds=15)), 1)
    for begin in range(31, 200, 20):
        run.advance_to(begin)
        run.change("client.requests_per_second", 400)
        run.advance(8)
        run.change("client.requests_per_second", 1)
    result = run.result()
    assert len(told(result, "alert_pending")) > 5
    assert not told(result, "alert")
    assert result.on_call.empty


def test_an_alert_may_go_on_when_its_reason_is_gone() -> None:
    """keep_firing_for: one that flaps would wake somebody up time and again."""
    plain = with_trouble(alerts(**errors(threshold=0.2)))
    kept = with_trouble(alerts(**errors(threshold=0.2, keep_firing_seconds=30)))
    assert told(kept, "alert") == told(plain, "alert")
    assert told(kept, "alert_resolved")[0][0] == told(plain, "alert_resolved")[0][0] + 30


def test_what_is_over_between_two_evaluations_was_never_there() -> None:
    """Rules that are evaluated once a minute do not see what lasts half of one."""
    often = with_trouble(alerts(**errors(for_seconds=0)), 62, 82)
    seldom = with_trouble(alerts(**errors(for_seconds=0), evaluation_seconds=50), 62, 82)
    assert told(often, "alert")
    assert not told(seldom, "alert")


def test_the_event_says_what_was_seen_and_why_it_counts() -> None:
    """Who reads the log has to know what was seen, over how long, and the threshold."""
    events = with_trouble(alerts(**errors(threshold=0.2))).events.set_index("kind")["text"]
    assert "above 20 %; fires after 10 s" in events["alert_pending"]
    assert events["alert"].startswith("Error rate pages: ")
    assert " % over 10 s, above 20 %, for 10 s" in events["alert"]
    assert "resolved after 45 s" in events["alert_resolved"]


def test_the_log_of_those_on_call_says_what_users_saw() -> None:
    """Detected and resolved after how long, and how many requests failed meanwhile."""
    result = with_trouble(alerts(**errors(threshold=0.2)))
    (row,) = result.on_call.to_dict("records")
    assert (row["alert"], row["severity"], row["station"]) == ("Error rate", "page", "")
    assert (row["pending_s"], row["fired_s"], row["resolved_s"]) == (55, 65, 110)
    assert (row["fired_after_s"], row["resolved_after_s"]) == (10, 45)
    assert row["cause"] == "client.requests_per_second is now 400"
    assert (row["cause_s"], row["detected_after_s"]) == (52, 13)
    assert row["requests_failed"] == pytest.approx(result.summary.failed, rel=0.1)
    assert 0.5 < row["error_ratio"] < 0.8
    assert row["latency_ms_p99_worst"] == pytest.approx(5, rel=0.02)


def test_an_alert_that_still_fires_has_no_end_yet() -> None:
    """A run that ends in trouble would otherwise look as if it had ended well."""
    run = watched(alerts(**errors()), per_second=400)
    run.advance_to(60)
    (row,) = run.result().on_call.to_dict("records")
    assert math.isnan(row["resolved_s"])
    assert math.isnan(row["resolved_after_s"])
    assert row["requests_failed"] > 5000


def test_every_station_that_fits_has_an_alert_of_its_own() -> None:
    """One alert for all services would hide the second one that is in trouble."""
    app = {"services": {"slow": {"cpu_time": 9}, "fast": {"cpu_time": 1}}}
    app |= {"replicas": 1, "threads": 4, "cores": 1}
    steps = [{"do": "call", "service": name} for name in app["services"]]
    watch = {"alerts": alerts(cpu={"on": True, "threshold": 0.7, "for_seconds": 10})}
    client = {"enabled": False, "requests_per_second": 95}
    result = simulate(
        system(*steps, application=app, client=client, observability=watch, duration_seconds=90)
    )
    assert list(result.on_call["station"]) == ["application.slow"]
    assert set(result.events["station"]) == {"application.slow"}


def test_the_budget_burns_fast_over_both_windows_or_nobody_is_woken() -> None:
    """The long window says that it matters, the short one that it still goes on."""
    burn = {"objective": 0.99, "time_scale": 0.02}  # windows of 72 s and 6 s
    run = Simulation(
        system(
            call(),
            client={"enabled": False, "requests_per_second": 50},
            application=servers(5, replicas=1, threads=4, cores=4, queue_limit=0),
            observability={
                "scrape_interval_seconds": 1,
                "alerts": alerts(burn=burn, evaluation_seconds=1),
            },
            duration_seconds=600,
        )
    )
    run.advance_to(300)
    run.change("application.services.server.cpu_time.constant", 200)  # most are refused
    run.advance_to(400)
    run.change("application.services.server.cpu_time.constant", 1)
    run.advance_to(500)
    incidents = run.result().on_call.set_index("alert")
    fast = incidents.loc["Error budget (fast)"]
    ratio = run.result().timeseries.query("310 < time_s < 400")["error_ratio"].mean()
    assert fast["fired_s"] - 300 == pytest.approx(72 * 0.144 / ratio, abs=3)
    assert fast["resolved_s"] - 400 == pytest.approx(6 * (1 - 0.144 / ratio), abs=3)
    assert fast["severity"] == "page"


def test_a_run_begins_on_a_good_day() -> None:
    """A few errors in a run's first seconds are not yet a month's budget."""
    client = {"enabled": False, "requests_per_second": 100}
    app = servers(5, replicas=1, threads=1, cores=1, queue_limit=0)
    burn = {"objective": 0.99}  # a third is refused: 33 times too fast
    result = simulate(
        system(
            call(),
            client=client,
            application=app,
            observability={"alerts": alerts(burn=burn)},
            duration_seconds=300,
        )
    )
    fired = result.on_call.set_index("alert")["fired_s"]
    assert fired["Error budget (fast)"] == pytest.approx(180 * 14.4 / 33, abs=6)
    assert fired["Error budget (slow)"] == pytest.approx(1080 * 6 / 33, abs=6)


def test_alerts_alter_no_figure() -> None:
    """An alert that changed what it watches would be a fault of its own."""
    loud = {"observability.alerts.rules.errors.threshold": 0, "observability.alerts.on": True}
    quiet = load("amazon").change({"observability.alerts.on": False, "duration_seconds": 30})
    plain, alerted = simulate(quiet), simulate(quiet.change(loud))
    assert plain.summary == alerted.summary
    pd.testing.assert_frame_equal(plain.timeseries, alerted.timeseries)
    pd.testing.assert_frame_equal(plain.scrapes, alerted.scrapes)


def test_alerts_in_pieces_are_the_same_alerts() -> None:
    """A run that is paused between scrape and evaluation must not see anything else."""
    whole, pieces = (watched(alerts(**errors()), per_second=400) for _ in range(2))
    whole.advance_to(100)
    while pieces.env.now < 100:
        pieces.advance(1.25)
    pd.testing.assert_frame_equal(whole.result().events, pieces.result().events)
    pd.testing.assert_frame_equal(whole.result().on_call, pieces.result().on_call)


def test_a_threshold_that_is_moved_counts_from_the_next_evaluation() -> None:
    """Somebody who silences an alert does not start the system again."""
    run = watched(alerts(**errors()), per_second=400)
    run.advance_to(62)
    run.change("observability.alerts.rules.errors.threshold", 0.99)
    run.advance_to(80)
    assert [time for time, _ in told(run.result(), "alert_resolved")] == [65.0]


def test_alerts_can_be_switched_on_and_off_while_a_system_runs() -> None:
    """Switched off, nothing is pending any more; on again, it begins anew."""
    run = watched({**alerts(**errors(for_seconds=0)), "on": False}, per_second=400)
    run.advance_to(31)
    assert not told(run.result())
    run.change("observability.alerts.on", value=True)
    run.advance_to(51)
    assert told(run.result()) == [(35.0, "alert")]
    run.change("observability.alerts.on", value=False)
    run.advance_to(71)
    assert told(run.result())[1:] == [(55.0, "alert_resolved")]


def test_what_is_said_of_one_rule_leaves_the_others_alone() -> None:
    """A threshold moved would otherwise lose five rules."""
    said = Alerts.model_validate(
        {"rules": {"errors": {"threshold": 0.05}, "mine": {"metric": "waiting", "threshold": 9}}}
    )
    assert said.rules["errors"].threshold == 0.05
    assert said.rules["errors"].severity == "page"
    assert list(said.rules) == [*RULES, "mine"]
    assert {said.rules[name] for name in RULES if name != "errors"} <= set(RULES.values())
    assert Alerts.model_validate(said.model_dump()) == said


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"metric": "temperature"}, "metric"),
        ({"station": "aplication.gateway"}, "application"),
        ({"threshold": -1}, "threshold"),
        ({"threshold": math.nan}, "threshold"),
        ({"severity": "shout"}, "severity"),
        ({"for": "5m"}, "for"),
    ],
)
def test_a_rule_that_could_never_fire_is_refused(rule: dict[str, Any], said: str) -> None:
    """One line that names the place, the value and the way out."""
    with pytest.raises(ScenarioError, match=rf"observability\.alerts\.rules.*{said}") as error:
        load("monolith").change({"observability.alerts": {"rules": {"mine": rule}}})
    assert "\n" not in str(error.value)


def test_amazon_has_alerts_and_an_ordinary_minute_fires_none() -> None:
    """Alerts that fire on a good day are the ones that nobody reads."""
    result = simulate(load("amazon"))
    assert load("amazon").observability.alerts.on
    assert not told(result, "alert")


def test_a_rule_about_a_place_that_is_not_there_says_so_once() -> None:
    """It could never fire, and nobody would know why it was so quiet."""
    rules = alerts(**errors(station="application.servre"), all={"station": "cache.*"})
    run = watched(rules)
    run.advance_to(60)
    events = run.result().events
    (text,) = (text for text in events[events["kind"] == "refused"]["text"] if "errors" in text)
    assert "the rule errors can never fire" in text
    assert "did you mean application.server?" in text
    assert (events["kind"] == "refused").sum() == 2
