"""Kubernetes: services and workers as Deployments, and what keeps their number.

API reference of apps/v1, v1, autoscaling/v2 and policy/v1, https://kubernetes.io/docs/reference/.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from engine.deploy.site import PORT, Site
from engine.deploy.words import Note, as_yaml, line
from engine.layers.autoscaler import Pace

IMAGE = "registry.example/{name}:1.0.0"
METRICS_PORT = 8080
TOLERANCE = 0.1  # Kubernetes's own
Tree = dict[str, Any]


def files(site: Site) -> dict[str, str]:
    """Return the manifests of services and of workers; `kubectl apply -f` takes each file."""
    made = {}
    title = site.scenario.title
    if site.services:
        documents = [part for name in site.services for part in _service(site, name)]
        made["kubernetes/application.yaml"] = _note(site).comment(title) + as_yaml(*documents)
    if site.kinds:
        documents = [part for kind in site.kinds for part in _workers(site, kind)]
        made["kubernetes/workers.yaml"] = _workers_note(site).comment(title) + as_yaml(*documents)
    return made


def _note(site: Site) -> Note:
    layer = site.scenario.application
    carries = [
        "services that journeys call: servers, CPU cores, worker threads (application.services)",
        "rolling deployments: surge and who may be missing (application.deploy)",
        "one server at a time may be taken away on purpose (PodDisruptionBudget)",
    ]
    cannot = [
        f"images: {IMAGE.format(name='…')} is a stand-in for yours; THREADS tells it its threads",
        "memory: it is not modelled, so nothing is requested",
        "CPU time of a call, time-outs, retries and breakers: those are the program's own",
        "databases, cache and broker: use operators or hosted ones",
    ]
    scaler = layer.autoscaler
    if scaler.on and scaler.mode == "hpa":
        carries.append("the autoscaler as an HPA v2 with its pace (application.autoscaler)")
        cannot.append(
            "sync period, CPU initialization and readiness delay: flags of the controller manager"
            f" ({scaler.sync_seconds:g} s, {scaler.cpu_initialization_seconds:g} s,"
            f" {scaler.readiness_delay_seconds:g} s here)"
        )
        cannot.append(
            "a Deployment's replicas under an HPA are its beginning: leave them out later"
        )
    elif scaler.on:
        cannot.append(f"the autoscaler's rule {scaler.mode}: an HPA knows no such rule")
    if site.scenario.edge.balancer.checks.on:
        carries.append("health checks as readiness probes (edge.balancer.checks)")
    return Note("Kubernetes manifests of the application", tuple(carries), tuple(cannot))


def _workers_note(site: Site) -> Note:
    cannot = [
        f"images: {IMAGE.format(name='…')} is a stand-in for yours; TOPIC tells it its topic",
        "memory and CPU of a worker: not modelled; one core is requested, as the price list has it",
        "the broker: topics are in topics/",
    ]
    if site.scenario.asynchronous.autoscaler.on:
        scaler = site.scenario.asynchronous.autoscaler
        cannot.append(
            f"the autoscaler by queue depth (over {scaler.add_above}, below {scaler.remove_below}):"
            " use KEDA; its ScaledObject is no part of Kubernetes"
        )
    return Note(
        "Kubernetes manifests of the workers",
        ("kinds of workers that journeys publish to, and how many (asynchronous.kinds)",),
        tuple(cannot),
    )


# ---------------------------------------------------------------- services


def _service(site: Site, service: str) -> Iterator[Tree]:
    """Yield what one service consists of."""
    name, layer = site.services[service], site.scenario.application
    about = layer.services[service]
    container: Tree = {
        "name": "app",
        "image": IMAGE.format(name=name),
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": "THREADS", "value": str(about.threads or layer.threads)}],
        "resources": _resources(about.cores or layer.cores),
        **_probe(site),
    }
    yield _deployment(
        name,
        site.title(service),
        "application",
        site.count(service),
        container,
        strategy={"type": "RollingUpdate", "rollingUpdate": _rolling(site)},
        ready_seconds=math.ceil(layer.deploy.watch_seconds),
    )
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(name, site.title(service), "application"),
        "spec": {
            "selector": _labels(name),
            "ports": [{"name": "http", "port": PORT, "targetPort": "http"}],
        },
    }
    if layer.autoscaler.mode == "hpa" and layer.autoscaler.scales(service):
        yield _scaler(site, service)
    yield _budget(name, site.title(service), "application")


def _rolling(site: Site) -> Tree:
    """Return the pace of a roll-out; Kubernetes refuses one that could never go on."""
    deploy = site.scenario.application.deploy
    away, more = (round(share * 100) for share in (deploy.max_unavailable, deploy.surge))
    if away == 0 and more == 0:
        return {"maxUnavailable": 1, "maxSurge": 0}
    return {"maxUnavailable": f"{away}%", "maxSurge": f"{more}%"}


def _probe(site: Site) -> Tree:
    """Return a readiness probe, in whole seconds: Kubernetes knows no others."""
    checks = site.scenario.edge.balancer.checks
    if not (site.scenario.edge.enabled and site.scenario.edge.balancer.on and checks.on):
        return {}
    return {
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": "http"},
            "periodSeconds": max(1, math.ceil(checks.interval_seconds)),
            "timeoutSeconds": max(1, math.ceil(checks.timeout_seconds)),
            "failureThreshold": checks.fall,
            "successThreshold": checks.rise,
        }
    }


def _scaler(site: Site, service: str) -> Tree:
    """Return a service's HorizontalPodAutoscaler."""
    name, scaler = site.services[service], site.scenario.application.autoscaler
    resource = {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": scaler.target_cpu_percent},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(name, site.title(service), "application"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": scaler.min_replicas,
            "maxReplicas": scaler.max_replicas,
            "metrics": [{"type": "Resource", "resource": resource}],
            "behavior": {
                "scaleUp": _pace(scaler.up, scaler.tolerance),
                "scaleDown": _pace(scaler.down, scaler.tolerance),
            },
        },
    }


