"""What the sliders start from: a preset, or the scenario that a session has built for itself."""

import functools

import networkx as nx

from engine import LAYERS, Knob, Scenario, ScenarioError, Simulation, knobs, load

YOURS = "your scenario"  # in the list of presets, and in the address


class Base:
    """A scenario before anybody moved a slider, and what follows from it, worked out once.

    A preset's is shared by all sessions; one of a session's own lives in that session alone.
    """

    def __init__(self, name: str, scenario: Scenario) -> None:
        self.name = name
        self.scenario = scenario
        self.key = f"{YOURS} {scenario.digest()}" if name == YOURS else name

    @property
    def own(self) -> bool:
        """Whether a session has built it: then a link has to carry all of it."""
        return self.name == YOURS

    @functools.cached_property
    def knobs(self) -> dict[str, Knob]:
        """Its knobs by path, in the engine's order."""
        return {knob.path: knob for knob in knobs(self.scenario)}

    @functools.cached_property
    def whole(self) -> "nx.DiGraph[str]":
        """Its topology with every layer on: what is off in a run is drawn as a ghost."""
        try:
            everything = self.scenario.change({f"{layer}.enabled": True for layer in LAYERS})
            return Simulation(everything).result().topology
        except ScenarioError:  # then what is off is not drawn at all
            return nx.DiGraph()


@functools.cache
def preset_base(name: str) -> Base:
    """Return a preset as it comes."""
    return Base(name, load(name))
