"""The Kubernetes Horizontal Pod Autoscaler's arithmetic, as pure functions.

After pkg/controller/podautoscaler of Kubernetes: replica_calculator.go (how many replicas the
metrics ask for) and horizontal.go (stabilisation, policies, limits).  Times are seconds on one
clock, CPU is in thousandths of a core; ratios are computed as Go computes them, in 64 bit floats.
Every rule is held case by case against the tests of Kubernetes itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

# pkg/controller/podautoscaler/config/v1alpha1/defaults.go
SYNC_SECONDS = 15.0
TOLERANCE = 0.1
DOWNSCALE_STABILISATION_SECONDS = 300.0

Kind = Literal["Pods", "Percent"]
Select = Literal["Max", "Min", "Disabled"]
Phase = Literal["Running", "Pending", "Failed"]
Limit = Literal["ScaleUpLimit", "ScaleDownLimit", "TooManyReplicas", "TooFewReplicas"]
Reason = Limit | Literal["DesiredWithinRange", "ScaleUpStabilized", "ScaleDownStabilized"]
Moment = tuple[float, int]  # (when, how many replicas were recommended, added or removed)


Usage = Callable[[Mapping[str, int]], int]


class MissingError(ValueError):
    """Metrics or requests that the controller cannot do without; it leaves the scale alone."""


class Policy(NamedTuple):
    """By how much a scale may change within a period."""

    kind: Kind
    value: int  # pods, or percent of the replicas at the period's beginning
    period_seconds: float


@dataclass(frozen=True)
class Rules:
    """How a scale may change in one direction: HPAScalingRules."""

    policies: tuple[Policy, ...]
    select: Select = "Max"
    stabilisation_seconds: float = 0.0


# pkg/apis/autoscaling/v2/defaults.go
SCALE_UP = Rules((Policy("Pods", 4, 15.0), Policy("Percent", 100, 15.0)))
SCALE_DOWN = Rules(
    (Policy("Percent", 100, 15.0),), stabilisation_seconds=DOWNSCALE_STABILISATION_SECONDS
)


@dataclass(frozen=True)
class Pod:
    """What the controller knows of a pod."""

    request: int | None = None  # thousandths of a core; None: its containers name none
    phase: Phase = "Running"
    deleting: bool = False
    ready: bool = True
    started: float = -math.inf
    changed: float = -math.inf  # when it last became ready, or stopped to be


class Metric(NamedTuple):
    """What a pod uses, in the mean of a window that ended at a time."""

    value: int
    at: float = math.inf
    window_seconds: float = 0.0


class Grace(NamedTuple):
    """How long the CPU of a pod that starts may say nothing; the controller's defaults."""

    initialisation_seconds: float = 300.0
    readiness_seconds: float = 30.0


GRACE = Grace()


