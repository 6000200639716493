"""Elementwise layers: trainable scales and slopes, noise."""

from dataclasses import field
from typing import Any, ClassVar

from dnnkit.constraints import Constraint, get_constraint
from dnnkit.deferred import dataclass
from dnnkit.initializers import Initializer, Shape, get_initializer
from dnnkit.layers.base import LAYERS
from dnnkit.layers.of_kind import KindLayer
from dnnkit.regularizers import Regularizer, get_regularizer
from dnnkit.settings import NOT_NEGATIVE, UNLESS_DEFAULT

__all__ = ["GaussianNoise", "PReLU", "Scale"]


@LAYERS.named("Scale")
@dataclass(frozen=True)
class Scale(KindLayer):
    """Multiply each feature by a trainable factor.

    Arguments:
        initializer: initializer of the factors, default "ones".

    Source: the scaling layer of RealMLP, D. Holzmüller, L. Grinsztajn, I. Steinwart, NeurIPS 2024.
    """

    initializer: str | Initializer = "ones"

    kind: ClassVar = "scale"

    def __post_init__(self) -> None:
        super().__post_init__()
        get_initializer(self.initializer)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        return {"scale": (input_shape, self.initializer)}


@LAYERS.named("PReLU")
@dataclass(frozen=True)
class PReLU(KindLayer):
    """x where x > 0, otherwise alpha · x, with a trainable alpha per feature.

    Arguments:
        alpha_initializer: initializer of the slopes, default "zeros".
        alpha_regularizer: penalty on the slopes; see `dk.regularizers`.
        alpha_constraint: applied after each update; see `dk.constraints`.

    Source: K. He et al., ICCV 2015.
    """

    alpha_initializer: str | Initializer = "zeros"
    alpha_regularizer: str | Regularizer | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)
    alpha_constraint: str | Constraint | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)

    kind: ClassVar = "prelu"

    def __post_init__(self) -> None:
        super().__post_init__()
        get_initializer(self.alpha_initializer)
        get_regularizer(self.alpha_regularizer)
        get_constraint(self.alpha_constraint)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        return {"alpha": (input_shape, self.alpha_initializer)}


@LAYERS.named("GaussianNoise")
@dataclass(frozen=True)
class GaussianNoise(KindLayer):
    """In training, add normally distributed noise of mean 0, drawn from the network's seed; identity in predictions.

    Arguments:
        stddev: standard deviation of the noise, at least 0.
    """

    stddev: float

    kind: ClassVar = "gaussian_noise"
    expects: ClassVar = {"stddev": NOT_NEGATIVE}

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        return {"stddev": float(self.stddev)}
