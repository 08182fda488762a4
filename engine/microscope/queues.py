"""Queues: messages in streams, consumer groups, claims; twin of kernel/channel.py.

Which message is next is the kernel's rule; the message itself comes out of a Redis stream,
and stands in the group's list of pending entries until it is acknowledged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.kernel.tables import NOBODY, Verdict
from engine.microscope.lines import release
from engine.microscope.scene import Held, Message

if TYPE_CHECKING:
    from engine.microscope.scene import Channel, Scene, Token
    from engine.microscope.script import Step


def publish(step: Step, token: Token, scene: Scene) -> int:
    """Send a message; start on it at once if its worker is free."""
    index = step.site + token.registers[step.by]
    channel = scene.channels[index]
    line = scene.partitions[channel.first].queue
    if 0 <= channel.room <= (len(line) if channel.prefetch else channel.waiting):
        channel.refused += 1
        token.reason = step.reason
        scene.journal.say(scene, token, step, f"{channel.kind} is full", level="warning")
        return Verdict.FAILED
    channel.published += 1
    place = channel.first + token.registers[step.register]
    _enqueue(channel, place, token, 0, step, scene)
    hand_out(index, scene.partitions[place].worker, channel.travel, scene)
    return Verdict.NEXT


def _enqueue(
    channel: Channel, place: int, token: Token, delivery: int, step: Step, scene: Scene
) -> None:
    """Put a message about a token's request at the end of a partition."""
    now = scene.now
    fields = {
        "request": token.request,
        "journey": token.journey,
        "key": token.key,
        "born": repr(now if delivery == 0 else token.born),
        "sent": repr(now),
        "delivery": delivery,
        "traceparent": scene.journal.parent_of(token),
    }
    number = place - channel.first
    entry, done = scene.parts.broker.add(channel.kind, number, now, fields)
    scene.partitions[place].queue.append(Message(entry, token.request, now, delivery, due=now))
    channel.waiting += 1
    scene.journal.say(scene, token, step, f"a message for {channel.kind}", done)


def hand_out(index: int, worker: int, travel: float, scene: Scene) -> None:
    """Let a worker that may be free take the next message; deal out what a prefetch lets it."""
    serve(index, worker, scene)
    if scene.channels[index].prefetch:
        deal(index, travel, scene)


def go_on(index: int, worker: int, scene: Scene) -> None:
    """Hand out what may be handed out now that a worker is done with a message."""
    hand_out(index, worker, 2.0 * scene.channels[index].travel, scene)


def deal(index: int, travel: float, scene: Scene) -> None:
    """Give workers what is in line, in turn, as long as one may have another message."""
    channel = scene.channels[index]
    line = scene.partitions[channel.first].queue
    if channel.retention > 0.0:
        _expire(channel, scene)
    while line:
        place = _whose_turn(channel, scene)
        if place == NOBODY:
            return
        message, partition = line.popleft(), scene.partitions[place]
        message.due = scene.now + travel
        partition.queue.append(message)
        _give(channel, message, partition.worker, scene)
        pool = scene.pools[partition.worker]
        if pool.busy < pool.slots:
            _deliver(index, place, partition.worker, scene)


def _whose_turn(channel: Channel, scene: Scene) -> int:
    """Return the partition of the next worker that may have another message; NOBODY if none."""
    count = channel.partitions - 1
    for offset in range(count):
        turn = (channel.turn + offset) % count
        partition = scene.partitions[channel.first + 1 + turn]
        if partition.worker == NOBODY:
            continue
        if len(partition.queue) + scene.pools[partition.worker].busy < channel.prefetch:
            channel.turn = (turn + 1) % count
            return channel.first + 1 + turn
    return NOBODY


def take_back(index: int, worker: int, scene: Scene) -> None:
    """Put what a worker was dealt and has not begun back in line, where it would be by its age."""
    channel = scene.channels[index]
    if not channel.prefetch:
        return
    line = scene.partitions[channel.first].queue
    for place in range(channel.first + 1, channel.first + channel.partitions):
        queue = scene.partitions[place].queue
        if scene.partitions[place].worker == worker and queue:
            for message in queue:
                message.claimed = True
            together = sorted([*line, *queue], key=lambda message: message.sent)
            queue.clear()
            line.clear()
            line.extend(together)


def serve(index: int, worker: int, scene: Scene) -> None:
    """Let a worker take the oldest message of its partitions, if it is free and there is one."""
    if worker == NOBODY:
        return
    channel, pool = scene.channels[index], scene.pools[worker]
    if channel.waiting == 0 or pool.busy >= pool.slots:
        return
    if channel.retention > 0.0:
        _expire(channel, scene)
    best = NOBODY
    for place in range(channel.first, channel.first + channel.partitions):
        queue = scene.partitions[place].queue
        if scene.partitions[place].worker != worker or not queue:
            continue
        if best == NOBODY or queue[0].sent < scene.partitions[best].queue[0].sent:
            best = place
    if best != NOBODY:
        _deliver(index, best, worker, scene)


