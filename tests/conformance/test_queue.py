"""The broker beside real Redis streams: groups, pending entries, claims, dead letters."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.microscope.broker import Broker
from engine.microscope.clock import Clock

KIND = "payment"
SOME = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
deeds = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "take", "take", "claim", "acknowledge", "bury", "drop"]),
        st.integers(0, 2),  # which worker, and which of what there is
    ),
    max_size=30,
)


class Side:
    """One broker, and what is where in it."""

    def __init__(self, stores) -> None:
        self.broker = Broker(stores.keys("queue", Clock()))
        self.waiting: list[str] = []
        self.taken: list[str] = []
        self.number = 0

    def do(self, what: str, which: int) -> object:
        """Do one thing, if it can be done; return what there is to compare."""
        broker = self.broker
        consumer = f"payment-{which + 1}"
        if what == "add":
            self.number += 1
            fields = {"request": self.number, "delivery": 0, "born": "0.5", "key": 3}
            entry, done = broker.add(KIND, 0, self.number * 0.0004, fields)
            self.waiting.append(entry)
            return done
        if what in {"take", "drop"} and self.waiting:
            entry = self.waiting.pop(0)
            if what == "drop":
                return broker.drop(KIND, 0, entry)
            self.taken.append(entry)
            return broker.take(KIND, 0, consumer, entry)
        if what in {"claim", "acknowledge", "bury"} and self.taken:
            entry = self.taken[which % len(self.taken)]
            if what == "claim":
                return broker.claim(KIND, 0, consumer, entry)
            self.taken.remove(entry)
            if what == "acknowledge":
                return broker.acknowledge(KIND, 0, entry)
            return broker.bury(KIND, 0, entry, 1.0, "no answer")
        return None

    def seen(self) -> object:
        """Return all that the broker tells."""
        return (
            self.broker.pending(KIND, 0), self.broker.waiting(KIND, 0), self.broker.dead(KIND),
        )  # fmt: skip


@SOME
@given(deeds)
def test_a_real_redis_hands_out_messages_as_the_embedded_one_does(both, given_deeds) -> None:
    """A message would be with another worker, delivered another number of times, or lost."""
    stores = both()
    one, other = (Side(each) for each in stores)
    for what, which in given_deeds:
        assert one.do(what, which) == other.do(what, which)
        assert one.seen() == other.seen()
    for each in stores:
        each.close()


def test_what_a_dead_worker_had_is_pending_until_another_claims_it(both) -> None:
    """At least once: a message nobody has acknowledged is never gone."""
    for stores in both():
        broker = Broker(stores.keys("queue", Clock()))
        entry, _ = broker.add(KIND, 0, 0.0, {"request": 1, "delivery": 0, "born": "0"})
        broker.take(KIND, 0, "payment-1", entry)
        assert broker.waiting(KIND, 0) == []
        assert broker.pending(KIND, 0) == [{"id": entry, "owner": "payment-1", "delivered": 1}]
        fields, _ = broker.claim(KIND, 0, "payment-2", entry)
        assert fields["request"] == "1"
        assert broker.pending(KIND, 0) == [{"id": entry, "owner": "payment-2", "delivered": 2}]
        broker.acknowledge(KIND, 0, entry)
        assert broker.pending(KIND, 0) == []


def test_two_groups_each_get_every_message(both) -> None:
    """Payment and stock both hear of an order, or it is half an order."""
    for stores in both():
        broker = Broker(stores.keys("queue", Clock()))
        for kind in ("payment", "stock"):
            entry, _ = broker.add(kind, 0, 0.0, {"request": 7, "delivery": 0, "born": "0"})
            fields, _ = broker.take(kind, 0, f"{kind}-1", entry)
            assert fields["request"] == "7"
