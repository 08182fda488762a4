"""The story: search, search again, Buy Now, on a Redis, streams and tables that are real.

What the story promises a viewer, nobody has to take on trust: the commands and what the stores
hold afterwards are read here.
"""

import time

import pytest

from engine import ScenarioError, load
from engine.microscope import NOT_COVERED, Microscope, without
from tests.microscope.shop import amazon, commands, played

pytestmark = pytest.mark.usefixtures("backends")  # embedded, then a real Redis and PostgreSQL

SAFE = {"asynchronous.idempotency": True}
LATE = {"data.lag": {"constant": 5000}}


def step_to(scope: Microscope, command: str) -> None:
    """Step until a command has just been given."""
    while scope.step():
        if scope.journal[-1].command.startswith(command):
            return
    pytest.fail(f"nobody has sent {command}")


def worker_with(scope: Microscope, kind: str) -> int:
    """Return which worker of a kind has a message in hand."""
    (pending,) = scope.state()["queues"][kind]["pending"]
    return int(pending["owner"].removeprefix(f"{kind}-").split(".")[0]) - 1


def charges(scope: Microscope) -> int:
    """Return how often a customer has paid."""
    return sum(each["kind"] == "payment" for each in scope.state()["effects"])


# ---------------------------------------------------------------- search


def test_the_first_search_misses_and_the_second_hits() -> None:
    """A cache that never hits, or hits at once, would teach the wrong thing."""
    scope = amazon()
    first = commands(scope, played(scope, "search", "iPhone 15"))
    assert ("GET search:iphone-15", "nil") in first
    assert any(command.startswith("SETEX search:iphone-15 300") for command, _ in first)
    assert any("SELECT * FROM products@replica" in command for command, _ in first)
    again = commands(scope, played(scope, "search", "iPhone 15"))
    assert not any("SELECT" in command for command, _ in again)
    (get,) = [answer for command, answer in again if command == "GET search:iphone-15"]
    assert "iPhone 15" in get


def test_a_key_is_gone_when_its_time_has_passed_by_the_simulated_clock() -> None:
    """A time to live by the wall would keep keys for as long as somebody looks at them."""
    scope = amazon()
    played(scope, "search", "iPhone 15")
    (key,) = [row for row in scope.state()["redis"] if row["key"] == "search:iphone-15"]
    assert 299 < key["ttl_seconds"] <= 300
    scope.advance(100)
    (key,) = [row for row in scope.state()["redis"] if row["key"] == "search:iphone-15"]
    assert 199 < key["ttl_seconds"] <= 200
    scope.advance(200)
    assert not [row for row in scope.state()["redis"] if row["key"] == "search:iphone-15"]
    assert ("GET search:iphone-15", "nil") in commands(scope, played(scope, "search", "iPhone 15"))


# ---------------------------------------------------------------- Buy Now


def test_an_order_sends_a_message_to_each_kind_of_worker() -> None:
    """A message that is missing, or stays pending, is an order that nobody ships."""
    scope = amazon(**SAFE)
    start = played(scope, "buy", "iPhone 15")
    sent = [command for command, _ in commands(scope, start) if command.startswith("XADD")]
    assert len(sent) == 4
    queues = scope.state()["queues"]
    assert all(not queue["waiting"] and not queue["pending"] for queue in queues.values())
    assert {each["kind"] for each in scope.state()["effects"]} == set(queues)


def test_an_idempotency_key_saves_the_customer_from_paying_twice() -> None:
    """Delivered at least once must not mean paid at least once."""
    scope = amazon(**SAFE)
    scope.request("buy", key="iPhone 15")
    step_to(scope, "INSERT INTO done (key) VALUES ('payment")
    assert scope.kill_worker("payment", worker_with(scope, "payment")) == 1
    start = len(scope.journal)
    scope.finish()
    later = [command.split()[0] for command, _ in commands(scope, start)]
    assert "XCLAIM" in [command.split()[0] for command, _ in commands(scope)]
    assert "XACK" in later
    assert charges(scope) == 1
    assert scope.state()["queues"]["payment"]["redelivered"] == 1


