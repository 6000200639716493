"""Optimizers of both presets: the solver with the parameters that scikit-learn's MLP has for it."""

from copy import deepcopy

from dnnkit.errors import ConfigurationError
from dnnkit.estimators.aims import Aim
from dnnkit.estimators.settings import Settings
from dnnkit.lbfgs import LBFGS
from dnnkit.optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from dnnkit.schedules import SCHEDULES, Schedule

LBFGS_CHANGE = 2.220446049250313e-09
"""Relative change of the loss below which SciPy's L-BFGS-B stops (`ftol`)."""


def optimizer_of(settings: Settings, aim: Aim, steps: int) -> Optimizer:
    """Return the solver's optimizer, set up for `steps` steps; an optimizer object is copied."""
    if isinstance(settings.solver, Optimizer):
        return deepcopy(settings.solver)  # each network changes its own learning rate
    rate: float | Schedule = settings.learning_rate_init
    if isinstance(settings.schedule, Schedule):
        rate = settings.schedule
    elif settings.schedule is not None:
        factor = aim.objective if settings.solver == "sgd" else 1.0
        rate = _schedule_of(settings.schedule, factor * settings.learning_rate_init, steps)
    if settings.solver == "sgd":
        rate = rate if isinstance(rate, Schedule) else rate * aim.objective
        momentum = settings.momentum
        return SGD(rate, momentum=momentum, nesterov=settings.nesterovs_momentum and momentum > 0)
    if settings.solver == "adam":
        epsilon = settings.epsilon / aim.objective
        return Adam(rate, beta_1=settings.beta_1, beta_2=settings.beta_2, epsilon=epsilon)
    if settings.solver == "lbfgs":
        tolerance, evaluations = settings.tol / aim.objective, settings.max_fun
        return LBFGS(gradient_tolerance=tolerance, change_tolerance=LBFGS_CHANGE, max_evaluations=evaluations)
    made: Optimizer = OPTIMIZERS.make(settings.solver, Optimizer)
    if not made.full_batch:
        made.learning_rate = rate
    return made


def _schedule_of(name: str, rate: float, steps: int) -> Schedule:
    try:
        return SCHEDULES.find(name)(rate, steps)
    except TypeError:
        raise ConfigurationError(
            f"schedule is {name!r}, which needs more than a rate and a number of steps: pass an instance, such as "
            f"dk.schedules.{name}(...)"
        ) from None