class Groups(NamedTuple):
    """Pods by what their metrics are good for."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


class Wanted(NamedTuple):
    """How many replicas a metric asks for, and what it is now: percent, or as it is measured."""

    replicas: int
    usage: int


# ---------------------------------------------------------------- what metrics ask for


def resource(
    current: int,
    pods: Mapping[str, Pod],
    metrics: Mapping[str, Metric],
    target_percent: int,
    now: float = 0.0,
    *,
    tolerance: float = TOLERANCE,
    initialisation_seconds: float = GRACE.initialisation_seconds,
    readiness_seconds: float = GRACE.readiness_seconds,
) -> Wanted:
    """Return the replicas that hold CPU at a share of what pods request: GetResourceReplicas.

    The utilisation is truncated to a whole percent.  Before a scale-down, pods without a metric
    count as using all they request; before a scale-up, as using nothing, and so do those that
    are not ready.  A change that this turns round is not made.  Raises MissingError.
    """
    if not metrics:
        raise MissingError(
            "unable to get metrics for resource cpu: no metrics returned from resource metrics API"
        )
    if any(pod.request is None for pod in pods.values()):
        raise MissingError("missing request for cpu")
    requests = {name: pod.request or 0 for name, pod in pods.items()}
    grace = Grace(initialisation_seconds, readiness_seconds)
    groups = grouped(pods, metrics, now, grace)

    def usage(known: Mapping[str, int]) -> int:
        wanted = sum(requests[name] for name in known if name in requests)
        if not wanted:
            raise MissingError("no metrics returned matched known pods")
        return sum(value for name, value in known.items() if name in requests) * 100 // wanted

    return _settled(current, groups, metrics, usage, target_percent, requests, tolerance)


def pods_average(
    current: int,
    pods: Mapping[str, Pod],
    metrics: Mapping[str, Metric],
    target: int,
    *,
    tolerance: float = TOLERANCE,
) -> Wanted:
    """Return the replicas that hold a metric of each pod at a mean: GetMetricReplicas.

    As `resource`, but pods that are not ready count, and no request is known: before a
    scale-down, pods without a metric count as being at the target.
    """
    groups, full = grouped(pods, metrics, 0.0, None), dict.fromkeys(pods, target)

    def usage(known: Mapping[str, int]) -> int:
        return sum(known.values()) // len(known)

    return _settled(current, groups, metrics, usage, target, full, tolerance)


def _settled(
    current: int,
    groups: Groups,
    metrics: Mapping[str, Metric],
    usage: Usage,
    target: int,
    full: Mapping[str, int],
    tolerance: float,
) -> Wanted:
    """Return what is wanted by what is known, and then by the worst that is not."""
    out = groups.ignored | groups.unready
    known = {name: metric.value for name, metric in metrics.items() if name not in out}
    if not known:
        raise MissingError("did not receive metrics for any ready pods")
    used = usage(known)
    ratio = used / target
    rebalance = bool(groups.unready) and ratio > 1.0
    if not rebalance and not groups.missing:
        if abs(1.0 - ratio) <= tolerance:
            return Wanted(current, used)
        return Wanted(math.ceil(ratio * groups.ready), used)
    if ratio < 1.0:
        known |= {name: full[name] for name in groups.missing}
    elif ratio > 1.0:
        known |= dict.fromkeys(groups.missing, 0)
    if rebalance:
        known |= dict.fromkeys(groups.unready, 0)
    after = usage(known) / target
    if abs(1.0 - after) <= tolerance or (ratio < 1.0 < after) or (after < 1.0 < ratio):
        return Wanted(current, used)
    replicas = math.ceil(after * len(known))
    if (after < 1.0 and replicas > current) or (after > 1.0 and replicas < current):
        return Wanted(current, used)
    return Wanted(replicas, used)


def value(
    current: int, usage: int, target: int, ready: int, *, tolerance: float = TOLERANCE
) -> Wanted:
    """Return the replicas that hold one metric of the whole at a value: getUsageRatioReplicaCount.

    >>> value(current=4, usage=90, target=100, ready=4).replicas
    4
    """
    ratio = usage / target
    if current and abs(1.0 - ratio) <= tolerance:
        return Wanted(current, usage)
    return Wanted(math.ceil(ratio * ready if current else ratio), usage)


def average(current: int, usage: int, target: int, *, tolerance: float = TOLERANCE) -> Wanted:
    """Return the replicas over which one metric of the whole comes to a value each.

    GetExternalPerPodMetricReplicas: what a queue's depth is scaled by.

    >>> average(current=5, usage=8600, target=2867)
    Wanted(replicas=3, usage=1720)
    """
    replicas = current
    if abs(1.0 - usage / (target * current)) > tolerance:
        replicas = math.ceil(usage / target)
    return Wanted(replicas, math.ceil(usage / current))


def grouped(
    pods: Mapping[str, Pod], metrics: Mapping[str, Metric], now: float, grace: Grace | None
) -> Groups:
    """Return pods by what their metrics are good for: groupPods.

    Whether a pod is ready matters for CPU alone; for all else there is no `grace`.
    """
    ignored = {n for n, pod in pods.items() if pod.deleting or pod.phase == "Failed"}
    unready = {n for n, pod in pods.items() if n not in ignored and pod.phase == "Pending"}
    missing = {n for n in pods if n not in ignored | unready | metrics.keys()}
    ready = pods.keys() - ignored - unready - missing
    if grace:
        unready |= {name for name in ready if starting(pods[name], metrics[name], now, grace)}
    return Groups(len(ready - unready), frozenset(unready), frozenset(missing), frozenset(ignored))


def starting(pod: Pod, metric: Metric, now: float, grace: Grace) -> bool:
    """Return whether what a pod uses says nothing yet.

    While it may still be starting up, its readiness has to be as old as the metric's window;
    later, it is enough that it was ever ready.
    """
    if pod.started + grace.initialisation_seconds > now:
        return not pod.ready or metric.at < pod.changed + metric.window_seconds
    return not pod.ready and pod.started + grace.readiness_seconds > pod.changed


def used(containers: Mapping[str, int], container: str, pod: str) -> int:
    """Return what a pod's containers use, or one of them; MissingError if that is not there."""
    if container and container not in containers:
        raise MissingError(f"container {container} not present in metrics for pod {pod}")
    return containers[container] if container else sum(containers.values())


