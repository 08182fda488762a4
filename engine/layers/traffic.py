"""Traffic: how the request rate changes over a run."""

from __future__ import annotations

import bisect
import functools
import math
import random
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, model_validator

from engine.component import knob
from engine.distribution import Frozen
from engine.layers import accesslog

Shape = Literal["constant", "ramp", "spike", "diurnal", "step", "flash_crowd", "burst", "replay"]


class Profile(Frozen):
    """What was read of a log: kept with the scenario, so that it says the same elsewhere."""

    file: str
    requests: Annotated[
        tuple[Annotated[int, Field(ge=0, le=1_000_000_000)], ...],
        Field(min_length=1, max_length=1000),
    ]

    @model_validator(mode="after")
    def somebody_asks(self) -> Profile:
        """A shape of nothing would be no traffic at all."""
        if not any(self.requests):
            raise ValueError("the log's profile has no requests; use a log that has some")
        return self


class Pattern(Frozen):
    """How the request rate changes over a run, as a factor on requests per second."""

    shape: Shape = knob(
        "constant",
        "Shape",
        help="How the request rate changes over the run. Step: from the start on. Flash crowd: a"
        " fast rise, then an exponential decay. Burst: on and off at random (an MMPP). Replay: the"
        " shape of a real access log.",
    )
    factor: float = knob(
        3.0,
        "Factor",
        unit="×",
        low=0,
        high=100,
        step=0.5,
        help="Where the ramp or the step ends, how high the spike, the crowd, a burst or the peak"
        " of the day is.",
    )
    start_seconds: float = knob(
        20.0,
        "Start",
        unit="s",
        low=0,
        high=86_400,
        step=1,
        help="When the ramp, spike, step or crowd begins.",
    )
    length_seconds: float = knob(
        15.0,
        "Length",
        unit="s",
        low=0.1,
        high=86_400,
        step=1,
        help="How long the ramp, the spike, one whole day or the replay of a whole log takes; how"
        " long a burst lasts in the mean; in what time a crowd falls to 37 %.",
    )
    rise_seconds: float = knob(
        5.0,
        "Rise",
        unit="s",
        low=0,
        high=86_400,
        step=1,
        help="Flash crowd: in what time it is there.",
    )
    calm_seconds: float = knob(
        30.0,
        "Calm",
        unit="s",
        low=0.1,
        high=86_400,
        step=1,
        help="Burst: how long it is calm between two bursts in the mean. Both are exponential.",
    )
    file: str = knob(
        "",
        "Access log",
        help="Replay: a log in Apache's or nginx's common or combined format, beside the"
        " scenario's file or in presets/. Its time is squeezed into the length; its mean rate"
        " becomes the request rate; then it begins anew.",
        max_length=100,
    )
    parts: int = knob(
        60,
        "Log parts",
        low=1,
        high=1000,
        step=10,
        help="Replay: in so many equal parts of the log requests are counted; the rate changes from"
        " part to part.",
    )
    profile: Profile | None = None

    @model_validator(mode="before")
    @classmethod
    def log_is_read(cls, tree: Any, info: ValidationInfo) -> Any:
        """Read the log that is to be replayed, unless that has been done."""
        if not isinstance(tree, dict) or tree.get("shape") != "replay":
            return tree
        name, known = tree.get("file"), tree.get("profile")
        if not isinstance(name, str) or not name:
            raise ValueError("a replay needs a log; give its name as file: access.log")
        parts = tree.get("parts", cls.model_fields["parts"].default)
        if not isinstance(parts, int) or not 1 <= parts <= 1000:
            return tree  # its own field says so
        if isinstance(known, dict) and known.get("file") == name:
            counts = known.get("requests")
            if isinstance(counts, list | tuple) and len(counts) == parts:
                return tree
        folder = (info.context or {}).get("folder")
        return {**tree, "profile": {"file": name, "requests": accesslog.read(name, folder, parts)}}

    def at(self, seconds: float, seed: int = 0) -> float:
        """Return the factor at a time; bursts are drawn from a seed."""
        since = seconds - self.start_seconds
        if self.shape == "ramp":
            return 1.0 + (self.factor - 1.0) * min(1.0, max(0.0, since / self.length_seconds))
        if self.shape == "spike":
            return self.factor if 0.0 <= since < self.length_seconds else 1.0
        if self.shape == "step":
            return self.factor if since >= 0.0 else 1.0
        if self.shape == "diurnal":
            swing = (1.0 - math.cos(2 * math.pi * seconds / self.length_seconds)) / 2
            return 1.0 + (self.factor - 1.0) * swing
        if self.shape == "flash_crowd":
            return 1.0 + (self.factor - 1.0) * self._crowd(since)
        if self.shape == "burst":
            return self.factor if self._bursting(seconds, seed) else 1.0
        if self.shape == "replay" and self.profile:
            counts = self.profile.requests
            part = int(seconds / self.length_seconds * len(counts) + 1e-9) % len(counts)
            return counts[part] * len(counts) / sum(counts)
        return 1.0

    def next_change(self, seconds: float, seed: int = 0) -> float:
        """Return when the factor jumps next; a factor that glides or stays never jumps."""
        if self.shape == "step" and seconds < self.start_seconds:
            return self.start_seconds
        if self.shape == "burst":
            times = switches(seed, self.calm_seconds, self.length_seconds, _horizon(seconds))
            return times[bisect.bisect_right(times, seconds)]
        if self.shape == "replay" and self.profile:
            part = self.length_seconds / len(self.profile.requests)
            return part * (math.floor(seconds / part + 1e-6) + 1)
        return math.inf

    def _crowd(self, since: float) -> float:
        """Return how much of the crowd is there: a straight rise, an exponential decay.

        The fast rise and slow decay of Jung, Krishnamurthy and Rabinovich, "Flash Crowds and
        Denial of Service Attacks", WWW 2002.
        """
        if since < 0.0:
            return 0.0
        if since < self.rise_seconds:
            return since / self.rise_seconds
        return math.exp(-(since - self.rise_seconds) / self.length_seconds)

    def _bursting(self, seconds: float, seed: int) -> bool:
        times = switches(seed, self.calm_seconds, self.length_seconds, _horizon(seconds))
        return bisect.bisect_right(times, seconds) % 2 == 1


def _horizon(seconds: float) -> float:
    """Return a time well behind `seconds`, the same for many of them."""
    return float(2.0 ** math.ceil(math.log2(max(64.0, seconds + 1.0))))


@functools.lru_cache(maxsize=32)
def switches(seed: int, calm: float, burst: float, until: float) -> tuple[float, ...]:
    """Return when bursts begin and end: a two-state Markov process that begins calm.

    The modulation of an MMPP: W. Fischer and K. Meier-Hellstern, "The Markov-modulated Poisson
    process (MMPP) cookbook", 1993.  A longer list begins like a shorter one of the same seed.
    """
    draws, now = random.Random(f"bursts {seed}"), 0.0
    times: list[float] = []
    while now <= until:
        now += draws.expovariate(1.0 / (burst if len(times) % 2 else calm))
        times.append(now)
    return tuple(times)
