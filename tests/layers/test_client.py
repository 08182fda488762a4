"""What clients do: how they come, how they type, keep, check, wait, hedge and try again."""

import math
import pathlib
from typing import Any

import numpy as np
import pytest

from engine import Result, ScenarioError, Simulation, load, read_text, simulate
from engine.layers.traffic import Pattern
from tests.books import check_books
from tests.layers.test_layers import THING, call, servers, system

NEAR = {"web_round_trip": 10, "mobile_round_trip": 10, "requests_per_second": 100}
LOOK = call({"do": "read", **THING})
SAVE = call({"do": "write", **THING})
DATA = {"read_time": 5, "write_time": 5}


def visit(*steps: dict[str, Any], app: Any = None, **client: Any) -> Result:
    """Return a run of users near by, and a server of 5 ms."""
    return simulate(
        system(
            *(steps or (call(),)), client=NEAR | client, application=app or servers(5), data=DATA
        )
    )


def calls(result: Result) -> float:
    """Return how many calls came to the server, a request."""
    rate = float(result.stations.loc["application.server", "rate_per_s"])
    return rate * 20 / result.summary.started


def per_second(pattern: dict[str, Any], rate: float = 200, seed: int = 7) -> np.ndarray:
    """Return how many requests were started in each second of twenty."""
    client = {"enabled": False, "requests_per_second": rate, "pattern": pattern}
    run = Simulation(system(call(), client=client), seed)
    seen = [0]
    for _ in range(20):
        run.advance(1.0)
        seen.append(run.result().summary.started)
    return np.diff(seen)


# ---------------------------------------------------------------- traffic


def test_a_step_stays_and_a_spike_goes() -> None:
    """A step that fell back would make a launch look like a blip."""
    at = {"start_seconds": 5, "length_seconds": 5, "factor": 4}
    step, spike = (per_second({"shape": shape, **at}) for shape in ("step", "spike"))
    assert step[:5].mean() == pytest.approx(spike[:5].mean()) == pytest.approx(200, rel=0.15)
    assert step[6:10].mean() == pytest.approx(800, rel=0.15)
    assert step[12:].mean() == pytest.approx(800, rel=0.15)
    assert spike[12:].mean() == pytest.approx(200, rel=0.15)


def test_a_flash_crowd_comes_fast_and_goes_slowly() -> None:
    """A crowd that left as fast as it came would give servers a rest that they do not get."""
    crowd = Pattern(
        shape="flash_crowd", start_seconds=10, rise_seconds=2, length_seconds=20, factor=11
    )
    assert crowd.at(9.9) == 1.0
    assert crowd.at(12.0) == pytest.approx(11.0)
    assert crowd.at(32.0) == pytest.approx(1.0 + 10.0 / math.e)
    busy = per_second({"shape": "flash_crowd", "start_seconds": 5, "rise_seconds": 1, "factor": 5})
    assert busy[6] > 3.5 * busy[:5].mean()
    assert busy[6] > busy[12] > 1.5 * busy[:5].mean()


def test_bursts_come_and_go_at_random_but_alike_for_one_seed() -> None:
    """Bursts at fixed times would be a pattern that a system could learn."""
    bursts = {"shape": "burst", "factor": 10, "length_seconds": 1, "calm_seconds": 3}
    one, again, other = (per_second(bursts, seed=seed) for seed in (7, 7, 8))
    assert (one == again).all()
    assert (one != other).any()
    assert one.var() > 20 * one.mean()  # a Poisson stream's variance is its mean


def test_a_burst_is_as_long_and_as_rare_as_it_says() -> None:
    """A process with other rates would be another process."""
    pattern = Pattern(shape="burst", factor=5, length_seconds=2, calm_seconds=6)
    seen = np.array([pattern.at(t, 3) for t in np.arange(0, 20_000, 0.5)])
    assert set(seen) == {1.0, 5.0}
    assert (seen == 5.0).mean() == pytest.approx(0.25, abs=0.03)
    assert (np.diff(seen) > 0).sum() == pytest.approx(20_000 / 8, rel=0.15)


def test_a_real_log_is_replayed_in_shape() -> None:
    """A replay that smoothed the log would leave out what makes real traffic hard."""
    pattern = {"shape": "replay", "file": "access.log", "length_seconds": 20, "parts": 20}
    seen = per_second(pattern, rate=500)
    wanted = np.array(Pattern.model_validate(pattern).profile.requests)  # type: ignore[union-attr]
    assert wanted.sum() == 1000
    assert np.corrcoef(seen, wanted)[0, 1] > 0.98
    assert (seen[wanted == 0] < 5).all()


