"""Constraints on parameters, applied after each update: `Dense(8, kernel_constraint=dk.constraints.MaxNorm(3))`."""

from typing import ClassVar

from dnnkit.backends.penalties import Bound
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.namespaces import open_namespace
from dnnkit.registry import Registry
from dnnkit.settings import NOT_NEGATIVE, Expected, Settings, numbers, plain

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get_constraint"]


def _first(value: object) -> int:
    if plain(value) != 0 or isinstance(value, bool):
        raise ValueError
    return 0


AXIS = Expected("0: norms are taken over the incoming weights of each unit", _first)


@dataclass(frozen=True)
class Constraint(Settings):
    """Base class of constraints."""

    def bound(self, parameter: str) -> Bound:
        """Return the constraint on that parameter in the form backends take."""
        raise NotImplementedError(f"{type(self).__name__} has no bound")


def _is_constraint(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Constraint)


CONSTRAINTS: Registry[type[Constraint]] = Registry("constraint", "a subclass of Constraint", _is_constraint)


@CONSTRAINTS.named("max_norm")
@dataclass(frozen=True)
class MaxNorm(Constraint):
    """Limit the norm of each unit's incoming weights, scaling them down if necessary.

    Arguments:
        max_value: maximum norm, default 2.
        axis: 0, the input axis.
    """

    max_value: float = 2.0
    axis: int = 0

    expects: ClassVar = {"max_value": NOT_NEGATIVE, "axis": AXIS}

    def bound(self, parameter: str) -> Bound:  # noqa: D102
        return Bound(parameter, 0.0, float(self.max_value))


@CONSTRAINTS.named("unit_norm")
@dataclass(frozen=True)
class UnitNorm(Constraint):
    """Scale each unit's incoming weights to norm 1.

    Arguments:
        axis: 0, the input axis.
    """

    axis: int = 0

    expects: ClassVar = {"axis": AXIS}

    def bound(self, parameter: str) -> Bound:  # noqa: D102
        return Bound(parameter, 1.0, 1.0)


@CONSTRAINTS.named("min_max_norm")
@dataclass(frozen=True)
class MinMaxNorm(Constraint):
    """Keep the norm of each unit's incoming weights between two values.

    Arguments:
        min_value, max_value: bounds of the norm, default 0 and 1.
        rate: fraction of the correction applied after each update, from 0 to 1; default 1.
        axis: 0, the input axis.
    """

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: int = 0

    expects: ClassVar = {
        "min_value": NOT_NEGATIVE,
        "max_value": NOT_NEGATIVE,
        "rate": numbers("a number from 0 to 1", lambda number: 0 <= number <= 1),
        "axis": AXIS,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_value > self.max_value:
            raise ConfigurationError(f"{self}: expected min_value to be at most max_value")

    def bound(self, parameter: str) -> Bound:  # noqa: D102
        return Bound(parameter, float(self.min_value), float(self.max_value), float(self.rate))


@CONSTRAINTS.named("non_neg")
@dataclass(frozen=True)
class NonNeg(Constraint):
    """Keep weights at 0 or above: negative ones are set to 0."""

    def bound(self, parameter: str) -> Bound:  # noqa: D102
        return Bound(parameter, not_negative=True)


def get_constraint(given: str | Constraint | None) -> Constraint | None:
    """Return a constraint given by name, class or object; None stays None."""
    if given is None:
        return None
    made: Constraint = CONSTRAINTS.make(given, Constraint)
    return made


open_namespace(__name__, CONSTRAINTS)
