"""Strata's engine: all that pages and users may import.

from engine import Scenario, load, presets, simulate, Simulation
result = simulate(load("amazon"), seed=7)
result.summary.latency_ms_p99
"""

from engine import words
from engine.deploy import Kind as DeployKind
from engine.deploy import files as deploy_files
from engine.deploy import kinds as deploy_kinds
from engine.errors import ScenarioError
from engine.faults import Fault, FaultInfo, catalogue
from engine.inspect import Inspection, Remedy, inspect
from engine.knobs import Knob, knobs
from engine.live import Frame, Live
from engine.postmortem import CancelledError, Postmortem, postmortem
from engine.program import LAYERS
from engine.reading import PresetInfo, load, presets, read_text
from engine.result import Result, Summary
from engine.run import Simulation, ready, simulate, warm_up
from engine.scenario import Scenario
from engine.traces import Span, Trace
from engine.version import VERSION

__version__ = VERSION
__all__ = [
    "LAYERS",
    "CancelledError",
    "DeployKind",
    "Fault",
    "FaultInfo",
    "Frame",
    "Inspection",
    "Knob",
    "Live",
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
    "deploy_files",
    "deploy_kinds",
    "inspect",
    "knobs",
    "load",
    "postmortem",
    "presets",
    "read_text",
    "ready",
    "simulate",
    "warm_up",
    "words",
]