def test_without_the_key_he_pays_twice() -> None:
    """If it did no harm without, the key would have saved nobody."""
    scope = amazon()
    scope.request("buy", key="iPhone 15")
    step_to(scope, "INSERT INTO payment")
    scope.kill_worker("payment", worker_with(scope, "payment"))
    scope.finish()
    assert charges(scope) == 2


# ---------------------------------------------------------------- what breaks


def test_a_crash_of_the_cache_loses_view_counts_and_no_order() -> None:
    """Write-behind is a bargain: one has to see what it costs, and what it does not."""
    scope = amazon()
    played(scope, "buy", "iPhone 15")
    for name in ("iPhone 15", "iPhone 15", "Pixel 8"):
        played(scope, "view", name)
    orders = scope.state()["shards"][0]["rows"]["orders"]
    assert scope.state()["buffer"] == {"products": {0: 2, 4: 1}}
    assert scope.crash_cache() == {"products": {"product:0": 2, "product:4": 1}}
    state = scope.state()
    assert state["redis"] == []
    assert state["buffer"] == {"products": {}}
    assert state["shards"][0]["rows"]["orders"] == orders
    assert len(orders) == 1
    assert all(row["views"] == 0 for row in state["shards"][0]["rows"]["products"])


def test_counts_that_were_flushed_are_in_the_database() -> None:
    """A buffer that loses even what it has flushed would be of no use."""
    scope = amazon(**{"cache.buffer.flush_seconds": 5})
    played(scope, "view", "iPhone 15")
    scope.advance(6)
    assert scope.crash_cache() == {"products": {}}
    (row,) = scope.state()["shards"][0]["rows"]["products"]
    assert row["views"] == 1


def test_a_replica_that_lags_gives_the_old_row_right_after_a_write() -> None:
    """Who does not see his own write buys again."""
    scope = amazon(**LATE)
    played(scope, "buy", "iPhone 15")
    start = played(scope, "view", "iPhone 15")
    reads = [answer for command, answer in commands(scope, start) if "@replica" in command]
    assert reads == ["iPhone 15, version 1, stale"]
    (replica, _) = scope.state()["shards"][0]["replicas"]
    assert [each["row"] for each in replica["behind"]][-1] == "products 0"


def test_a_promotion_loses_what_the_replica_had_not_applied() -> None:
    """An asynchronous replica is a promise that is kept a moment later."""
    scope = amazon(**LATE)
    played(scope, "buy", "iPhone 15")
    lost = scope.promote(0)
    assert "products 0: version 2 is lost" in lost
    rows = scope.state()["shards"][0]["rows"]
    assert [row["version"] for row in rows["products"]] == [1]
    assert rows["orders"] == []
    scope.advance(6)
    played(scope, "buy", "iPhone 15")
    scope.advance(6)
    assert scope.promote(1) == []


def test_a_split_moves_the_rows_that_another_shard_owns() -> None:
    """A row that is moved to no shard, or to two, is lost or doubled."""
    scope = amazon()
    for name in ("iPhone 15", "Pixel 8", "Kindle", "AirPods", "Backpack"):
        played(scope, "view", name)
    before = [row["id"] for row in scope.state()["shards"][0]["rows"]["products"]]
    moved = scope.split_shard()
    shards = [[row["id"] for row in shard["rows"]["products"]]
              for shard in scope.state()["shards"]]  # fmt: skip
    assert len(shards) == 2
    assert sorted(shards[0] + shards[1]) == before
    assert len(moved) == len(shards[1])
    start = played(scope, "buy", "iPhone 15")
    assert any(each.text == "answered" or "answered" in each.text
               for each in scope.journal[start:])  # fmt: skip


# ---------------------------------------------------------------- looking


