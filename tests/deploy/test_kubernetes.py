"""Kubernetes's published schemas accept the manifests of every scenario."""

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from engine import Scenario, presets
from engine.deploy import files
from tests.deploy.conftest import load

VERSION = "1.37"
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1035, as Services are named


def manifests(scenario: Scenario) -> list[dict[str, Any]]:
    """Return all manifests of a scenario, held against the schemas, unknown fields included."""
    texts = [text for path, text in files(scenario).items() if path.startswith("kubernetes/")]
    found = [tree for text in texts for tree in yaml.load_all(text, Loader)]
    for tree in found:
        kubernetes_validate.validate(tree, VERSION, strict=True)
    return found


def of(scenario: Scenario, kind: str, name: str) -> dict[str, Any]:
    """Return the one manifest of a kind and name."""
    (found,) = (
        tree
        for tree in manifests(scenario)
        if tree["kind"] == kind and tree["metadata"]["name"] == name
    )
    return found


@pytest.mark.parametrize("name", presets())
def test_the_schemas_accept_every_preset(name: str) -> None:
    """A manifest that the API server refuses is of no use to anybody."""
    kinds = [tree["kind"] for tree in manifests(load(name))]
    assert kinds.count("Deployment") == kinds.count("PodDisruptionBudget") > 0


def test_a_manifest_with_an_unknown_field_would_be_refused() -> None:
    """Else the check would check nothing."""
    tree = of(load("amazon"), "Deployment", "gateway")
    tree["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(tree, VERSION, strict=True)


def test_a_deployment_has_the_services_servers_and_cores() -> None:
    """Another number of servers is another system."""
    scenario = load("amazon").change(
        {"application.services.product.replicas": 9, "application.services.product.cores": 8}
    )
    spec = of(scenario, "Deployment", "product")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["replicas"] == 9
    assert container["resources"] == {"requests": {"cpu": "8"}, "limits": {"cpu": "8"}}
    assert {"name": "THREADS", "value": "16"} in container["env"]


def test_the_autoscalers_pace_is_the_hpas_behaviour() -> None:
    """An HPA with Kubernetes's own pace would scale otherwise than the simulation did."""
    scenario = load("amazon").change(
        {
            "application.autoscaler": {
                "on": True,
                "services": ["product"],
                "min_replicas": 2,
                "max_replicas": 12,
                "target_cpu_percent": 65,
                "tolerance": 0.05,
                "up": {"servers": 2, "percent": 50, "period_seconds": 30, "window_seconds": 15},
                "down": {"servers": 0, "percent": 0},
            }
        }
    )
    scalers = [tree for tree in manifests(scenario) if tree["kind"] == "HorizontalPodAutoscaler"]
    assert [tree["metadata"]["name"] for tree in scalers] == ["product"]
    spec = scalers[0]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 12)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 65
    assert spec["behavior"]["scaleUp"] == {
        "stabilizationWindowSeconds": 15,
        "selectPolicy": "Max",
        "tolerance": "0.05",
        "policies": [
            {"type": "Pods", "value": 2, "periodSeconds": 30},
            {"type": "Percent", "value": 50, "periodSeconds": 30},
        ],
    }
    assert spec["behavior"]["scaleDown"]["selectPolicy"] == "Disabled"


@pytest.mark.parametrize("mode", ["simple", "scheduled"])
def test_a_rule_that_no_hpa_knows_is_said_and_left_out(mode: str) -> None:
    """An HPA that does something else would be worse than none."""
    scenario = load("amazon").change(
        {
            "application.autoscaler": {
                "on": True,
                "mode": mode,
                "schedule": [{"at_seconds": 5, "replicas": 4}],
            }
        }
    )
    assert not [tree for tree in manifests(scenario) if "Autoscaler" in tree["kind"]]
    assert f"the autoscaler's rule {mode}" in files(scenario)["kubernetes/application.yaml"]


def test_health_checks_are_readiness_probes_and_roll_outs_keep_their_pace() -> None:
    """Whole seconds at least; a roll-out of nothing at a time would never end."""
    scenario = load("amazon").change(
        {
            "edge.balancer.checks": {"on": True, "interval_seconds": 0.2, "fall": 4, "rise": 1},
            "application.deploy": {"max_unavailable": 0, "surge": 0, "watch_seconds": 700},
        }
    )
    spec = of(scenario, "Deployment", "gateway")["spec"]
    probe = spec["template"]["spec"]["containers"][0]["readinessProbe"]
    assert (probe["periodSeconds"], probe["failureThreshold"], probe["successThreshold"]) == (
        1,
        4,
        1,
    )
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    assert spec["progressDeadlineSeconds"] > spec["minReadySeconds"] == 700


def test_hostile_names_become_labels(hostile: Scenario) -> None:
    """A name that is no DNS label would be refused, and two that are alike would be one."""
    found = manifests(hostile)
    names = [(tree["kind"], tree["metadata"]["name"]) for tree in found]
    assert len(set(names)) == len(names)
    assert all(LABEL.fullmatch(name) for _, name in names)
    titles = {tree["metadata"]["annotations"]["strata/title"] for tree in found}
    assert "one } evil on; #" in titles
