"""What parameters are held to after each update. `Dense(8, kernel_constraint=dk.constraints.MaxNorm(3))`."""

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


AXIS = Expected("0: the norm is that of the weights that come to one unit", _first)


@dataclass(frozen=True)
class Constraint(Settings):
    """Base of constraints."""

    def bound(self, parameter: str) -> Bound:
        """What backends hold that parameter to."""
        raise NotImplementedError(f"{type(self).__name__} says no bound")


def _is_constraint(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Constraint)


CONSTRAINTS: Registry[type[Constraint]] = Registry("constraint", "a subclass of Constraint", _is_constraint)


@CONSTRAINTS.named("max_norm")
@dataclass(frozen=True)
class MaxNorm(Constraint):
    """The weights that come to each unit have a norm of `max_value` at most: they are scaled down to it."""

    max_value: float = 2.0
    axis: int = 0

    expects: ClassVar = {"max_value": NOT_NEGATIVE, "axis": AXIS}

    def bound(self, parameter: str) -> Bound:  # noqa: D102
        return Bound(parameter, 0.0, float(self.max_value))


@CONSTRAINTS.named("unit_norm")
@dataclass(frozen=True)
class UnitNorm(Constraint):
    """The weights that come to each unit have the norm 1."""

    axis: int = 0

    expects: ClassVar = {"axis": AXIS}

    def bound(self, parameter: str) -> Bound:  # noqa: D102
        return Bound(parameter, 1.0, 1.0)


@CONSTRAINTS.named("min_max_norm")
@dataclass(frozen=True)
class MinMaxNorm(Constraint):
    """The weights that come to each unit have a norm between two; `rate` of the way there is gone after each update."""

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
    """No weight is below 0: those that are become 0."""

    def bound(self, parameter: str) -> Bound:  # noqa: D102
        return Bound(parameter, not_negative=True)


def get_constraint(given: str | Constraint | None) -> Constraint | None:
    """A constraint by its name, its class, or as it is; None for none."""
    if given is None:
        return None
    made: Constraint = CONSTRAINTS.make(given, Constraint)
    return made


open_namespace(__name__, CONSTRAINTS)