def _expire(channel: Channel, scene: Scene) -> None:
    """Drop the messages that are older than the channel's retention."""
    for number in range(1 if channel.prefetch else channel.partitions):
        queue = scene.partitions[channel.first + number].queue
        while queue:
            born = scene.parts.broker.born(channel.kind, number, queue[0].entry)
            if scene.now - born <= channel.retention:
                break
            message = queue.popleft()
            scene.parts.broker.drop(channel.kind, number, message.entry)
            channel.waiting -= 1
            channel.expired += 1


def _deliver(index: int, place: int, worker: int, scene: Scene) -> None:
    """Take a partition's first message and let a token work on it."""
    channel, now = scene.channels[index], scene.now
    message = scene.partitions[place].queue.popleft()
    channel.waiting -= 1
    if not channel.prefetch:
        _give(channel, message, worker, scene, place - channel.first)
    consumer, fields = scene.consumer(worker, channel.kind), message.fields
    request, delivery = int(fields["request"]), message.delivery
    token = scene.fresh(request, scene.base(request), float(fields["born"]))
    token.registers = [0] * len(token.registers)
    token.key, token.journey = int(fields["key"]), int(fields["journey"])
    token.visit, token.delivery = delivery << 6, delivery
    token.channel, token.worker = index, worker
    token.partition = channel.first if channel.prefetch else place  # where it comes again
    token.entry, token.step, token.leaves = message.entry, channel.start, 1
    token.carries["span"] = scene.journal.parent_in(fields["traceparent"])
    scene.pools[worker].busy += 1
    token.holds.append(Held(worker, message.sent, now))
    what = "again" if delivery or message.claimed else "for the first time"
    step = scene.steps[channel.start - 1]
    text = f"{consumer} gets the message {what}"
    if message.given is not None and message.given < now:
        text += f"; it was dealt it {(now - message.given) * 1e3:.1f} ms ago"
    scene.journal.say(scene, token, step, text, message.done)
    scene.wake(token, max(now, message.due))
    scene.start(token)


def _give(
    channel: Channel, message: Message, worker: int, scene: Scene, partition: int = 0
) -> None:
    """Take a message out of its stream: from now on it is pending with a worker."""
    consumer, broker = scene.consumer(worker, channel.kind), scene.parts.broker
    take = broker.claim if message.claimed else broker.take
    message.fields, message.done = take(channel.kind, partition, consumer, message.entry)
    message.given = scene.now


def acknowledge(step: Step, token: Token, scene: Scene) -> int:
    """End a message that was processed, and take the next."""
    index, worker = token.channel, token.worker
    channel = scene.channels[index]
    channel.processed += 1
    done = scene.parts.broker.acknowledge(
        channel.kind, token.partition - channel.first, token.entry
    )
    scene.journal.say(scene, token, step, "done: the message is acknowledged", done)
    release(token, scene)
    scene.free(token)
    go_on(index, worker, scene)
    return Verdict.OVER


def refuse(step: Step, token: Token, scene: Scene) -> int:
    """Deliver a failed message again after a pause, or dead-letter it; take the next."""
    index, worker = token.channel, token.worker
    channel = scene.channels[index]
    why = scene.script.reasons.get(token.reason, "")
    if token.delivery + 1 < channel.attempts:
        channel.redelivered += 1
        channel.delayed += 1
        pause = scene.dists[channel.again].draw(token.root, 0, token.visit)
        token.step = channel.start - 1
        scene.wake(token, scene.now + pause)
        text = f"{why}: it stays pending and comes again in {pause * 1e3:.0f} ms"
        scene.journal.say(scene, token, step, text, level="warning")
        verdict = Verdict.WAIT
    else:
        channel.dead += 1
        number = token.partition - channel.first
        done = scene.parts.broker.bury(channel.kind, number, token.entry, scene.now, why)
        scene.journal.say(scene, token, step, f"{why}: a dead letter", done, level="error")
        scene.free(token)
        verdict = Verdict.OVER
    go_on(index, worker, scene)
    return verdict


def requeue(step: Step, token: Token, scene: Scene) -> int:
    """Put a message that failed back at the end of its partition."""
    index, place = token.channel, token.partition
    channel = scene.channels[index]
    channel.delayed -= 1
    scene.parts.broker.acknowledge(channel.kind, place - channel.first, token.entry)
    _enqueue(channel, place, token, token.delivery + 1, step, scene)
    scene.free(token)
    hand_out(index, scene.partitions[place].worker, channel.travel, scene)
    return Verdict.OVER


def put_back(token: Token, due: float, scene: Scene) -> None:
    """Give back a message whose worker has died: to the head of its partition, or later."""
    channel, partition = scene.channels[token.channel], scene.partitions[token.partition]
    channel.redelivered += 1
    if due > scene.now:
        channel.delayed += 1
        token.step = channel.start - 1
        scene.wake(token, due)
        return
    message = Message(
        token.entry, token.request, scene.now, token.delivery + 1, claimed=True, due=scene.now
    )
    partition.queue.appendleft(message)
    channel.waiting += 1
    scene.free(token)
