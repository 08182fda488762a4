"""Strata's engine: all that pages and users may import.

from engine import Scenario, load, presets, simulate, Simulation
result = simulate(load("amazon"), seed=7)
result.summary.latency_ms_p99

What leaves a run has faces of its own: `from engine import charts, export, report`.
"""

from engine import charts, deploy, export, report, words
from engine.errors import ScenarioError
from engine.export import from_link, to_link
from engine.faults import Fault, FaultInfo, catalogue
from engine.inspect import Inspection, Remedy, inspect
from engine.knobs import Knob, knobs
from engine.live import Frame, Live
from engine.microscope import EMBEDDED, Backends, Entry, Microscope, PlaceError, uncovered
from engine.postmortem import CancelledError, Postmortem, postmortem
from engine.program import LAYERS
from engine.reading import PresetInfo, load, presets, read_text, values
from engine.report import Asked, class_report, headline, made_from, to_html, to_markdown, to_pdf
from engine.result import Result, Summary
from engine.run import Simulation, ready, simulate, warm_up
from engine.scenario import Prices, Scenario
from engine.study.candidates import Candidate
from engine.study.compare import RUNS, Comparison, Verdict, compare, comparisons
from engine.study.crew import Cluster, Crew, Processes, crew
from engine.study.explain import Explanation, explain
from engine.study.figures import METRICS, Metric, Outcome, Task
from engine.study.goal import BadDay, Goal, bad_day
from engine.study.headroom import Headroom, Objective, headroom, load_knob
from engine.study.lab import Lab, StoppedError, differences, seeds
from engine.study.plan import Plan, front_of, plan
from engine.study.shelf import Shelf, usual_place
from engine.study.statistics import Interval, batch_means, interval, mser5
from engine.study.sweep import (
    Axis,
    Cell,
    Law,
    Precision,
    Sweep,
    axis,
    combinations,
    knee,
    law,
    ranged,
    scalability,
    streamed,
    sweep,
)
from engine.study.trials import Trial, ranked, rankings, what_next
from engine.theory import Usl
from engine.traces import Span, Trace
from engine.version import VERSION

__version__ = VERSION
__all__ = [
    "EMBEDDED",
    "LAYERS",
    "METRICS",
    "RUNS",
    "Asked",
    "Axis",
    "Backends",
    "BadDay",
    "CancelledError",
    "Candidate",
    "Cell",
    "Cluster",
    "Comparison",
    "Crew",
    "Entry",
    "Explanation",
    "Fault",
    "FaultInfo",
    "Frame",
    "Goal",
    "Headroom",
    "Inspection",
    "Interval",
    "Knob",
    "Lab",
    "Law",
    "Live",
    "Metric",
    "Microscope",
    "Objective",
    "Outcome",
    "PlaceError",
    "Plan",
    "Postmortem",
    "Precision",
    "PresetInfo",
    "Prices",
    "Processes",
    "Remedy",
    "Result",
    "Scenario",
    "ScenarioError",
    "Shelf",
    "Simulation",
    "Span",
    "StoppedError",
    "Summary",
    "Sweep",
    "Task",
    "Trace",
    "Trial",
    "Usl",
    "Verdict",
    "axis",
    "bad_day",
    "batch_means",
    "catalogue",
    "charts",
    "class_report",
    "combinations",
    "compare",
    "comparisons",
    "crew",
    "deploy",
    "differences",
    "explain",
    "export",
    "from_link",
    "front_of",
    "headline",
    "headroom",
    "inspect",
    "interval",
    "knee",
    "knobs",
    "law",
    "load",
    "load_knob",
    "made_from",
    "mser5",
    "plan",
    "postmortem",
    "presets",
    "ranged",
    "ranked",
    "rankings",
    "read_text",
    "ready",
    "report",
    "scalability",
    "seeds",
    "simulate",
    "streamed",
    "sweep",
    "to_html",
    "to_link",
    "to_markdown",
    "to_pdf",
    "uncovered",
    "usual_place",
    "values",
    "warm_up",
    "what_next",
    "words",
]