def test_back_is_the_same_past() -> None:
    """A step back into another past would show what never was."""
    scope = amazon(**SAFE)
    scope.request("buy", key="iPhone 15")
    states, lengths = [], []
    while len(scope.journal) < 40 and scope.step():
        states.append(scope.state())
        lengths.append(len(scope.journal))
    entries = list(scope.journal)
    for state, length in list(zip(states, lengths, strict=True))[-2:-12:-1]:
        assert scope.back()
        assert len(scope.journal) == length
        assert scope.journal == entries[:length]
        assert scope.state() == state


def test_two_microscopes_never_share_time_or_state() -> None:
    """Two browser sessions would see each other's keys vanish."""
    one, other = amazon(), amazon()
    played(one, "search", "iPhone 15")
    now = other.now
    one.advance(1000)
    assert other.now == now == 0.0
    assert other.state()["redis"] == []
    assert abs(one.parts.cache.execute_command("TIME")[0] - time.time()) < 100  # the process's own
    played(other, "search", "iPhone 15")
    assert [row["key"] for row in other.state()["redis"]] == ["search:iphone-15"]
    assert one.state()["redis"] == []


def test_each_request_is_a_trace_with_simulated_times() -> None:
    """Spans by the wall would say how fast the microscope is, not the system."""
    scope = amazon()
    played(scope, "search", "iPhone 15")
    spans = scope.parts.telemetry.spans
    (root,) = [span for span in spans if span.parent is None]
    assert {span.context.trace_id for span in spans} == {root.context.trace_id}
    answered = scope.journal[-1]
    assert answered.trace_id == f"{root.context.trace_id:032x}"
    assert root.end_time == round(answered.time_seconds * 1e9)
    assert all(root.start_time <= span.start_time <= span.end_time for span in spans)
    assert 'strata_requests_total{journey="search",outcome="answered"} 1.0' in (
        scope.parts.telemetry.openmetrics()
    )


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda scope: scope.request("serch"), "there is no journey 'serch'"),
        (lambda scope: scope.request("search", key="a pony"), "nothing that is called 'a pony'"),
        (lambda scope: scope.kill_worker("pay", 0), "there is no worker 'pay'"),
        (lambda scope: scope.kill_worker("payment", 99), "none has number 99"),
        (lambda scope: scope.promote(7), "none has number 7"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(call, line) -> None:
    """A traceback on a page tells a user nothing."""
    with pytest.raises(ScenarioError) as caught:
        call(amazon())
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_scenario_with_what_is_not_covered_is_refused_by_name() -> None:
    """Left out in silence, it would look as if it had no effect."""
    with pytest.raises(ScenarioError, match=r"does not know data\.backup: backups"):
        amazon(**{"data.backup.on": True})
    with pytest.raises(ScenarioError, match="does not know faults"):
        Microscope(load("region_loss"))
    assert all("\n" not in text for text in NOT_COVERED.values())


@pytest.mark.parametrize("preset", ["primary_failover", "region_loss", "spike_fast_autoscaler"])
def test_any_preset_can_be_looked_at_without_what_is_not_covered(preset) -> None:
    """A page that shows two presets only would be a demonstration, not a microscope."""
    scenario, left_out = without(load(preset))
    assert left_out
    scope = Microscope(scenario)
    played(scope, next(iter(scenario.journeys)))
    assert "answered" in " ".join(each.text for each in scope.journal)


def test_a_session_lives_in_the_shared_store_until_its_time_is_over() -> None:
    """Who is signed in is state too; a viewer must see it come and go."""
    scope = amazon(**{"application.sessions.kind": "store", "application.sessions.ttl_seconds": 60})
    played(scope, "buy", "iPhone 15")
    (session,) = scope.state()["sessions"]
    assert session["key"].startswith("session:user-")
    assert 59 < session["ttl_seconds"] <= 60
    scope.advance(61)
    assert scope.state()["sessions"] == []
