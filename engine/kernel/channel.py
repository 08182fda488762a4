"""Channels: messages that wait in partitions for workers.

PUBLISH  site + register[by]: the channel; register: which partition; reason: when it is full.
ACK      the end of a message that was processed.
REQUEUE  puts a message that failed back into its partition.

A partition is served by one worker, in order (Kafka); a shared channel has one partition
that all its workers take from (SQS).  With a `prefetch` the broker pushes (RabbitMQ): the first
partition is the line, and each worker has one for what it was dealt, in turn, and has not begun;
with what it has in hand that is `prefetch` at most.  It takes `travel` to reach it, twice as long
where an acknowledgement has to get back first.

Delivery is at least once: a message whose processing fails is delivered again, at most `attempts`
times, then dead-lettered.  With a retention, a message that has waited longer is dropped unread,
unless it was dealt to a worker.
"""

from engine.kernel.agenda import wake
from engine.kernel.compile import aside, part
from engine.kernel.pool import grant, release, settle
from engine.kernel.randomness import draw
from engine.kernel.record import keep_background
from engine.kernel.tables import NOBODY, Verdict
from engine.kernel.tokens import free, fresh


@aside
def publish(step, who, world):
    """Send a message; start on it at once if its worker is free."""
    token = world.tokens[who]
    channel_index = step.site + world.registers[who, step.by]
    channel = world.channels[channel_index]
    waiting = channel.waiting
    if channel.prefetch > 0:  # what was dealt out takes no room: RabbitMQ's x-max-length
        waiting = world.partitions[channel.first].waiting
    if 0 <= channel.room <= waiting:
        channel.refused += 1
        token.reason = step.reason
        return Verdict.FAILED
    channel.published += 1
    world.meters[channel.meter].asked += 1
    place = channel.first + world.registers[who, step.register]
    enqueue(channel_index, place, token, 0, world)
    hand_out(channel_index, world.partitions[place].worker, channel.travel, world)
    return Verdict.NEXT


@aside
def enqueue(channel_index, place, token, delivery, world):
    """Put a message about a token's request at the end of a partition."""
    partition, index = world.partitions[place], compose(token, delivery, world)
    append(partition, index, world)
    count_in(world.channels[channel_index], world.clock[0].now)


@part
def append(partition, index, world):
    """Put a message at the end of a partition."""
    world.messages[index].behind = NOBODY
    if partition.tail == NOBODY:
        partition.head = index
    else:
        world.messages[partition.tail].behind = index
    partition.tail = index
    partition.waiting += 1


@part
def compose(token, delivery, world):
    """Write a message about a token's request; return its index."""
    clock, index = world.clock[0], world.clock[0].free_message
    message = world.messages[index]
    clock.free_message = message.behind
    clock.spare_messages -= 1
    message.root, message.request, message.key = token.root, token.request, token.key
    message.born = clock.now if delivery == 0 else token.born
    message.journey, message.visit = token.journey, delivery
    message.sent = message.due = clock.now
    return index


@part
def count_in(channel, now):
    """Count one more message that waits."""
    tally(channel, now)
    channel.waiting += 1


@part
def tally(channel, now):
    """Bring the time integral of a channel's depth up to now."""
    channel.waiting_area += channel.waiting * (now - channel.last)
    channel.last = now


@part
def hand_out(channel_index, worker, travel, world):
    """Let a worker that may be free take the next message; deal out what a prefetch lets it."""
    serve(channel_index, worker, world)
    if world.channels[channel_index].prefetch > 0:
        deal(channel_index, travel, world)


@aside
def go_on(channel_index, worker, world):
    """Hand out what may be handed out now that a worker is done with a message."""
    hand_out(channel_index, worker, 2.0 * world.channels[channel_index].travel, world)


@aside
def deal(channel_index, travel, world):
    """Give workers what is in line, in turn, as long as one may have another message."""
    channel = world.channels[channel_index]
    line = world.partitions[channel.first]
    if channel.retention > 0.0:
        expire(channel_index, world)
    while line.head != NOBODY:
        place = whose_turn(channel, world)
        if place == NOBODY:
            return
        index, partition = line.head, world.partitions[place]
        message = world.messages[index]
        unhook(line, message)
        message.due = world.clock[0].now + travel
        append(partition, index, world)
        pool = world.pools[partition.worker]
        if pool.busy < pool.slots:
            deliver(channel_index, place, partition.worker, world)


@aside
def whose_turn(channel, world):
    """Return the partition of the next worker that may have another message; NOBODY if none."""
    count = channel.partitions - 1
    for offset in range(count):
        turn = (channel.turn + offset) % count
        place = channel.first + 1 + turn
        partition = world.partitions[place]
        if partition.worker == NOBODY:
            continue
        if partition.waiting + world.pools[partition.worker].busy < channel.prefetch:
            channel.turn = (turn + 1) % count
            return place
    return NOBODY


@aside
def take_back(channel, place, world):
    """Put what a worker was dealt and has not begun back in line, where it would be by its age."""
    line, partition = world.partitions[channel.first], world.partitions[place]
    ahead = NOBODY
    while partition.head != NOBODY:
        index = partition.head
        message = world.messages[index]
        unhook(partition, message)
        behind = line.head if ahead == NOBODY else world.messages[ahead].behind
        while behind != NOBODY and world.messages[behind].sent <= message.sent:
            ahead = behind
            behind = world.messages[ahead].behind
        message.behind = behind
        if ahead == NOBODY:
            line.head = index
        else:
            world.messages[ahead].behind = index
        if behind == NOBODY:
            line.tail = index
        line.waiting += 1
        ahead = index