def _pace(pace: Pace, tolerance: float) -> Tree:
    """Return HPAScalingRules; without any policy nothing changes in this direction."""
    rules = pace.rules()
    still = rules.select == "Disabled"
    said: Tree = {
        "stabilizationWindowSeconds": math.ceil(pace.window_seconds),
        "selectPolicy": "Disabled" if still else "Max",
    }
    if tolerance != TOLERANCE:
        said["tolerance"] = f"{tolerance:g}"
    said["policies"] = [
        {
            "type": policy.kind,
            "value": max(1, int(policy.value)),
            "periodSeconds": math.ceil(policy.period_seconds),
        }
        for policy in rules.policies
    ]
    return said


# ---------------------------------------------------------------- workers


def _workers(site: Site, kind: str) -> Iterator[Tree]:
    """Yield what one kind of worker consists of."""
    name, layer = site.kinds[kind], site.scenario.asynchronous
    container: Tree = {
        "name": "worker",
        "image": IMAGE.format(name=name),
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        "env": [
            {"name": "TOPIC", "value": site.topics[kind]},
            {"name": "DELIVERIES", "value": str(layer.attempts)},
        ],
        "resources": _resources(1),
    }
    title = layer.title_of(kind)
    yield _deployment(name, title, "asynchronous", layer.workers_of(kind), container)
    yield _budget(name, title, "asynchronous")


# ---------------------------------------------------------------- parts


def _labels(name: str) -> Tree:
    return {"app.kubernetes.io/name": name}


def _metadata(name: str, title: str, layer: str) -> Tree:
    """Return metadata; what a person typed stands in an annotation, which may hold any text."""
    return {
        "name": name,
        "labels": {**_labels(name), "app.kubernetes.io/component": layer},
        "annotations": {"strata/title": line(title)},
    }


def _resources(cores: int) -> Tree:
    return {"requests": {"cpu": str(cores)}, "limits": {"cpu": str(cores)}}


def _deployment(
    name: str,
    title: str,
    layer: str,
    replicas: int,
    container: Tree,
    *,
    strategy: Tree | None = None,
    ready_seconds: int = 0,
) -> Tree:
    spec: Tree = {"replicas": replicas, "selector": {"matchLabels": _labels(name)}}
    if strategy:
        spec["strategy"] = strategy
    if ready_seconds:
        spec["minReadySeconds"] = ready_seconds
        spec["progressDeadlineSeconds"] = 600 + ready_seconds  # has to be above it
    spec["template"] = {
        "metadata": {"labels": {**_labels(name), "app.kubernetes.io/component": layer}},
        "spec": {"containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(name, title, layer),
        "spec": spec,
    }


def _budget(name: str, title: str, layer: str) -> Tree:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(name, title, layer),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _labels(name)}},
    }
