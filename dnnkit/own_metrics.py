"""Metrics of the user's own: functions `(y_true, y_pred)`, as in Keras, made into what backends call.

Backends hand over `(xp, targets, predictions)`, which users' functions took, too, before. The two forms are told apart
by their signatures. What a function gives is made one value per row here, or refused, so that no backend adds up what
is not: the sum of anything has the look of a result.
"""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.kernels.array import Array, Namespace

Function: TypeAlias = Callable[..., Any]

FORM = "a function (y_true, y_pred) of one value per row"


@dataclass(frozen=True)
class OwnMetric:
    """A user's function as backends call it; two of the same function are equal."""

    name: str
    function: Function
    takes_namespace: bool

    def __call__(self, xp: Namespace, targets: Array, predictions: Array, weights: Array | None = None) -> Array:
        """One value per row, float64 (B,).

        A value per output is averaged over the outputs, as Keras does. One number for the batch counts for each of its
        rows: of a mean over rows, that makes the mean of the epoch, however small the last batch is. Where rows have
        weights it is refused, for they were not part of it.
        """
        taken = (xp, targets, predictions) if self.takes_namespace else (targets, predictions)
        values, batch = self._numbers(self.function(*taken), xp), predictions.shape[0]
        if values.shape == () and weights is None:
            return values + xp.zeros((batch,), dtype=xp.float64)
        if values.shape == ():
            raise ShapeError(
                f"the metric {self.name!r} gave one number for the batch, but its rows have weights, which that number "
                f"knows nothing of: return one value per row, {(batch,)}, without the mean over rows"
            )
        if values.shape == (batch,):
            return values
        if values.shape in ((batch, 1), predictions.shape):
            return xp.mean(values, axis=tuple(range(1, values.ndim)))
        raise ShapeError(
            f"the metric {self.name!r} gave an array of shape {values.shape} for y_true of shape {targets.shape} and "
            f"y_pred of shape {predictions.shape}: expected one value per row, {(batch,)}, one per output, "
            f"{predictions.shape}, or one number for the batch"
        )

    def _numbers(self, given: Any, xp: Namespace) -> Array:
        """What it gave, as float64."""
        try:
            values = xp.asarray(given)
            if xp.isdtype(values.dtype, ("bool", "integral", "real floating")):
                return xp.astype(values, xp.float64)
        except (TypeError, ValueError):  # of rows of several lengths, or of no numbers at all
            pass
        of_dtype = f" of {given.dtype}" if hasattr(given, "dtype") else ""
        raise ConfigurationError(
            f"the metric {self.name!r} gave {type(given).__name__}{of_dtype}: expected real numbers, one per row"
        )


def own_metric(name: str, function: Function) -> OwnMetric:
    """The function, of either form; raises `ConfigurationError` if its signature does not tell which."""
    for follow_wrapped in (False, True):  # a decorator may take what the function within does not
        form = _takes_namespace(function, follow_wrapped)
        if form is not None:
            return OwnMetric(name, function, form)
    raise ConfigurationError(
        f"the metric {name!r} has {_signature_of(function)}: expected (y_true, y_pred), and defaults for anything "
        "else; write def your_metric(y_true, y_pred): return ..., which calls it"
    )


def warn_of_old_form(name: str, function: Function, stacklevel: int) -> None:
    """A `DeprecationWarning`, with the cure, for a function `(xp, targets, predictions)`."""
    if own_metric(name, function).takes_namespace:
        warnings.warn(
            f"the metric {name!r} is a function (xp, targets, predictions), which a later version will refuse: write "
            "it as (y_true, y_pred), as in Keras, with NumPy's functions in the place of xp's",
            DeprecationWarning,
            stacklevel=stacklevel + 1,
        )


def _takes_namespace(function: Function, follow_wrapped: bool) -> bool | None:
    """Whether it is of the old form; None if the signature does not tell, or is of neither."""
    try:
        signature = inspect.signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):  # functions in C may have none
        return None
    takes_two, takes_three = _takes(signature, 2), _takes(signature, 3)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p.name for p in signature.parameters.values() if p.kind in positional and p.default is p.empty]
    first = required[0] if required else ""
    if takes_three and not takes_two:
        return None if first == "y_true" else True
    if takes_two and (not takes_three or len(required) == 2):
        return None if first == "xp" else False
    return None


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _signature_of(function: Function) -> str:
    try:
        return f"the signature {inspect.signature(function)}"
    except (TypeError, ValueError):
        return "no signature that Python knows"
