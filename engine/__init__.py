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
from engine.postmortem import CancelledError, Postmortem, postmortem
from engine.program import LAYERS
from engine.reading import PresetInfo, load, presets, read_text, values
from engine.result import Result, Summary
from engine.run import Simulation, ready, simulate, warm_up
from engine.scenario import Scenario
from engine.study.candidates import Candidate
from engine.study.compare import RUNS, Comparison, Verdict, compare, comparisons
from engine.study.crew import Cluster, Crew, Processes, crew
from engine.study.explain import (
    Explanation,
    Headroom,
    Objective,
    explain,
    headroom,
    load_knob,
)
from engine.study.figures import METRICS, Metric, Outcome, Task
from engine.study.goal import BadDay, Goal, bad_day
from engine.study.lab import Lab, StoppedError, differences, seeds
from engine.study.plan import Plan, front_of, plan
from engine.study.shelf import Shelf
from engine.study.statistics import Interval, batch_means, interval, mser5
from engine.study.sweep import (
    Axis,
    Cell,
    Precision,
    Sweep,
    axis,
    combinations,
    knee,
    ranged,
    scalability,
    streamed,
    sweep,
)
from engine.study.trials import Trial, ranked, rankings, what_next
from engine.theory import Usl
from engine.traces import Span, Trace

__version__ = "0.1.0"
__all__ = [
    "LAYERS",
    "METRICS",
    "RUNS",
    "Axis",
    "BadDay",
    "CancelledError",
    "Candidate",
    "Cell",
    "Cluster",
    "Comparison",
    "Crew",
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
    "Live",
    "Metric",
    "Objective",
    "Outcome",
    "Plan",
    "Postmortem",
    "Precision",
    "PresetInfo",
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
    "combinations",
    "compare",
    "comparisons",
    "crew",
    "differences",
    "explain",
    "front_of",
    "headroom",
    "inspect",
    "interval",
    "knee",
    "knobs",
    "load",
    "load_knob",
    "mser5",
    "plan",
    "postmortem",
    "presets",
    "ranged",
    "ranked",
    "rankings",
    "read_text",
    "ready",
    "scalability",
    "seeds",
    "simulate",
    "streamed",
    "sweep",
    "values",
    "warm_up",
    "what_next",
]