LINE = '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1'
LOGS = {
    "a line that is none": (f"{LINE}\nhello\n", ["log.txt line 2", "hello", "no line of an"]),
    "a month that is none": (LINE.replace("May", "Mai"), ["log.txt line 1", "Mai"]),
    "a day that is none": (LINE.replace("17", "37"), ["log.txt line 1", "time that does not"]),
    "a very long line": (LINE + "x" * 20_000, ["log.txt line 1", "longer"]),
    "no requests": ("# nothing\n\n", ["log.txt", "no requests"]),
    "bytes that are no text": ("\0\1\2", ["log.txt line 1"]),
}


@pytest.mark.parametrize(("text", "said"), LOGS.values(), ids=LOGS)
def test_a_log_that_cannot_be_used_is_refused_in_one_line(text, said, tmp_path) -> None:
    """A stranger's file must not crash anything, nor be half believed."""
    (tmp_path / "log.txt").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load(replaying(tmp_path, "log.txt"))
    assert "\n" not in str(caught.value)
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/b.log", ".hidden", "", "nowhere.log", "link.log"]
)
def test_a_log_elsewhere_is_never_opened(name, tmp_path) -> None:
    """A scenario from a stranger could read any file of the machine."""
    (tmp_path / "link.log").symlink_to("/etc/passwd")
    with pytest.raises(ScenarioError, match=r"client\.pattern.*(log|name)"):
        load(replaying(tmp_path, name))


def test_a_log_beside_the_scenario_stays_with_it(tmp_path) -> None:
    """A scenario that is shared would say something else where the file is missing."""
    (tmp_path / "own.log").write_text(f"{LINE}\n" * 3)
    scenario = load(replaying(tmp_path, "own.log"))
    (tmp_path / "own.log").unlink()
    assert read_text(scenario.to_yaml()) == scenario
    assert scenario.change({"client.requests_per_second": 5}).client.pattern.profile is not None


def replaying(folder: pathlib.Path, log: str) -> pathlib.Path:
    """Return the file of a scenario that replays a log."""
    path = folder / "own.yaml"
    steps = "journeys: {visit: {steps: [{do: call, service: server}]}}\n"
    path.write_text(f"{steps}client: {{pattern: {{shape: replay, file: '{log}'}}}}\n")
    return path


# ---------------------------------------------------------------- the browser


def test_debounce_sends_one_call_for_a_word_typed_fast() -> None:
    """Without it each keystroke is a call, and the server works for answers nobody reads."""
    typed = {"journeys": ["visit"], "letters": 6, "gap": {"uniform": {"low": 100, "high": 250}}}
    every = visit(requests_per_second=20, typing=typed | {"debounce_ms": 0})
    paused = visit(requests_per_second=20, typing=typed | {"debounce_ms": 300})
    assert calls(every) == pytest.approx(6, rel=0.05)
    assert calls(paused) == pytest.approx(
        paused.summary.answered / paused.summary.started, rel=0.01
    )
    wait = paused.summary.latency_ms_mean - every.summary.latency_ms_mean  # type: ignore[operator]
    assert wait == pytest.approx(300, rel=0.05)  # for the last letter it costs its own length


def test_a_pause_longer_than_the_debounce_sends_a_call() -> None:
    """Debounce is no throttle: who stops to think sees what there is for what was typed."""
    typed = {"journeys": ["visit"], "letters": 5, "gap": {"exponential": 300}}
    result = visit(requests_per_second=20, typing=typed | {"debounce_ms": 300})
    assert calls(result) == pytest.approx(1 + 4 * math.exp(-1), rel=0.1)


def test_a_browser_keeps_what_its_own_user_has_read() -> None:
    """A copy that others could use would be a CDN."""
    few, many = (visit(LOOK, users=users, cache={"on": True}) for users in (2, 100_000))
    assert few.stations.loc["client.cache", "hit_ratio"] > 0.9
    assert many.stations.loc["client.cache", "hit_ratio"] < 0.05
    assert calls(few) < 0.1
    short = visit(LOOK, users=2, cache={"on": True, "ttl_seconds": 0.1})
    assert calls(short) > 0.8


def test_a_browser_never_keeps_a_write() -> None:
    """An order answered from the browser's cache would never be placed."""
    assert calls(visit(SAVE, users=2, cache={"on": True})) == pytest.approx(1, rel=0.01)


def test_a_form_checked_in_the_page_spares_the_server_a_call() -> None:
    """What the page catches needs no round trip; what only the server catches needs one."""
    wrong = {"invalid_share": 0.5, "app_time": 5, "client_time": 2}
    there, here = (visit(SAVE, validation=wrong | {"where": w}) for w in ("application", "client"))
    assert calls(there) == pytest.approx(1.5, rel=0.05)
    assert calls(here) == pytest.approx(1.0, rel=0.01)
    later = there.summary.latency_ms_mean - here.summary.latency_ms_mean  # type: ignore[operator]
    assert later == pytest.approx(0.5 * (10 + 10 + 5) - 2, rel=0.1)


