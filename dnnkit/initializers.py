"""Initializers of parameters: functions of a random generator and a shape that return float64 values."""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from math import prod, sqrt
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.namespaces import open_namespace
from dnnkit.registry import Registry
from dnnkit.settings import FINITE, FLAG, NOT_NEGATIVE, Settings

__all__ = ["Constant", "Initializer", "RandomNormal", "RandomUniform", "VarianceScaling"]

Shape: TypeAlias = tuple[int, ...]
Values: TypeAlias = NDArray[np.float64]


class Initializer(Settings):
    """Base class of initializers; subclass it as a frozen dataclass."""

    def __call__(self, rng: "np.random.Generator", shape: Shape) -> Values:
        """Return initial values.

        Arguments:
            rng: generator to draw from.
            shape: shape of the parameter.

        Returns:
            A float64 array of that shape.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Initializer):
    """The same value for all elements.

    Arguments:
        value: default 0.
    """

    value: float = 0.0

    expects: ClassVar = {"value": FINITE}

    def __call__(self, rng: "np.random.Generator", shape: Shape) -> Values:  # noqa: D102
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class RandomNormal(Initializer):
    """Normal distribution with mean 0.

    Arguments:
        stddev: standard deviation, default 0.05.
    """

    stddev: float = 0.05

    expects: ClassVar = {"stddev": NOT_NEGATIVE}

    def __call__(self, rng: "np.random.Generator", shape: Shape) -> Values:  # noqa: D102
        return self.stddev * rng.standard_normal(shape)


@dataclass(frozen=True)
class RandomUniform(Initializer):
    """Uniform distribution between two bounds.

    Arguments:
        low, high: bounds, default -0.05 and 0.05.
    """

    low: float = -0.05
    high: float = 0.05

    expects: ClassVar = {"low": FINITE, "high": FINITE}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ConfigurationError(f"{self}: expected low to be at most high")

    def __call__(self, rng: "np.random.Generator", shape: Shape) -> Values:  # noqa: D102
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Mean 0 and variance `scale` / fan-in, or `scale` / mean of fan-in and fan-out.

    Glorot and Bengio (2010): scale 1, average. He et al. (2015): scale 2, fan-in. LeCun et al. (1998): scale 1, fan-in.

    Arguments:
        scale: factor of the variance, default 1.
        average: divide by the mean of fan-in and fan-out rather than by fan-in; default False.
        uniform: draw from a uniform rather than a normal distribution; default False.
    """

    scale: float = 1.0
    average: bool = False
    uniform: bool = False

    expects: ClassVar = {"scale": NOT_NEGATIVE, "average": FLAG, "uniform": FLAG}

    def __call__(self, rng: "np.random.Generator", shape: Shape) -> Values:  # noqa: D102
        inputs, outputs = (prod(shape[:-1]), shape[-1]) if len(shape) > 1 else (shape[0], shape[0])
        stddev = sqrt(self.scale / max(1.0, (inputs + outputs) / 2 if self.average else inputs))
        if self.uniform:
            return rng.uniform(-sqrt(3) * stddev, sqrt(3) * stddev, shape)
        return stddev * rng.standard_normal(shape)


def _is_initializer(thing: object) -> bool:
    return isinstance(thing, Initializer)


INITIALIZERS: Registry[Initializer] = Registry("initializer", "an object of class Initializer", _is_initializer)

for _name, _initializer in {
    "zeros": Constant(0.0),
    "ones": Constant(1.0),
    "random_normal": RandomNormal(),
    "random_uniform": RandomUniform(),
    "glorot_uniform": VarianceScaling(1.0, average=True, uniform=True),
    "glorot_normal": VarianceScaling(1.0, average=True),
    "he_uniform": VarianceScaling(2.0, uniform=True),
    "he_normal": VarianceScaling(2.0),
    "lecun_uniform": VarianceScaling(1.0, uniform=True),
    "lecun_normal": VarianceScaling(1.0),
}.items():
    INITIALIZERS.add(_name, _initializer)

for _name, _other in {"zeros": "zero", "ones": "one", "random_normal": "normal", "random_uniform": "uniform"}.items():
    INITIALIZERS.also(_name, _other)


def made_as_in_keras(name: str) -> Callable[..., Initializer]:
    """Return a factory without arguments for that initializer, like Keras's class of the same name."""
    found = INITIALIZERS.find(name)
    values = {field.name: getattr(found, field.name) for field in fields(found)}  # type: ignore[arg-type]
    return partial(type(found), **values)


def get_initializer(given: Any) -> Callable[["np.random.Generator", Shape], Values]:
    """Return an initializer given by name or as an object."""
    return INITIALIZERS.make(given, Initializer)  # type: ignore[no-any-return]


IN_KERAS = ("Zeros", "Ones", "GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal")
"""Names of Keras classes for registered initializers."""

open_namespace(__name__, INITIALIZERS, made_as_in_keras, IN_KERAS)
