"""The nouns of the data plane: one dtype each, and the tables that hold them.

Rows are made with `np.record`, so that `pool.busy` works compiled and interpreted
alike.  A row is a *view*: writing to it writes to its table.  Times are seconds of
simulated time; an index of `NOBODY` points nowhere.
"""

from enum import IntEnum

import numpy as np

NOBODY = -1
DOOMED = -1  # what a token needs that fails when it has done what it is at

REGISTERS = 16  # small integers a token carries: which server, region, shard …
HOLDS = 12  # slots a token may hold at once
SCOPES = 8  # tries a token may have open at once
LEAVES = 48  # spans a token remembers; what comes later is counted, not drawn
BACKGROUND = 24  # more spans a kept trace takes from messages that the request sent
ACCOUNTS = 24  # what time was spent on: eight places × waiting, working, network

BINS_OCTAVE = 64  # of a latency histogram: a bin is 1.1 % wide, its middle within 0.8 %
OCTAVES = 30  # from 2^-20 s (about 1 µs) to 2^10 s (17 min)
BINS = BINS_OCTAVE * OCTAVES
FIRST_OCTAVE = -20
STRATA_OCTAVE = 16  # of trace sampling and of layer shares: 4.4 % wide
STRATA = STRATA_OCTAVE * OCTAVES

VICTIMS = 16  # places of an eviction pool
WATCHED = 62  # servers of a group that is watched
TRIED = 31  # servers that a request remembers to have tried

KEPT_INDEX = 1 << 12  # hash index from a request to its kept trace


def row(**fields: object) -> np.dtype:
    """Return a dtype whose rows have attributes, compiled or not."""
    return np.dtype((np.record, np.dtype(list(fields.items()), align=True)))


class Op(IntEnum):
    """What a step does; the file of each mechanism says what its arguments mean."""

    HOLD = 0
    SEIZE = 1
    RELEASE = 2
    ROUTE = 3
    GET = 4
    PUT = 5
    DROP = 6
    KEY = 7
    SPLIT = 8
    LOOKUP = 9
    CHANCE = 10
    GO = 11
    TRY = 12
    DONE = 13
    FAIL = 14
    PUBLISH = 15
    ACK = 16
    REQUEUE = 17
    FORK = 18
    JOIN = 19
    MARK = 20
    CHECK = 21
    FINISH = 22
    ARRIVE = 23
    GATHER = 24
    LEAVE = 25
    STILL = 26
    LIMIT = 27
    CREDIT = 28
    PASS = 29
    REPORT = 30
    SHARE = 31
    OUTCOME = 32
    SET = 33
    RECENT = 34
    STAMP = 35
    VERIFY = 36
    UNTIL = 37
    SHED = 38
    DISTURBED = 39


class Verdict(IntEnum):
    """What a step means for its token."""

    NEXT = 0  # go on with the next step at once
    WAIT = 1  # an event, or another token, will wake it
    OVER = 2  # the token is gone
    FAILED = 3  # unwind to the innermost try


class State(IntEnum):
    """What a token waits for."""

    FREE = 0
    EVENT = 1  # its event on the agenda
    QUEUED = 2  # a slot of a pool
    JOINING = 3  # its legs
    SHARING = 4  # its share of a processor


class Kind(IntEnum):
    """What an event on the agenda wakes."""

    TOKEN = 0
    SOURCE = 1
    LANE = 2
    PROCESSOR = 3


class Family(IntEnum):
    """Families of distributions; `randomness` gives their parameters."""

    CONSTANT = 0
    EXPONENTIAL = 1
    LOGNORMAL = 2
    UNIFORM = 3
    BIMODAL = 4
    EMPIRICAL = 5
    ERLANG = 6


class Policy(IntEnum):
    """How a group picks a server."""

    ROUND_ROBIN = 0
    WEIGHTED = 1  # smooth weighted round robin
    LEAST = 2  # fewest connections
    IP_HASH = 3
    RANDOM = 4
    CHOICES = 5  # the least busy of some random draws


class Keep(IntEnum):
    """Which keys a store keeps."""

    ALL = 0  # there is room for every key
    RECENT = 1  # the least recently used goes
    OLDEST = 2  # first in, first out
    SAMPLED = 3  # the worst of a sample goes
    STATIC = 4  # what is there stays


class Sample(IntEnum):
    """How a store that samples finds the worst."""

    RANDOM = 0
    LRU = 1  # by a clock of whole seconds
    LFU = 2  # by a logarithmic counter


class About(IntEnum):
    """What a token's key is taken from."""

    POPULARITY = 0
    USER = 1
    REQUEST = 2
    NEWEST = 3


