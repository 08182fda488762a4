"""Grafana: a dashboard of the gauges that the alerts look at, with their thresholds.

The dashboard's JSON model, https://grafana.com/docs/grafana/latest/dashboards/json-model/.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.deploy.prometheus import matched, watches
from engine.deploy.site import Site
from engine.deploy.words import Note, as_json, line

SCHEMA = 39  # of Grafana 10.3 and later
WIDE, HIGH = 12, 8  # of a panel; a dashboard is 24 wide
SOURCE = {"type": "prometheus", "uid": "${source}"}


class Panel(NamedTuple):
    """One picture: figures of one unit, at one place or several."""

    title: str
    metrics: tuple[str, ...]
    station: str
    unit: str
    on: bool = True


def files(site: Site) -> dict[str, str]:
    """Return the dashboard; Grafana's import takes it and asks for the data source."""
    panels = [panel for panel in _panels(site) if panel.on]
    shown = [_panel(site, index, panel) for index, panel in enumerate(panels)]
    title = site.scenario.title
    board = {
        "description": _note().text(title),
        "title": line(title) or "Strata",
        "uid": f"strata-{site.scenario.digest()}",
        "schemaVersion": SCHEMA,
        "tags": ["strata"],
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Data source", "type": "datasource"}
                | {"query": "prometheus"}
            ]
        },
        "panels": [*shown, _alerts(len(shown))] if watches(site) else shown,
    }
    return {"grafana/dashboard.json": as_json(board) + "\n"}


def _note() -> Note:
    return Note(
        "Grafana dashboard",
        (
            "the figures strata_… of prometheus/, for the parts that the scenario has",
            "thresholds of alerts as lines (observability.alerts.rules)",
        ),
        (
            "what a simulation knows and nobody measures: shares of time by layer, theory",
            "values: it shows what your Prometheus has",
        ),
    )


def _panels(site: Site) -> list[Panel]:
    data, cache = site.scenario.data, site.scenario.cache
    latency = ("latency_p50_seconds", "latency_p95_seconds", "latency_p99_seconds")
    return [
        Panel("Requests", ("requests_per_second",), "", "reqps"),
        Panel("Errors", ("error_ratio",), "", "percentunit"),
        Panel("Latency", latency, "", "s"),
        Panel("CPU", ("cpu_utilisation",), "application.*", "percentunit", bool(site.services)),
        Panel("P99 by service", latency[2:], "application.*", "s", bool(site.services)),
        Panel("Requests in line", ("waiting",), "application.*", "short", bool(site.services)),
        Panel("Servers up", ("servers_up",), "application.*", "short", bool(site.services)),
        Panel("Messages that wait", ("queue_depth",), "asynchronous.*", "short", bool(site.kinds)),
        Panel(
            "Cache hits",
            ("hit_ratio",),
            "cache.*",
            "percentunit",
            cache.enabled and site.does("lookup"),
        ),
        Panel("Databases", ("utilisation",), "data.*", "percentunit", data.enabled),
        Panel(
            "Replica lag",
            ("replica_lag_seconds",),
            "data.*",
            "s",
            data.enabled and data.read_replicas > 0,
        ),
    ]


def _panel(site: Site, index: int, panel: Panel) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "expr": f'strata_{metric}{{{matched("station", panel.station)},window=""}}',
            "legendFormat": "{{station}}" if "*" in panel.station else metric,
        }
        for number, metric in enumerate(panel.metrics)
    ]
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [{"color": "red", "value": limit} for limit in _limits(site, panel)]
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": _place(index),
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {"thresholdsStyle": {"mode": "line" if len(steps) > 1 else "off"}},
            },
            "overrides": [],
        },
        "targets": targets,
    }


def _limits(site: Site, panel: Panel) -> list[float]:
    """Return the thresholds of alerts about a panel's figures, each once, from low to high."""
    if not watches(site):
        return []
    rules = site.scenario.observability.alerts.rules.values()
    return sorted({rule.threshold for rule in rules if rule.on and rule.metric in panel.metrics})


def _alerts(index: int) -> dict[str, Any]:
    return {
        "id": index + 1,
        "type": "alertlist",
        "title": "Alerts",
        "datasource": SOURCE,
        "gridPos": _place(index),
        "options": {"viewMode": "list", "stateFilter": {"firing": True, "pending": True}},
    }


def _place(index: int) -> dict[str, int]:
    return {"h": HIGH, "w": WIDE, "x": index % 2 * WIDE, "y": index // 2 * HIGH}
