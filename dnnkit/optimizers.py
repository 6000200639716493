"""Optimizers: an update rule and its hyperparameters, which may be changed at any time, also by callbacks.

Formulas are in the kernel `optimizer_step`; the common base class is in `base_optimizer`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dnnkit import schedules as schedules  # Keras's name: dk.optimizers.schedules
from dnnkit.backends.program import Group
from dnnkit.base_optimizer import Optimizer as Optimizer
from dnnkit.deferred import dataclass
from dnnkit.namespaces import open_namespace
from dnnkit.registry import Lazy, Registry
from dnnkit.schedules import Schedule, scheduled
from dnnkit.settings import FLAG, NOT_NEGATIVE, POSITIVE, SHARE, UNLESS_DEFAULT, Expected, numbers

NOTHING = 1e-30
"""Products of momenta below this do not change a sum with 1."""


def _is_optimizer(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Optimizer)


OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer", "a subclass of Optimizer", _is_optimizer)


@OPTIMIZERS.named("sgd")
@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum; updates as in torch.optim.SGD.

    Arguments:
        learning_rate: default 0.01.
        momentum: from 0 (default, no momentum) to 1.
        nesterov: use Nesterov's momentum rather than Polyak's; default False.
        weight_decay: factor of the parameter that is added to its gradient; default 0.
        global_clipnorm, clipnorm, clipvalue, use_ema, ema_momentum, predict_with, groups, no_decay: as for every
            `Optimizer`.
    """

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
        """The update rule; without momentum, no velocity is stored."""
        others = (value for _, settings in self.groups for name, value in settings if name == "momentum")
        if self.momentum == 0 and not any(others):
            return "sgd"
        return "nesterov" if self.nesterov else "momentum"


@OPTIMIZERS.named("rmsprop")
@dataclass
class RMSprop(Optimizer):
    """RMSprop: the gradient divided by the root of a moving average of its square; updates as in torch.optim.RMSprop.

    Arguments:
        learning_rate: default 1e-3.
        rho: decay rate of the average, in [0, 1); default 0.9.
        epsilon: number added to the root; default 1e-8.
        global_clipnorm, clipnorm, clipvalue, use_ema, ema_momentum, predict_with, groups: as for every `Optimizer`.
        no_decay: must be empty, because there is no weight decay; use `AdamW`.
    """

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
    """Adam: bias-corrected moving averages of the gradient and of its square; updates as in torch.optim.Adam.

    Arguments:
        learning_rate: default 1e-3.
        beta_1, beta_2: decay rates of the averages, in [0, 1); default 0.9 and 0.999.
        epsilon: number added to the bias-corrected root; default 1e-8.
        amsgrad: use the largest average of the square so far (Reddi et al., ICLR 2018); default False.
        global_clipnorm, clipnorm, clipvalue, use_ema, ema_momentum, predict_with, groups: as for every `Optimizer`.
        no_decay: must be empty, because there is no weight decay; use `AdamW`.

    Source: D. Kingma, J. Ba, ICLR 2015.
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
        """The update rule; AMSGrad stores one more array per parameter."""
        return "amsgrad" if self.amsgrad else "adam"


@OPTIMIZERS.named("adamw")
@dataclass
class AdamW(Optimizer):
    """Adam with decoupled weight decay; updates as in torch.optim.AdamW.

    Arguments:
        learning_rate, beta_1, beta_2, epsilon, amsgrad: as for `Adam`.
        weight_decay: the fraction `learning_rate` · `weight_decay` is subtracted from each parameter in each step, for
            all parameters not excluded by `no_decay`; default 0.01.
        global_clipnorm, clipnorm, clipvalue, use_ema, ema_momentum, predict_with, groups, no_decay: as for every
            `Optimizer`.

    Source: I. Loshchilov, F. Hutter, ICLR 2019.
    """

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
        """As for Adam."""
        return "amsgrad" if self.amsgrad else "adamw"


@OPTIMIZERS.named("adagrad")
@dataclass
class Adagrad(Optimizer):
    """Adagrad: the gradient divided by the root of the sum of all its squares; updates as in torch.optim.Adagrad.

    Names of arguments and the initial sum are Keras's.

    Arguments:
        learning_rate: default 1e-3.
        initial_accumulator_value: initial sum of squares, at least 0; default 0.1.
        epsilon: number added to the root; default 1e-8.
        weight_decay: decoupled decay as in Keras; default 0.
        global_clipnorm, clipnorm, clipvalue, use_ema, ema_momentum, predict_with, groups, no_decay: as for every
            `Optimizer`.

    Source: J. Duchi, E. Hazan, Y. Singer, JMLR 12 (2011).
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
    """Adamax: Adam with an exponentially weighted maximum of the gradient instead of the mean square.

    Updates are as in torch.optim.Adamax.

    Arguments:
        learning_rate: default 1e-3.
        beta_1, beta_2: decay rates of average and maximum, in [0, 1); default 0.9 and 0.999.
        epsilon: default 1e-8.
        weight_decay: decoupled decay as in Keras; default 0.
        global_clipnorm, clipnorm, clipvalue, use_ema, ema_momentum, predict_with, groups, no_decay: as for every
            `Optimizer`.

    Source: D. Kingma, J. Ba, ICLR 2015.
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
    """Nadam: Adam with Nesterov momentum that grows towards beta_1: μ = β₁ (1 - ½ · 0.96^(t · momentum_decay)).

    Updates are as in torch.optim.NAdam, whose momentum_decay is 0.004; the default here is 1 as in Keras.

    Arguments:
        learning_rate: default 1e-3.
        beta_1, beta_2: decay rates of the averages, in [0, 1); default 0.9 and 0.999.
        epsilon: number added to the root; default 1e-8.
        weight_decay: decoupled decay as in Keras; default 0.
        momentum_decay: speed of the momentum's growth, at least 0; default 1.
        global_clipnorm, clipnorm, clipvalue, use_ema, ema_momentum, predict_with, groups, no_decay: as for every
            `Optimizer`.

    Source: T. Dozat, ICLR workshop 2016.
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
        return True  # the momenta change

    @property
    def needs_groups(self) -> bool:
        """Always True: the momenta change from step to step."""
        return True

    def _of_steps(
        self, settings: Mapping[str, Any], first: int, count: int
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Add the momenta, and their product up to each step, which the rule needs."""
        rates, constants = super()._of_steps(settings, first, count)
        beta, decay = settings["beta_1"], float(settings["momentum_decay"])

        def momentum(step: int) -> float:  # steps counted from 1
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
    """Lion: the sign of an interpolation of gradient and moving average; updates as in Keras's Lion.

    Typical settings are a tenth of Adam's learning rate and ten times its decay.

    Arguments:
        learning_rate: default 1e-3.
        beta_1, beta_2: interpolation for the update, and decay rate of the average, in [0, 1); default 0.9 and 0.99.
        weight_decay: decoupled decay; default 0.
        global_clipnorm, clipnorm, clipvalue, use_ema, ema_momentum, predict_with, groups, no_decay: as for every
            `Optimizer`.

    Source: X. Chen et al., NeurIPS 2023.
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
