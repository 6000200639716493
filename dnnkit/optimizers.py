"""Optimizers: which update rule, with which numbers. The numbers may be changed at any time, also by a callback.

The formulas are those of the kernel `update`.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar

import numpy as np

from dnnkit.backends.program import Hyperparameters
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.optimizer_step.reference import Rule
from dnnkit.registry import Registry
from dnnkit.schedules import Schedule


@dataclass
class Optimizer:
    """Base of all optimizers. `global_clipnorm` bounds the norm of the whole gradient before the update."""

    learning_rate: float | Schedule
    global_clipnorm: float | None = None

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]] = ()
    """What your own rule keeps for each parameter, from zeros; built-in rules know theirs."""

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
    def rule(self) -> str | Rule:
        """The update rule in `kernels/optimizer_step`, or your own."""
        kind = type(self)
        if kind.update is Optimizer.update:
            return self.name
        return _own_rule(kind)  # type: ignore[arg-type] # classes are hashable

    @staticmethod
    def update(
        step: int, parameter: Array, gradient: Array, *slots_and_numbers: Any, xp: Namespace
    ) -> tuple[Array, ...]:
        """Your own rule: the parameter and its slots after update `step`, counted from 1; nothing is written in place.

        It works element by element, on the backend's array namespace `xp`.

        Arguments:
            step: how many updates there were, with this one.
            parameter, gradient: arrays of one shape.
            slots_and_numbers: an array for each of `slots`, then `learning_rate`, then the fields of your dataclass in
                their order, without `learning_rate` and `global_clipnorm`.
            xp: the array namespace.

        Returns:
            The new parameter, then the new slots in their order.
        """
        raise NotImplementedError

    def hyperparameters(self, first: int, count: int) -> Hyperparameters:
        """The numbers for `count` updates after `first` others."""
        if isinstance(self.learning_rate, Schedule):
            rates = np.array([self.learning_rate(step) for step in range(first, first + count)], np.float64)
        else:
            rates = np.full(count, float(self.learning_rate))
        given = {field.name for field in fields(self)} - {"learning_rate", "global_clipnorm"}
        constants = {name: float(getattr(self, name)) for name in given}
        return Hyperparameters(rates, constants, self.global_clipnorm)


@cache
def _own_rule(kind: type[Optimizer]) -> Rule:
    """One object for each class, so that programs with the same rule are equal."""
    numbers = tuple(field.name for field in fields(kind) if field.name not in ("learning_rate", "global_clipnorm"))
    return Rule(kind.update, kind.slots, numbers)


def _is_optimizer(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Optimizer)


OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer", "a subclass of Optimizer", _is_optimizer)


@OPTIMIZERS.named("sgd")
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


@OPTIMIZERS.named("rmsprop")
@dataclass
class RMSprop(Optimizer):
    """Each gradient over the root of a running mean of its square."""

    learning_rate: float | Schedule = 1e-3
    rho: float = 0.9
    epsilon: float = 1e-8
    global_clipnorm: float | None = None

    name = "rmsprop"


@OPTIMIZERS.named("adam")
@dataclass
class Adam(Optimizer):
    """A running mean of the gradient over the root of a running mean of its square, both without bias."""

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    global_clipnorm: float | None = None

    name = "adam"


@OPTIMIZERS.named("adamw")
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
