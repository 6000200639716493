"""Optimizers: which update rule, with which numbers. The numbers may be changed at any time, also by a callback.

The formulas are those of the kernel `update`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache, cached_property
from math import inf
from typing import Any, ClassVar

import numpy as np

from dnnkit import schedules as schedules  # as Keras has them: dk.optimizers.schedules
from dnnkit.backends.program import Hyperparameters
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.optimizer_step.reference import Rule
from dnnkit.registry import Registry
from dnnkit.schedules import Schedule
from dnnkit.settings import FLAG, NOT_NEGATIVE, POSITIVE, SHARE, Expected, Settings, numbers, or_none, shown

RATE = Expected(
    "a finite number, 0 or more, or a schedule, such as dk.schedules.CosineDecay(1e-3, 10_000)",
    lambda value: value if isinstance(value, Schedule) else NOT_NEGATIVE.take(value),
)
NUMBER_OR_FLAG = Expected(
    NOT_NEGATIVE.words, lambda value: value if isinstance(value, bool) else NOT_NEGATIVE.take(value)
)


@dataclass
class Optimizer(Settings):
    """Base of all optimizers. `global_clipnorm` bounds the norm of the whole gradient before the update.

    Its numbers may be assigned at any time; each is looked at as it is assigned, in the constructor and later. A field
    that `expects` does not name takes a finite number, 0 or more, or a flag.
    """

    learning_rate: float | Schedule
    global_clipnorm: float | None = None

    name: ClassVar[str]
    expects: ClassVar = {"learning_rate": RATE, "global_clipnorm": or_none(POSITIVE)}
    full_batch: ClassVar[bool] = False
    """Whether it wants all samples in each step, and an epoch is one."""
    slots: ClassVar[tuple[str, ...]] = ()
    """What your own rule keeps for each parameter, from zeros; built-in rules know theirs."""

    def __post_init__(self) -> None:
        pass  # every field was taken as it was assigned

    def __setattr__(self, name: str, value: Any) -> None:
        is_setting = any(field.name == name for field in fields(self))
        super().__setattr__(name, self._taken(name, value) if is_setting else value)
        for made in ("_constants", "_next"):
            vars(self).pop(made, None)

    def _taken(self, name: str, given: Any) -> Any:
        expected = self.expects.get(name) or Optimizer.expects.get(name, NUMBER_OR_FLAG)
        return expected.check(f"{type(self).__name__}({name}={shown(given)})", given)

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
        if count == 1 and not isinstance(self.learning_rate, Schedule):
            return self._next
        if isinstance(self.learning_rate, Schedule):
            rates = np.fromiter(self._scheduled(self.learning_rate, first, count), np.float64, count)
        else:
            rates = np.full(count, self.learning_rate, np.float64)
        return Hyperparameters(rates, self._constants, self.global_clipnorm)

    @cached_property
    def _next(self) -> Hyperparameters:
        """The numbers for any one update, if there is no schedule; forgotten when one is assigned."""
        rate = np.full(1, self.learning_rate, np.float64)
        return Hyperparameters(rate, self._constants, self.global_clipnorm)

    @cached_property
    def _constants(self) -> Mapping[str, float]:
        """All other numbers, by name; forgotten when one is assigned."""
        names = _number_names(type(self))  # type: ignore[arg-type] # classes are hashable
        return {name: float(getattr(self, name) or 0.0) for name in names}

    @staticmethod
    def _scheduled(schedule: Schedule, first: int, count: int) -> Iterator[float]:
        """The schedule's rates, each one that an update can be made with."""
        for step in range(first, first + count):
            rate = schedule(step)
            if not (isinstance(rate, float) and 0 <= rate < inf):  # a usual one at the least expense
                rate = NOT_NEGATIVE.check(f"the schedule {shown(schedule)} gives {shown(rate)} for step {step}", rate)
            yield rate


@cache
def _number_names(kind: type) -> tuple[str, ...]:
    """The names of a class's numbers, in order, but of the learning rate and the norm, which all have."""
    return tuple(field.name for field in fields(kind) if field.name not in ("learning_rate", "global_clipnorm"))


@cache
def _own_rule(kind: type[Optimizer]) -> Rule:
    """One object for each class, so that programs with the same rule are equal."""
    return Rule(kind.update, kind.slots, _number_names(kind))  # type: ignore[arg-type] # classes are hashable


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
    expects: ClassVar = {
        "momentum": numbers("a number from 0 to 1", lambda number: 0 <= number <= 1),
        "nesterov": FLAG,
    }

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
    expects: ClassVar = {"rho": SHARE, "epsilon": POSITIVE}


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
    expects: ClassVar = {"beta_1": SHARE, "beta_2": SHARE, "epsilon": POSITIVE}


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
    expects: ClassVar = Adam.expects
