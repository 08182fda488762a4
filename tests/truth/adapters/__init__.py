"""Adapters: each says one kind of case as a scenario, runs it, and returns figures by name."""

from collections.abc import Callable
from typing import Any

from truth.adapters import balancers, networks, queues, stores, tail
from truth.case import Case

Adapter = Callable[[Case], dict[str, Any]]
ADAPTERS: list[tuple[Callable[[Case], bool], Adapter]] = [
    *queues.ADAPTERS,
    *networks.ADAPTERS,
    *stores.ADAPTERS,
    *balancers.ADAPTERS,
    *tail.ADAPTERS,
]


def adapter_for(case: Case) -> Adapter | None:
    """Return the adapter that can say a case."""
    return next((adapter for fits, adapter in ADAPTERS if fits(case)), None)
