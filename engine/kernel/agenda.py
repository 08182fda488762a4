"""The agenda: what happens when.

A 4-ary heap on three plain arrays, ordered by (due, order); it beat a binary heap of
records by a third.  Equal times keep the order in which they were made, which makes
every run deterministic.
"""

from engine.kernel.compile import part
from engine.kernel.tables import Kind, State


@part
def put(due, who, world):
    """Put an event on the agenda and return its order."""
    clock = world.clock[0]
    clock.order += 1
    order = clock.order
    hole = clock.pending
    clock.pending += 1
    while hole > 0:
        parent = (hole - 1) >> 2
        if world.due[parent] <= due:  # an equal one was there first
            break
        world.due[hole] = world.due[parent]
        world.order[hole] = world.order[parent]
        world.who[hole] = world.who[parent]
        hole = parent
    world.due[hole] = due
    world.order[hole] = order
    world.who[hole] = who
    return order


@part
def take(world):
    """Remove the earliest event and set the clock to it; return (who, order)."""
    clock = world.clock[0]
    due, order, whose = world.due, world.order, world.who
    clock.now = due[0]
    clock.events += 1
    taken, taken_order = whose[0], order[0]
    size = clock.pending - 1
    clock.pending = size
    last_due, last_order, last_who = due[size], order[size], whose[size]
    hole = 0
    child = 1
    while child < size:
        best = child
        stop = min(child + 4, size)
        for other in range(child + 1, stop):
            if due[other] < due[best] or (due[other] == due[best] and order[other] < order[best]):
                best = other
        if due[best] > last_due or (due[best] == last_due and order[best] > last_order):
            break
        due[hole], order[hole], whose[hole] = due[best], order[best], whose[best]
        hole = best
        child = 4 * hole + 1
    due[hole], order[hole], whose[hole] = last_due, last_order, last_who
    return taken, taken_order


@part
def wake(who, due, world):
    """Let token `who` walk on at time `due`."""
    token = world.tokens[who]
    token.state = State.EVENT
    token.order = put(due, who * 4 + Kind.TOKEN, world)