class Guard(IntEnum):
    """States of a circuit breaker."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Reason(IntEnum):
    """Why a request failed, as far as mechanisms know; the builder adds its own after these."""

    NONE = 0
    TIMED_OUT = 1
    REFUSED = 2
    NO_SERVER = 3
    GAVE_UP = 4


I2, I4, I8 = np.int16, np.int32, np.int64
F4, F8, U8 = np.float32, np.float64, np.uint64

Clock = row(
    now=F8,
    order=I8,
    events=I8,
    pending=I8,
    free=I4,
    spare=I4,
    free_message=I4,
    spare_messages=I4,
    seed=U8,
    errands=I8,
    wasted=I8,
    hole=I8,
    tickets=I8,
)
Step = row(
    op=I4, site=I4, by=I4, jump=I4, dist=I4, account=I4, reason=I4, register=I4, number=F8, label=U8
)
Dist = row(family=I4, first=I4, count=I4, a=F8, b=F8, c=F8)
# What every step touches stands in the first 64 bytes, one line of the processor's cache.
Token = row(
    order=I8,
    root=U8,
    born=F8,
    began=F8,
    step=I4,
    key=I4,
    visit=I4,
    before=I4,
    behind=I4,
    queue=I4,
    state=I2,
    holds=I2,
    depth=I2,
    leaves=I2,
    request=I8,
    user=I4,
    parent=I4,
    legs=I4,
    channel=I4,
    partition=I4,
    orphan=I2,
    reason=I2,
    journey=I2,
    source=I2,
    needed=I4,
    ticket=I4,
    bound=I4,
    delivery=I4,
)
Hold = row(asked=F8, got=F8, pool=I4)
Scope = row(due=F8, step=I4, holds=I4, attempt=I4, lane=I4, before=I4, behind=I4, resting=I4)
Leaf = row(start=F4, end=F4, step=I4)  # seconds since its token was born
Pool = row(
    slots=I4,
    busy=I4,
    waiting=I4,
    room=I4,
    head=I4,
    tail=I4,
    meter=I4,
    up=I4,
    last=F8,
    busy_area=F8,
    waiting_area=F8,
    ceiling=I4,
    backup=I4,
    weight=I4,
    effective=I4,
    current=I4,
    reason=I4,
)
Group = row(policy=I4, first=I4, count=I4, draws=I4, turn=I4, watched=I4)
Peer = row(
    fails=I4,
    max_fails=I4,
    timeout=F8,
    checked=F8,
    accessed=F8,
    in_a_row=I4,
    row_max=I4,
    times=I4,
    rest=F8,
    most=F8,
    until=F8,
    calls=I8,
    bad=I8,
)
Choice = row(first=I4, count=I4)  # a run of cumulated weights
Keyspace = row(first=I4, count=I4, guide=I4, guides=I4)
Store = row(
    first=I4,
    keys=I4,
    capacity=I4,
    count=I4,
    head=I4,
    tail=I4,
    meter=I4,
    ttl=I4,
    bounded=I4,
    fancy=I4,
    personal=I4,
    sliding=I4,
    sample=I4,
    samples=I4,
    residents=I4,
    victims=I4,
    early=F8,
    gets=I8,
    hits=I8,
    expired=I8,
    evicted=I8,
    refreshed=I8,
    drops=I8,
    bypassed=I8,
)
Entry = row(until=F8, before=I4, behind=I4)
Victim = row(key=I4, score=I4)
Ledger = row(first=I4, marks=I8, distinct=I8, checks=I8, stale=I8, opened=F8)
Retry = row(attempts=I4, cancels=I4, jitter=I4, otherwise=I4, budget=I4, keeps=I4, rest=F8, cap=F8)
Limit = row(rate=F8, burst=F8, window=F8, level=F8, last=F8, count=F8, before=F8, refused=I8)
Breaker = row(
    failures=I4,
    probes=I4,
    state=I4,
    bad=I4,
    sent=I4,
    good=I4,
    rest=F8,
    opened=F8,
    trips=I8,
    refused=I8,
)
Processor = row(
    cores=I4,
    jobs=I4,
    head=I4,
    tail=I4,
    pool=I4,
    order=I8,
    virtual=F8,
    last=F8,
    speed=F8,
)
Lane = row(head=I4, tail=I4, order=I8, armed=F8)
Channel = row(
    first=I4,
    partitions=I4,
    workers=I4,
    start=I4,
    again=I4,
    meter=I4,
    attempts=I4,
    room=I4,
    prefetch=I4,
    published=I8,
    processed=I8,
    dead=I8,
    refused=I8,
    redelivered=I8,
    waiting=I8,
    delayed=I8,
    last=F8,
    waiting_area=F8,
    retention=F8,
    travel=F8,
    expired=I8,
    lapsed=I8,
    turn=I4,
)
Partition = row(head=I4, tail=I4, waiting=I4, worker=I4)
Message = row(
    root=U8, request=I8, born=F8, sent=F8, due=F8, key=I4, journey=I4, visit=I4, behind=I4
)
# Row r of these, where it is not blank, is of step r; from there on one is behind the other.
Disturbance = row(
    op=I4,
    behind=I4,
    first=I4,
    count=I4,
    store=I4,
    by=I4,
    value=I4,
    reason=I4,
    always=I4,
    factor=F8,
    extra=F8,
    loss=F8,
    resend=F8,
)
Source = row(
    users=I4,
    journeys=I4,
    starts=I4,
    gap=I4,
    think=I4,
    arrive=I4,
    count=I8,
    rate=F8,
    left=F8,
    since=F8,
    label=U8,
    order=I8,
)
Journey = row(started=I8, answered=I8, failed=I8, in_flight=I8, seconds=F8)
Meter = row(asked=I8, served=I8, failed=I8, wait=F8, stay=F8, work=F8)
Trace = row(request=I8, latency=F8, born=F8, leaves=I4, background=I4, reason=I4, visit=I4)


# Every table of a run: its rows, and how many dimensions it has.
TABLES: dict[str, tuple[np.dtype | type, int]] = {
    "clock": (Clock, 1),  # one Clock
    "steps": (Step, 1),  # Step; the programs of all journeys, one after the other
    "visits": (I8, 1),  # how often each step was walked
    "dists": (Dist, 1),  # Dist
    "samples": (F8, 1),  # sorted samples of the empirical distributions
    "due": (F8, 1),  # agenda: 4-ary heap by (due, order)
    "order": (I8, 1),
    "who": (I8, 1),  # index * 4 + Kind
    "tokens": (Token, 1),  # Token; free ones are chained through `behind`
    "registers": (I4, 2),  # token × REGISTERS; register 0 is always 0
    "holds": (Hold, 2),  # token × HOLDS of Hold, a stack
    "scopes": (Scope, 2),  # token × SCOPES of Scope, a stack
    "spent": (F4, 2),  # token × ACCOUNTS, seconds
    "leaves": (Leaf, 2),  # token × LEAVES of Leaf
    "pools": (Pool, 1),  # Pool
    "groups": (Group, 1),  # Group
    "peers": (Peer, 1),  # Peer, one a pool where any is watched
    "choices": (Choice, 1),  # Choice
    "chances": (F8, 1),  # cumulated weights of all choices
    "keyspaces": (Keyspace, 1),  # Keyspace
    "popularity": (F8, 1),  # cumulated popularity of all keyspaces
    "guides": (I4, 1),  # where in `popularity` to begin looking
    "lookups": (I4, 1),  # tables from a key to a place
    "stores": (Store, 1),  # Store
    "entries": (Entry, 1),  # Entry, one a key of every store
    "residents": (I4, 1),  # keys that stores which sample hold, in no order
    "victims": (Victim, 1),  # Victim, VICTIMS a store that samples
    "ledgers": (Ledger, 1),  # Ledger
    "marks": (F8, 1),  # when each key of every ledger was last written
    "retries": (Retry, 1),  # Retry
    "lanes": (Lane, 1),  # Lane
    "limits": (Limit, 1),  # Limit
    "breakers": (Breaker, 1),  # Breaker
    "processors": (Processor, 1),  # Processor
    "channels": (Channel, 1),  # Channel
    "partitions": (Partition, 1),  # Partition
    "messages": (Message, 1),  # Message; free ones are chained through `behind`
    "disturbances": (Disturbance, 1),  # Disturbance; one blank while nothing is disturbed
    "targets": (I4, 1),  # pools that disturbances are confined to
    "sources": (Source, 1),  # Source
    "starts": (I8, 1),  # first step of each journey, of each leg
    "journeys": (Journey, 1),  # Journey
    "reasons": (I8, 2),  # journey × reason: how many failed why
    "latency": (I8, 2),  # journey × BINS: answered requests
    "window": (I8, 1),  # BINS: answered requests since the last snapshot
    "shares": (F8, 3),  # journey × STRATA × ACCOUNTS: seconds spent by answered requests
    "meters": (Meter, 1),  # Meter
    "waits": (I8, 2),  # meter × BINS
    "stays": (I8, 2),  # meter × BINS
    "traces": (Trace, 2),  # Trace: journey × (STRATA + reasons)
    "trace_leaves": (Leaf, 2),  # trace × (LEAVES + BACKGROUND) of Leaf
    "kept": (I8, 1),  # KEPT_INDEX: trace that a request is kept in
}
