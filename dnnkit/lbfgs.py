"""L-BFGS: a full-batch optimizer that detects convergence."""

from typing import Any, ClassVar

from dnnkit.backends.program import FullBatch, Group
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.optimizers import Optimizer
from dnnkit.schedules import Schedule
from dnnkit.settings import NOT_NEGATIVE, POSITIVE, Expected, or_none, whole


def _only(nothing: Any, why: str) -> Expected:
    """Accept only the default value."""

    def take(value: Any) -> Any:
        if value != nothing and value != ():
            raise ValueError
        return nothing

    return Expected(f"{nothing!r}: {why}", take)


AS_IT_IS = "a line search needs the unmodified gradient"
BETWEEN = Expected("a number between 0 and 1", lambda value: POSITIVE.take(value) if value < 1 else _refuse())


def _refuse() -> float:
    raise ValueError


@dataclass
class LBFGS(Optimizer):
    """L-BFGS with a line search for the strong Wolfe conditions, on all samples in each step.

    An epoch is one iteration, with any number of evaluations; `history["evaluations"]` counts evaluations of loss and
    gradient since `compile`. Loss and metrics of an epoch are those at its end, at the new parameters. A fit ends early
    on convergence, and `history.ended` gives the reason. The loss must be deterministic: layers such as Dropout are
    not supported. Networks in float64 converge further: `dtype="float64"`.

    Arguments:
        learning_rate: first step length that a line search tries, relative to the direction; default 1, which is nearly
            always right.
        history_size: number of remembered steps, each with two numbers per parameter; default 10.
        gradient_tolerance: converged if no gradient element is larger in magnitude; default 1e-7.
        change_tolerance: converged if an iteration reduces the loss by at most this fraction; default 1e-9.
        max_evaluations: stop after the iteration that reaches this number of evaluations since `compile`; default None
            for no limit.
        max_line_search: maximum evaluations per line search; default 25.
        initial_step: upper bound for the length of the very first step tried; default 1.
        decrease, curvature: c₁ < c₂ of the Wolfe conditions; default 1e-4 and 0.9.
        global_clipnorm, clipnorm, clipvalue, use_ema, groups, no_decay: must keep their defaults; the error says why.

    Raises:
        ConfigurationError: a value is out of range, or `decrease` is not below `curvature`.

    Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd ed. 2006, algorithms 7.4, 7.5, 3.5 and 3.6.
    """

    learning_rate: float | Schedule = 1.0
    history_size: int = 10
    gradient_tolerance: float = 1e-7
    change_tolerance: float = 1e-9
    max_evaluations: int | None = None
    max_line_search: int = 25
    initial_step: float = 1.0
    decrease: float = 1e-4
    curvature: float = 0.9
    global_clipnorm: float | None = None

    name = "lbfgs"
    full_batch = True
    expects: ClassVar = {
        "history_size": whole(1, 1000),
        "gradient_tolerance": NOT_NEGATIVE,
        "change_tolerance": NOT_NEGATIVE,
        "max_evaluations": or_none(whole(1)),
        "max_line_search": whole(1),
        "initial_step": POSITIVE,
        "decrease": BETWEEN,
        "curvature": BETWEEN,
        "global_clipnorm": _only(None, AS_IT_IS),
        "clipnorm": _only(None, AS_IT_IS),
        "clipvalue": _only(None, AS_IT_IS),
        "use_ema": _only(False, "each iteration reduces the loss, so the last parameters are the best"),
        "groups": _only((), "a step applies to all parameters; net.freeze(...) excludes some"),
        "no_decay": _only((), "it has no weight decay"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_conditions()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("decrease", "curvature") and "curvature" in vars(self):
            self._check_conditions()

    def _check_conditions(self) -> None:
        if not self.decrease < self.curvature:
            raise ConfigurationError(
                f"LBFGS(decrease={self.decrease:g}, curvature={self.curvature:g}): expected decrease < curvature, "
                "because otherwise no step may satisfy both conditions; 1e-4 and 0.9 are usual"
            )

    def _settings(self, group: Group | None = None) -> dict[str, Any]:
        settings = super()._settings(group)
        return {**settings, "max_evaluations": settings["max_evaluations"] or 0}

    @property
    def rule(self) -> FullBatch:  # type: ignore[override] # not an update rule: see backends/full_batch.py
        """The optimizer as programs describe it."""
        return FullBatch(self.history_size)
