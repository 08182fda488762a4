"""Faults: what can go wrong, when, and how it is put right again.

One small class for each kind, in the file of its part of the system.  A controller never looks
here: it sees what is scraped and what answers, as in the world.
"""

from engine.faults.caches import CacheDown, CacheFlush, SessionsDown, SlowCache
from engine.faults.catalogue import FaultInfo, catalogue
from engine.faults.chaos import Chaos
from engine.faults.control import LateAutoscaler
from engine.faults.databases import (
    LockStorm,
    PrimaryDown,
    ReplicaDown,
    ReplicaLag,
    ShardDown,
    SlowDisk,
)
from engine.faults.edges import CdnDown, CdnPurge, DnsDown, RegionDown
from engine.faults.fault import Fault
from engine.faults.networks import NetworkLatency, NetworkLoss, Partition
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
from engine.faults.workers import BrokerDown, PoisonMessages, WorkerCrash

__all__ = [
    "CHANGES_MAX",
    "FAULTS_MAX",
    "BadDeploy",
    "BrokerDown",
    "CacheDown",
    "CacheFlush",
    "CdnDown",
    "CdnPurge",
    "Change",
    "Chaos",
    "DnsDown",
    "Fault",
    "FaultInfo",
    "HangServer",
    "KillServer",
    "LateAutoscaler",
    "LockStorm",
    "NetworkLatency",
    "NetworkLoss",
    "Partition",
    "PoisonMessages",
    "PrimaryDown",
    "RegionDown",
    "ReplicaDown",
    "ReplicaLag",
    "SessionsDown",
    "ShardDown",
    "SlowCache",
    "SlowDisk",
    "SlowServer",
    "Timeline",
    "TrafficSpike",
    "WorkerCrash",
    "catalogue",
    "check",
    "parse_fault",
    "turned",
    "without_plan",
]
