"""Normalisation layers: by moments of the batch, of each row, or of the data set."""

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


LAST = Expected("-1: features are on the last axis of a sample", _last_axis)


class _Affine(KindLayer):
    """Optional scale γ and shift β of a normalisation."""

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
    """Batch normalisation: (x - mean) / √(variance + epsilon) · gamma + beta, with moments of the batch per feature.

    `predict` and `evaluate` use moving averages of the moments instead, updated after each training step as
    momentum · moving + (1 - momentum) · batch. A frozen layer (`trainable=False`) always uses them. Sample weights do
    not affect the moments.

    In predictions, the layer is folded into a preceding `Dense` without activation, or a following `Dense`, and is
    free.

    Arguments:
        axis: -1, the last axis of a sample, which holds the features.
        momentum: of the moving averages, in [0, 1); default 0.99.
        epsilon: number added to the variance; default 1e-3.
        center: whether to add beta; default True.
        scale: whether to multiply by gamma; default True.
        beta_initializer, gamma_initializer: default "zeros" and "ones".
        moving_mean_initializer, moving_variance_initializer: default "zeros" and "ones".

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
    """Layer normalisation: (x - mean) / √(variance + epsilon) · gamma + beta, with moments of each row.

    Arguments:
        axis: -1: moments are computed along the last axis of a sample.
        epsilon: number added to the variance; default 1e-3.
        center: whether to add beta; default True.
        scale: whether to multiply by gamma; default True.
        beta_initializer, gamma_initializer: default "zeros" and "ones".

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
    """RMS normalisation of each row: x / √(mean of x² + epsilon) · scale.

    Arguments:
        axis: -1: the mean is computed along the last axis of a sample.
        epsilon: number added to the mean square; default 1e-6.

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
    """Initializer with given values."""

    values: tuple[float, ...]

    def __call__(self, rng: "np.random.Generator", shape: Shape) -> Any:
        return np.broadcast_to(np.asarray(self.values, np.float64), shape)


def _numbers(value: Any) -> tuple[float, ...]:
    numbers = np.atleast_1d(np.asarray(value, np.float64))
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError
    return tuple(numbers.tolist())


def _moments(data: Any) -> dict[str, NDArray[np.float64]]:
    """Return mean and variance of each feature of samples (N, ..., features), and the number of rows."""
    if is_masked(data):
        raise DataError("adapt got a masked array: pass its unmasked rows, x[~x.mask.any(axis=1)].data")
    try:
        x = np.asarray(data, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"adapt got data that is not numeric: {error}. Pass a NumPy array of numbers") from error
    if x.ndim < 2 or not x.size:
        raise ShapeError(f"adapt got data of shape {x.shape}: expected samples, such as (N, features)")
    rows = x.reshape(-1, x.shape[-1])
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = rows.mean(axis=0), rows.var(axis=0)
    if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
        raise DataError("adapt got data with non-finite numbers: leave out their rows, or fill them")
    return {"mean": mean, "variance": variance, "count": np.array([float(len(rows))])}


NUMBERS = Expected("one finite number per feature, or one for all", _numbers)


@LAYERS.named("Normalization")
@dataclass(frozen=True)
class Normalization(KindLayer):
    """Standardisation with fixed moments per feature: (x - mean) / √variance.

    The moments are given, computed by `adapt`, or computed from the samples of the first `fit`. They are saved with the
    network and never trained.

    Arguments:
        axis: -1, the last axis of a sample, which holds the features.
        mean: one number per feature, or one for all.
        variance: one number per feature, or one for all, at least 0; required with `mean`.

    Raises:
        ConfigurationError: only one of `mean` and `variance` is given, or a variance is negative.
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
        """Compute mean and variance of each feature from samples.

        On a layer that is not part of a network yet, this sets `mean` and `variance`; on a layer obtained from a
        network, `net.layers[0].adapt(x)`, it changes the network.

        Arguments:
            data: samples as this layer receives them, (N, ..., features).

        Raises:
            DataError, ShapeError: the data is not an array of finite numbers with rows.
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
                    f"Normalization has moments of {len(known)} features, but samples of shape {input_shape} have "
                    f"{size}"
                )
        if self.mean is None or self.variance is None:
            return {"mean": ((size,), "zeros"), "variance": ((size,), "ones"), "count": ((1,), "zeros")}
        mean, variance = _Known(_numbers(self.mean)), _Known(_numbers(self.variance))
        return {"mean": ((size,), mean), "variance": ((size,), variance), "count": ((1,), Constant(1.0))}

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        return {"channels": input_shape[-1]}
