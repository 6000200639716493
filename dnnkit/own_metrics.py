"""Custom metrics: functions `(y_true, y_pred)`, as in Keras, wrapped for backends.

Backends call `(xp, targets, predictions)`, an older form that is still accepted from users; the signature decides which
form a function has. Results are converted to one value per row or refused, because the sum of anything else would look
like a plausible result.
"""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.kernels.array import Array, Namespace

Function: TypeAlias = Callable[..., Any]

FORM = "a function (y_true, y_pred) that returns one value per row"


@dataclass(frozen=True)
class OwnMetric:
    """A custom metric as backends call it; instances with the same function compare equal."""

    name: str
    function: Function
    takes_namespace: bool

    def __call__(self, xp: Namespace, targets: Array, predictions: Array, weights: Array | None = None) -> Array:
        """Return one value per row, float64 (B,).

        Values per output are averaged over outputs, as in Keras. A single number for the batch is assigned to each of
        its rows; if it is a mean over rows, the epoch's value is then the mean over all rows, however small the last
        batch. With sample weights, a single number is refused, because it does not account for them.
        """
        taken = (xp, targets, predictions) if self.takes_namespace else (targets, predictions)
        values, batch = self._numbers(self.function(*taken), xp), predictions.shape[0]
        if values.shape == () and weights is None:
            return values + xp.zeros((batch,), dtype=xp.float64)
        if values.shape == ():
            raise ShapeError(
                f"the metric {self.name!r} returned one number for the batch, which cannot account for the weights of "
                f"its rows: return one value per row, {(batch,)}, without the mean over rows"
            )
        if values.shape == (batch,):
            return values
        if values.shape in ((batch, 1), predictions.shape):
            return xp.mean(values, axis=tuple(range(1, values.ndim)))
        raise ShapeError(
            f"the metric {self.name!r} returned an array of shape {values.shape} for y_true of shape {targets.shape} "
            f"and y_pred of shape {predictions.shape}: expected one value per row, {(batch,)}, one per output, "
            f"{predictions.shape}, or one number for the batch"
        )

    def _numbers(self, given: Any, xp: Namespace) -> Array:
        """Convert the result to float64."""
        try:
            values = xp.asarray(given)
            if xp.isdtype(values.dtype, ("bool", "integral", "real floating")):
                return xp.astype(values, xp.float64)
        except (TypeError, ValueError):  # ragged rows, or not numbers
            pass
        of_dtype = f" of {given.dtype}" if hasattr(given, "dtype") else ""
        raise ConfigurationError(
            f"the metric {self.name!r} returned {type(given).__name__}{of_dtype}: expected real numbers, one per row"
        )


def own_metric(name: str, function: Function) -> OwnMetric:
    """Wrap a function of either form; raise `ConfigurationError` if its signature is ambiguous."""
    for follow_wrapped in (False, True):  # a decorator may change the signature of the wrapped function
        form = _takes_namespace(function, follow_wrapped)
        if form is not None:
            return OwnMetric(name, function, form)
    raise ConfigurationError(
        f"the metric {name!r} has {_signature_of(function)}: expected (y_true, y_pred), with defaults for other "
        "parameters; write def your_metric(y_true, y_pred): return ..., which calls it"
    )


def warn_of_old_form(name: str, function: Function, stacklevel: int) -> None:
    """Issue a `DeprecationWarning` for a function `(xp, targets, predictions)`."""
    if own_metric(name, function).takes_namespace:
        warnings.warn(
            f"the metric {name!r} is a function (xp, targets, predictions), which a later version will refuse: write "
            "it as (y_true, y_pred), as in Keras, with NumPy functions instead of those of xp",
            DeprecationWarning,
            stacklevel=stacklevel + 1,
        )


def _takes_namespace(function: Function, follow_wrapped: bool) -> bool | None:
    """Whether the function has the old form; None if its signature is ambiguous or of neither form."""
    try:
        signature = inspect.signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):  # functions written in C may have no signature
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
        return "no introspectable signature"