@aside
def serve(channel_index, worker, world):
    """Let a worker take the oldest message of its partitions, if it is free and there is one."""
    if worker == NOBODY:
        return
    channel, pool = world.channels[channel_index], world.pools[worker]
    if channel.waiting == 0 or pool.busy >= pool.slots:
        return
    if channel.retention > 0.0:
        expire(channel_index, world)
    best = NOBODY
    for place in range(channel.first, channel.first + channel.partitions):
        partition = world.partitions[place]
        if partition.worker != worker or partition.head == NOBODY:
            continue
        if best == NOBODY or (
            world.messages[partition.head].sent < world.messages[world.partitions[best].head].sent
        ):
            best = place
    if best != NOBODY:
        deliver(channel_index, best, worker, world)


@aside
def expire(channel_index, world):
    """Drop the messages that are older than the channel's retention."""
    clock, channel = world.clock[0], world.channels[channel_index]
    places = channel.partitions if channel.prefetch == 0 else 1
    for place in range(channel.first, channel.first + places):
        partition = world.partitions[place]
        while partition.head != NOBODY:
            index = partition.head
            message = world.messages[index]
            if clock.now - message.born <= channel.retention:
                break
            unhook(partition, message)
            tally(channel, clock.now)
            channel.waiting -= 1
            channel.expired += 1
            message.behind = clock.free_message
            clock.free_message = index
            clock.spare_messages += 1


@part
def unhook(partition, message):
    """Take the first message out of a partition."""
    partition.head = message.behind
    if partition.head == NOBODY:
        partition.tail = NOBODY
    partition.waiting -= 1


@aside
def deliver(channel_index, place, worker, world):
    """Take a partition's first message and let a token work on it."""
    clock, channel, partition = (
        world.clock[0],
        world.channels[channel_index],
        world.partitions[place],
    )
    index = partition.head
    message = world.messages[index]
    unhook(partition, message)
    tally(channel, clock.now)
    channel.waiting -= 1
    who = fresh(world)
    token = world.tokens[who]
    token.root, token.request, token.born = message.root, message.request, message.born
    token.key, token.journey, token.visit = message.key, message.journey, message.visit << 6
    token.delivery, token.channel = message.visit, channel_index
    token.partition = place if channel.prefetch == 0 else channel.first  # where it comes again
    token.source = token.user = NOBODY
    token.step = channel.start
    for register in range(world.registers.shape[1]):
        world.registers[who, register] = 0
    there = max(clock.now, message.due)
    span = world.leaves[who, 0]  # the wait in line, told by the program's first step
    span.start, span.end = message.sent - message.born, there - message.born
    span.step = channel.start - 1
    token.leaves = 1
    settle(world.pools[worker], clock.now)
    world.pools[worker].busy += 1
    grant(who, worker, message.sent, clock.now, world)
    message.behind = clock.free_message
    clock.free_message = index
    clock.spare_messages += 1
    wake(who, there, world)


@aside
def acknowledge(who, world):
    """End a message that was processed, and take the next."""
    token = world.tokens[who]
    channel = token.channel
    worker = world.holds[who, 0].pool  # the partition may have another owner by now
    release(who, True, world)
    world.channels[channel].processed += 1
    keep_background(who, world)
    free(who, world)
    go_on(channel, worker, world)
    return Verdict.OVER


@aside
def refuse(who, world):
    """Deliver a failed message again after a pause, or dead-letter it; take the next."""
    token, clock = world.tokens[who], world.clock[0]
    channel_index = token.channel
    channel = world.channels[channel_index]
    worker = world.holds[who, 0].pool
    if token.delivery + 1 < channel.attempts:
        channel.redelivered += 1
        channel.delayed += 1
        pause = draw(world.dists[channel.again], token.root, 0, token.visit, world)
        token.step = channel.start - 1
        wake(who, clock.now + pause, world)
        verdict = Verdict.WAIT
    else:
        channel.dead += 1
        keep_background(who, world)
        free(who, world)
        verdict = Verdict.OVER
    go_on(channel_index, worker, world)
    return verdict


@aside
def requeue(who, world):
    """Put a message that failed back at the end of its partition."""
    token = world.tokens[who]
    index, place = token.channel, token.partition
    channel = world.channels[index]
    channel.delayed -= 1
    enqueue(index, place, token, token.delivery + 1, world)
    free(who, world)
    hand_out(index, world.partitions[place].worker, channel.travel, world)
    return Verdict.OVER


@aside
def put_back(who, due, world):
    """Give back a message whose worker has died: to the head of its partition, or later."""
    token, now = world.tokens[who], world.clock[0].now
    channel, partition = world.channels[token.channel], world.partitions[token.partition]
    channel.redelivered += 1
    if due > now:
        channel.delayed += 1
        token.step = channel.start - 1
        wake(who, due, world)
        return
    index = compose(token, token.delivery + 1, world)
    world.messages[index].behind = partition.head
    if partition.head == NOBODY:
        partition.tail = index
    partition.head = index
    partition.waiting += 1
    count_in(channel, now)
    free(who, world)
