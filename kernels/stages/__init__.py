"""Kinds of stages: operations on one or several values (B, I_k) that give one value (B, O). One kind per folder.

`README.md` in this folder explains how to add a kind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cache
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.philox.reference import random_bits

Settings = Mapping[str, Any]


@dataclass
class Context:
    """The pass that a stage is part of: everything a stage needs besides its inputs.

    Attributes:
        training: whether units are dropped, noise is added, and batch moments are used.
        layer, seed, step: select the random bits of the stage.
        statistics: where the stage writes new values of its statistics while training, by parameter number.
        rows_before: rows of the batch before the given ones, which are computed elsewhere.
    """

    training: bool
    layer: int = 0
    seed: int = 0
    step: int = 0
    statistics: dict[int, Array] = field(default_factory=dict)
    rows_before: int = 0

    def draw(self, count: int, purpose: int, xp: Namespace, first: int = 0) -> Array:
        """Return `count` random words from `first` on, uint32 (count,), of this stage and step.

        Every kind has its own `purpose`.
        """
        return random_bits(first, count, self.layer, self.step, self.seed, purpose, xp)


@dataclass(frozen=True)
class Example:
    """Test case of a kind. Its gradients are compared with finite differences on every backend.

    Attributes:
        inputs: features of each input value.
        features: features of the output.
        parameters: shape of each parameter, by name.
        settings: settings, by name.
        statistics: names of the parameters that are statistics.
        x: kind of inputs, "normal" or whole numbers as "categories".
        positive: names of the parameters that are above 0.
    """

    inputs: tuple[int, ...]
    features: int
    parameters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    statistics: tuple[str, ...] = ()
    x: str = "normal"
    positive: tuple[str, ...] = ()


Size = Callable[[tuple[int, ...], int, Settings], int]
"""Number of elements that a stage needs of some array: f(features of its inputs, features of its output, settings)."""


@dataclass(frozen=True)
class Opcodes:
    """What the Numba engine knows of a kind. `README.md` explains the fields, and the names that define them in a
    folder.

    Workers that share a batch by rows synchronize between two opcodes of `forward`, and between two of `backward`.
    """

    forward: tuple[str, ...]
    predict: tuple[str, ...]
    backward: tuple[str, ...]
    after: tuple[str, ...]
    numbers: Callable[[Settings], Sequence[float]]
    saves: Size
    keeps: Size
    sums: Size
    moves: Size
    multiplies: Size


@dataclass(frozen=True)
class Kind:
    """Definition of a kind, as read from its folder.

    `forward(xs, parameters, settings, context, xp) -> (y, saved)` and `backward(dy, saved, parameters, settings,
    needs_dx, xp) -> (dxs, dparameters)` are the reference.
    """

    name: str
    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., tuple[Sequence[Array | None], Sequence[Array | None]]]
    examples: tuple[Example, ...]
    opcodes: Opcodes


@cache
def kind(name: str) -> Kind:
    """Return the kind of this name. Raises `UnknownName`, which lists the kinds there are."""
    package = registry.find(name, "stage")
    reference = registry.version(name, "reference")
    forward = tuple(getattr(package, "FORWARD", (name,)))
    opcodes = Opcodes(
        forward,
        tuple(getattr(package, "PREDICT", forward)),
        tuple(getattr(package, "BACKWARD", (f"{name}_backward",))),
        tuple(getattr(package, "AFTER", ())),
        getattr(package, "numbers", _numbers),
        *(getattr(package, size, _none) for size in ("saves", "keeps", "sums", "moves", "multiplies")),
    )
    return Kind(name, reference.forward, reference.backward, tuple(package.EXAMPLES), opcodes)


def _none(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    return 0


def _numbers(settings: Settings) -> list[float]:
    """Return the numeric settings, those within tuples included, in the order of their names."""
    found: list[float] = []
    for _, value in sorted(settings.items()):
        found += [float(one) for one in (value if isinstance(value, tuple) else (value,)) if not isinstance(one, str)]
    return found
