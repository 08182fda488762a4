"""The loop: take the earliest event, let what it wakes walk until it must wait, go on."""

from engine.kernel.agenda import close_hole, take, wake
from engine.kernel.agenda import put as schedule
from engine.kernel.breaker import pass_breaker, report
from engine.kernel.channel import (
    acknowledge,
    deal,
    publish,
    refuse,
    requeue,
    serve,
    take_back,
)
from engine.kernel.choice import draw_key, look_up, route, set_register, split
from engine.kernel.compile import aside, door, entry, part
from engine.kernel.disturb import disturbed
from engine.kernel.fork import fork, gather, join, still
from engine.kernel.ledger import check, mark, recent, stamp, verify
from engine.kernel.limit import credit, limit
from engine.kernel.pool import admit, release, seize, shed
from engine.kernel.randomness import base_of, draw, uniform
from engine.kernel.record import answered, failed, leaf
from engine.kernel.scope import close_try, due_timer, open_try, retry_or_fail
from engine.kernel.share import end_job, share
from engine.kernel.source import TURNS, arrive, ask, plan, think
from engine.kernel.store import drop, get, put
from engine.kernel.tables import LEAVES, NOBODY, Kind, Op, Verdict
from engine.kernel.tokens import free, fresh
from engine.kernel.watch import outcome


@entry
def run_until(deadline, reserve, world):
    """Play every event due by `deadline`.

    Returns True when done, False when fewer than `reserve` tokens, messages or places on
    the agenda are free: the caller then makes room and calls again.  Nothing is lost.
    """
    clock = world.clock[0]
    while True:
        close_hole(world)
        if clock.pending == 0 or world.due[0] > deadline:
            break
        if (
            clock.spare < reserve
            or clock.spare_messages < reserve
            or clock.pending + reserve > len(world.due)
        ):
            return False
        event, order = take(world)
        who = awake(event >> 2, event & 3, order, world)
        if who != NOBODY:
            walk(who, event & 3 == Kind.LANE, world)
    clock.now = deadline
    return True


@part
def awake(index, kind, order, world):
    """Return the token that an event lets walk; NOBODY if the event counts no more."""
    if kind == Kind.TOKEN:
        return index if world.tokens[index].order == order else NOBODY
    if kind == Kind.SOURCE:
        return arrive(index, world) if world.sources[index].order == order else NOBODY
    if kind == Kind.PROCESSOR:
        return end_job(index, world) if world.processors[index].order == order else NOBODY
    return due_timer(index, world) if world.lanes[index].order == order else NOBODY


@part
def walk(who, failing, world):
    """Let one token take steps until it must wait or has ended; or first unwind it, failing."""
    token = world.tokens[who]
    verdict = Verdict.FAILED if failing else Verdict.NEXT
    while True:
        if verdict == Verdict.NEXT:
            row = token.step
            world.visits[row] += 1
            token.step = row + 1
            verdict = perform(world.steps[row], row, who, world)
        if verdict == Verdict.FAILED:
            verdict = retry_or_fail(who, world)
            if verdict == Verdict.FAILED:
                verdict = end_badly(who, world)
        if verdict != Verdict.NEXT:
            return


@part
def perform(step, row, who, world):
    """Do one step: the only place that maps an Op to its mechanism, commonest first."""
    op = step.op
    if op == Op.HOLD:
        return hold(row, who, world)
    if op == Op.SEIZE:
        return seize(step, who, world)
    if op == Op.RELEASE:
        release(who, True, world)
        return Verdict.NEXT
    if op == Op.ROUTE:
        return route(step, who, world)
    if op == Op.GET:
        return get(step, who, world)
    if op == Op.PUT:
        return put(step, who, world)
    if op == Op.DROP:
        return drop(step, who, world)
    if op == Op.KEY:
        return draw_key(step, who, world)
    if op == Op.SPLIT:
        return split(step, who, world)
    if op == Op.LOOKUP:
        return look_up(step, who, world)
    if op == Op.CHANCE:
        return chance(step, who, world)
    if op == Op.GO:
        world.tokens[who].step = step.jump
        return Verdict.NEXT
    if op == Op.TRY:
        return open_try(step, who, world)
    if op == Op.DONE:
        return close_try(who, world)
    if op == Op.FINISH:
        return finish(who, world)
    if op == Op.MARK:
        return mark(step, who, world)
    if op == Op.CHECK:
        return check(step, who, world)
    if op == Op.PUBLISH:
        return publish(step, who, world)
    if op == Op.ACK:
        return acknowledge(who, world)
    if op == Op.REQUEUE:
        return requeue(who, world)
    if op == Op.FORK:
        return fork(step, who, world)
    if op == Op.JOIN:
        return join(who, True, world)
    if op == Op.GATHER:
        return gather(who, world)
    if op == Op.ARRIVE:
        return ask(who, world)
    if op == Op.FAIL:
        if step.reason:
            world.tokens[who].reason = step.reason
        return Verdict.FAILED
    return perform_rarely(step, row, who, world)


