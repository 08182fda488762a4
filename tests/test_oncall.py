"""The log of those on call, from notes of alerts, events and the time series."""

import math

import pandas as pd
import pytest

from engine.oncall import incidents, on_call
from engine.record import AlertNote

SERIES = pd.DataFrame(
    {
        "time_s": [10.0, 20.0, 30.0, 40.0],
        "failed_per_s": [0.0, 1.0, 3.0, 0.0],
        "answered_per_s": [10.0, 9.0, 7.0, 10.0],
        "latency_ms_p99": [5.0, 80.0, math.nan, 6.0],
    }
)


def note(time: float, kind: str, title: str = "Errors", since: float = math.nan) -> AlertNote:
    """Return what has become of an alert."""
    return AlertNote(time, kind, title, "", "page", 0.5, since)


FIRED = note(18.0, "alert", since=15.0)


def test_an_alert_that_waited_in_vain_is_no_incident() -> None:
    """Nobody was told."""
    assert not list(incidents([note(10.0, "alert_pending")]))
    assert on_call([], [], SERIES).empty


def test_each_firing_ends_with_its_own_resolution() -> None:
    """Two incidents of one alert, and another alert's end in between."""
    notes = [
        FIRED,
        note(20.0, "alert_resolved", "P99"),
        note(25.0, "alert_resolved"),
        note(32.0, "alert", since=31.0),
    ]
    first, second = incidents(notes)
    assert (first.fired, first.resolved) == (18.0, 25.0)
    assert second.fired == 32.0
    assert math.isnan(second.resolved)


def test_what_users_saw_is_shared_out_by_time() -> None:
    """Half of a window belongs to the incident: half of its failures do."""
    (row,) = on_call([FIRED, note(25.0, "alert_resolved")], [], SERIES).to_dict("records")
    assert row["requests_failed"] == 20  # 5 s × 1/s and 5 s × 3/s
    assert row["error_ratio"] == pytest.approx(20 / 100)
    assert row["latency_ms_p99_worst"] == 80


def test_the_cause_is_the_last_thing_that_was_done_or_broke() -> None:
    """Neither what reacts to trouble, nor what came later, nor what is long past."""
    events = [
        (1.0, "deploy", "application.server", "server is replaced"),
        (12.0, "fault", "data.primary", "the primary is down"),
        (13.0, "scale", "application.server", "one server more"),
        (16.0, "change", "client", "client.users is now 5"),
    ]
    (row,) = on_call([FIRED], events, SERIES).to_dict("records")
    assert (row["cause"], row["detected_after_s"]) == ("the primary is down", 6.0)
    (row,) = on_call([FIRED._replace(time=950.0, since=900.0)], events, SERIES).to_dict("records")
    assert row["cause"] == ""
    assert math.isnan(row["detected_after_s"])
