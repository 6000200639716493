"""Layers that normalise: by moments of the batch, of each row, or of the data before."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.initializers import Constant, Initializer, Shape, get_initializer
from dnnkit.layers.base import LAYERS
from dnnkit.layers.of_kind import KindLayer
from dnnkit.settings import FLAG, POSITIVE, SHARE, Expected, is_masked, or_none, plain

__all__ = ["BatchNormalization", "LayerNormalization", "Normalization", "RMSNormalization"]


def _last_axis(value: Any) -> int:
    if plain(value) != -1 or isinstance(value, bool):
        raise ValueError
    return -1


LAST = Expected("-1: the last axis of a sample is that of the features", _last_axis)


class _Affine(KindLayer):
    """What a normalisation by moments of the data at hand has: γ and β, each unless it is not wanted."""

    center: bool
    scale: bool
    beta_initializer: str | Initializer
    gamma_initializer: str | Initializer

    def _affine(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:
        parts: dict[str, tuple[Shape, str | Initializer]] = {}
        if self.scale:
            parts["gamma"] = ((input_shape[-1],), self.gamma_initializer)
        if self.center:
            parts["beta"] = ((input_shape[-1],), self.beta_initializer)
        return parts


@LAYERS.named("BatchNormalization")
@dataclass(frozen=True)
class BatchNormalization(_Affine):
    """(x - mean) / √(variance + epsilon) · gamma + beta, by the moments of each batch, feature by feature.

    `predict` and `evaluate` take moving means of them instead, which training leaves behind: after each step
    momentum · moving + (1 - momentum) · batch. A frozen one (`trainable=False`) always does. Row weights do not count.

    Next to a `Dense` without an activation before it, or to one after it, it costs predictions nothing.

    Arguments:
        axis: -1: a feature is a place on the last axis of a sample.
        momentum: of the moving means, in [0, 1).
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: their first values.
        moving_mean_initializer, moving_variance_initializer: those of the moving means.

    Source: S. Ioffe, C. Szegedy, ICML 2015.
    """

    axis: int = -1
    momentum: float = 0.99
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: str | Initializer = "zeros"
    gamma_initializer: str | Initializer = "ones"
    moving_mean_initializer: str | Initializer = "zeros"
    moving_variance_initializer: str | Initializer = "ones"

    kind: ClassVar = "batch_normalization"
    statistics: ClassVar = ("moving_mean", "moving_variance")
    expects: ClassVar = {"axis": LAST, "momentum": SHARE, "epsilon": POSITIVE, "center": FLAG, "scale": FLAG}

    def __post_init__(self) -> None:
        super().__post_init__()
        get_initializer(self.beta_initializer)
        get_initializer(self.gamma_initializer)
        get_initializer(self.moving_mean_initializer)
        get_initializer(self.moving_variance_initializer)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        size = (input_shape[-1],)
        return self._affine(input_shape) | {
            "moving_mean": (size, self.moving_mean_initializer),
            "moving_variance": (size, self.moving_variance_initializer),
        }

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        return {
            "center": self.center,
            "channels": input_shape[-1],
            "epsilon": float(self.epsilon),
            "frozen": not self.trainable,
            "momentum": float(self.momentum),
            "scale": self.scale,
        }


@LAYERS.named("LayerNormalization")
@dataclass(frozen=True)
class LayerNormalization(_Affine):
    """(x - mean) / √(variance + epsilon) · gamma + beta, by the moments of each row.

    Arguments:
        axis: -1: moments are those along the last axis of a sample.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: their first values.

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, arXiv:1607.06450.
    """

    axis: int = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: str | Initializer = "zeros"
    gamma_initializer: str | Initializer = "ones"

    kind: ClassVar = "layer_normalization"
    expects: ClassVar = {"axis": LAST, "epsilon": POSITIVE, "center": FLAG, "scale": FLAG}

    def __post_init__(self) -> None:
        super().__post_init__()
        get_initializer(self.beta_initializer)
        get_initializer(self.gamma_initializer)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        return self._affine(input_shape)

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        numbers = {"channels": input_shape[-1], "epsilon": float(self.epsilon)}
        return {**numbers, "center": self.center, "centered": True, "scale": self.scale}


@LAYERS.named("RMSNormalization")
@dataclass(frozen=True)
class RMSNormalization(KindLayer):
    """x / √(mean of x² + epsilon) · scale, of each row.

    Arguments:
        axis: -1: the mean is along the last axis of a sample.
        epsilon: added to the mean square.

    Source: B. Zhang, R. Sennrich, NeurIPS 2019.
    """

    axis: int = -1
    epsilon: float = 1e-6

    kind: ClassVar = "layer_normalization"
    expects: ClassVar = {"axis": LAST, "epsilon": POSITIVE}

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        return {"scale": ((input_shape[-1],), "ones")}

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        numbers = {"channels": input_shape[-1], "epsilon": float(self.epsilon)}
        return {**numbers, "center": False, "centered": False, "scale": True}


@dataclass(frozen=True)
class _Known(Initializer):
    """Numbers that are known."""

    values: tuple[float, ...]

    def __call__(self, rng: "np.random.Generator", shape: Shape) -> Any:
        return np.broadcast_to(np.asarray(self.values, np.float64), shape)


def _numbers(value: Any) -> tuple[float, ...]:
    numbers = np.atleast_1d(np.asarray(value, np.float64))
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError
    return tuple(numbers.tolist())


def _moments(data: Any) -> dict[str, NDArray[np.float64]]:
    """Mean and variance of each feature of samples (N, ..., features), and how many rows they are of."""
    if is_masked(data):
        raise DataError("adapt got a masked array: pass its rows that are not masked, x[~x.mask.any(axis=1)].data")
    try:
        x = np.asarray(data, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"adapt got data that are no numbers: {error}. Pass a NumPy array of numbers") from error
    if x.ndim < 2 or not x.size:
        raise ShapeError(f"adapt got data of the shape {x.shape}: expected samples, such as (N, features)")
    rows = x.reshape(-1, x.shape[-1])
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = rows.mean(axis=0), rows.var(axis=0)
    if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
        raise DataError("adapt got data with numbers that are not finite: leave out their rows, or fill them")
    return {"mean": mean, "variance": variance, "count": np.array([float(len(rows))])}


NUMBERS = Expected("one finite number for each feature, or one for all", _numbers)


@LAYERS.named("Normalization")
@dataclass(frozen=True)
class Normalization(KindLayer):
    """(x - mean) / √variance, by moments of the data that are known before training, feature by feature.

    They are given; or `adapt` finds them; or the first `fit` does, in its samples. A network saves them. They are
    never trained.

    Arguments:
        axis: -1: a feature is a place on the last axis of a sample.
        mean: of each feature, or of all.
        variance: the same.
    """

    axis: int = -1
    mean: tuple[float, ...] | float | None = None
    variance: tuple[float, ...] | float | None = None

    kind: ClassVar = "normalization"
    statistics: ClassVar = ("mean", "variance", "count")
    expects: ClassVar = {"axis": LAST, "mean": or_none(NUMBERS), "variance": or_none(NUMBERS)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.mean is None) != (self.variance is None):
            raise ConfigurationError(f"{self}: expected both mean and variance, or neither")
        if isinstance(self.variance, tuple) and min(self.variance) < 0:
            raise ConfigurationError(f"{self}: expected variances of 0 or more")

    def adapt(self, data: Any) -> None:
        """Find mean and variance of each feature in samples as they come to this layer, (N, ..., features).

        Of a layer that no network has yet, it fills in `mean` and `variance`; of one that a network gave,
        `net.layers[0].adapt(x)`, it changes that network.
        """
        found = _moments(data)
        if "_place" in self.__dict__:
            self.set_weights([found[name] for name in self.statistics])
            return
        object.__setattr__(self, "mean", tuple(found["mean"].tolist()))
        object.__setattr__(self, "variance", tuple(found["variance"].tolist()))

    def adapted(self, known: Mapping[str, NDArray[Any]], samples: Callable[[], Any]) -> Mapping[str, Any]:  # noqa: D102
        return {} if known["count"][0] else _moments(samples())

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        size = input_shape[-1]
        for known in (self.mean, self.variance):
            if isinstance(known, tuple) and len(known) not in (1, size):
                raise ShapeError(
                    f"Normalization knows {len(known)} features, but samples of the shape {input_shape} have {size}"
                )
        if self.mean is None or self.variance is None:
            return {"mean": ((size,), "zeros"), "variance": ((size,), "ones"), "count": ((1,), "zeros")}
        mean, variance = _Known(_numbers(self.mean)), _Known(_numbers(self.variance))
        return {"mean": ((size,), mean), "variance": ((size,), variance), "count": ((1,), Constant(1.0))}

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        return {"channels": input_shape[-1]}
