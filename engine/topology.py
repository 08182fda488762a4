"""Topology: the graph that the map draws, and what in it has no spare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from engine.program import Program


def topology(program: Program) -> nx.DiGraph[str]:
    """Return the graph that the map draws: stations, and who calls whom."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for station in program.stations.values():
        graph.add_node(
            station.name,
            title=station.title,
            layer=station.layer,
            kind=station.kind,
            instances=station.instances,
            on=True,
        )
    for _, source, target in program.entries:
        if source and source != target:
            graph.add_edge(source, target, telemetry=False)
    if "client.mobile" in graph:
        for target in list(graph.successors("client.web")):
            graph.add_edge("client.mobile", target, telemetry=False)
    watched = [
        name for name in graph if graph.nodes[name]["kind"] in {"balancer", "service", "database"}
    ]
    for target in (name for name in graph if graph.nodes[name]["kind"] == "telemetry"):
        for name in watched[:1] if target.endswith("traces") else watched[1:2]:
            graph.add_edge(name, target, telemetry=True)
    alone = single_points(graph)
    for name in graph:
        graph.nodes[name]["spof"] = name in alone - program.replaceable
    return graph


def single_points(graph: nx.DiGraph[str]) -> set[str]:
    """Return the stations whose one instance every request to something must pass.

    Instances stand side by side in an undirected graph, users at one end; what is a single
    point of failure is an articulation point of it, or a last stop with one instance.
    """
    flat: nx.Graph[tuple[str, int]] = nx.Graph()
    copies = {
        name: [(name, i) for i in range(min(2, graph.nodes[name]["instances"]))]
        for name in graph
        if graph.nodes[name]["kind"] != "telemetry"
    }
    for source, target in graph.edges:
        if not graph.edges[source, target]["telemetry"]:
            flat.add_edges_from((a, b) for a in copies[source] for b in copies[target])
    cuts = {name for name, _ in nx.articulation_points(flat)} if flat else set()
    ends = {name for name in copies if not any(True for _ in graph.successors(name))}
    return {
        name
        for name in (cuts | ends) & set(copies)
        if len(copies[name]) == 1 and graph.nodes[name]["kind"] not in {"source", "worker"}
    }
