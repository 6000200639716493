"""Numerical derivatives by finite differences, gradient descent, and gradient checking."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.network.checks import check_count, check_optional_count
from dnnkit.network.protocol import Network
from dnnkit.seeds import check_seed
from dnnkit.settings import FINITE, POSITIVE, shown

Values: TypeAlias = NDArray[np.float64]


def numerical_diff(f: Callable[[Any], Any], x: Any, h: float = 1e-4) -> Any:
    """Return the central difference (f(x + h) - f(x - h)) / 2h of a function of one number.

    Arguments:
        f: function of a number; with an array x, it must work elementwise.
        x: point or array of points.
        h: step size, default 1e-4.
    """
    _check_function(f)
    return (f(x + h) - f(x - h)) / (2 * h)


def numerical_gradient(f: Callable[[Any], Any], x: Any, h: float = 1e-4) -> Values:
    """Return the gradient of a scalar function of an array, by central differences.

    Arguments:
        f: function of an array that returns one number.
        x: point, of any shape. A float64 array is changed in place during the evaluations, so that f may also refer to
            it as a global, and restored afterwards.
        h: step size, default 1e-4.

    Returns:
        A float64 array in x's shape.

    Raises:
        ConfigurationError: f is not a function, or returns more than one number.
    """
    _check_function(f)
    point = np.asarray(x, np.float64)
    gradient = np.empty_like(point)
    for index in np.ndindex(point.shape):
        kept = point[index].copy()
        try:
            point[index] = kept + h
            above = f(point)
            point[index] = kept - h
            below = f(point)
        finally:
            point[index] = kept
        if np.size(above) != 1:
            raise ConfigurationError(f"f returns an array of shape {np.shape(above)}: expected one number")
        gradient[index] = (float(above) - float(below)) / (2 * h)
    return gradient


def _check_function(f: Any) -> None:
    if not callable(f):
        raise ConfigurationError(f"f is {shown(f)}: expected a function")


def gradient_descent(f: Callable[[Any], Any], init_x: Any, lr: float = 0.01, step_num: int = 100) -> Values:
    """Minimise a function by gradient descent with its numerical gradient.

    Arguments:
        f: function of an array that returns one number.
        init_x: starting point; not modified.
        lr: learning rate, default 0.01.
        step_num: number of steps, default 100.

    Returns:
        The final point, a float64 array.
    """
    x, lr = np.array(init_x, np.float64), FINITE.of("lr", lr)
    for _ in range(check_count("step_num", step_num, 0)):
        x -= lr * numerical_gradient(f, x)
    return x


@dataclass(frozen=True)
class GradientCheck:
    """Deviation of backpropagation from central differences.

    `errors` maps each parameter to its largest |difference| divided by its largest |gradient|, over the checked
    elements; `passed` is True if all are within `tolerance`.
    """

    errors: dict[str, float]
    tolerance: float

    @property
    def largest(self) -> float:
        """The largest of the errors."""
        return max(self.errors.values(), default=0.0)

    @property
    def passed(self) -> bool:
        """Whether every error is within the tolerance."""
        return self.largest <= self.tolerance


def check_gradients(
    net: Network,
    x: Any,
    y: Any,
    *,
    samples: int | None = None,
    h: float | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> GradientCheck:
    """Compare the network's gradients with central differences of its loss, parameter by parameter.

    Use it with dtype="float64"; float32 is too coarse for small tolerances. The network is not changed.

    Arguments:
        net: a compiled network.
        x: samples (N, ...).
        y: targets.
        samples: number of elements to check per parameter, drawn at random; default all.
        h: step size; default 1e-5 in float64, 1e-2 in float32.
        tolerance: accepted relative error; default 1e-6 in float64, 2e-2 in float32.
        seed: seed of the draw.

    Returns:
        A `GradientCheck`.

    Raises:
        ConfigurationError: an argument is out of range.
        ShapeError, DataError: data does not fit the network.
    """
    double = net.dtype == "float64"
    h = POSITIVE.of("h", h) if h is not None else 1e-5 if double else 1e-2
    tolerance = POSITIVE.of("tolerance", tolerance) if tolerance is not None else 1e-6 if double else 2e-2
    samples, rng = check_optional_count("samples", samples), np.random.default_rng(check_seed(seed))
    _, gradients = net.get_gradients(x, y)
    errors = {}
    for name, gradient in gradients.items():
        kept = net.parameters[name]
        count = kept.size if samples is None else min(samples, kept.size)
        entries = rng.choice(kept.size, count, replace=False)
        differences = np.empty(count)
        try:
            for place, entry in enumerate(entries):
                losses = []
                for step in (h, -h):
                    moved = kept.copy()
                    moved.flat[entry] += step
                    net.parameters[name] = moved
                    losses.append(net.get_gradients(x, y)[0])
                differences[place] = (losses[0] - losses[1]) / (2 * h)
        finally:
            net.parameters[name] = kept
        exact = gradient.reshape(-1)[entries]
        scale = max(float(np.abs(gradient).max()), float(np.abs(differences).max()), 1e-12)
        errors[name] = float(np.abs(exact - differences).max()) / scale
    return GradientCheck(errors, tolerance)
