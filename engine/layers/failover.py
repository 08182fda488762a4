"""Failover: who notices that a primary is dead, and which replica takes over from it.

A shard is one cluster: the pool of its primary, which stands for *the* primary whichever machine
that is, and the pools of its read replicas.  When a replica is promoted, the primary's pool opens
again and that replica leaves its group until another machine has taken its place.

Who breaks a machine gets a `Fallen` back and hands it in when the machine comes back.  Whether
that machine is still the primary then is decided here: a fenced one comes back as a replica, so
there are never two primaries, and nothing is opened twice.  The process that watches sees nothing
but the answers to its checks.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from engine.component import Component, ControlPlane, Figure, knob
from engine.kernel.tables import NOBODY, Op
from engine.layers.cluster import (
    PRIMARY,
    REPLICAS,
    Cluster,
    Fallen,
    acknowledged,
    laid_out,
    lost_writes,
    stop,
)
from engine.layers.connections import DATABASE_DOWN
from engine.layers.replication import behind, lag_seconds, synchronous
from engine.layers.servers import luck

if TYPE_CHECKING:
    from engine.measured import Measured
    from engine.program import Program
    from engine.scenario import Scenario


class Failover(Component):
    """Watches the primary of each shard, and promotes a replica when it is dead.

    Patroni: its loop looks every 10 s (loop_wait), and the leader's lock ends after 30 s (ttl), so
    after 3 looks in vain.  Amazon RDS with a standby in another zone takes 60 to 120 s altogether.
    """

    on: bool = knob(
        False,
        "Failover",
        help="Promote a replica when the primary is dead. Else its shard waits until it is back.",
    )
    check_every_seconds: float = knob(
        10.0,
        "Check every",
        unit="s",
        low=0.1,
        high=3600,
        step=1,
        slider_high=60,
        help="How often the databases are asked whether they live. Patroni's loop_wait: 10 s.",
    )
    failures: int = knob(
        3,
        "Failures",
        low=1,
        high=100,
        step=1,
        slider_high=10,
        help="So many checks in a row have to fail. Patroni's ttl of 30 s: 3 of its loops.",
    )
    promotion_seconds: float = knob(
        10.0,
        "Promotion",
        unit="s",
        low=0,
        high=3600,
        step=1,
        slider_high=120,
        help="From the decision until the replica takes writes: the election, the rest of the log,"
        " new addresses. Amazon RDS: 60 to 120 s with detection.",
    )
    rebuild_seconds: float = knob(
        600.0,
        "New replica after",
        unit="s",
        low=0,
        high=86_400,
        step=60,
        slider_high=3600,
        help="Until another machine has copied all rows and takes the place of the promoted"
        " replica. The old primary takes it sooner if it is back sooner.",
    )

    # ------------------------------------------------------------ what can be broken

    def why_no_primary(self, scenario: Scenario) -> str:
        """Return why a scenario has no primary to lose, in one line; empty: it has one."""
        data = scenario.data
        if not data.enabled:
            return "data is off: there is no primary"
        if data.commit == "quorum":
            return "data.commit is quorum: its databases are equals, there is no primary"
        if not (data.read_replicas and data.reads == "replica" and scenario.uses("read")):
            return ""
        if any(scenario.uses(do) for do in ("write", "count")):
            return ""
        return "no journey writes, and reads go to replicas: nobody would miss the primary"

    def clusters(self, run: ControlPlane) -> list[Cluster]:
        """Return the shards of a run, each with its pools; none if nothing is read or written."""
        known = run.memory.get("data.clusters")
        if known is None:
            known = run.memory["data.clusters"] = list(laid_out(run))
        return list(known)

    def primary_pools(self, run: ControlPlane, shard: int | None = None) -> list[int]:
        """Return the pools of all primaries, or of one shard's."""
        chosen = self.clusters(run)
        chosen = chosen if shard is None else chosen[shard : shard + 1]
        return [cluster.primary for cluster in chosen if cluster.primary != NOBODY]

    def replica_pools(self, run: ControlPlane, shard: int | None = None) -> list[int]:
        """Return the pools of all read replicas, or of one shard's."""
        chosen = self.clusters(run)
        chosen = chosen if shard is None else chosen[shard : shard + 1]
        return [pool for cluster in chosen for pool in cluster.replicas]

    def primary_down(self, run: ControlPlane, shard: int = 0, *, hangs: bool = False) -> Fallen:
        """Kill the primary of a shard, or let it hang; `back` ends that.

        Dead: what it has in hand fails, and whoever comes is refused.  It hangs: they wait.
        """
        cluster = self.clusters(run)[shard]
        assert cluster.primary != NOBODY, "ask why_no_primary first"
        pools = (cluster.primary,) if cluster.also is None else (cluster.primary, cluster.also)
        if not cluster.shuts:
            cluster.down_at = float(run.env.now)
        cluster.shuts += 1
        stop(run, pools, hangs=hangs)
        return Fallen(shard, cluster.term, True, pools, hangs)

    def replica_down(
        self, run: ControlPlane, shard: int = 0, replica: int = 0, *, hangs: bool = False
    ) -> Fallen:
        """Kill a replica of a shard, from 0 on, or let it hang; `back` ends that.

        Who is refused by a dead one asks the next, as libpq does with several hosts: reads go to
        the others at once.  One that hangs has to be noticed by checks.
        """
        cluster = self.clusters(run)[shard]
        pool = cluster.replicas[replica]
        stop(run, (pool,), hangs=hangs)
        if not hangs:
            cluster.leave(run, pool, "dead")
        cluster.lost.setdefault(pool, float(run.env.now))
        cluster.settle(run)
        return Fallen(shard, cluster.term, False, (pool,), hangs)

    def shard_down(self, run: ControlPlane, shard: int = 0, *, hangs: bool = False) -> list[Fallen]:
        """Kill all machines of a shard; `back` ends that for each."""
        cluster = self.clusters(run)[shard]
        fallen = [
            self.replica_down(run, shard, replica, hangs=hangs)
            for replica in range(len(cluster.replicas))
        ]
        if cluster.primary != NOBODY:
            fallen.append(self.primary_down(run, shard, hangs=hangs))
        return fallen

    def back(self, run: ControlPlane, fallen: Fallen) -> None:
        """Let a machine come back: as what it was, or as a replica if another was promoted."""
        cluster = self.clusters(run)[fallen.shard]
        was_primary = fallen.primary
        if was_primary and cluster.term == fallen.term:
            cluster.shuts -= 1
            run.plane.reopen([cluster.primary], refuses=not fallen.hangs)
        for pool in fallen.pools[was_primary:]:
            run.plane.reopen([pool], refuses=not fallen.hangs)
            if run.plane.answers(pool):
                cluster.join(run, pool, "dead")
        if was_primary and cluster.term != fallen.term:
            self._come_back_fenced(run, cluster)
        cluster.settle(run)

    def _come_back_fenced(self, run: ControlPlane, cluster: Cluster) -> None:
        """Let an old primary take the place of a replica that was promoted, if one is vacant."""
        said = f"{cluster.name}: the old primary is back; it is fenced and "
        pools = [pool for pool in cluster.vacant if run.plane.answers(pool)]
        if not pools:
            run.note("server_up", REPLICAS, said + "not needed, all replicas are there")
            return
        cluster.fill(run, pools[0])
        run.note("server_up", REPLICAS, said + f"follows the new one as {cluster.member(pools[0])}")

    # ------------------------------------------------------------ what a write leaves behind

    def acknowledge(self, program: Program, scenario: Scenario, dataset: str) -> None:
        """Emit that a write is acknowledged, so that a failover can tell which of them it loses."""
        program.replaceable.add(PRIMARY)
        keys = scenario.datasets[dataset].keys
        program.step(Op.MARK, site=program.ledger(acknowledged(dataset), keys))

    # ------------------------------------------------------------ over time

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Say how far replicas lag, and watch every shard."""
        if self.replica_pools(run):
            run.metrics.gauge("replica_lag_seconds", REPLICAS, functools.partial(lag_seconds, run))
        if self.on:
            for cluster in self.clusters(run):
                yield self._watch(run, cluster)

    def _watch(self, run: ControlPlane, cluster: Cluster) -> Generator[Any, Any, Any]:
        """Check a shard's machines at regular times; act when its primary is declared dead."""
        bad, told = 0, False
        silent = dict.fromkeys(cluster.replicas, 0)
        while True:
            rules = run.scenario.data.failover
            yield run.env.timeout(rules.check_every_seconds)
            rules = run.scenario.data.failover
            rules.look_at_replicas(run, cluster, silent)
            if cluster.primary == NOBODY or run.plane.answers(cluster.primary):
                bad, told = 0, False
                continue
            bad += 1
            if bad < rules.failures:
                continue
            bad = 0
            if not told:
                run.note("failover", PRIMARY, f"{cluster.name}: {rules.seen()}; it is dead")
            yield run.env.timeout(rules.promotion_seconds)
            told = not rules.promote(run, cluster, told=told)

    def seen(self) -> str:
        """Say what the checks of a dead primary have seen."""
        often = "1 check" if self.failures == 1 else f"{self.failures} checks"
        return f"the primary did not answer {often}, one every {self.check_every_seconds:g} s"

    def look_at_replicas(self, run: ControlPlane, cluster: Cluster, silent: dict[int, int]) -> None:
        """Take replicas that do not answer out of their group, and let them in again.

        `silent` is how many checks in a row each has not answered.
        """
        for pool in cluster.replicas:
            name, before = f"{cluster.name}: {cluster.member(pool)}", silent[pool]
            silent[pool] = 0 if run.plane.answers(pool) else before + 1
            if silent[pool] == self.failures:
                cluster.leave(run, pool, "silent")
                text = f"{name} did not answer {self.failures} checks; reads go to the others"
                run.note("server_down", REPLICAS, text)
            elif before >= self.failures and not silent[pool]:
                cluster.join(run, pool, "silent")
                run.note("server_up", REPLICAS, f"{name} answers again")

    def promote(self, run: ControlPlane, cluster: Cluster, *, told: bool = False) -> bool:
        """Promote the replica that is least behind; return False if there is none."""
        plane = run.plane
        if plane.answers(cluster.primary):
            text = f"{cluster.name}: the primary answers again; nobody is promoted"
            run.note("failover", PRIMARY, text)
            return True
        fit = [p for p in cluster.replicas if plane.answers(p) and p not in cluster.vacant]
        if not fit:
            if not told:
                run.note("failover", PRIMARY, f"{cluster.name}: no replica can take over")
            return False
        lags = self._lags(run, cluster, fit)
        best = min(fit, key=lambda pool: lags[pool])
        lost = lost_writes(run, cluster, lags[best])
        seconds = float(run.env.now) - cluster.down_at
        self._take_over(run, cluster, best)
        run.tally("data.promotions", 1)
        run.tally("data.writes lost", lost)
        run.tally("data.seconds without a primary", seconds)
        of_all = f"{cluster.member(best)} of {len(cluster.replicas)}"
        state = f"was {lags[best] * 1e3:,.1f} ms behind" if lags[best] > 0 else "had every commit"
        loss = f"{lost:,} acknowledged writes are lost" if lost else "no write is lost"
        text = f"{cluster.name}: {of_all} is promoted {seconds:.1f} s after the primary fell"
        run.note("promotion", PRIMARY, f"{text}; it {state}: {loss}")
        return True

    def _lags(self, run: ControlPlane, cluster: Cluster, fit: list[int]) -> dict[int, float]:
        """Return how far behind each replica was when the primary fell, seconds.

        The first of those alive are synchronous where commits wait for some: they are not behind.
        One that was down itself has nothing from then on.
        """
        rng = luck(run, f"failover {cluster.term}", cluster.shard)
        drawn = {pool: behind(run, rng) for pool in cluster.replicas}
        missed = {
            pool: max(0.0, cluster.down_at - cluster.lost.get(pool, cluster.down_at))
            for pool in cluster.replicas
        }
        well = [
            pool for pool in cluster.replicas if not missed[pool] and pool not in cluster.vacant
        ]
        abreast = well[: synchronous(run.scenario.data)]
        return {pool: 0.0 if pool in abreast else drawn[pool] + missed[pool] for pool in fit}

    def _take_over(self, run: ControlPlane, cluster: Cluster, best: int) -> None:
        """Fence the old primary, and let the promoted replica take its writes."""
        plane = run.plane
        plane.crash([cluster.primary], DATABASE_DOWN)
        while not plane.answers(cluster.primary):
            plane.reopen([cluster.primary])
        cluster.term += 1
        cluster.shuts = 0
        cluster.vacant[best] = cluster.term
        others = [p for p in cluster.replicas if p != best and plane.is_up(p)]
        if others:
            cluster.leave(run, best, "promoted")
        else:
            cluster.also = best
        cluster.settle(run)  # who is there follows the new primary from now on
        run.env.process(self._rebuild(run, cluster, best))

    def _rebuild(self, run: ControlPlane, cluster: Cluster, pool: int) -> Generator[Any, Any, Any]:
        """Build a new replica in place of the one that was promoted just now."""
        term = cluster.term
        yield run.env.timeout(self.rebuild_seconds)
        while not (run.plane.answers(cluster.primary) and run.plane.answers(pool)):
            yield run.env.timeout(self.check_every_seconds)
        if cluster.vacant.get(pool) == term:
            cluster.fill(run, pool)
            text = f"{cluster.name}: a new {cluster.member(pool)} has been built"
            run.note("server_up", REPLICAS, text)

    # ------------------------------------------------------------ afterwards

    def figures(self, result: Measured) -> Iterator[Figure]:
        """What failovers have cost."""
        if self.on:
            checks = f"{self.failures} × {self.check_every_seconds:g} s"
            yield Figure(
                name="Failover, at most",
                station=PRIMARY,
                value=self.failures * self.check_every_seconds + self.promotion_seconds,
                unit="s",
                help="From the death of a primary until a replica takes its writes: checks of"
                f" {checks}, and {self.promotion_seconds:g} s for the promotion.",
            )
        count = result.tallied("data.promotions")
        if not count:
            return
        yield Figure(
            name="Writes lost",
            station=PRIMARY,
            value=result.tallied("data.writes lost"),
            unit="writes",
            help="Acknowledged, but not yet on the replica that was promoted; a row that was"
            " written several times counts once.",
        )
        yield Figure(
            name="Without a primary",
            station=PRIMARY,
            value=result.tallied("data.seconds without a primary") / count,
            unit="s",
            help="From its death until a replica took the writes of its shard; mean of"
            f" {count:g} failovers." if count > 1 else
            "From its death until a replica took the writes of its shard.",
        )  # fmt: skip
