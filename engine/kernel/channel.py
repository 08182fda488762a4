"""Channels: messages that wait in partitions for workers.

PUBLISH  site + register[by]: the channel; register: which partition; reason: when it is full.
ACK      the end of a message that was processed.
REQUEUE  puts a message that failed back into its partition.

A partition is served by one worker, in order (Kafka); a shared channel has one partition
that all its workers take from (RabbitMQ, SQS).  Delivery is at least once: a message whose
processing fails is delivered again, at most `attempts` times, then dead-lettered.  With a
retention, a message that has waited longer is dropped unread.
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
    if 0 <= channel.room <= channel.waiting:
        channel.refused += 1
        token.reason = step.reason
        return Verdict.FAILED
    channel.published += 1
    world.meters[channel.meter].asked += 1
    place = channel.first + world.registers[who, step.register]
    enqueue(channel_index, place, token, 0, world)
    serve(channel_index, world.partitions[place].worker, world)
    return Verdict.NEXT


@aside
def enqueue(channel_index, place, token, delivery, world):
    """Put a message about a token's request at the end of a partition."""
    partition, index = world.partitions[place], compose(token, delivery, world)
    if partition.tail == NOBODY:
        partition.head = index
    else:
        world.messages[partition.tail].behind = index
    partition.tail = index
    count_in(world.channels[channel_index], partition, world.clock[0].now)


@part
def compose(token, delivery, world):
    """Write a message about a token's request; return its index."""
    clock, index = world.clock[0], world.clock[0].free_message
    message = world.messages[index]
    clock.free_message = message.behind
    clock.spare_messages -= 1
    message.root, message.request, message.key = token.root, token.request, token.key
    message.born = clock.now if delivery == 0 else token.born
    message.journey, message.visit, message.sent = token.journey, delivery, clock.now
    message.behind = NOBODY
    return index


@part
def count_in(channel, partition, now):
    """Count one more message that waits."""
    partition.waiting += 1
    tally(channel, now)
    channel.waiting += 1


@part
def tally(channel, now):
    """Bring the time integral of a channel's depth up to now."""
    channel.waiting_area += channel.waiting * (now - channel.last)
    channel.last = now


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
    for place in range(channel.first, channel.first + channel.partitions):
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
    token.delivery, token.channel, token.partition = message.visit, channel_index, place
    token.source = token.user = NOBODY
    token.step = channel.start
    for register in range(world.registers.shape[1]):
        world.registers[who, register] = 0
    span = world.leaves[who, 0]  # the wait in line, told by the program's first step
    span.start, span.end = message.sent - message.born, clock.now - message.born
    span.step = channel.start - 1
    token.leaves = 1
    settle(world.pools[worker], clock.now)
    world.pools[worker].busy += 1
    grant(who, worker, message.sent, clock.now, world)
    message.behind = clock.free_message
    clock.free_message = index
    clock.spare_messages += 1
    wake(who, clock.now, world)


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
    serve(channel, worker, world)
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
    serve(channel_index, worker, world)
    return verdict


@aside
def requeue(who, world):
    """Put a message that failed back at the end of its partition."""
    token = world.tokens[who]
    channel, place = token.channel, token.partition
    world.channels[channel].delayed -= 1
    enqueue(channel, place, token, token.delivery + 1, world)
    free(who, world)
    serve(channel, world.partitions[place].worker, world)
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
    count_in(channel, partition, now)
    free(who, world)