def test_a_first_load_takes_its_bytes_by_the_bandwidth() -> None:
    """Weight that cost no time would make fat pages free; what is lazy comes later."""
    page = {"first_loads": 1, "web_weight_kb": 1000, "web_mbit_per_second": 8}
    plain = visit(mobile_share=0).summary.latency_ms_mean
    loads = [
        visit(mobile_share=0, page=page | more).summary.latency_ms_mean - plain
        for more in ({}, {"lazy_share": 0.5}, {"web_mbit_per_second": 80})
    ]
    assert loads[0] == pytest.approx(1000, rel=0.02)  # 1 MB by 1 MB/s
    assert loads[1] == pytest.approx(500, rel=0.03)
    assert 100 < loads[2] < 150  # slow start: a faster line helps less and less


def test_those_who_were_offline_come_back_all_at_once() -> None:
    """Queued actions are a thundering herd unless the app spreads them."""
    away = {"share": 0.5, "start_seconds": 5, "length_seconds": 5}
    peaks = {}
    for spread in (0, 5):
        result = visit(offline=away | {"spread_seconds": spread}, attempts=1, timeout_seconds=60)
        series = result.station_series
        rates = series[series["station"] == "application.server"].set_index("time_s")["rate_per_s"]
        peaks[spread] = rates.loc[10:12].max()
        assert rates.loc[6:10].mean() == pytest.approx(50, rel=0.2)
        assert result.summary.failed == 0
    assert peaks[0] > 1000
    assert peaks[5] < 300


# ---------------------------------------------------------------- patience


def test_a_hedge_cuts_the_tail_for_little_more_load() -> None:
    """The second request is worth it only because it is seldom sent."""
    app = servers({"bimodal": {"fast": 5, "slow": 500, "slow_share": 0.02}}, threads=50, cores=50)
    plain, hedged = (visit(app=app, hedge_after_ms=after) for after in (None, 40))
    assert plain.summary.latency_ms_p99 > 500
    assert hedged.summary.latency_ms_p99 < 100
    assert calls(hedged) == pytest.approx(1.02, abs=0.01)


def test_a_retry_budget_stops_a_retry_storm() -> None:
    """When everything fails, retries without a budget multiply the load by the attempts."""
    app = servers(200, threads=200, cores=200)
    patience = {"timeout_seconds": 0.05, "attempts": 4, "backoff_ms": 10}
    storm = visit(app=app, **patience)
    calm = visit(app=app, retry_budget=0.2, retry_budget_least_per_second=0, **patience)
    assert calls(storm) == pytest.approx(4, rel=0.05)
    assert calls(calm) == pytest.approx(1.3, abs=0.05)  # 0.2, and 10 s of it saved up at first


def test_decorrelated_jitter_rests_between_the_base_and_thrice_the_rest_before() -> None:
    """One of the four kinds that AWS compares; its first rest is twice the base in the mean."""
    app = servers(1, replicas=1, threads=1, queue_limit=0)
    full, loose = (
        visit(
            app=app, jitter=jitter, backoff_ms=100, backoff_cap_ms=10_000, attempts=2,
            timeout_seconds=60, requests_per_second=300,
        ).shares
        for jitter in ("full", "decorrelated")
    )  # fmt: skip
    rest = [
        float(s.query("journey == 'all' and of == 'mean' and layer == 'client'")
              .query("kind == 'waiting'")["ms"].iloc[0])
        for s in (full, loose)
    ]  # fmt: skip
    assert rest[1] == pytest.approx(4 * rest[0], rel=0.15)  # means of 50 and 200 ms


def test_everything_of_the_client_at_once_keeps_the_books() -> None:
    """Mechanisms that are right alone could lose a request together."""
    client = NEAR | {
        "typing": {"journeys": ["visit"], "letters": 3}, "cache": {"on": True, "ttl_seconds": 1},
        "page": {"first_loads": 0.1, "web_weight_kb": 50}, "hedge_after_ms": 15,
        "offline": {"share": 0.3, "start_seconds": 2, "length_seconds": 2},
        "retry_budget": 0.1, "timeout_seconds": 0.06, "jitter": "decorrelated", "users": 20,
    }  # fmt: skip
    run = Simulation(system(LOOK, client=client, application=servers(20), data=DATA))
    for _ in range(10):
        run.advance(2.0)
        check_books(run)
    assert run.result().summary.answered > 500
