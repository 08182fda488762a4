"""The Horizontal Pod Autoscaler: the tests of Kubernetes, against the functions of `engine.hpa`."""

from __future__ import annotations

from typing import Any

from engine import hpa
from tests.truth.case import Case

NOW = 1000.0
# replica_calculator_test.go: how long pods may take, when they started, what metrics span
GRACE, COOL, WINDOW = hpa.Grace(120.0, 10.0), 180.0, 60.0


def formula(case: Case) -> dict[str, Any]:
    """The formula of the documentation: one figure, one target."""
    given = case.given
    wanted = hpa.value(given["current"], given["metric"], given["target"], given["current"])
    return {"replicas": wanted.replicas}


def defaults(case: Case) -> dict[str, Any]:
    """What the controller does of which nothing is said."""
    return {
        "sync_period_s": hpa.SYNC_SECONDS,
        "tolerance": hpa.TOLERANCE,
        "downscale_stabilization_s": hpa.SCALE_DOWN.stabilisation_seconds,
        "cpu_initialization_period_s": hpa.GRACE.initialisation_seconds,
        "initial_readiness_delay_s": hpa.GRACE.readiness_seconds,
        "default_scale_up": [said(policy) for policy in hpa.SCALE_UP.policies],
        "default_scale_up_select": hpa.SCALE_UP.select,
        "default_scale_up_stabilization_s": hpa.SCALE_UP.stabilisation_seconds,
        "default_scale_down": [said(policy) for policy in hpa.SCALE_DOWN.policies],
    }


def said(policy: hpa.Policy) -> dict[str, Any]:
    """Return a policy as cases spell it."""
    return {"type": policy.kind, "value": policy.value, "period_s": policy.period_seconds}


def rules(given: Any, otherwise: hpa.Rules) -> hpa.Rules:
    """Return the rules of one direction."""
    if given is None or given == "default":
        return otherwise
    policies = tuple(hpa.Policy(p["type"], p["value"], p["period_s"]) for p in given["policies"])
    return hpa.Rules(
        policies,
        given.get("select", "Max"),
        given.get("stabilization_s", otherwise.stabilisation_seconds),
    )


def moments(given: list[dict[str, int]], what: str) -> list[hpa.Moment]:
    """Return what happened so many seconds ago."""
    return [(NOW - each["age_s"], each[what]) for each in given]


def behaviour(case: Case) -> dict[str, Any]:
    """Policies, and the changes that they have to reckon with."""
    given = case.given
    replicas, reason = hpa.limited(
        given["current"],
        given["desired"],
        given["min"],
        given["max"],
        up=rules(given["scale_up"], hpa.SCALE_UP),
        down=rules(given["scale_down"], hpa.SCALE_DOWN),
        ups=moments(given["scale_up_events"], "change"),
        downs=moments(given["scale_down_events"], "change"),
        now=NOW,
    )
    return {"replicas": replicas, "reason": reason}


def limits(case: Case) -> dict[str, Any]:
    """A controller to which nothing is said of behaviour."""
    given = case.given
    replicas, reason = hpa.limited_by_default(
        given["current"], given["desired"], given["min"], given["max"]
    )
    return {"replicas": replicas, "reason": reason}


def stabilise(case: Case) -> dict[str, Any]:
    """Windows of both directions."""
    given = case.given
    count = hpa.stabilised(
        given["current"],
        given["desired"],
        moments(given["recommendations"], "replicas"),
        NOW,
        given["scale_up_stabilization_s"],
        given["scale_down_stabilization_s"],
    )
    return {"stabilized": count}


def stabilise_down(case: Case) -> dict[str, Any]:
    """The one window of a controller to which nothing is said of behaviour."""
    given = case.given
    log = moments(given["recommendations"], "replicas")
    window = given["downscale_stabilization_s"]
    return {"stabilized": hpa.stabilised_down(given["desired"], log, NOW, window)}


