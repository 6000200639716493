"""Regularizers: penalties on parameters that are added to the loss. `Dense(8, kernel_regularizer="l2")`."""

from typing import ClassVar

from dnnkit.deferred import dataclass
from dnnkit.namespaces import open_namespace
from dnnkit.registry import Registry
from dnnkit.settings import NOT_NEGATIVE, Settings

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get_regularizer"]


@dataclass(frozen=True)
class Regularizer(Settings):
    """Base class of penalties l1 Σ|w| + l2 Σw²."""

    @property
    def factors(self) -> tuple[float, float]:
        """The factors (l1, l2)."""
        raise NotImplementedError(f"{type(self).__name__} has no factors")


def _is_regularizer(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Regularizer)


REGULARIZERS: Registry[type[Regularizer]] = Registry("regularizer", "a subclass of Regularizer", _is_regularizer)


@REGULARIZERS.named("l1")
@dataclass(frozen=True)
class L1(Regularizer):
    """L1 penalty l1 Σ|w|.

    Arguments:
        l1: factor, at least 0; default 0.01.
    """

    l1: float = 0.01

    expects: ClassVar = {"l1": NOT_NEGATIVE}

    @property
    def factors(self) -> tuple[float, float]:  # noqa: D102
        return float(self.l1), 0.0


@REGULARIZERS.named("l2")
@dataclass(frozen=True)
class L2(Regularizer):
    """L2 penalty l2 Σw².

    Its gradient is 2 l2 w, so `SGD(weight_decay=d)` corresponds to l2 = d / 2, without the term in the reported loss.

    Arguments:
        l2: factor, at least 0; default 0.01.
    """

    l2: float = 0.01

    expects: ClassVar = {"l2": NOT_NEGATIVE}

    @property
    def factors(self) -> tuple[float, float]:  # noqa: D102
        return 0.0, float(self.l2)


@REGULARIZERS.named("l1_l2")
@dataclass(frozen=True)
class L1L2(Regularizer):
    """Sum of both penalties, l1 Σ|w| + l2 Σw².

    Arguments:
        l1, l2: factors, at least 0; default 0.01.
    """

    l1: float = 0.01
    l2: float = 0.01

    expects: ClassVar = {"l1": NOT_NEGATIVE, "l2": NOT_NEGATIVE}

    @property
    def factors(self) -> tuple[float, float]:  # noqa: D102
        return float(self.l1), float(self.l2)


def get_regularizer(given: str | Regularizer | None) -> Regularizer | None:
    """Return a regularizer given by name, class or object; None stays None."""
    if given is None:
        return None
    made: Regularizer = REGULARIZERS.make(given, Regularizer)
    return made


open_namespace(__name__, REGULARIZERS)
