"""Faults: what can go wrong, when, and how it is put right again.

One small class for each kind, in the file of its part of the system.  A controller never looks
here: it sees what is scraped and what answers, as in the world.
"""

from engine.faults.caches import CacheDown, CacheFlush, SlowCache
from engine.faults.catalogue import FaultInfo, catalogue
from engine.faults.chaos import Chaos
from engine.faults.fault import Fault
from engine.faults.plan import (
    CHANGES_MAX,
    FAULTS_MAX,
    Change,
    check,
    parse_fault,
    turned,
    without_plan,
)
from engine.faults.servers import BadDeploy, HangServer, KillServer, SlowServer
from engine.faults.timeline import Timeline
from engine.faults.traffic import TrafficSpike

__all__ = [
    "CHANGES_MAX",
    "FAULTS_MAX",
    "BadDeploy",
    "CacheDown",
    "CacheFlush",
    "Change",
    "Chaos",
    "Fault",
    "FaultInfo",
    "HangServer",
    "KillServer",
    "SlowCache",
    "SlowServer",
    "Timeline",
    "TrafficSpike",
    "catalogue",
    "check",
    "parse_fault",
    "turned",
    "without_plan",
]
