"""The seven layers, one file each, in the order a request meets them."""

from engine.layers.application import Application
from engine.layers.asynchronous import Asynchronous
from engine.layers.cache import Cache
from engine.layers.client import Client
from engine.layers.data import Data
from engine.layers.edge import Edge
from engine.layers.observability import Observability

__all__ = ["Application", "Asynchronous", "Cache", "Client", "Data", "Edge", "Observability"]
