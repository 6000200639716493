"""Optimizers: which update rule, with which numbers. The numbers may be changed at any time, also by a callback.

The formulas are those of the kernel `update`. What all have in common is in `base_optimizer`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dnnkit import schedules as schedules  # as Keras has them: dk.optimizers.schedules
from dnnkit.backends.program import Group
from dnnkit.base_optimizer import Optimizer as Optimizer
from dnnkit.deferred import dataclass
from dnnkit.namespaces import open_namespace
from dnnkit.registry import Lazy, Registry
from dnnkit.schedules import Schedule, scheduled
from dnnkit.settings import FLAG, NOT_NEGATIVE, POSITIVE, SHARE, UNLESS_DEFAULT, Expected, numbers

NOTHING = 1e-30
"""A product of momenta that no sum with 1 shows."""


def _is_optimizer(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Optimizer)


OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer", "a subclass of Optimizer", _is_optimizer)


@OPTIMIZERS.named("sgd")
@dataclass
class SGD(Optimizer):
    """Gradient descent, with momentum (Polyak's or Nesterov's) if asked; decay is added to the gradient."""

    learning_rate: float | Schedule = 0.01
    momentum: float | Schedule = 0.0
    nesterov: bool = False
    weight_decay: float | Schedule = 0.0
    global_clipnorm: float | None = None

    name = "sgd"
    expects: ClassVar = {
        "momentum": scheduled(numbers("a number from 0 to 1", lambda number: 0 <= number <= 1)),
        "nesterov": FLAG,
    }

    @property
    def rule(self) -> str:
        """Without momentum there is no velocity to keep."""
        others = (value for _, settings in self.groups for name, value in settings if name == "momentum")
        if self.momentum == 0 and not any(others):
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
    expects: ClassVar = {"rho": scheduled(SHARE), "epsilon": POSITIVE}


OF_MOMENTS: dict[str, Expected] = {"beta_1": scheduled(SHARE), "beta_2": scheduled(SHARE), "epsilon": POSITIVE}


@OPTIMIZERS.named("adam")
@dataclass
class Adam(Optimizer):
    """A running mean of the gradient over the root of a running mean of its square, both without bias.

    With `amsgrad`, over that of the largest such mean so far (S. Reddi et al., ICLR 2018).
    """

    learning_rate: float | Schedule = 1e-3
    beta_1: float | Schedule = 0.9
    beta_2: float | Schedule = 0.999
    epsilon: float = 1e-8
    amsgrad: bool = field(default=False, kw_only=True, metadata=UNLESS_DEFAULT)
    global_clipnorm: float | None = None

    name = "adam"
    expects: ClassVar = {**OF_MOMENTS, "amsgrad": FLAG}
    implied: ClassVar = {"weight_decay": 0.0}

    @property
    def rule(self) -> str:
        """One that keeps the largest mean needs a slot more."""
        return "amsgrad" if self.amsgrad else "adam"


@OPTIMIZERS.named("adamw")
@dataclass
class AdamW(Optimizer):
    """Adam with decoupled weight decay, of every parameter, or of those that `no_decay` does not exclude."""

    learning_rate: float | Schedule = 1e-3
    beta_1: float | Schedule = 0.9
    beta_2: float | Schedule = 0.999
    epsilon: float = 1e-8
    weight_decay: float | Schedule = 0.01
    amsgrad: bool = field(default=False, kw_only=True, metadata=UNLESS_DEFAULT)
    global_clipnorm: float | None = None

    name = "adamw"
    expects: ClassVar = Adam.expects

    @property
    def rule(self) -> str:
        """As Adam's."""
        return "amsgrad" if self.amsgrad else "adamw"


@OPTIMIZERS.named("adagrad")
@dataclass
class Adagrad(Optimizer):
    """Each gradient over the root of the sum of all its squares (J. Duchi et al., 2011).

    As torch.optim.Adagrad, with Keras's names and first value of the sum; decay is decoupled, as in Keras.
    """

    learning_rate: float | Schedule = 1e-3
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-8
    weight_decay: float | Schedule = 0.0
    global_clipnorm: float | None = None

    name = "adagrad"
    expects: ClassVar = {"initial_accumulator_value": NOT_NEGATIVE, "epsilon": POSITIVE}


@OPTIMIZERS.named("adamax")
@dataclass
class Adamax(Optimizer):
    """Adam by the largest gradient, which fades, in place of the mean of squares (D. Kingma, J. Ba, 2015).

    As torch.optim.Adamax; decay is decoupled, as in Keras.
    """

    learning_rate: float | Schedule = 1e-3
    beta_1: float | Schedule = 0.9
    beta_2: float | Schedule = 0.999
    epsilon: float = 1e-8
    weight_decay: float | Schedule = 0.0
    global_clipnorm: float | None = None

    name = "adamax"
    expects: ClassVar = OF_MOMENTS


@OPTIMIZERS.named("nadam")
@dataclass
class Nadam(Optimizer):
    """Adam with Nesterov's momentum (T. Dozat, 2016), which grows to beta_1: μ = β1 (1 - ½ · 0.96^(t momentum_decay)).

    As torch.optim.NAdam, whose momentum_decay is 0.004; Keras's Nadam, whose default this is, has 1. Decay is
    decoupled, as in Keras.
    """

    learning_rate: float | Schedule = 1e-3
    beta_1: float | Schedule = 0.9
    beta_2: float | Schedule = 0.999
    epsilon: float = 1e-8
    weight_decay: float | Schedule = 0.0
    momentum_decay: float = 1.0
    global_clipnorm: float | None = None

    name = "nadam"
    expects: ClassVar = {**OF_MOMENTS, "momentum_decay": NOT_NEGATIVE}

    def _differs(self, groups: Sequence[Group]) -> bool:
        return True  # the momenta

    @property
    def needs_groups(self) -> bool:
        """Its momenta differ from step to step."""
        return True

    def _of_steps(
        self, settings: Mapping[str, Any], first: int, count: int
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """With the momenta, of which the rule needs the product of all up to each step."""
        rates, constants = super()._of_steps(settings, first, count)
        beta, decay = settings["beta_1"], float(settings["momentum_decay"])

        def momentum(step: int) -> float:  # from 1
            now = beta(step - 1) if isinstance(beta, Schedule) else beta
            return float(now * (1 - 0.5 * 0.96 ** (step * decay)))

        product, step = 1.0, 1
        while step <= first and product > NOTHING:
            product *= momentum(step)
            step += 1
        momenta = np.array([momentum(step) for step in range(first + 1, first + count + 2)])
        products = product * np.cumprod(momenta[:-1])
        return rates, {
            **constants,
            "momentum": momenta[:-1],
            "next_momentum": momenta[1:],
            "momentum_product": products,
        }


@OPTIMIZERS.named("lion")
@dataclass
class Lion(Optimizer):
    """The sign of a running mean of the gradient (X. Chen et al., 2023): a tenth of Adam's rate, ten times its decay.

    As Keras's Lion.
    """

    learning_rate: float | Schedule = 1e-3
    beta_1: float | Schedule = 0.9
    beta_2: float | Schedule = 0.99
    weight_decay: float | Schedule = 0.0
    global_clipnorm: float | None = None

    name = "lion"
    expects: ClassVar = OF_MOMENTS


OPTIMIZERS.add("lbfgs", Lazy("dnnkit.lbfgs:LBFGS"), "l-bfgs")
open_namespace(__name__, OPTIMIZERS)