# ---------------------------------------------------------------- what of it is done


def stabilised(
    current: int,
    desired: int,
    recommendations: Sequence[Moment],
    now: float,
    up_seconds: float = 0.0,
    down_seconds: float = DOWNSCALE_STABILISATION_SECONDS,
) -> int:
    """Return the recommendation that the last ones do not speak against.

    Up goes no higher than the lowest within `up_seconds`, down no lower than the highest within
    `down_seconds` (stabilizeRecommendationWithBehaviors).

    >>> stabilised(4, 2, [(-600, 10), (-60, 4)], now=0)
    4
    """
    highest_up = min([desired, *_since(recommendations, now - up_seconds)])
    lowest_down = max([desired, *_since(recommendations, now - down_seconds)])
    return min(max(current, highest_up), lowest_down)


def stabilised_down(
    desired: int,
    recommendations: Sequence[Moment],
    now: float,
    seconds: float = DOWNSCALE_STABILISATION_SECONDS,
) -> int:
    """Return the highest recommendation of a window: what a controller without behaviour does."""
    return max([desired, *(count for when, count in recommendations if when >= now - seconds)])


def _since(moments: Sequence[Moment], cutoff: float) -> list[int]:
    return [count for when, count in moments if when > cutoff]


def limited(
    current: int,
    desired: int,
    low: int,
    high: int,
    *,
    up: Rules = SCALE_UP,
    down: Rules = SCALE_DOWN,
    ups: Sequence[Moment] = (),
    downs: Sequence[Moment] = (),
    now: float = 0.0,
) -> tuple[int, Reason]:
    """Return how far policies and limits let a scale go, and what has stopped it.

    `ups` and `downs` are the changes made so far; convertDesiredReplicasWithBehaviorRate.

    >>> limited(10, 50, 1, 1000)
    (20, 'ScaleUpLimit')
    """
    if desired > current:
        limit = max(current, furthest(current, up, 1, ups, downs, now))
        reason: Reason = "ScaleUpLimit" if limit < high else "TooManyReplicas"
        if desired > min(limit, high):
            return min(limit, high), reason
    elif desired < current:
        limit = min(current, furthest(current, down, -1, ups, downs, now))
        reason = "ScaleDownLimit" if limit > low else "TooFewReplicas"
        if desired < max(limit, low):
            return max(limit, low), reason
    return desired, "DesiredWithinRange"


def limited_by_default(current: int, desired: int, low: int, high: int) -> tuple[int, Reason]:
    """Return how far a controller without behaviour lets a scale go: to twice, at least to 4."""
    limit = max(2 * current, 4)
    if desired < low:
        return low, "TooFewReplicas"
    if desired > min(limit, high):
        return min(limit, high), "ScaleUpLimit" if high > limit else "TooManyReplicas"
    return desired, "DesiredWithinRange"


