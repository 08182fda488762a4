"""Strata's engine: all that pages and users may import.

from engine import Scenario, load, presets, simulate, Simulation
result = simulate(load("amazon"), seed=7)
result.summary.latency_ms_p99
"""

from engine.errors import ScenarioError
from engine.faults import Fault, FaultInfo, catalogue
from engine.inspect import Inspection, Remedy, inspect
from engine.knobs import Knob, knobs
from engine.live import Frame, Live
from engine.microscope import Entry, Microscope, uncovered
from engine.postmortem import CancelledError, Postmortem, postmortem
from engine.program import LAYERS
from engine.reading import PresetInfo, load, presets, read_text
from engine.result import Result, Summary
from engine.run import Simulation, ready, simulate, warm_up
from engine.scenario import Scenario
from engine.traces import Span, Trace

__version__ = "0.1.0"
__all__ = [
    "LAYERS",
    "CancelledError",
    "Entry",
    "Fault",
    "FaultInfo",
    "Frame",
    "Inspection",
    "Knob",
    "Live",
    "Microscope",
    "Postmortem",
    "PresetInfo",
    "Remedy",
    "Result",
    "Scenario",
    "ScenarioError",
    "Simulation",
    "Span",
    "Summary",
    "Trace",
    "catalogue",
    "inspect",
    "knobs",
    "load",
    "postmortem",
    "presets",
    "read_text",
    "ready",
    "simulate",
    "uncovered",
    "warm_up",
]
