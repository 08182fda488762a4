"""The report: timeline, cause, impact, and what would have prevented it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from engine.distribution import Frozen
from engine.errors import ScenarioError
from engine.postmortem.cause import Cause, suspects
from engine.postmortem.impact import Impact, Objective, harmed, impact
from engine.postmortem.measures import Measure, measures
from engine.run import Simulation

if TYPE_CHECKING:
    from engine.result import Result
    from engine.scenario import Scenario

MOMENTS = 60  # of the log; a run that flaps has many
RERUNS = 16
PIECES = 20  # of a rerun; between two of them it can be cancelled
BETTER = 0.9  # of what it was, or less, is a help
QUIET = ("flush", "backup", "warm_up")  # of the log: they are routine

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]


class CancelledError(Exception):
    """Whoever asked for the post-mortem does not want it any more."""


class Moment(Frozen):
    """One line of the timeline."""

    seconds: float
    kind: str
    text: str


class Trial(Frozen):
    """The same run with one thing done beforehand: what users would have felt."""

    measure: Measure
    failed: int  # requests
    harmed_seconds: float
    usd_per_hour: float  # more than the run itself cost
    helps: bool


class Postmortem(Frozen):
    """What is to be said of a run after it."""

    title: str
    seed: int
    seconds: float  # simulated
    objective: Objective
    failed: int  # requests, whether anybody was harmed or not
    timeline: tuple[Moment, ...]
    cause: Cause | None
    impact: Impact | None
    helped: tuple[Trial, ...]  # the best first
    did_not_help: tuple[Trial, ...]
    not_played: tuple[str, ...]  # measures, each with the reason

    def lines(self) -> Iterator[str]:
        """Yield the report, line by line."""
        yield f"# Post-mortem: {self.title}"
        yield f"{self.seconds:,.0f} simulated seconds, seed {self.seed}."
        yield ""
        yield "## What users felt"
        yield from self._felt()
        yield ""
        yield "## First cause"
        yield from self._caused()
        yield ""
        yield "## Timeline"
        yield from (f"{each.seconds:8.1f} s  {each.kind}: {each.text}" for each in self.timeline)
        if not self.timeline:
            yield "The log is empty."
        if self.impact is None:
            return
        yield ""
        yield "## What would have prevented it"
        yield from self._prevented()

    def text(self) -> str:
        """Return the report, in Markdown."""
        return "\n".join(self.lines()) + "\n"

    def _felt(self) -> Iterator[str]:
        found = self.impact
        if found is None:
            few = f": {self.failed:,} requests failed, too few at a time" if self.failed else ""
            yield f"Nobody was harmed{few}."
            return
        if found.ended_seconds is None:
            yield (
                f"From {found.began_seconds:.1f} s on; when the run ended they had not been well"
                f" for {self.objective.calm_seconds:g} s. Users were harmed for"
                f" {found.harmed_seconds:.1f} s."
            )
        else:
            yield (
                f"From {found.began_seconds:.1f} s to {found.ended_seconds:.1f} s;"
                f" users were harmed for {found.harmed_seconds:.1f} s of it."
            )
        reasons = ", ".join(f"{count:,} {why}" for why, count in found.reasons.items())
        yield f"{found.failed:,} requests failed" + (f": {reasons}." if reasons else ".")
        worst = f"At worst {found.error_ratio_worst:.1%} failed"
        if found.latency_ms_p99_worst is None:
            yield f"{worst}, and nothing was answered meanwhile."
        else:
            at = f"{found.latency_worst_at_seconds:.1f} s"
            yield f"{worst}, and the P99 was {found.latency_ms_p99_worst:,.0f} ms at {at}."
        yield (
            f"That is {found.budget_spent:.1f} times the error budget of this run"
            f" (objective {self.objective.availability:.3%})."
        )
        after = found.detected_after_seconds
        if after is None:
            yield "Nobody was told, and nothing reacted."
        else:
            yield f"Noticed after {after:.1f} s: {found.detected_by}."
        lasted = found.lasted_seconds
        if lasted is not None:
            yield (
                f"Recovered after {lasted:.1f} s, and stayed well for"
                f" {self.objective.calm_seconds:g} s."
            )

    def _caused(self) -> Iterator[str]:
        cause = self.cause
        if cause is None:
            yield "None: nobody was harmed."
            return
        yield f"At {cause.at_seconds:.1f} s: {cause.text}."
        if cause.failed_without is not None and self.impact is not None:
            yield (
                f"Checked: without it {cause.failed_without:,} requests fail instead of"
                f" {self.impact.failed:,}, and users are harmed for"
                f" {cause.harmed_seconds_without:.1f} s."
            )
        for text in cause.also:
            yield f"Already wrong then: {text}."

    def _prevented(self) -> Iterator[str]:
        assert self.impact is not None
        for title, trials in (("Helps", self.helped), ("Does not help", self.did_not_help)):
            yield from (f"{title}: {trial.measure.name}: {self._told(trial)}" for trial in trials)
        for text in self.not_played:
            yield f"Not played: {text}"

    def _told(self, trial: Trial) -> str:
        """Say what users would have felt."""
        assert self.impact is not None
        said = f"harm for {trial.harmed_seconds:.1f} s instead of {self.impact.harmed_seconds:.1f}"
        if trial.failed or self.impact.failed:
            said = f"{trial.failed:,} requests fail instead of {self.impact.failed:,}, {said}"
        return said + (f"; {trial.usd_per_hour:+.2f} $ an hour" if trial.usd_per_hour else "")


def postmortem(
    result: Result,
    scenario: Scenario | None = None,
    *,
    objective: Objective | None = None,
    reruns: int = RERUNS,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> Postmortem:
    """Return what is to be said of a run.

    `scenario` is what was recorded (`Simulation.recorded()`), so that it can be played again;
    else the result's own.  At most `reruns` runs of the same length are played; `progress` is
    told (done, of how many, of what) before each, and `cancelled` is asked often: CancelledError.
    """
    promised = objective or Objective()
    recorded = scenario or result.scenario
    found = impact(result, promised)
    stage = _Stage(result, recorded, promised, progress, cancelled)
    cause = None
    trials: list[Trial] = []
    unplayed: list[str] = []
    if found is not None:
        stage.total = reruns
        cause = _cause(stage, found)
        proposals = measures(recorded, cause.station if cause is not None else "")
        stage.total = min(reruns, stage.done + len(proposals))
        for measure in proposals:
            if stage.done >= reruns:
                unplayed.append(f"{measure.name}: {reruns} runs were the limit")
                continue
            try:
                trials.append(_trial(stage, found, measure))
            except ScenarioError as error:
                unplayed.append(f"{measure.name}: {error}")
    trials.sort(key=lambda trial: (trial.failed, trial.harmed_seconds))
    return Postmortem(
        title=recorded.title,
        seed=result.seed,
        seconds=result.summary.simulated_seconds,
        objective=promised,
        failed=result.summary.failed,
        timeline=tuple(_timeline(result)),
        cause=cause,
        impact=found,
        helped=tuple(trial for trial in trials if trial.helps),
        did_not_help=tuple(trial for trial in trials if not trial.helps),
        not_played=tuple(unplayed),
    )


class _Stage:
    """Where runs are played again: for as long as the run lasted, with its seed."""

    def __init__(
        self,
        result: Result,
        recorded: Scenario,
        objective: Objective,
        progress: Progress | None,
        cancelled: Cancelled | None,
    ) -> None:
        self.result = result
        self.recorded = recorded
        self.objective = objective
        self.total = self.done = 0
        self._progress = progress
        self._cancelled = cancelled

    def play(self, scenario: Scenario, what: str) -> Result:
        """Return what comes out of a scenario; CancelledError if that is not wanted any more."""
        if self._progress is not None:
            self._progress(self.done, self.total, what)
        self.done += 1
        run = Simulation(scenario, self.result.seed)
        end = self.result.summary.simulated_seconds
        for piece in range(1, PIECES + 1):
            if self._cancelled is not None and self._cancelled():
                raise CancelledError
            run.advance_to(end * piece / PIECES)
        return run.end()

    def harmed_seconds(self, result: Result) -> float:
        """Return for how long users were harmed."""
        bad = harmed(result, self.objective).to_numpy()
        return float(np.diff(result.timeseries["time_s"], prepend=0.0)[bad].sum())


def _cause(stage: _Stage, found: Impact) -> Cause | None:
    """Return the latest of what happened before the harm without which there is less of it.

    Where nothing can be checked, it is simply the latest.
    """
    first: Cause | None = None
    for suspect in suspects(stage.result, stage.recorded, found):
        cause = suspect.cause
        if suspect.without is not None:
            try:
                other = stage.play(suspect.without, f"without: {cause.text}")
            except ScenarioError:
                other = None
            if other is not None:
                failed, seconds = other.summary.failed, stage.harmed_seconds(other)
                cause = cause.model_copy(
                    update={"failed_without": failed, "harmed_seconds_without": seconds}
                )
                if better(found, failed, seconds):
                    return cause
        first = first or cause
    return first


def _trial(stage: _Stage, found: Impact, measure: Measure) -> Trial:
    """Play the run with one thing done beforehand."""
    other = stage.play(stage.recorded.change(measure.changes), measure.name)
    seconds = stage.harmed_seconds(other)
    more = other.summary.cost_usd_per_hour - stage.result.summary.cost_usd_per_hour
    return Trial(
        measure=measure,
        failed=other.summary.failed,
        harmed_seconds=seconds,
        usd_per_hour=round(more, 4),
        helps=better(found, other.summary.failed, seconds),
    )


def better(found: Impact, failed: int, harmed_seconds: float) -> bool:
    """Return whether fewer requests fail, or as many at most and users are harmed for less long."""
    if failed < BETTER * found.failed:
        return True
    return failed <= found.failed and harmed_seconds < BETTER * found.harmed_seconds


def _timeline(result: Result) -> Iterator[Moment]:
    """Yield what the log says, without routine; of a log that is too long its first part."""
    events = result.events
    told = events[~events["kind"].isin(QUIET)]
    for row in told.head(MOMENTS).itertuples():
        yield Moment(seconds=float(row.time_s), kind=str(row.kind), text=str(row.text))