@aside
def perform_rarely(step, row, who, world):
    """Do one step of a kind that few systems have: a call more, for a smaller loop."""
    op = step.op
    if op == Op.SHARE:
        return share(step, who, world)
    if op == Op.LIMIT:
        return limit(step, who, world)
    if op == Op.CREDIT:
        return credit(step, world)
    if op == Op.PASS:
        return pass_breaker(step, who, world)
    if op == Op.REPORT:
        return report(step, who, world)
    if op == Op.OUTCOME:
        return outcome(step, who, world)
    if op == Op.STILL:
        return still(who, world)
    if op == Op.SHED:
        return shed(step, who, world)
    if op == Op.SET:
        return set_register(step, who, world)
    if op == Op.RECENT:
        return recent(step, who, world)
    if op == Op.STAMP:
        return stamp(step, who, world)
    if op == Op.VERIFY:
        return verify(step, who, world)
    if op == Op.UNTIL:
        return wait_until(step, row, who, world)
    if op == Op.DISTURBED:
        return disturbed(step, row, who, world)
    free(who, world)  # Op.LEAVE
    return Verdict.OVER


@aside
def wait_until(step, row, who, world):
    """Let time pass until a moment, and a draw more; no time if that has gone by."""
    token, now = world.tokens[who], world.clock[0].now
    late = draw(world.dists[step.dist], token.root, step.label, token.visit, world)
    due = max(now, step.number + late)
    leaf(who, now, due, row, step.account, world)
    wake(who, due, world)
    return Verdict.WAIT


@part
def hold(row, who, world):
    """Let time pass.  Holds that follow each other make one event, and a span each."""
    token = world.tokens[who]
    start = world.clock[0].now
    while True:
        step = world.steps[row]
        dist = world.dists[step.dist + world.registers[who, step.by]]
        end = start + draw(dist, token.root, step.label, token.visit, world)
        leaf(who, start, end, row, step.account, world)
        start = end
        row = token.step
        if world.steps[row].op != Op.HOLD or token.leaves >= LEAVES:
            break
        world.visits[row] += 1
        token.step = row + 1
    wake(who, start, world)
    return Verdict.WAIT


@part
def chance(step, who, world):
    """Jump with probability `number`; with `register` 1 it comes out alike at every visit."""
    token = world.tokens[who]
    visit = token.visit * (1 - step.register)
    if uniform(token.root, step.label, visit) < step.number:
        token.step = step.jump
    return Verdict.NEXT


@part
def finish(who, world):
    """End a request that was answered."""
    answered(who, world)
    rest_or_leave(who, world)
    return Verdict.OVER


@aside
def end_badly(who, world):
    """End a message, a leg, an errand or a request that has failed for good."""
    token = world.tokens[who]
    if token.channel != NOBODY:
        return refuse(who, world)
    if token.parent != NOBODY:
        return join(who, False, world)
    if token.source == NOBODY:
        world.clock[0].wasted += 1
        free(who, world)
        return Verdict.OVER
    failed(who, token.reason, world)
    rest_or_leave(who, world)
    return Verdict.OVER


@part
def rest_or_leave(who, world):
    """Let a closed user think; an open request is gone."""
    token = world.tokens[who]
    if token.source != NOBODY and world.sources[token.source].rate < 0.0:
        think(who, world)
    else:
        free(who, world)


# ---------------------------------------------------------------- for the control plane


@door
def open_source(index, world):
    """Set an open source going."""
    plan(index, world)


@door
def make_due(index, world):
    """Put an open source's next request on the agenda anew, after its rate has changed."""
    source = world.sources[index]
    source.order = NOBODY
    if source.rate > 0.0:
        due = world.clock[0].now + source.left / source.rate
        source.order = schedule(due, index * 4 + Kind.SOURCE, world)


@door
def add_users(index, first, count, world):
    """Add closed users `first` and on; each begins by thinking."""
    for user in range(first, first + count):
        who = fresh(world)
        token = world.tokens[who]
        token.source, token.request = index, user * TURNS - 1
        think(who, world)


@door
def serve_line(index, world):
    """Let waiting tokens into the slots that a pool has gained."""
    pool = world.pools[index]
    while pool.head != NOBODY and pool.busy < pool.slots:
        admit(index, world)


@door
def serve_channel(index, world):
    """Let idle workers that a channel has gained take what waits; take back what nobody has."""
    channel = world.channels[index]
    for place in range(channel.first, channel.first + channel.partitions):
        worker = world.partitions[place].worker
        if worker != NOBODY:
            serve(index, worker, world)
        elif channel.prefetch > 0 and place > channel.first:
            take_back(channel, place, world)
    if channel.prefetch > 0:
        deal(index, channel.travel, world)


@door
def launch(row, key, journey, world):
    """Start a token of the control plane's own at a step, as a message about a key."""
    who = fresh(world)
    token = world.tokens[who]
    world.clock[0].errands += 1
    token.request = -world.clock[0].errands
    token.root = base_of(world.clock[0].seed, token.request)
    token.born = world.clock[0].now
    token.key, token.journey, token.step = key, journey, row
    token.source = token.user = NOBODY
    for register in range(world.registers.shape[1]):
        world.registers[who, register] = 0
    wake(who, world.clock[0].now, world)
