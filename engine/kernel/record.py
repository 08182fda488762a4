"""What is remembered: histograms, where time went, and the traces worth keeping.

Nothing here grows with the number of requests.  Histograms have 64 bins an octave.
Traces are kept by tail sampling: for every journey and every stratum of latency (16 an
octave) the slowest, and the first that failed for each reason, so that "show me a P99
request" always has an answer.
"""

import numpy as np

from engine.kernel.compile import aside, part
from engine.kernel.tables import (
    ACCOUNTS,
    BACKGROUND,
    BINS,
    BINS_OCTAVE,
    FIRST_OCTAVE,
    KEPT_INDEX,
    LEAVES,
    NOBODY,
    STRATA,
    STRATA_OCTAVE,
)

# The bin is read off the float itself: its exponent, then the top bits of its mantissa.
BIN_SHIFT = 52 - 6
STRATUM_SHIFT = 52 - 4
BIN_ZERO = (1023 + FIRST_OCTAVE) * BINS_OCTAVE
STRATUM_ZERO = (1023 + FIRST_OCTAVE) * STRATA_OCTAVE


@part
def bin_of(seconds):
    """Return the histogram bin of a duration; bin 0 takes all below a microsecond."""
    place = (np.float64(seconds).view(np.int64) >> BIN_SHIFT) - BIN_ZERO
    return min(max(place, 0), BINS - 1)


@part
def stratum_of(seconds):
    """Return the stratum of a latency."""
    place = (np.float64(seconds).view(np.int64) >> STRATUM_SHIFT) - STRATUM_ZERO
    return min(max(place, 0), STRATA - 1)


@part
def leaf(who, start, end, step, account, world):
    """Remember that token `who` spent start … end on a step."""
    token = world.tokens[who]
    world.spent[who, account] += end - start
    count = token.leaves
    if count < LEAVES:
        span = world.leaves[who, count]
        span.start, span.end, span.step = start - token.born, end - token.born, step
        token.leaves = count + 1
    else:  # the last place takes the newest, whose end a time-out may have to bring forward
        span = world.leaves[who, LEAVES - 1]
        span.start, span.end, span.step = start - token.born, end - token.born, step
        token.leaves = LEAVES + 1  # says that there were more


@part
def answered(who, world):
    """Count a request that got its answer."""
    token, now = world.tokens[who], world.clock[0].now
    latency = now - token.born
    journey = world.journeys[token.journey]
    journey.answered += 1
    journey.in_flight -= 1
    journey.seconds += latency
    place = bin_of(latency)
    world.latency[token.journey, place] += 1
    world.window[place] += 1
    stratum = stratum_of(latency)
    for account in range(ACCOUNTS):
        world.shares[token.journey, stratum, account] += world.spent[who, account]
    trace = world.traces[token.journey, stratum]
    if latency > trace.latency:
        keep(who, latency, stratum, world)


@aside
def failed(who, reason, world):
    """Count a request that failed, and why."""
    token = world.tokens[who]
    journey = world.journeys[token.journey]
    journey.failed += 1
    journey.in_flight -= 1
    world.reasons[token.journey, reason] += 1
    if world.traces[token.journey, STRATA + reason].request == NOBODY:
        token.reason = reason
        keep(who, world.clock[0].now - token.born, STRATA + reason, world)


@part
def keep(who, latency, place, world):
    """Copy a token's spans into the trace at (journey, place)."""
    token = world.tokens[who]
    trace = world.traces[token.journey, place]
    trace.request, trace.latency, trace.born = token.request, latency, token.born
    trace.reason, trace.visit, trace.background = token.reason, token.visit, 0
    trace.leaves = token.leaves
    row = token.journey * world.traces.shape[1] + place
    for index in range(min(token.leaves, LEAVES)):
        span, copy = world.leaves[who, index], world.trace_leaves[row, index]
        copy.start, copy.end, copy.step = span.start, span.end, span.step
    world.kept[token.request % KEPT_INDEX] = row


@part
def keep_background(who, world):
    """Add a finished message's spans to the trace of the request that sent it, if kept."""
    token = world.tokens[who]
    row = world.kept[token.request % KEPT_INDEX]
    if row == NOBODY:
        return
    width = world.traces.shape[1]
    trace = world.traces[row // width, row % width]
    if trace.request != token.request:
        return
    for index in range(min(token.leaves, LEAVES)):
        if trace.background == BACKGROUND:
            return
        span, copy = world.leaves[who, index], world.trace_leaves[row, LEAVES + trace.background]
        later = token.born - trace.born
        copy.start, copy.end, copy.step = span.start + later, span.end + later, span.step
        trace.background += 1
