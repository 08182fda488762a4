"""Post-mortem: what happened, why, who noticed, and what would have helped.

It writes itself from a result: the log and the time series say what happened, and what would
have helped is found out by playing the recorded run again with that one thing changed.
"""

from engine.postmortem.cause import Cause
from engine.postmortem.impact import Impact, Objective
from engine.postmortem.measures import Measure
from engine.postmortem.report import (
    RERUNS,
    CancelledError,
    Moment,
    Postmortem,
    Trial,
    postmortem,
)

__all__ = [
    "RERUNS",
    "CancelledError",
    "Cause",
    "Impact",
    "Measure",
    "Moment",
    "Objective",
    "Postmortem",
    "Trial",
    "postmortem",
]