def whole(case: Case) -> dict[str, Any]:
    """Metrics, stabilisation and limits together."""
    given = case.given
    pods = {str(i): hpa.Pod(request) for i, request in enumerate(given["requests_m"])}
    metrics = {str(i): hpa.Metric(usage) for i, usage in enumerate(given["usage_m"])}
    target = given["target_utilization_pct"]
    wanted = hpa.resource(given["current"], pods, metrics, target, NOW)
    decision = hpa.decide(
        given["current"],
        wanted.replicas,
        given["min"],
        given["max"],
        hpa.Memory(tuple(moments(given.get("recommendations", []), "replicas"))),
        NOW,
        up=rules(given.get("scale_up"), hpa.SCALE_UP),
    )
    return {"replicas": decision.replicas, "reason": decision.reason}


def calculated(case: Case) -> dict[str, Any]:
    """The replica calculator: pods in every state, and metrics of every kind."""
    given = case.given
    pods = pods_of(given)
    try:
        wanted = wanted_by(given, pods)
    except hpa.MissingError as error:
        wrong = case.expect.get("error_contains", "")
        return {"error_contains": wrong if wrong and wrong in str(error) else str(error)}
    return {"replicas": wanted.replicas, "utilization": wanted.usage}


def wanted_by(given: dict[str, Any], pods: dict[str, hpa.Pod]) -> hpa.Wanted:
    """Return what a case's metric asks for."""
    kind, current, tolerance = given["metric_kind"], given["current_replicas"], given["tolerance"]
    if kind == "resource_utilization":
        container = given.get("container", "")
        metrics = {}
        for index, usage in enumerate(given["usage_m_per_pod_per_container"]):
            containers = {f"container{k}": value for k, value in enumerate(usage, start=1)}
            value = hpa.used(containers, container, f"test-namespace/{name_of(index)}")
            metrics[name_of(index)] = hpa.Metric(value, NOW, WINDOW)
        return hpa.resource(
            current,
            pods,
            metrics,
            given["target_utilization_pct"],
            NOW,
            tolerance=tolerance,
            initialisation_seconds=GRACE.initialisation_seconds,
            readiness_seconds=GRACE.readiness_seconds,
        )
    levels, target = given["levels_milli"], given["target_milli"]
    if kind == "pods_average":
        metrics = {name_of(i): hpa.Metric(level) for i, level in enumerate(levels)}
        return hpa.pods_average(current, pods, metrics, target, tolerance=tolerance)
    if kind.endswith("_average"):
        return hpa.average(current, sum(levels), target, tolerance=tolerance)
    ready = sum(pod.ready and pod.phase == "Running" for pod in pods.values())
    return hpa.value(current, sum(levels), target, ready, tolerance=tolerance)


def name_of(index: int) -> str:
    """Return a pod's name."""
    return f"test-pod-{index}"


def pods_of(given: dict[str, Any]) -> dict[str, hpa.Pod]:
    """Return the pods of a case; failed ones are not among the current replicas."""
    count = max(given["current_replicas"], len(given.get("pod_phase", ())))
    requests = given.get("requests_m", [])
    usage = given.get("usage_m_per_pod_per_container", [[0]])
    containers = 1 if given.get("container") or not usage else len(usage[0])
    pods = {}
    for index in range(count):
        started = NOW if told(given, "pod_age", index, "cool") == "hot" else NOW - COOL
        pods[name_of(index)] = hpa.Pod(
            request=requests[index] * containers if index < len(requests) else None,
            phase=told(given, "pod_phase", index, "Running"),
            deleting=told(given, "pod_deleting", index, otherwise=False),
            ready=told(given, "pod_ready", index, otherwise=True),
            started=started,
            changed=started,
        )
    return pods


def told(given: dict[str, Any], name: str, index: int, otherwise: Any) -> Any:
    """Return what a case says of a pod."""
    return given[name][index] if name in given else otherwise


ADAPTERS = [
    (lambda case: case.id.startswith("hpa.formula"), formula),
    (lambda case: case.id == "hpa.defaults", defaults),
    (lambda case: case.group == "hpa" and "scale_up_events" in case.given, behaviour),
    (lambda case: case.group == "hpa" and "mode" in case.given, limits),
    (lambda case: "scale_up_stabilization_s" in case.given, stabilise),
    (
        lambda case: case.group == "hpa" and "requests_m" in case.given and "min" in case.given,
        whole,
    ),
    (lambda case: "downscale_stabilization_s" in case.given, stabilise_down),
    (lambda case: case.group == "hpa" and "metric_kind" in case.given, calculated),
]
