"""Strata's engine: all that pages and users may import.

from engine import Scenario, load, presets, simulate, Simulation
result = simulate(load("amazon"), seed=7)
result.summary.latency_ms_p99

What leaves a run has faces of its own: `from engine import charts, export, report`.
"""

from engine.errors import ScenarioError
from engine.export import Kind as ExportKind
from engine.export import bundle, from_link, to_link
from engine.export import files as export_files
from engine.export import kinds as export_kinds
from engine.faults import Fault, FaultInfo, catalogue
from engine.inspect import Inspection, Remedy, inspect
from engine.knobs import Knob, knobs
from engine.live import Frame, Live
from engine.postmortem import CancelledError, Postmortem, postmortem
from engine.program import LAYERS
from engine.reading import PresetInfo, load, presets, read_text
from engine.report import Asked, class_report, headline, made_from, to_html, to_markdown, to_pdf
from engine.report import report as scenario_report
from engine.result import Result, Summary
from engine.run import Simulation, ready, simulate, warm_up
from engine.scenario import Scenario
from engine.traces import Span, Trace
from engine.version import VERSION

__version__ = VERSION
__all__ = [
    "LAYERS",
    "Asked",
    "CancelledError",
    "ExportKind",
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
    "bundle",
    "catalogue",
    "charts",
    "class_report",
    "export",
    "export_files",
    "export_kinds",
    "from_link",
    "headline",
    "inspect",
    "knobs",
    "load",
    "made_from",
    "postmortem",
    "presets",
    "read_text",
    "ready",
    "report",
    "scenario_report",
    "simulate",
    "to_html",
    "to_link",
    "to_markdown",
    "to_pdf",
    "warm_up",
    "words",
]
