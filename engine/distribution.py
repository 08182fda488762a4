"""Distributions of time, as a person writes them, and what the kernel draws from."""

import functools
import math
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from scipy.special import ndtri

from engine.kernel.tables import Family


class Frozen(BaseModel):
    """A value: it cannot be changed, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Milliseconds = Annotated[float, Field(ge=0, le=1e12)]


class Distribution(Frozen):
    """A distribution of times in milliseconds.

    A bare number is that constant.  Examples: `4`, `{exponential: 8}`,
    `{lognormal: {median: 3, p99: 20}}`, `{uniform: {low: 10, high: 100}}`,
    `{bimodal: {fast: 1, slow: 50, slow_share: 0.1}}`, `{empirical: [3, 4, 4.5, 9]}`,
    `{erlang: {mean: 10, phases: 4}}`.
    """

    constant: Milliseconds | None = None
    exponential: Annotated[float, Field(gt=0, le=3_600_000)] | None = None
    lognormal: "Lognormal | None" = None
    uniform: "Uniform | None" = None
    bimodal: "Bimodal | None" = None
    empirical: (
        Annotated[tuple[Milliseconds, ...], Field(min_length=2, max_length=10_000)] | None
    ) = None
    erlang: "Erlang | None" = None

    @model_validator(mode="after")
    def one_of_them(self) -> "Distribution":
        """Exactly one family has to be given."""
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a distribution is one of {', '.join(type(self).model_fields)};"
                f" this one gives {' and '.join(given) or 'none'}"
            )
        return self

    @property
    def mean_ms(self) -> float:
        """The mean in milliseconds."""
        if self.constant is not None:
            return self.constant
        if self.exponential is not None:
            return self.exponential
        if self.empirical is not None:
            s = sorted(self.empirical)
            return (sum(s) - (s[0] + s[-1]) / 2) / (len(s) - 1)
        family = self.lognormal or self.uniform or self.bimodal or self.erlang
        assert family is not None
        return family.mean_ms

    def drawn_ms(self, rng: np.random.Generator) -> float:
        """Draw one value in milliseconds, for the control plane."""
        (family, count, a, b, c), samples = self.row(1e3)
        if family == Family.CONSTANT:
            return a
        if family == Family.EMPIRICAL:
            return float(np.interp(rng.uniform() * (count - 1), np.arange(count), samples))
        if family == Family.BIMODAL:
            mean = b if rng.uniform() < c else a
            return mean * rng.exponential() if count else mean
        draws = {
            Family.EXPONENTIAL: lambda: rng.exponential(a),
            Family.LOGNORMAL: lambda: rng.lognormal(a, b),
            Family.UNIFORM: lambda: rng.uniform(a, b),
            Family.ERLANG: lambda: rng.gamma(count, a / max(1, count)),
        }
        return float(draws[Family(family)]())

    def row(
        self, scale: float = 1.0
    ) -> tuple[tuple[int, int, float, float, float], tuple[float, ...]]:
        """Return (shape, count, a, b, c) in seconds times `scale`, and samples if empirical."""
        k = 1e-3 * scale
        if self.constant is not None:
            return (Family.CONSTANT, 0, self.constant * k, 0.0, 0.0), ()
        if self.exponential is not None:
            return (Family.EXPONENTIAL, 0, self.exponential * k, 0.0, 0.0), ()
        if self.lognormal is not None:
            mu, sigma = self.lognormal.parameters()
            return (Family.LOGNORMAL, 0, mu + math.log(k), sigma, 0.0), ()
        if self.uniform is not None:
            return (Family.UNIFORM, 0, self.uniform.low * k, self.uniform.high * k, 0.0), ()
        if self.bimodal is not None:
            b = self.bimodal
            return (Family.BIMODAL, int(b.exponential), b.fast * k, b.slow * k, b.slow_share), ()
        if self.erlang is not None:
            return (Family.ERLANG, self.erlang.phases, self.erlang.mean * k, 0.0, 0.0), ()
        assert self.empirical is not None
        samples = tuple(x * k for x in sorted(self.empirical))
        return (Family.EMPIRICAL, len(samples), 0.0, 0.0, 0.0), samples


class Lognormal(Frozen):
    """Most are near the median, a few far above: how service times usually look."""

    median: Annotated[float, Field(gt=0, le=1e12)]
    p99: Annotated[float, Field(gt=0, le=1e12)]

    @model_validator(mode="after")
    def p99_above_median(self) -> "Lognormal":
        """The 99th percentile is above the 50th."""
        if self.p99 <= self.median:
            raise ValueError(f"p99 is {self.p99}; it has to be above the median {self.median}")
        return self

    def parameters(self) -> tuple[float, float]:
        """Return (mu, sigma) of the logarithm of milliseconds."""
        return math.log(self.median), math.log(self.p99 / self.median) / float(ndtri(0.99))

    @property
    def mean_ms(self) -> float:
        """exp(mu + sigma²/2)."""
        mu, sigma = self.parameters()
        return math.exp(mu + sigma * sigma / 2)


class Uniform(Frozen):
    """All values from low to high alike."""

    low: Milliseconds
    high: Milliseconds

    @model_validator(mode="after")
    def in_order(self) -> "Uniform":
        """Low is not above high."""
        if self.low > self.high:
            raise ValueError(f"low is {self.low}, above high {self.high}; swap them")
        return self

    @property
    def mean_ms(self) -> float:
        """The middle."""
        return (self.low + self.high) / 2


class Bimodal(Frozen):
    """Fast for most and slow for a share; constants, or exponential with these means."""

    fast: Milliseconds
    slow: Milliseconds
    slow_share: Annotated[float, Field(ge=0, le=1)]
    exponential: bool = False

    @property
    def mean_ms(self) -> float:
        """The weighted mean."""
        return self.fast * (1 - self.slow_share) + self.slow * self.slow_share


class Erlang(Frozen):
    """A sum of exponential phases: steadier than exponential."""

    mean: Annotated[float, Field(gt=0, le=1e12)]
    phases: Annotated[int, Field(ge=1, le=64)]

    @property
    def mean_ms(self) -> float:
        """The mean of the sum."""
        return self.mean


Distribution.model_rebuild()


def _from_number(value: object) -> object:
    """Let a bare number stand for a constant."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"constant": value}
    return value


Time = Annotated[Distribution, BeforeValidator(_from_number)]
Jitter = Literal["none", "full", "equal", "decorrelated"]


@functools.lru_cache(maxsize=32)
def zipf(keys: int, exponent: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the cumulated popularity of `keys` keys by rank, and a guide table into it.

    Popularity of rank r is proportional to r**-exponent (Breslau et al. 1999).  The guide
    (Chen and Asau 1974) gives for each u the place to begin a search of one or two steps.
    """
    weights = np.arange(1, keys + 1, dtype=float) ** -exponent
    cumulated = np.cumsum(weights)
    cumulated /= cumulated[-1]
    cumulated[-1] = 1.0
    guide = np.searchsorted(cumulated, np.arange(keys) / keys, side="left").astype(np.int32)
    cumulated.flags.writeable = guide.flags.writeable = False
    return cumulated, guide
