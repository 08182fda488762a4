"""The databases on SQLite and on PostgreSQL: rows, replicas, promotion, moves, search, keys."""

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.layers.sharding import shards_of
from engine.microscope import Microscope
from engine.microscope.clock import Clock
from engine.microscope.database import Index, Shard
from engine.microscope.shelves import UniqueShelf
from tests.microscope.shop import amazon, played

SOME = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
deeds = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "write", "ship", "read", "replica", "replica", "promote", "move"]
        ),
        st.integers(0, 2),  # key
        st.floats(0, 3),  # seconds of lag
    ),
    max_size=25,
)
HOSTILE = "d'\"; DROP {} % ? ué" + "x" * 80


class Side:
    """Two shards of one kind of database."""

    def __init__(self, stores, dataset: str) -> None:
        self.dataset, self.now = dataset, 0.0

        def open_base(number: int):
            return lambda role: stores.base(f"shard{number} {role}")

        self.shards = [Shard([dataset, f"{dataset}2"], 2, open_base(n)) for n in range(2)]

    def do(self, what: str, key: int, lag: float) -> object:
        """Do one thing; return what there is to compare."""
        shard, self.now = self.shards[0], self.now + 1.0
        if what == "write":
            return shard.update(self.dataset, key, views=key)
        if what == "ship":
            return shard.ship(self.dataset, key, self.now)
        if what == "read":
            return shard.select(self.dataset, key)
        horizon = shard.horizon(self.now, lag)
        if what == "replica":
            return shard.select_replica(key % 2, self.dataset, key, horizon)
        if what == "promote":
            return shard.promote(key % 2, horizon)
        if (self.dataset, key) in shard.seen and (self.dataset, key) not in self.shards[1].seen:
            shard.move(self.dataset, key, self.shards[1])
        return None


@pytest.mark.parametrize("dataset", ["products", HOSTILE])
def test_a_real_postgresql_answers_as_sqlite_does(both, dataset) -> None:
    """Rows, staleness and what a promotion loses would depend on who keeps the tables."""

    @SOME
    @given(deeds)
    def play(given_deeds) -> None:
        stores = both()
        one, other = (Side(each, dataset) for each in stores)
        for deed in given_deeds:
            assert one.do(*deed) == other.do(*deed)
            for mine, theirs in zip(one.shards, other.shards, strict=True):
                assert mine.rows(dataset) == theirs.rows(dataset)
        for each in stores:
            each.close()

    play()


@pytest.mark.parametrize("words", ["iPhone 15", "iphone", "15 case", "toaster", "pony", 'a "b', ""])
def test_both_indexes_find_the_same_in_the_same_order(both, words) -> None:
    """The first hit of a search is the one that sells."""
    one, other = (Index(each.base("search")).find(words) for each in both())
    assert one == other


def test_an_idempotency_key_is_taken_once(both) -> None:
    """Two workers with one message must not both be the first."""
    for stores in both():
        base, clock = stores.base("effects"), Clock()
        base.create("done", "key TEXT PRIMARY KEY, until DOUBLE PRECISION")
        shelf = UniqueShelf(clock, "payment:{}".format, base)
        assert not shelf.look(7)[0]
        shelf.put(7, 60.0, "")
        shelf.put(7, 60.0, "")
        assert shelf.look(7)[0]
        assert base.run("SELECT count(*) FROM {}", table="done") == [(1,)]
        clock.play(60.0)
        assert not shelf.look(7)[0]


def test_a_unique_key_makes_a_second_transaction_wait_and_lose(postgres_url) -> None:
    """What the key promises stands on what a real database does with two at once."""
    with psycopg.connect(postgres_url) as one, psycopg.connect(postgres_url) as other:
        one.execute("CREATE TABLE once (key TEXT PRIMARY KEY)")
        one.commit()
        one.execute("INSERT INTO once VALUES ('payment')")
        other.execute("SET lock_timeout = '100ms'")
        other.commit()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("INSERT INTO once VALUES ('payment')")
        other.rollback()
        one.commit()
        with pytest.raises(psycopg.errors.UniqueViolation):
            other.execute("INSERT INTO once VALUES ('payment')")
        other.rollback()
        one.execute("DROP TABLE once")


# ---------------------------------------------------------------- routing


@pytest.mark.parametrize("sharding", ["hash", "range", "consistent_hash", "directory"])
@pytest.mark.usefixtures("backends")
def test_a_row_is_on_the_shard_that_the_kernel_says_and_on_no_other(sharding) -> None:
    """A row on two shards has two truths; on the wrong one, none finds it."""
    with amazon(**{"data.shards": 3, "data.sharding": sharding}) as scope:
        for name in ("iPhone 15", "Pixel 8", "Kindle", "AirPods", "Backpack", "Umbrella"):
            played(scope, "buy", name)
        assert _found(scope) == _owned(scope, sharding)
        moved = scope.split_shard()
        assert _found(scope) == _owned(scope, sharding)
        assert all(_found(scope)[_row(text)] == _goal(text) for text in moved)


def _found(scope: Microscope) -> dict[tuple[str, int], int]:
    """Return where rows are; no row is twice."""
    found: dict[tuple[str, int], int] = {}
    for shard in scope.state()["shards"]:
        for name, rows in shard["rows"].items():
            for row in rows:
                assert (name, row["id"]) not in found
                found[name, row["id"]] = shard["shard"]
    assert found
    return found


def _owned(scope: Microscope, sharding: str) -> dict[tuple[str, int], int]:
    data, datasets = scope.scenario.data, scope.scenario.datasets
    owners = {
        name: shards_of(each.keys, data.shards, sharding, data.virtual_nodes, each.zipf)
        for name, each in datasets.items()
    }
    return {(name, key): int(owners[name][key]) for name, key in _found(scope)}


def _row(text: str) -> tuple[str, int]:
    name, key = text.partition(":")[0].rsplit(" ", 1)
    return name, int(key)


def _goal(text: str) -> int:
    return int(text.rpartition(" ")[2]) - 1
