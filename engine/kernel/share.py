"""Shares: a processor whose cores are shared by all who compute on it.

SHARE  site + register[by]: the processor; dist: what the job computes; account: of its stay.

Egalitarian processor sharing: of n jobs on c cores each goes on at min(1, c / n).  A virtual
clock runs at that pace, so a job ends when the clock has gone on by its size, whoever comes
and goes meanwhile; jobs stand in the order in which they end.  A processor at speed 0 stands
still and goes on later: a pause for garbage collection, a breakdown.
"""

from engine.kernel.agenda import put
from engine.kernel.compile import aside, door
from engine.kernel.pool import settle
from engine.kernel.randomness import draw
from engine.kernel.record import bin_of, leaf
from engine.kernel.tables import DOOMED, NOBODY, Kind, State, Verdict


@aside
def share(step, who, world):
    """Begin a job."""
    token = world.tokens[who]
    size = draw(world.dists[step.dist], token.root, step.label, token.visit, world)
    return begin_job(step, size, who, world)


@aside
def begin_job(step, size, who, world):
    """Begin a job of a size, seconds on a core of its own."""
    index = step.site + world.registers[who, step.by]
    processor, token, now = world.processors[index], world.tokens[who], world.clock[0].now
    catch_up(processor, now)
    job = world.holds[who, token.holds]  # on top of what it holds
    job.asked, job.got = processor.virtual + size, size
    token.state, token.queue, token.began = State.SHARING, NOBODY, now
    before = processor.tail
    while before != NOBODY and job_of(before, world).asked > job.asked:
        before = world.tokens[before].before
    behind = processor.head if before == NOBODY else world.tokens[before].behind
    token.before, token.behind = before, behind
    if before == NOBODY:
        processor.head = who
    else:
        world.tokens[before].behind = who
    if behind == NOBODY:
        processor.tail = who
    else:
        world.tokens[behind].before = who
    world.meters[world.pools[processor.pool].meter].asked += 1
    crowd(processor, processor.jobs + 1, world)
    plan_end(index, world)
    return Verdict.WAIT


@aside
def job_of(who, world):
    """Return the row that tells when a token's job ends (`asked`) and its size (`got`)."""
    return world.holds[who, world.tokens[who].holds]


@aside
def pace(processor):
    """Return how fast each job goes on."""
    if processor.jobs <= processor.cores:
        return processor.speed
    return processor.speed * processor.cores / processor.jobs


@aside
def catch_up(processor, now):
    """Bring the virtual clock up to now."""
    if processor.jobs == 0:
        processor.virtual = 0.0
    else:
        processor.virtual += (now - processor.last) * pace(processor)
    processor.last = now


@aside
def crowd(processor, jobs, world):
    """Note how many jobs there are; those that no core is left for count as waiting."""
    pool = world.pools[processor.pool]
    settle(pool, world.clock[0].now)
    processor.jobs = jobs
    pool.busy = min(jobs, processor.cores)
    pool.waiting = jobs - pool.busy


@aside
def plan_end(index, world):
    """Put the end of the first job on the agenda; what was there before counts no more."""
    processor = world.processors[index]
    processor.order = NOBODY
    if processor.head == NOBODY or processor.speed <= 0.0:
        return
    left = max(0.0, job_of(processor.head, world).asked - processor.virtual)
    due = world.clock[0].now + left / pace(processor)
    processor.order = put(due, index * 4 + Kind.PROCESSOR, world)


@aside
def end_job(index, world):
    """Return the token whose job is done."""
    processor, now = world.processors[index], world.clock[0].now
    who = processor.head
    token, job = world.tokens[who], job_of(who, world)
    catch_up(processor, now)
    processor.virtual = job.asked  # exact, whatever the sums of small steps came to
    take_off(processor, token, world)
    index_of_meter = world.pools[processor.pool].meter
    meter, stay = world.meters[index_of_meter], now - token.began
    meter.served += 1
    meter.stay += stay
    meter.work += job.got
    meter.wait += max(0.0, stay - job.got)
    world.waits[index_of_meter, bin_of(max(0.0, stay - job.got))] += 1
    world.stays[index_of_meter, bin_of(stay)] += 1
    row = token.step - 1
    leaf(who, token.began, now, row, world.steps[row].account, world)
    token.state = State.EVENT
    if token.needed == DOOMED:
        token.needed, token.step = 0, len(world.steps) - 1
    crowd(processor, processor.jobs - 1, world)
    plan_end(index, world)
    return who


@aside
def take_off(processor, token, world):
    """Take a job out of the order in which they end."""
    if token.before == NOBODY:
        processor.head = token.behind
    else:
        world.tokens[token.before].behind = token.behind
    if token.behind == NOBODY:
        processor.tail = token.before
    else:
        world.tokens[token.behind].before = token.before


@aside
def break_off(who, world):
    """Take a token's job off its processor, done or not."""
    token, now = world.tokens[who], world.clock[0].now
    step = world.steps[token.step - 1]
    index = step.site + world.registers[who, step.by]
    processor, job = world.processors[index], job_of(who, world)
    catch_up(processor, now)
    meter = world.meters[world.pools[processor.pool].meter]
    meter.failed += 1
    meter.work += min(job.got, max(0.0, job.got - (job.asked - processor.virtual)))
    take_off(processor, token, world)
    crowd(processor, processor.jobs - 1, world)
    plan_end(index, world)


@door
def set_speed(index, speed, world):
    """Let a processor go on at another speed from now on."""
    processor = world.processors[index]
    catch_up(processor, world.clock[0].now)
    processor.speed = speed
    plan_end(index, world)
