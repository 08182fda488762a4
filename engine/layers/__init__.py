"""The seven layers, in the order a request meets them, and the steps that journeys take."""

from engine.layers.application import Application
from engine.layers.asynchronous import Asynchronous
from engine.layers.cache import Cache
from engine.layers.client import Client
from engine.layers.data import Data
from engine.layers.edge import Edge
from engine.layers.lookup import Count, Lookup
from engine.layers.observability import Observability
from engine.layers.publish import Publish
from engine.layers.steps import Call, Hedge, Parallel

__all__ = [
    "Application",
    "Asynchronous",
    "Cache",
    "Call",
    "Client",
    "Count",
    "Data",
    "Edge",
    "Hedge",
    "Lookup",
    "Observability",
    "Parallel",
    "Publish",
]
