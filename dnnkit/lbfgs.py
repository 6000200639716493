"""L-BFGS: an optimizer of the whole data at a time, which knows when it is done."""

from typing import Any, ClassVar

from dnnkit.backends.program import FullBatch, Group
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.optimizers import Optimizer
from dnnkit.schedules import Schedule
from dnnkit.settings import NOT_NEGATIVE, POSITIVE, Expected, or_none, whole


def _only(nothing: Any, why: str) -> Expected:
    """Nothing but the default."""

    def take(value: Any) -> Any:
        if value != nothing and value != ():
            raise ValueError
        return nothing

    return Expected(f"{nothing!r}: {why}", take)


AS_IT_IS = "a line search wants the gradient as it is"
BETWEEN = Expected("a number between 0 and 1", lambda value: POSITIVE.take(value) if value < 1 else _refuse())


def _refuse() -> float:
    raise ValueError


@dataclass
class LBFGS(Optimizer):
    """L-BFGS with a line search for the strong Wolfe conditions, on all samples at a time.

    An epoch is one iteration, whatever it evaluates; `history["evaluations"]` counts how often loss and gradient were,
    since `compile`. Loss and metrics of an epoch are those after it, at the parameters that there are then. A fit ends
    early where there is nothing left to gain, and `history.ended` says why. What changes the loss from step to step,
    such as Dropout, it cannot take. Networks in float64 come further: `dtype="float64"`.

    Arguments:
        learning_rate: the first step that a line search tries, in multiples of the direction; 1 is nearly always right.
        history_size: steps that are remembered, each with two numbers per parameter.
        gradient_tolerance: training ends where no number of the gradient is larger.
        change_tolerance: it ends where an iteration lowers the loss by at most this share of it.
        max_evaluations: it ends after the iteration that makes so many since `compile`; None for no bound.
        max_line_search: evaluations in one line search, at most.
        initial_step: the length of the very first step that is tried, if `learning_rate` times the gradient is longer.
        decrease, curvature: c₁ and c₂ of the Wolfe conditions, c₁ < c₂.

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
        "use_ema": _only(False, "each iteration lowers the loss, so the last parameters are the best"),
        "groups": _only((), "one step is for all parameters; net.freeze(...) leaves some as they are"),
        "no_decay": _only((), "it has no decay"),
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
                f"LBFGS(decrease={self.decrease:g}, curvature={self.curvature:g}): expected decrease < curvature, for "
                "otherwise there may be no step that fulfils both; 1e-4 and 0.9 are usual"
            )

    def _settings(self, group: Group | None = None) -> dict[str, Any]:
        settings = super()._settings(group)
        return {**settings, "max_evaluations": settings["max_evaluations"] or 0}

    @property
    def rule(self) -> FullBatch:  # type: ignore[override] # it is none: see backends/full_batch.py
        """What a program says of it."""
        return FullBatch(self.history_size)
