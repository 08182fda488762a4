"""Faults of the control plane: it decides by what is long past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from engine.component import ControlPlane, knob
from engine.faults.fault import Lasting

if TYPE_CHECKING:
    from engine.scenario import Scenario

LATE = "application.autoscaler.late_seconds"


class LateAutoscaler(Lasting):
    """The autoscaler's clock is late: it acts upon what was to be seen so long ago."""

    do: Literal["late_autoscaler"] = "late_autoscaler"
    title = "Late autoscaler"
    layer = "application"
    state = "late"

    late_seconds: float = knob(
        120.0,
        "Late by",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=600,
        help="How old the metrics are that it decides by.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """There is an autoscaler."""
        line = super().refuse(scenario)
        if line or scenario.application.autoscaler.on:
            return line
        return "there is no autoscaler; switch it on with application.autoscaler.on"

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """It has one clock."""
        yield "the autoscaler's clock"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Lay another lateness over the autoscaler's own."""
        handle = run.overlay({LATE: self.late_seconds})
        yield "application", f"the autoscaler decides by metrics {self.late_seconds:g} s old"
        run.lift(handle)
        yield "application", "the autoscaler's clock is right again"
