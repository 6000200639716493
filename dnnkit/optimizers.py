"""Optimizers: which update rule, with which numbers. The numbers may be changed at any time, also by a callback.

The formulas are those of the kernel `update`.
"""

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from dnnkit.backends.program import Hyperparameters
from dnnkit.errors import ConfigurationError
from dnnkit.schedules import Schedule


@dataclass
class Optimizer:
    """Base of all optimizers. `global_clipnorm` bounds the norm of the whole gradient before the update."""

    learning_rate: float | Schedule
    global_clipnorm: float | None = None

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Schedule) or (field.name == "global_clipnorm" and value is None):
                continue
            if isinstance(value, str | None) or not np.isfinite(value) or value < 0:
                raise ConfigurationError(
                    f"{type(self).__name__}({field.name}={value!r}): expected a finite number, 0 or more"
                )
        if self.global_clipnorm == 0:
            raise ConfigurationError("global_clipnorm=0 would remove every gradient: pass a number above 0, or None")

    @property
    def rule(self) -> str:
        """The update rule in `kernels/optimizer_step`."""
        return self.name

    def hyperparameters(self, first: int, count: int) -> Hyperparameters:
        """The numbers for `count` updates after `first` others."""
        if isinstance(self.learning_rate, Schedule):
            rates = np.array([self.learning_rate(step) for step in range(first, first + count)], np.float64)
        else:
            rates = np.full(count, float(self.learning_rate))
        given = {field.name for field in fields(self)} - {"learning_rate", "global_clipnorm"}
        constants = {name: float(getattr(self, name)) for name in given}
        return Hyperparameters(rates, constants, self.global_clipnorm)


@dataclass
class SGD(Optimizer):
    """Gradient descent, with momentum (Polyak's or Nesterov's) if asked; decay is added to the gradient."""

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    global_clipnorm: float | None = None

    name = "sgd"

    @property
    def rule(self) -> str:
        """Without momentum there is no velocity to keep."""
        if self.momentum == 0:
            return "sgd"
        return "nesterov" if self.nesterov else "momentum"


@dataclass
class RMSprop(Optimizer):
    """Each gradient over the root of a running mean of its square."""

    learning_rate: float | Schedule = 1e-3
    rho: float = 0.9
    epsilon: float = 1e-8
    global_clipnorm: float | None = None

    name = "rmsprop"


@dataclass
class Adam(Optimizer):
    """A running mean of the gradient over the root of a running mean of its square, both without bias."""

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    global_clipnorm: float | None = None

    name = "adam"


@dataclass
class AdamW(Optimizer):
    """Adam with decoupled weight decay, of every parameter."""

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    global_clipnorm: float | None = None

    name = "adamw"


OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.name: optimizer for optimizer in (SGD, RMSprop, Adam, AdamW)}
