"""The agenda: what happens when.

A 4-ary heap on three plain arrays, ordered by (due, order); it beat a binary heap of
records by a third.  Equal times keep the order in which they were made, which makes
every run deterministic.

Most events make one other: a token wakes and goes to sleep again.  So the event that was
taken leaves a hole at the top, which the next one to be put fills on its way down; only
if none comes is the hole closed with the last event of the heap.
"""

from engine.kernel.compile import part
from engine.kernel.tables import Kind, State


@part
def put(due, who, world):
    """Put an event on the agenda and return its order."""
    clock = world.clock[0]
    clock.order += 1
    order = clock.order
    if clock.hole:
        clock.hole = 0
        sink(due, order, who, clock.pending, world)
        return order
    place = clock.pending
    clock.pending += 1
    while place > 0:
        parent = (place - 1) >> 2
        if world.due[parent] <= due:  # an equal one was there first
            break
        world.due[place] = world.due[parent]
        world.order[place] = world.order[parent]
        world.who[place] = world.who[parent]
        place = parent
    world.due[place] = due
    world.order[place] = order
    world.who[place] = who
    return order


@part
def take(world):
    """Take the earliest event and set the clock to it; return (who, order)."""
    clock = world.clock[0]
    clock.now = world.due[0]
    clock.events += 1
    clock.hole = 1
    return world.who[0], world.order[0]


@part
def close_hole(world):
    """Fill the place of an event that was taken and made no other."""
    clock = world.clock[0]
    if clock.hole:
        clock.hole = 0
        clock.pending -= 1
        last = clock.pending
        sink(world.due[last], world.order[last], world.who[last], last, world)


@part
def sink(last_due, last_order, last_who, size, world):
    """Put an event in the hole at the top of a heap of `size`, and let it sink to its place."""
    due, order, whose = world.due, world.order, world.who
    place, child = 0, 1
    while child + 3 < size:  # four children: pick without branches, which would be guessed wrong
        first = child + earlier(child + 1, child, due, order)
        other = child + 2 + earlier(child + 3, child + 2, due, order)
        best = other if earlier(other, first, due, order) else first
        if due[best] > last_due or (due[best] == last_due and order[best] > last_order):
            child = size
            break
        due[place], order[place], whose[place] = due[best], order[best], whose[best]
        place = best
        child = 4 * place + 1
    if child < size:  # the last, incomplete family
        best = child
        for other in range(child + 1, size):
            best = other if earlier(other, best, due, order) else best
        if due[best] < last_due or (due[best] == last_due and order[best] < last_order):
            due[place], order[place], whose[place] = due[best], order[best], whose[best]
            place = best
    due[place], order[place], whose[place] = last_due, last_order, last_who


@part
def earlier(one, other, due, order):
    """Return 1 if one event comes before another, else 0; ties by the order they were made in."""
    before = (due[one] < due[other]) | ((due[one] == due[other]) & (order[one] < order[other]))
    return 1 if before else 0


@part
def wake(who, due, world):
    """Let token `who` walk on at time `due`."""
    token = world.tokens[who]
    token.state = State.EVENT
    token.order = put(due, who * 4 + Kind.TOKEN, world)