def furthest(
    current: int,
    rules: Rules,
    way: Literal[1, -1],
    ups: Sequence[Moment],
    downs: Sequence[Moment],
    now: float,
) -> int:
    """Return the most replicas that policies allow, or, where the way is down, the fewest.

    A percentage is rounded up on the way up, so that one replica can become two, and truncated
    on the way down (calculateScaleUpLimitWithScalingRules and its counterpart).
    """
    if rules.select == "Disabled":
        return current
    proposals = []
    for policy in rules.policies:
        begin = _at_begin(current, policy, ups, downs, now)
        percent = begin * (1 + way * policy.value / 100)
        rounded = math.ceil(percent) if way > 0 else int(percent)
        proposals.append(begin + way * policy.value if policy.kind == "Pods" else rounded)
    return max(proposals) if (rules.select == "Max") == (way > 0) else min(proposals)


def _at_begin(
    current: int, policy: Policy, ups: Sequence[Moment], downs: Sequence[Moment], now: float
) -> int:
    """Return how many replicas there were when a policy's period began."""
    cutoff = now - policy.period_seconds
    return current - sum(_since(ups, cutoff)) + sum(_since(downs, cutoff))


# ---------------------------------------------------------------- the whole


@dataclass(frozen=True)
class Memory:
    """What a controller remembers from one turn to the next; old moments are dropped."""

    recommendations: tuple[Moment, ...] = ()
    ups: tuple[Moment, ...] = ()
    downs: tuple[Moment, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What a turn of the controller has come to."""

    replicas: int
    reason: Reason
    recommended: int  # before stabilisation and limits
    memory: Memory


def decide(
    current: int,
    recommended: int,
    low: int,
    high: int,
    memory: Memory,
    now: float,
    *,
    up: Rules = SCALE_UP,
    down: Rules = SCALE_DOWN,
) -> Decision:
    """Return what a turn of the controller does: stabilise, then limit, then remember.

    A scale outside of its limits is brought back to them at once (reconcileAutoscaler).

    >>> decide(3, 60, 1, 100, Memory(), 0.0, up=Rules((Policy("Percent", 700, 60.0),))).replicas
    24
    """
    if current > high:
        return _done(current, high, "TooManyReplicas", recommended, memory, now)
    if current < low:
        return _done(current, low, "TooFewReplicas", recommended, memory, now)
    windows = up.stabilisation_seconds, down.stabilisation_seconds
    stable = stabilised(current, recommended, memory.recommendations, now, *windows)
    kept = _kept(memory.recommendations, now - max(windows))
    memory = replace(memory, recommendations=(*kept, (now, recommended)))
    count, reason = limited(
        current, stable, low, high, up=up, down=down, ups=memory.ups, downs=memory.downs, now=now
    )
    if stable != recommended and reason == "DesiredWithinRange":
        reason = "ScaleUpStabilized" if recommended >= current else "ScaleDownStabilized"
    period = max(policy.period_seconds for rules in (up, down) for policy in rules.policies)
    ups, downs = _kept(memory.ups, now - period), _kept(memory.downs, now - period)
    memory = replace(memory, ups=ups, downs=downs)
    return _done(current, count, reason, recommended, memory, now)


def _kept(moments: tuple[Moment, ...], since: float) -> tuple[Moment, ...]:
    return tuple(moment for moment in moments if moment[0] >= since)


def _done(
    current: int, count: int, reason: Reason, recommended: int, memory: Memory, now: float
) -> Decision:
    """Return a decision with the change that it makes remembered."""
    if count > current:
        memory = replace(memory, ups=(*memory.ups, (now, count - current)))
    elif count < current:
        memory = replace(memory, downs=(*memory.downs, (now, current - count)))
    return Decision(count, reason, recommended, memory)
